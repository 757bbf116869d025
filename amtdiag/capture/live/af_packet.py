"""Live interfaces on Linux: AF_PACKET sockets with the kernel's filter, its memory and its counters.

A socket is opened for no protocol, gets its filter, and is bound only then: no packet that the filter would
have turned away comes before it (packet(7)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from ctypes import addressof, c_char
from pathlib import Path

from amtdiag.capture.decode.linktypes import LINK_TYPES
from amtdiag.capture.live.packet_mmap import BLOCKS, SOL_PACKET, PacketRing
from amtdiag.capture.live.source import Counts, LivePacket, Tap
from amtdiag.capture.prefilter.bpf import MAX_INSTRUCTIONS, Instruction, both, filter_for, packed
from amtdiag.capture.prefilter.interest import Interest
from amtdiag.errors import InputError, MissingToolError, UsageError
from amtdiag.safetext import safe

ANY = "any"
"""All interfaces that are up when the capture begins."""
BATCH = 1024
"""Packets that are taken from one interface before the others have their turn."""
_ALL = 0x0003
_ADD_MEMBERSHIP, _STATISTICS = 1, 6
_STATISTICS_VALUES = struct.Struct("=II4x")
"""Packets, drops, and how often the kernel had to stop."""
_PROMISCUOUS = 1
_ATTACH_FILTER, _TIMESTAMPNS = 26, 35
_LINK_TYPES = {kind: number for number, link in LINK_TYPES.items() for kind in link.hardware}
"""By the kernel's number for the kind of an interface (ARPHRD)."""
_LOOPBACK = 772
_LOSS_COUNTERS = ("rx_missed_errors", "rx_fifo_errors")
"""What network cards count where they have no room; libpcap takes the same two."""
_SYSFS = Path("/sys/class/net")
_GET_FLAGS, _GET_HARDWARE = 0x8913, 0x8927
_NAME_BYTES = 16
_MIN_BLOCKS = 16
"""Of memory for one of many interfaces."""


