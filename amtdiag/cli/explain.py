"""`amtdiag explain`: what a rule means, what it looks for, what to do about it."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from difflib import get_close_matches

from amtdiag.errors import UsageError
from amtdiag.safetext import safe

_WIDEST = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "rule", nargs="?", metavar="RULE", help="id of a rule, as reports name it; without: list them all"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print one rule, or the list of all."""
    from amtdiag.rules.catalogue import explanations

    known = {rule.id: rule for rule in explanations()}
    if arguments.rule is None:
        widest = max(map(len, known))
        for rule in known.values():
            print(f"{rule.id:{widest}}  {rule.catalogue or '-':4} {rule.severity:8}  {rule.title}")
        return 0
    wanted = arguments.rule.strip().lower()
    found = known.get(wanted)
    if found is None:
        near = get_close_matches(wanted, known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`amtdiag explain` lists all rules"
        raise UsageError(f"no rule {safe(arguments.rule, 80)!r}: {hint}")
    facts = [found.severity, found.category, found.basis, f"{found.confidence} confidence"]
    if found.catalogue:
        facts.insert(0, found.catalogue)
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    print(f"{found.title} ({found.id})")
    print(" · ".join(facts))
    for heading, text in found.paragraphs():
        wrapped = textwrap.wrap(text, width, initial_indent=" " * 4, subsequent_indent=" " * 4)
        sys.stdout.write("\n".join(["", heading, *wrapped, ""]))
    return 0
