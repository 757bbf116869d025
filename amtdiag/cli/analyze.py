"""`amtdiag analyze`: the whole diagnosis."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from amtdiag.cli.common import (
    add_inputs,
    add_judging,
    add_own,
    exit_code,
    read_options,
    say_how_it_reads,
    say_problems,
)
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.safetext import safe

TYPE_CHECKING = False  # not from typing: a start does without it
if TYPE_CHECKING:
    from amtdiag.capture.frame_index import FrameIndex


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    add_inputs(parser)
    faces = parser.add_mutually_exclusive_group()
    faces.add_argument("--json", action="store_true", help="the whole diagnosis as one JSON document")
    faces.add_argument(
        "--jsonl", action="store_true", help="one JSON object a line, each with its event_type"
    )
    parser.add_argument(
        "-o",
        metavar="DIR",
        dest="folder",
        help="write report.html, a page to open and pass on, and JSON, tables and charts to this folder",
    )
    parser.add_argument(
        "--parquet",
        action="store_true",
        help="with -o: the tables also as Parquet datasets, in DIR/parquet",
    )
    parser.add_argument(
        "--annotate",
        metavar="FILE",
        help="write the packets that matter as pcapng, what was found as packet comments for Wireshark",
    )
    add_own(parser)
    parser.add_argument(
        "--keylog",
        metavar="FILE",
        help="TLS key log (SSLKEYLOGFILE): what it opens is decrypted by tshark and read",
    )
    parser.add_argument(
        "--psk",
        metavar="FILE",
        help="pairs of PID and PPS, one a line: TLS-PSK sessions are decrypted with them and read",
    )
    add_judging(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Diagnose and show."""
    from amtdiag.cli.progress import progress_bar
    from amtdiag.pipeline import diagnose

    options = read_options(arguments, arguments.root_of)
    if arguments.parquet:
        _check_parquet(arguments.folder)
    kept = _kept(arguments)
    say_how_it_reads()
    with progress_bar() as progress:
        diagnosis = diagnose(arguments.paths, options, progress, kept)
    say_problems(diagnosis)
    _show(diagnosis, arguments)
    if arguments.folder:
        from amtdiag.report.report_directory import write_report

        gc.enable()  # `entry` may have turned it off, and charts leave much behind
        write_report(diagnosis, arguments.folder)
        if arguments.parquet:
            from amtdiag.report.dataset import write_dataset

            write_dataset(diagnosis, Path(arguments.folder) / "parquet")
    if kept is not None:
        _annotate(diagnosis, kept, arguments.annotate)
    return exit_code(diagnosis, arguments.fail_on)


def _kept(arguments: argparse.Namespace) -> FrameIndex | None:
    """Return what notes the frames to be annotated; say what is wrong before the captures are read."""
    if arguments.annotate is None:
        return None
    from amtdiag.capture.frame_index import FrameIndex
    from amtdiag.wireshark.annotated import check_target

    check_target(arguments.annotate, arguments.paths)
    return FrameIndex()


def _annotate(diagnosis: Diagnosis, kept: FrameIndex, target: str) -> None:
    from amtdiag.wireshark.annotated import write_annotated

    written = write_annotated(diagnosis, kept, target)
    for note in written.notes:
        print(f"amtdiag: {note}", file=sys.stderr)
    shown = safe(target, 4096)
    print(
        f"amtdiag: {shown}: {written.packets:,} packets, {written.comments:,} of them with comments",
        file=sys.stderr,
    )


def _check_parquet(folder: str | None) -> None:
    """Say what is missing before the captures are read."""
    from amtdiag.tables import need_pyarrow

    if not folder:
        raise UsageError("--parquet takes a folder: -o DIR")
    need_pyarrow()


def _show(diagnosis: Diagnosis, arguments: argparse.Namespace) -> None:
    if arguments.json:
        from amtdiag.report.formats.json import analysis_text

        sys.stdout.writelines(analysis_text(diagnosis))
    elif arguments.jsonl:
        from amtdiag.report.formats.json import analysis_lines, dumps

        for line in analysis_lines(diagnosis):
            sys.stdout.write(dumps(line) + "\n")
    else:
        from amtdiag.report.formats.terminal import print_analysis

        print_analysis(diagnosis)