class Sniffer:
    """Captures on one interface or several."""

    def __init__(
        self,
        interfaces: Sequence[str],
        interest: Interest,
        *,
        any_port: bool,
        promiscuous: bool = True,
        narrowed: str = "",
    ) -> None:
        """Open all interfaces; `narrowed` is an expression of libpcap's that packets have to fit besides.

        Raises `InputError` where there is no such interface, `MissingToolError` where the right is missing,
        or libpcap to compile the expression, `UsageError` where it is none.
        """
        self._sockets: list[_Socket] = []
        self._poll = select.poll()
        names = _names_of(interfaces)
        try:
            for name in names:
                opened = _Socket(
                    name, interest, any_port=any_port, narrowed=narrowed, promiscuous=promiscuous,
                    blocks=max(BLOCKS // len(names), _MIN_BLOCKS),
                )  # fmt: skip
                self._sockets.append(opened)
                self._poll.register(opened.socket, select.POLLIN)
        except BaseException:
            self.close()
            raise
        self.taps = [Tap(opened.name, opened.linktype) for opened in self._sockets]

    def wait(self, seconds: float) -> bool:
        """Wait until packets are there; False where none came in time."""
        return bool(self._poll.poll(seconds * 1000))

    def read(self) -> list[LivePacket]:
        """Return what is there, in the order of time; of each interface a batch at most."""
        packets: list[LivePacket] = []
        for number, opened in enumerate(self._sockets):
            opened.read(number, packets)
        if len(self._sockets) > 1:
            packets.sort(key=lambda packet: packet.ts)
        return packets

    def counts(self) -> list[Counts]:
        """Return what has been counted since the capture began, interface by interface."""
        return [opened.counts() for opened in self._sockets]

    def check(self) -> list[str]:
        """Return a line for each interface that went down, or came up, since the last call."""
        return [line for opened in self._sockets if (line := opened.check())]

    def close(self) -> None:
        """End the capture."""
        for opened in self._sockets:
            opened.close()


class _Socket:
    """One interface."""

    def __init__(
        self,
        name: str,
        interest: Interest,
        *,
        any_port: bool,
        narrowed: str,
        promiscuous: bool,
        blocks: int,
    ) -> None:
        self.name = name
        kind = _kind(name)
        if kind not in _LINK_TYPES:
            raise InputError(f"{safe(name)}: an interface of kind {kind} (ARPHRD), which is not read")
        self.linktype = _LINK_TYPES[kind]
        self._loopback = kind == _LOOPBACK
        self._promiscuous = promiscuous
        self._ring: PacketRing | None = None
        self._received = self._dropped = 0
        self._lost_before = self._lost()
        self._lost_so_far = 0
        self._index = 0
        self._up = True
        program = filter_for(interest, self.linktype, any_port=any_port)
        if narrowed:
            from amtdiag.capture.prefilter.libpcap import compiled

            program = both(compiled(narrowed, self.linktype), program)
        try:
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        except PermissionError as error:
            raise MissingToolError(missing_right(name)) from error
        try:
            self._prepare(program, blocks)
            self._bind()
        except OSError as error:
            self.close()
            raise InputError(f"{safe(name)}: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, program: Sequence[Instruction], blocks: int) -> None:
        """Attach the filter, ask for time stamps, and share memory with the kernel."""
        if len(program) > MAX_INSTRUCTIONS:
            raise UsageError("these are more ports than the kernel's filter has room for: use --any-port")
        code = bytearray(packed(program))
        memory = (c_char * len(code)).from_buffer(code)
        request = struct.pack("@HP", len(program), addressof(memory))
        self.socket.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, request)
        self.socket.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        self._ring = PacketRing(self.socket, blocks)

    def _bind(self) -> None:
        """Begin to capture on the interface that has the name now. Neither of this takes a right."""
        self._index = socket.if_nametoindex(self.name)
        self.socket.bind((self.name, _ALL))
        if self._promiscuous:
            request = struct.pack("@iHH8s", self._index, _PROMISCUOUS, 0, b"")
            self.socket.setsockopt(SOL_PACKET, _ADD_MEMBERSHIP, request)

    def read(self, number: int, packets: list[LivePacket]) -> None:
        """Take a batch of packets, and a block more."""
        assert self._ring is not None
        # On loopback what goes out comes in, too.
        self._ring.read(number, BATCH, packets, outgoing=not self._loopback)
        # An interface that went down is an error until it is asked for; `check` reports it.
        self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        """End the capture."""
        if self._ring is not None:
            self._ring.close()
        self.socket.close()

    def counts(self) -> Counts:
        """The kernel begins its counters at 0 each time they are read."""
        packets, drops = _STATISTICS_VALUES.unpack(
            self.socket.getsockopt(SOL_PACKET, _STATISTICS, _STATISTICS_VALUES.size)
        )
        self._received += packets
        self._dropped += drops
        lost = self._lost()
        # They begin again where the interface was made anew.
        self._lost_so_far += max(lost - self._lost_before, 0)
        self._lost_before = lost
        return Counts(self._received, self._dropped, self._lost_so_far)

    def check(self) -> str | None:
        """Return a line if the interface went down or came up; bind again where it was made anew."""
        try:
            index = socket.if_nametoindex(self.name)
            up = bool(_ask(self.socket, _GET_FLAGS, self.name) & 1)
        except (OSError, ValueError):
            index, up = 0, False
        if up and index != self._index:
            try:
                self._bind()
            except OSError:
                up = False
        if up == self._up:
            return None
        self._up = up
        return f"{safe(self.name)} is up again" if up else f"{safe(self.name)} is down: nothing is seen on it"

    def _lost(self) -> int:
        folder = _SYSFS / self.name / "statistics"
        try:
            return sum(int((folder / counter).read_text("ascii")) for counter in _LOSS_COUNTERS)
        except (OSError, ValueError):
            return 0


def _ask(control: socket.socket, request: int, name: str) -> int:
    """Ask the kernel about an interface: a number of two bytes."""
    answer = fcntl.ioctl(control, request, struct.pack("16s24x", os.fsencode(name)))
    return int(struct.unpack_from("=H", answer, 16)[0])


def _names_of(interfaces: Sequence[str]) -> list[str]:
    """Return the names of the interfaces, each once. Raises `InputError` where none is up."""
    names: list[str] = []
    for name in interfaces:
        names += _all_up() if name == ANY else [name]
    if not names:
        raise InputError("no interface is up that could be read")
    return list(dict.fromkeys(names))


def _all_up() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it went meanwhile
                is_read = _ask(control, _GET_HARDWARE, name) in _LINK_TYPES
                if is_read and _ask(control, _GET_FLAGS, name) & 1:
                    yield name


def _kind(name: str) -> int:
    """Return the kernel's number for the kind of an interface. Raises `InputError` where there is none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            if not 0 < len(os.fsencode(name)) < _NAME_BYTES:
                raise OSError(errno.ENODEV, "the name is too long")
            return _ask(control, _GET_HARDWARE, name)
    except (OSError, ValueError) as error:
        known = ", ".join(sorted(name for _, name in socket.if_nameindex()))
        raise InputError(f"{safe(name)}: no such interface; there are: {safe(known, 400)}") from error


def missing_right(name: str) -> str:
    """Return one line: what is missing, and the command that mends it."""
    python = os.path.realpath(sys.executable)
    return (
        f"no right to capture on {safe(name)}: run  sudo setcap cap_net_raw+ep {safe(python, 4096)}  "
        "(whoever may run this Python may capture then), or begin with sudo; docs/live.md has narrower ways"
    )
