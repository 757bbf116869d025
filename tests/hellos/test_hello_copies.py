"""Hellos of which every packet is there twice."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import copies

test_hellos_are_found = hellos_are_found(copies.SHAPES)
