"""The frame that proves a fact."""

from typing import NamedTuple


class Evidence(NamedTuple):
    """One frame, as Wireshark numbers it, of one file."""

    file: str
    frame: int
