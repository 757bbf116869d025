"""Hellos in containers of all kinds, whole, cut and compressed."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import files

test_hellos_are_found = hellos_are_found(files.SHAPES)
