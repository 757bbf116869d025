"""What the benchmarks agree on. Imports next to nothing: see `run.py` on memory."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["mixed", "small"]
Format = Literal["pcap", "pcapng"]
MEGA = 1_000_000
PROGRAM = os.environ.get("AMTDIAG") or str(Path(sys.executable).with_name("amtdiag"))
"""The amtdiag that is measured. An editable installation starts more slowly than a plain one: `make bench`
names one of those."""
FILTER = (
    "tcp port 9971 or tcp port 9972 or tcp portrange 16992-16995 or port 664 or tcp port 4433 or port 53 "
    "or udp port 67 or udp port 68 or udp port 546 or udp port 547 or udp port 623"
)
"""The ports that amtdiag keeps whole, for tcpdump."""
DISPLAY_FILTER = "tcp.port in {9971,9972,16992..16995,664,4433,53} or udp.port in {53,67,68,546,547,623,664}"
"""The same for Wireshark."""


@dataclass(frozen=True)
class Truth:
    """What is in a capture."""

    packets: int
    relevant: int
    """Packets on the ports of `FILTER`."""
    hellos: int
    """Connections with a Hello: the same one again is a retransmission."""
    bytes: int


def size_of(text: str) -> int:
    """300M, 1G ..."""
    unit = {"K": 1000, "M": MEGA, "G": 1000 * MEGA}.get(text[-1:].upper())
    return int(float(text[:-1]) * unit) if unit else int(text)


def put_into(page: Path, mark: str, text: str) -> None:
    """Put tables into a page, in the place of those between its two marks."""
    begin, end = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->\n"
    before, _, rest = page.read_text("utf-8").partition(begin)
    page.write_text(before + begin + text + end + rest.partition(end)[2], "utf-8")
