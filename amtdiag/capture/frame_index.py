"""Which frames a run looked into: what another walk over the same files has to bring along."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection

from amtdiag.capture.decode.packet import ARP, ICMP, ICMPV6, TCP, UDP, PacketBatch
from amtdiag.capture.files.inputs import Input

_DNS = 53


class FrameIndex:
    """Collects frame numbers while a run goes on, eight bytes each."""

    def __init__(self) -> None:
        self.inputs: list[Input] = []
        """In the order of the file numbers."""
        self.sensors: list[tuple[int, ...]] = []
        """The files of each sensor."""
        self._frames: defaultdict[int, array[int]] = defaultdict(lambda: array("Q"))
        self._asked: defaultdict[tuple[int, bytes, bytes], array[int]] = defaultdict(lambda: array("Q"))
        """DNS, by file and addresses: that of other machines is left out."""

    def add(self, packets: PacketBatch) -> None:
        """Note a batch."""
        for row in packets.rows(ARP, ICMP, ICMPV6, TCP, UDP):
            if row.protocol == UDP and _DNS in (row.sport, row.dport):
                self._asked[row.file, row.src, row.dst].extend(row.frames)
            else:
                self._frames[row.file].extend(row.frames)

    def frames(self, file: int, addresses: Collection[bytes]) -> set[int]:
        """Return the frames of a file; of its DNS those to and from some addresses."""
        found = set(self._frames[file])
        for (number, src, dst), frames in self._asked.items():
            if number == file and (src in addresses or dst in addresses):
                found.update(frames)
        return found
