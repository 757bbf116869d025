"""Hellos on each link type."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import link_types

test_hellos_are_found = hellos_are_found(link_types.SHAPES)
