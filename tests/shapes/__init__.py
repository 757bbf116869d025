"""Captures in every nasty shape around Hellos, with the truth about each.

Nothing here uses amtdiag: packets and containers are packed by hand, and what is to be found in a capture is
derived from how it was made, never from reading it. The tests in `tests/hellos` hold amtdiag to the truth,
and let tshark check the makers.

What captures are made of: messages, packets, conversations, wrappings (link layers, tags, tunnels), stored
records, containers; and the truth about them. The other modules have the shapes, a topic each.
"""

# ruff: noqa: F403, F405 - all that captures are made of has this one door

from __future__ import annotations

from shapes import (
    copies,
    files,
    hellos,
    link_types,
    losses,
    networks,
    not_hellos,
    segments,
    several_conversations,
    tags_and_tunnels,
)
from shapes.containers import *
from shapes.conversations import *
from shapes.messages import *
from shapes.packets import *
from shapes.stored import *
from shapes.truth import *
from shapes.wrappings import *

SHAPES: tuple[Shape, ...] = (
    *segments.SHAPES,
    *losses.SHAPES,
    *copies.SHAPES,
    *files.SHAPES,
    *link_types.SHAPES,
    *tags_and_tunnels.SHAPES,
    *networks.SHAPES,
    *hellos.SHAPES,
    *several_conversations.SHAPES,
    *not_hellos.SHAPES,
)
