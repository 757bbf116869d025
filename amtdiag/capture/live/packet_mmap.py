"""Memory that is shared with the kernel, into which it writes the packets of an AF_PACKET socket.

TPACKET_V3 (Linux: Documentation/networking/packet_mmap.rst, linux/if_packet.h): blocks in a ring, each handed
over when it is full or a while after its first packet. So packets gather without a wake-up for each, one call
of the system takes many, and the room is not bounded by what a user without rights may ask of SO_RCVBUF.
"""

from __future__ import annotations

import mmap
import socket
import struct

from amtdiag.capture.live.source import LivePacket

BLOCK = 128 << 10
"""Bytes: more than the longest packet, which the kernel puts together from several of one connection."""
BLOCKS = 256
"""32 MiB. Blocks that are handed over half empty, each after its time, fill it in 12 seconds: so long may a
reader be busy with other things."""
_GATHERING = 50
"""Milliseconds in which packets gather until they are handed over."""
SOL_PACKET = 263
_VERSION, _RX_RING = 10, 5
_V3 = 2
_REQUEST = struct.Struct("=7I")
"""Sizes and numbers of blocks and frames, the time to gather, private bytes, features."""
_MIN_FRAME = 2048
"""Version 3 packs packets of any length; this has to divide a block, and says nothing else."""
_BLOCK = struct.Struct("=8xIII")
"""Whose it is (the kernel's or ours), packets, where the first begins."""
_STATUS = struct.Struct("@I")  # native: written at once
_STATUS_AT = 8
_KERNELS, _OURS = 0, 1
_PACKET = struct.Struct("=IIIIIIHxxxxxxIH20xB")
"""Where the next begins, seconds, nanoseconds, bytes taken, bytes on the wire, status, where the packet
begins, VLAN tag and its type; of its address the kind of packet."""
_OUTGOING = 4
_TAG_VALID, _TAG_TYPE_VALID = 0x10, 0x40
_TAG = 0x8100


class PacketRing:
    """The blocks of one socket."""

    def __init__(self, owner: socket.socket, blocks: int) -> None:
        """Have the kernel write into memory that is shared with it, so many blocks. Raises `OSError`."""
        self._size = BLOCK * blocks
        frames = self._size // _MIN_FRAME
        owner.setsockopt(SOL_PACKET, _VERSION, _V3)
        request = _REQUEST.pack(BLOCK, blocks, _MIN_FRAME, frames, _GATHERING, 0, 0)
        owner.setsockopt(SOL_PACKET, _RX_RING, request)
        self._memory = mmap.mmap(owner.fileno(), self._size)
        self._at = 0
        """Where the next block begins that the kernel will hand over."""

    def read(self, number: int, enough: int, packets: list[LivePacket], *, outgoing: bool) -> None:
        """Append packets of interface `number`, those of whole blocks, until there are `enough` or no more.

        Packets that this machine sent are left out unless `outgoing`.
        """
        memory, packet = self._memory, _PACKET.unpack_from
        end = len(packets) + enough
        while len(packets) < end:
            at = self._at
            status, count, first = _BLOCK.unpack_from(memory, at)
            if not status & _OURS:
                return
            place = at + first
            for _ in range(count):
                step, seconds, nanoseconds, size, wirelen, flags, start, tag, tag_type, kind = packet(
                    memory, place
                )
                if outgoing or kind != _OUTGOING:
                    data = memory[place + start : place + start + size]
                    if flags & _TAG_VALID:  # the network card, or the kernel, took it off
                        tag_type = tag_type if flags & _TAG_TYPE_VALID else _TAG
                        data = data[:12] + struct.pack(">HH", tag_type, tag & 0xFFFF) + data[12:]
                        wirelen += 4
                    ts = seconds * 1_000_000_000 + nanoseconds
                    packets.append(LivePacket(ts, number, data, max(wirelen, len(data))))
                place += step
            _STATUS.pack_into(memory, at + _STATUS_AT, _KERNELS)
            self._at = (at + BLOCK) % self._size

    def close(self) -> None:
        """Give the memory back; the socket is open for as long as it is there."""
        self._memory.close()
