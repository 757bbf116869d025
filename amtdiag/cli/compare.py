"""`amtdiag compare`: one device that works beside one that does not, the first difference on top."""

from __future__ import annotations

import argparse
import sys

from amtdiag.cli.common import add_reading, read_options, say_how_it_reads, say_problems
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("good", metavar="GOOD", help="capture or folder with the device that works")
    parser.add_argument(
        "bad", metavar="BAD", nargs="?", help="and with the one that does not (default: the same)"
    )
    parser.add_argument(
        "--good",
        metavar="DEVICE",
        dest="good_device",
        help="the device that works: UUID, MAC or address, or a part of one (default: who got furthest)",
    )
    parser.add_argument(
        "--bad", metavar="DEVICE", dest="bad_device", help="the other one (default: the first that is stuck)"
    )
    parser.add_argument("--all", action="store_true", help="show what is the same, too")
    parser.add_argument("--json", action="store_true", help="the comparison as one JSON document")
    add_reading(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare and show. Returns 0 where nothing differs, 1 where something does."""
    from amtdiag.pipeline import diagnose
    from amtdiag.report.compare import choose, compare

    options = read_options(arguments)
    say_how_it_reads()
    found: list[Diagnosis] = []
    for path in dict.fromkeys((arguments.good, arguments.bad or arguments.good)):
        found.append(diagnose([path], options))
        say_problems(found[-1])
    good = choose(found[0], arguments.good_device, stuck=False)
    bad = choose(found[-1], arguments.bad_device, stuck=True)
    if good.diagnosis is bad.diagnosis and good.device.id == bad.device.id:
        raise UsageError("that is the same device twice: name two with --good and --bad")
    comparison = compare(good, bad)
    if arguments.json:
        from amtdiag.report.formats.json import comparison_json, dumps

        sys.stdout.write(dumps(comparison_json(comparison)) + "\n")
    else:
        from amtdiag.report.compare_table import print_comparison

        print_comparison(comparison, everything=arguments.all)
    return int(bool(comparison.differences))
