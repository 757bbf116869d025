"""Hellos in IPv4 and IPv6 with all that their headers can have."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import networks

test_hellos_are_found = hellos_are_found(networks.SHAPES)
