"""Hellos of which something comes twice, late, cut or not at all."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import losses

test_hellos_are_found = hellos_are_found(losses.SHAPES)
