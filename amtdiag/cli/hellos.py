"""`amtdiag hellos`: every Hello of a capture, a line each."""

from __future__ import annotations

import argparse
import sys

from amtdiag.cli.common import add_inputs, read_options, say_how_it_reads, say_problems


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    add_inputs(parser)
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the Hellos."""
    from amtdiag.pipeline import diagnose

    options = read_options(arguments)
    say_how_it_reads()
    diagnosis = diagnose(arguments.paths, options)
    say_problems(diagnosis)
    if arguments.jsonl:
        from amtdiag.report.formats.json import dumps, hello_json

        for record in diagnosis.hellos:
            sys.stdout.write(dumps(hello_json(record)) + "\n")
        return 0
    from amtdiag.report.formats.terminal import print_hellos

    print_hellos(diagnosis)
    return 0
