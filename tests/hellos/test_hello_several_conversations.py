"""Hellos of several devices, on one port again, over several files."""

from __future__ import annotations

from hello_truth import hellos_are_found
from shapes import several_conversations

test_hellos_are_found = hellos_are_found(several_conversations.SHAPES)
