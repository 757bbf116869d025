"""Hellos behind tags and labels, in tunnels and before padding."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import tags_and_tunnels

test_hellos_are_found = hellos_are_found(tags_and_tunnels.SHAPES)
