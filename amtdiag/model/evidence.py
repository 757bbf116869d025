"""The frame that proves a fact."""

from __future__ import annotations

from typing import NamedTuple


class Evidence(NamedTuple):
    """One frame, as Wireshark numbers it, of one file."""

    file: str
    frame: int
