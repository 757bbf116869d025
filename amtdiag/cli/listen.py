"""`amtdiag listen`: waits for Hellos in the server's place. Does this device's Hello reach this machine?

It accepts connections, reads, and closes them: it sends no byte, opens no connection and resolves no name. It
takes no right but that of any program that listens.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import IO, Any, NamedTuple

from amtdiag.cli.common import address, conditions, port, until_told
from amtdiag.errors import InputError, MissingToolError, UsageError
from amtdiag.model import Hello
from amtdiag.protocols import hello as protocol
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.safetext import safe
from amtdiag.times import clock, rfc3339

MAX_BYTES = 65_536
"""Of one connection. The longest Hello has 255 digests and less than 20,000 bytes."""
MOST_SECONDS = 30.0
"""For one connection, from its beginning, however slow it is."""
SILENCE = 3.0
"""Seconds after a whole Hello until the connection is closed from this side."""
MAX_OPEN = 256
MOST_OPEN_OF_ONE = 8
"""Connections at one time, of all sources and of one address."""
MOST_LINES_OF_ONE = 120
"""Lines about one address in an hour; what is more is counted."""
_HOUR = 3600.0
_SOURCES = 4096
"""Addresses of which lines are counted."""
_TICK = 0.25
_BACKLOG = 128
_SHOWN = 32


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "--port",
        type=port,
        action="append",
        metavar="N",
        help=f"port to listen on (default: {HELLO_PORTS[0]}; may be repeated)",
    )
    parser.add_argument(
        "--address",
        type=address,
        action="append",
        metavar="ADDRESS",
        help="address of this machine to listen on (default: all; may be repeated)",
    )
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line on standard output")
    parser.add_argument(
        "-w", dest="file", metavar="FILE", help="append the same objects, with the bytes, to this file"
    )
    parser.add_argument(
        "-a", dest="stop", metavar="duration:SECONDS", type=conditions("duration"), help="end after that"
    )
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many Hellos")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"a number from 1 on is wanted, not {text!r}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Listen until told to stop; 0 where a Hello came, 1 where none did."""
    ports = arguments.port or [HELLO_PORTS[0]]
    record = _record(arguments.file)
    with until_told() as stop:
        ears = _listen(arguments.address or [], ports)
        try:
            where = ", ".join(_shown(*one.getsockname()[:2]) for one in ears)
            print(f"amtdiag: listening on {where}; Ctrl-C ends it", file=sys.stderr, flush=True)
            listener = HelloListener(ears, _ConnectionLog(arguments.jsonl or not sys.stdout.isatty(), record))
            end = None if arguments.stop is None else time.monotonic() + arguments.stop[1]
            while not stop.asked and (end is None or time.monotonic() < end):
                listener.step(_TICK)
                if arguments.count is not None and listener.hellos >= arguments.count:
                    break
            listener.close()
        finally:
            for one in ears:
                one.close()
            if record is not None:
                record.close()
    print(f"amtdiag: {listener.summary()}", file=sys.stderr)
    return 0 if listener.hellos else 1


def _record(name: str | None) -> IO[str] | None:
    if name is None:
        return None
    try:
        return Path(name).open("a", encoding="ascii")
    except OSError as error:
        raise UsageError(f"{safe(name, 4096)}: {error.strerror or error}") from error


def _listen(addresses: Sequence[str | None], ports: Sequence[int]) -> list[socket.socket]:
    """Open a socket for each address and port: without addresses for all, IPv6 and IPv4."""
    ears: list[socket.socket] = []
    try:
        for number, one in product(ports, addresses or [None]):
            ears.append(_ear(one, number))
    except BaseException:
        for ear in ears:
            ear.close()
        raise
    return ears


def _ear(place: str | None, number: int) -> socket.socket:
    family = socket.AF_INET
    host, _, scope = (place or "").partition("%")
    if place is None:
        host = "0.0.0.0"  # noqa: S104 - a server listens on all of its addresses
        if socket.has_dualstack_ipv6():
            family, host = socket.AF_INET6, "::"
    elif ip_address(place).version == 6:
        family = socket.AF_INET6
    ear = socket.socket(family, socket.SOCK_STREAM)
    try:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(place is not None))
            ear.bind((host, number, 0, _scope(scope)))
        else:
            ear.bind((host, number))
        ear.listen(_BACKLOG)
        ear.setblocking(False)
    except OSError as error:
        ear.close()
        shown = _shown(host, number)
        if isinstance(error, PermissionError):
            raise MissingToolError(f"no right to listen on {shown}: choose a port above 1023") from error
        raise InputError(
            f"cannot listen on {shown}: {error.strerror or error} (where the provisioning server itself "
            "listens, use `amtdiag live` beside it)"
        ) from error
    return ear


