#!/usr/bin/env python3
"""Write docs/rules.md from the rules and the table of modes, as they are in the code.

python tools/rules_page.py           write the page
python tools/rules_page.py --check   exit with 1 if it is not up to date
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from amtdiag.checks.explained import explanations
from amtdiag.checks.rows import DANGERS, ROWS
from amtdiag.provisioning.modes import TRANSITIONS

PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
WIDTH = 110
_HEAD = """\
# Rules

Written by `tools/rules_page.py` from the code; `amtdiag explain RULE` prints the same. A finding whose
trouble was overcome later is a warning, whatever is said here.
"""
_ROWS = """\
## The failure catalogue, row by row

Which rules tell of each way in which provisioning fails. Where nothing on the wire tells, or not enough, the
last column says why.
"""
_DANGERS = """\
## Dangers
"""
_MODES = """\
## Modes

What proves (solid) or suggests (dotted) that a device is in a mode from then on. Signs that contradict each
other stay visible as modes that follow each other.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, _index(), _ROWS, rows_table(), _DANGERS, dangers_table()]
    return "\n".join([*parts, *map(str, _sections()), _MODES, diagram(), modes_table()])


def _index() -> str:
    rows = [
        f"| [`{one.id}`](#{one.id}) | {one.catalogue or '-'} | {one.severity} | {one.title} |"
        for one in explanations()
    ]
    return "\n".join(["| rule | catalogue | severity | title |", "|---|---|---|---|", *rows, ""])


def rows_table() -> str:
    """The failure catalogue: which rules tell of each row, or why a capture cannot show it."""
    own: dict[str, list[str]] = {}
    for one in explanations():
        own.setdefault(one.catalogue or "", []).append(one.id)
    lines = [
        f"| {row} | {what.title} | {_links([*own.get(row, ()), *what.seen_by])} | {what.why_not} |"
        for row, what in ROWS.items()
    ]
    return "\n".join(["| row | what fails | rules | beyond a capture |", "|---|---|---|---|", *lines, ""])


def dangers_table() -> str:
    """The same for dangers."""
    lines = [f"| {what.title} | {_links(what.seen_by)} | {what.why_not} |" for what in DANGERS]
    return "\n".join(["| danger | rules | beyond a capture |", "|---|---|---|", *lines, ""])


def _links(rules: Iterable[str]) -> str:
    return ", ".join(f"[`{rule}`](#{rule})" for rule in dict.fromkeys(rules)) or "-"


def _sections() -> list[str]:
    made = []
    for one in explanations():
        facts = [one.severity, one.category, one.basis, f"{one.confidence} confidence"]
        facts += [f"row {one.catalogue} of the failure catalogue"] if one.catalogue else []
        lines = [f"## {one.id}", "", *textwrap.wrap(f"{one.title}: {', '.join(facts)}.", WIDTH)]
        for heading, text in one.paragraphs():
            lines += ["", *textwrap.wrap(f"**{heading}.** {text}", WIDTH, break_on_hyphens=False)]
        made.append("\n".join([*lines, ""]))
    return made


def diagram() -> str:
    """The table of modes as a Mermaid diagram."""
    lines = ["```mermaid", "flowchart LR"]
    lines += [f"    {mode}[{mode.capitalize()}]" for mode in dict.fromkeys(row.to for row in TRANSITIONS)]
    for row in TRANSITIONS:
        arrow = "-->" if row.basis == "observed" else "-.->"
        lines.append(f'    {row.trigger}(["{row.reason}"]) {arrow} {row.to}')
    return "\n".join([*lines, "```", ""])


def modes_table() -> str:
    """The table of modes as a table."""
    rows = [f"| {row.reason} | {row.to.capitalize()} | {row.basis} | {row.weight} |" for row in TRANSITIONS]
    return "\n".join(["| seen | mode from then on | basis | weight |", "|---|---|---|---|", *rows, ""])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    arguments = parser.parse_args()
    if not arguments.check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE.name} is not up to date: run tools/rules_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
