"""Hellos of all kinds, also such as no device sends."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import hellos

test_hellos_are_found = hellos_are_found(hellos.SHAPES)
