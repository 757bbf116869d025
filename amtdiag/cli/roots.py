"""`amtdiag roots`: the catalogue of root certificates that AMT firmware is known to trust."""

from __future__ import annotations

import argparse
import sys

from amtdiag.trust.catalogue import CatalogueRoot, roots


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("name", nargs="?", default="", help="only roots whose name or digest contains this")
    parser.add_argument("--json", action="store_true", help="as JSON, with all columns and sources")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue, or a part of it."""
    wanted = arguments.name.lower().replace(":", "")
    found = [root for root in roots() if wanted in _searchable(root)]
    if arguments.json:
        from amtdiag.report.formats.json import dumps

        sys.stdout.write(dumps([root._asdict() for root in found]) + "\n")
        return 0
    for root in found:
        print(root.shown)
        print(f"    {root.sha256}")
        strength = f"{root.key_algorithm} {root.key_bits}, {root.signature_algorithm}"
        print(f"    {strength}{', weak' if root.is_weak else ''}, until {root.not_after}")
        print(f"    {_LISTS[root.in_amt]}{root.seen_in}")
        if root.removed_in:
            print(f"    since: {root.removed_in}")
    return 0


_LISTS = {"yes": "in AMT: ", "possibly": "possibly in AMT: ", "no": "in no AMT list: "}


def _searchable(root: CatalogueRoot) -> str:
    return f"{root.shown} {root.sha1} {root.sha256} {root.sha384}".lower()