def _scope(name: str) -> int:
    """The number of the interface that a link-local address names."""
    if not name:
        return 0
    return int(name) if name.isdigit() else socket.if_nametoindex(name)


class _Call:
    """One connection."""

    __slots__ = ("data", "deadline", "first_ts", "hello_until", "here", "last_ts", "source", "sport")

    def __init__(self, source: str, sport: int, here: tuple[str, int]) -> None:
        self.source = source
        self.sport = sport
        self.here = here
        self.data = bytearray()
        self.first_ts = self.last_ts = time.time_ns()
        self.deadline = time.monotonic() + MOST_SECONDS
        self.hello_until: float | None = None
        """When to close, once a whole Hello is there."""


class HelloListener:
    """Accepts and reads; what a connection brought is said once: when a Hello is whole, or at its end."""

    def __init__(self, ears: Sequence[socket.socket], mouth: _ConnectionLog) -> None:
        self._mouth = mouth
        self._selector = selectors.DefaultSelector()
        self._open: dict[str, int] = {}
        self._calls: dict[socket.socket, _Call] = {}
        self.hellos = self.others = self.turned_away = 0
        for ear in ears:
            self._selector.register(ear, selectors.EVENT_READ)

    def step(self, seconds: float) -> None:
        """Do what there is to do, waiting so long for it."""
        for key, _ in self._selector.select(seconds):
            one = key.fileobj
            assert isinstance(one, socket.socket)
            call = self._calls.get(one)
            if call is None:
                self._accept(one)
            else:
                self._read(one, call)
        now = time.monotonic()
        for one, call in list(self._calls.items()):
            if now >= min(call.deadline, call.hello_until or call.deadline):
                self._end(one, call, "it was still open when its time was over")

    def close(self) -> None:
        """Take what is open as it stands."""
        for one, call in list(self._calls.items()):
            self._end(one, call, "it was still open when listening ended")
        self._selector.close()

    def summary(self) -> str:
        """What came, in a line."""
        said = f"{self.hellos:,} Hellos, {self.others:,} connections without one"
        if self.turned_away:
            said += f", {self.turned_away:,} turned away (more at one time than are taken)"
        if self._mouth.kept_back:
            said += f", {self._mouth.kept_back:,} lines kept back (more of one address than are written)"
        return said

    def _accept(self, ear: socket.socket) -> None:
        try:
            one, (host, sport, *_) = ear.accept()
        except OSError:
            return  # gone again, or no descriptor is free: the next turn tries again
        source = _plain(host)
        if len(self._calls) >= MAX_OPEN or self._open.get(source, 0) >= MOST_OPEN_OF_ONE:
            self.turned_away += 1
            one.close()
            return
        one.setblocking(False)
        here_host, here_port = one.getsockname()[:2]
        self._calls[one] = _Call(source, sport, (_plain(here_host), here_port))
        self._open[source] = self._open.get(source, 0) + 1
        self._selector.register(one, selectors.EVENT_READ)

    def _read(self, one: socket.socket, call: _Call) -> None:
        try:
            data = one.recv(MAX_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(one, call, f"the other side ended it: {error.strerror or error}")
            return
        if not data:
            self._end(one, call, "the other side closed it")
            return
        call.last_ts = time.time_ns()
        call.data += data[: MAX_BYTES - len(call.data)]
        if call.hello_until is not None:
            return
        found = protocol.parse(bytes(call.data), ended=False)
        if isinstance(found, Hello) and found.complete:
            call.hello_until = time.monotonic() + SILENCE
            self._tell(call, found, None)
        elif len(call.data) >= MAX_BYTES:
            self._end(one, call, f"it sent more than {MAX_BYTES:,} bytes")

    def _end(self, one: socket.socket, call: _Call, why: str) -> None:
        self._selector.unregister(one)
        one.close()
        del self._calls[one]
        self._open[call.source] -= 1
        if not self._open[call.source]:
            del self._open[call.source]
        if call.hello_until is None:
            found = protocol.parse(bytes(call.data), cut_by_capture=False)
            self._tell(call, found if isinstance(found, Hello) else None, self._reason(call, found, why))

    @staticmethod
    def _reason(call: _Call, found: object, why: str) -> str:
        if not call.data:
            return f"it sent nothing; {why}"
        return f"{found.reason}; {why}" if isinstance(found, protocol.NotHello) else why

    def _tell(self, call: _Call, hello: Hello | None, reason: str | None) -> None:
        if hello is not None:
            self.hellos += 1
        else:
            self.others += 1
        self._mouth.say(call, hello, reason)


class _LineBudget(NamedTuple):
    since: float
    lines: int


class _ConnectionLog:
    """Writes a line for each connection, of one address only so many."""

    def __init__(self, lines: bool, record: IO[str] | None) -> None:
        self._lines = lines
        self._record = record
        self._said: OrderedDict[str, _LineBudget] = OrderedDict()
        self.kept_back = 0

    def say(self, call: _Call, hello: Hello | None, reason: str | None) -> None:
        """Write what a connection brought."""
        if not self._may(call.source):
            self.kept_back += 1
            return
        if self._lines or self._record is not None:
            self._write(_line(call, hello, reason))
        if not self._lines:
            print(_text(call, hello, reason), flush=True)

    def _may(self, source: str) -> bool:
        now = time.monotonic()
        said = self._said.pop(source, None)
        if said is None or now - said.since >= _HOUR:
            said = _LineBudget(now, 0)
        self._said[source] = said._replace(lines=said.lines + 1)
        if len(self._said) > _SOURCES:
            self._said.popitem(last=False)
        return said.lines < MOST_LINES_OF_ONE

    def _write(self, line: dict[str, Any]) -> None:
        from amtdiag.report.formats.json import dumps

        text = dumps(line) + "\n"
        if self._lines:
            sys.stdout.write(text)
            sys.stdout.flush()
        if self._record is None:
            return
        try:
            self._record.write(text)
            self._record.flush()
        except OSError as error:
            print(f"amtdiag: nothing more is recorded: {error.strerror or error}", file=sys.stderr)
            self._record = None


def _line(call: _Call, hello: Hello | None, reason: str | None) -> dict[str, Any]:
    from amtdiag.protocols.addresses import address_bytes
    from amtdiag.reassembly.community_id import community_id
    from amtdiag.report.formats.eve import eve_time, flow_id
    from amtdiag.report.formats.json import message_json

    host, number = call.here
    known = community_id(address_bytes(call.source), address_bytes(host), call.sport, number)
    digests = None if hello is None else [one.value.hex() for one in hello.digests]
    return {
        "timestamp": eve_time(call.last_ts),
        "event_type": "hello" if hello is not None else "connection",
        "flow_id": flow_id(known),
        "src_ip": call.source,
        "src_port": call.sport,
        "dest_ip": host,
        "dest_port": number,
        "proto": "TCP",
        "community_id": known,
        "opened": rfc3339(call.first_ts),
        "bytes": len(call.data),
        "reason": reason,
        "hello": None if hello is None else {**message_json(hello), "digests": digests},
        "raw": call.data.hex(),
    }


def _text(call: _Call, hello: Hello | None, reason: str | None) -> str:
    ends = f"{clock(call.last_ts)}  {_shown(call.source, call.sport)} -> {_shown(*call.here)}"
    if hello is None:
        begins = f" (begins with {call.data[:_SHOWN].hex()})" if call.data else ""
        return f"{ends}  no Hello: {reason}{begins}"
    what = f"PID {hello.pid}" if hello.type == "psk" else f"{len(hello.digests)} digests"
    odd = "".join(f"; {one}" for one in hello.problems)
    return f"{ends}  Hello of {hello.uuid or 'an unknown device'}: {what}, retry {hello.retry_count}{odd}"


def _plain(host: str) -> str:
    """An address as the reports have it: without the scope, and IPv4 as such."""
    one = ip_address(host.partition("%")[0])
    mapped = one.ipv4_mapped if one.version == 6 else None
    return str(mapped or one)


def _shown(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
