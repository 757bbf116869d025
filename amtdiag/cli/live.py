"""`amtdiag live`: the same diagnosis on an interface, while things happen."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from amtdiag.cli.common import (
    add_judging,
    add_own,
    add_port,
    conditions,
    exit_code,
    minutes,
    read_options,
    say_how_it_reads,
    until_signal,
)
from amtdiag.cli.live_output import printer_for
from amtdiag.config import Options
from amtdiag.errors import UsageError
from amtdiag.safetext import safe
from amtdiag.times import SECOND

if TYPE_CHECKING:
    from amtdiag.capture.live.source import LiveSource
    from amtdiag.live.loop import CaptureSettings
    from amtdiag.model import Diagnosis

_STUCK_AFTER = 15
"""Minutes; a server that is there and willing takes seconds."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "-i",
        dest="interfaces",
        metavar="IFACE",
        action="append",
        required=True,
        help="interface to capture on (may be repeated); any: all that are up",
    )
    parser.add_argument(
        "-f",
        dest="narrowed",
        metavar="FILTER",
        default="",
        help="take only what fits this capture filter besides, as of pcap-filter(7); needs libpcap",
    )
    parser.add_argument("-w", dest="file", metavar="FILE", help="keep the packets in this pcapng file")
    parser.add_argument(
        "-b",
        dest="ring",
        metavar="NAME:VALUE",
        action="append",
        default=[],
        type=conditions("filesize", "duration", "files"),
        help="with -w, as dumpcap: another file after filesize:KB or duration:SECONDS, keep files:N",
    )
    parser.add_argument(
        "-a",
        dest="stop",
        metavar="duration:SECONDS",
        type=conditions("duration"),
        help="end after so many seconds",
    )
    parser.add_argument(
        "-p", dest="promiscuous", action="store_false", help="do not ask for packets to other hosts"
    )
    parser.add_argument(
        "--any-port",
        action="store_true",
        help="take all TCP from the kernel, so that Hellos on unexpected ports are seen too",
    )
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help="one JSON object a line, in the shape of Suricata's EVE (default where stdout is no terminal)",
    )
    parser.add_argument("-o", metavar="DIR", dest="folder", help="at the end write the report to this folder")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="on a terminal, print a line for each event and draw no screen",
    )
    parser.add_argument(
        "--stuck-after",
        metavar="MINUTES",
        type=minutes,
        default=_STUCK_AFTER,
        help=f"alert where a device does not get on for so long (default: {_STUCK_AFTER}; 0: never)",
    )
    add_port(parser)
    add_own(parser)
    add_judging(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Capture until told to stop, then report."""
    from amtdiag.live.loop import CaptureLoop

    options, plan = read_options(arguments, arguments.root_of), _plan(arguments)
    if arguments.folder:
        _make_folder(arguments.folder)

    def write(diagnosis: Diagnosis) -> None:
        if arguments.folder:
            from amtdiag.report.report_directory import write_report

            write_report(diagnosis, arguments.folder)

    say_how_it_reads()
    on_screen = not (arguments.jsonl or arguments.plain) and _has_screen()
    if on_screen:
        # Half a second, in which no packet is waiting yet, and no second thread imports anything.
        import_module("amtdiag.tui.app")
    source = _source(arguments, options)
    try:
        with until_signal() as stop:
            printer = printer_for(jsonl=arguments.jsonl or not sys.stdout.isatty())
            watch = CaptureLoop(source, options, plan, printer)
            print(
                f"amtdiag: capturing on {watch.names}; Ctrl-C ends it with the report",
                file=sys.stderr,
                flush=True,
            )
            if on_screen:
                from amtdiag.tui import watch_on_screen

                diagnosis = watch_on_screen(watch, stop, arguments.folder, write)
            else:
                diagnosis = watch.run(lambda: stop.asked)
                write(diagnosis)
    finally:
        source.close()
    printer.report(diagnosis)
    return exit_code(diagnosis, arguments.fail_on)


def _plan(arguments: argparse.Namespace) -> CaptureSettings:
    from amtdiag.capture.live.ring_buffer import RingOptions
    from amtdiag.live.loop import CaptureSettings

    ring = RingOptions()._replace(**dict(arguments.ring))
    if arguments.ring and not arguments.file:
        raise UsageError("-b goes with -w")
    if ring.files and not ring.several:
        raise UsageError("-b files: goes with -b filesize: or -b duration:")
    return CaptureSettings(
        Path(arguments.file) if arguments.file else None,
        ring,
        seconds=arguments.stop and arguments.stop[1],
        stuck_after=arguments.stuck_after * 60 * SECOND,
    )


def _has_screen() -> bool:
    """Say whether the view can be drawn: all three streams are a terminal that can do more than print."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if any(stream is None or not stream.isatty() for stream in streams) or os.environ.get("TERM") == "dumb":
        return False
    from importlib.util import find_spec

    if find_spec("textual") is None:
        print(
            f"amtdiag: lines, for want of textual: {sys.executable} -m pip install textual", file=sys.stderr
        )
        return False
    return True


def _source(arguments: argparse.Namespace, options: Options) -> LiveSource:
    """Open the interfaces, then give up every right beyond the caller's."""
    from amtdiag.capture.live.interfaces import open_source
    from amtdiag.pipeline import interest

    is_linux = sys.platform == "linux"
    if not is_linux:
        from amtdiag.capture.live.scapy_source import NOT_RUN_BY_US

        print(f"amtdiag: {NOT_RUN_BY_US}", file=sys.stderr)
    source = open_source(
        arguments.interfaces,
        interest(options),
        any_port=arguments.any_port,
        promiscuous=arguments.promiscuous,
        narrowed=arguments.narrowed,
    )
    if is_linux:
        from amtdiag.capture.live.privileges import become_caller

        become_caller()
    return source


def _make_folder(folder: str) -> None:
    """Find out now whether the report can be written, not after days."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{safe(folder, 4096)}: {error.strerror or error}") from error
