"""`amtdiag listen`: waits for Hellos in the server's place. Does this device's Hello reach this machine?

It accepts connections, reads, and closes them: it sends no byte, opens no connection and resolves no name. It
takes no right but that of any program that listens.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any, NamedTuple

from amtdiag.cli.common import address, conditions, port, until_signal
from amtdiag.errors import UsageError
from amtdiag.live.listener import HelloListener, IncomingConnection, open_listeners, shown
from amtdiag.model import Hello
from amtdiag.protocols.ports import HELLO_PORTS
from amtdiag.safetext import safe
from amtdiag.times import clock, rfc3339

MAX_LINES_OF_ONE = 120
"""Lines about one address in an hour; what is more is counted."""
_HOUR = 3600.0
_SOURCES = 4096
"""Addresses of which lines are counted."""
_TICK = 0.25
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
    with until_signal() as stop:
        listeners = open_listeners(arguments.address or [], ports)
        try:
            where = ", ".join(shown(*listener.getsockname()[:2]) for listener in listeners)
            print(f"amtdiag: listening on {where}; Ctrl-C ends it", file=sys.stderr, flush=True)
            log = _ConnectionLog(arguments.jsonl or not sys.stdout.isatty(), record)
            server = HelloListener(listeners, log.write)
            end = None if arguments.stop is None else time.monotonic() + arguments.stop[1]
            while not stop.asked and (end is None or time.monotonic() < end):
                server.step(_TICK)
                if arguments.count is not None and server.hellos >= arguments.count:
                    break
            server.close()
        finally:
            for listener in listeners:
                listener.close()
            if record is not None:
                record.close()
    print(f"amtdiag: {_summary(server, log)}", file=sys.stderr)
    return 0 if server.hellos else 1


def _record(name: str | None) -> IO[str] | None:
    if name is None:
        return None
    try:
        return Path(name).open("a", encoding="ascii")
    except OSError as error:
        raise UsageError(f"{safe(name, 4096)}: {error.strerror or error}") from error


def _summary(server: HelloListener, log: _ConnectionLog) -> str:
    """What came, in a line."""
    text = f"{server.hellos:,} Hellos, {server.others:,} connections without one"
    if server.turned_away:
        text += f", {server.turned_away:,} turned away (more at one time than are taken)"
    if log.kept_back:
        text += f", {log.kept_back:,} lines kept back (more of one address than are written)"
    return text


class _LineBudget(NamedTuple):
    since: float
    """When the hour began, in seconds of the steady clock."""
    lines: int
    """Written since then."""


class _ConnectionLog:
    """Writes a line for each connection, of one address only so many."""

    def __init__(self, lines: bool, record: IO[str] | None) -> None:
        self._lines = lines
        self._record = record
        self._budgets: OrderedDict[str, _LineBudget] = OrderedDict()
        self.kept_back = 0

    def write(self, connection: IncomingConnection, hello: Hello | None, reason: str | None) -> None:
        """Write what a connection brought."""
        if not self._may(connection.source):
            self.kept_back += 1
            return
        if self._lines or self._record is not None:
            self._write_object(_line(connection, hello, reason))
        if not self._lines:
            print(_text(connection, hello, reason), flush=True)

    def _may(self, source: str) -> bool:
        now = time.monotonic()
        budget = self._budgets.pop(source, None)
        if budget is None or now - budget.since >= _HOUR:
            budget = _LineBudget(now, 0)
        self._budgets[source] = budget._replace(lines=budget.lines + 1)
        if len(self._budgets) > _SOURCES:
            self._budgets.popitem(last=False)
        return budget.lines < MAX_LINES_OF_ONE

    def _write_object(self, line: dict[str, Any]) -> None:
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


def _line(connection: IncomingConnection, hello: Hello | None, reason: str | None) -> dict[str, Any]:
    from amtdiag.protocols.addresses import address_bytes
    from amtdiag.reassembly.community_id import community_id
    from amtdiag.report.formats.eve import eve_time, flow_id
    from amtdiag.report.formats.json import message_json

    host, number = connection.here
    known = community_id(address_bytes(connection.source), address_bytes(host), connection.sport, number)
    digests = None if hello is None else [digest.value.hex() for digest in hello.digests]
    return {
        "timestamp": eve_time(connection.last_ts),
        "event_type": "hello" if hello is not None else "connection",
        "flow_id": flow_id(known),
        "src_ip": connection.source,
        "src_port": connection.sport,
        "dest_ip": host,
        "dest_port": number,
        "proto": "TCP",
        "community_id": known,
        "opened": rfc3339(connection.first_ts),
        "bytes": len(connection.data),
        "reason": reason,
        "hello": None if hello is None else {**message_json(hello), "digests": digests},
        "raw": connection.data.hex(),
    }


def _text(connection: IncomingConnection, hello: Hello | None, reason: str | None) -> str:
    ends = f"{shown(connection.source, connection.sport)} -> {shown(*connection.here)}"
    begin = f"{clock(connection.last_ts)}  {ends}"
    if hello is None:
        begins = f" (begins with {connection.data[:_SHOWN].hex()})" if connection.data else ""
        return f"{begin}  no Hello: {reason}{begins}"
    what = f"PID {hello.pid}" if hello.type == "psk" else f"{len(hello.digests)} digests"
    odd = "".join(f"; {problem}" for problem in hello.problems)
    return f"{begin}  Hello of {hello.uuid or 'an unknown device'}: {what}, retry {hello.retry_count}{odd}"
