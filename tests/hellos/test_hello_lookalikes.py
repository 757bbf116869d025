"""What looks like a Hello and is none."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import not_hellos

test_hellos_are_found = hellos_are_found(not_hellos.SHAPES)
