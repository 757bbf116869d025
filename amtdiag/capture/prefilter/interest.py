"""What matters: the one definition that the sieves, the filters of live captures and the decoder read."""

from __future__ import annotations

from typing import NamedTuple


class Interest(NamedTuple):
    """What the protocols want to see: ports, and how a conversation on any other port has to begin."""

    ports: frozenset[int]
    """TCP ports whose conversations are wanted whole."""
    datagram_ports: frozenset[int]
    """UDP ports whose datagrams are wanted."""
    head: tuple[frozenset[int], ...]
    """The byte values that the first bytes may have, one set a byte."""

    def contradicts(self, payload: bytes, offset: int) -> bool:
        """True where `payload`, `offset` bytes into the stream, cannot belong to a wanted one."""
        head = self.head
        stop = min(len(head), offset + len(payload))
        return any(payload[i - offset] not in head[i] for i in range(max(offset, 0), stop))
