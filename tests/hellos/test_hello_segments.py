"""Hellos cut into segments in every way."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import segments

test_hellos_are_found = hellos_are_found(segments.SHAPES)
