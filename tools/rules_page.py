#!/usr/bin/env python3
"""Write docs/rules.md and its picture from the rules and the table of modes, as they are in the code.

python tools/rules_page.py           write the page
python tools/rules_page.py --check   exit with 1 if it is not up to date
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable
from html import escape
from pathlib import Path

from amtdiag.devices.modes import TRANSITIONS, Transition
from amtdiag.rules.catalogue import catalogue_rows, explanations
from amtdiag.rules.failure_catalogue import DANGERS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "rules.md"
PICTURE = DOCS / "pictures" / "modes.svg"
WIDTH = 110

# The picture, in pixels: a row a sign, and where signs end and modes begin.
ROW, GAP, MARGIN = 26, 18, 14
REASON_END, MODE_LEFT, MODE_WIDTH = 330, 430, 120
# The ground is white in every theme: the reader's page may be dark.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"
 font-family="system-ui, sans-serif" font-size="13" fill="#1b1f24" role="img"
 aria-label="What shows a mode: the table below as a picture">
<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 L8 4 L0 8 z" fill="#44546a"/></marker>
<style>path {{ fill: none; stroke: #44546a; stroke-width: 1.4 }} marker path {{ fill: #44546a; stroke: none }}
rect {{ fill: #e8eef7; stroke: #44546a; stroke-width: 1.2 }}
.mode {{ text-anchor: middle; font-weight: 600 }}</style></defs>
<rect x="0" y="0" width="{width}" height="{height}" style="fill:#fff;stroke:none"/>
{body}
</svg>
"""
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

![Signs on the left, an arrow to the mode that each shows](pictures/modes.svg)
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, _index(), _ROWS, rows_table(), _DANGERS, dangers_table()]
    return "\n".join([*parts, *map(str, _sections()), _MODES, modes_table()])


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
        for row, what in catalogue_rows().items()
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
    """The table of modes as an SVG picture: signs on the left, the mode that they show on the right."""
    by_mode: dict[str, list[Transition]] = {}
    for row in TRANSITIONS:
        by_mode.setdefault(row.to, []).append(row)
    parts, top, center = [], MARGIN, MODE_LEFT + MODE_WIDTH / 2
    for mode, rows in by_mode.items():
        middle = top + len(rows) * ROW / 2
        for number, row in enumerate(rows):
            y = top + (number + 0.5) * ROW
            dashes = "" if row.basis == "observed" else ' stroke-dasharray="5 4"'
            bend = REASON_END + (MODE_LEFT - REASON_END) / 2
            way = f"M{REASON_END + 8} {y:g} C{bend:g} {y:g} {bend:g} {middle:g} {MODE_LEFT - 7} {middle:g}"
            parts += [
                f'<text x="{REASON_END}" y="{y + 4:g}" text-anchor="end">{escape(row.reason)}</text>',
                f'<path d="{way}"{dashes} marker-end="url(#arrow)"/>',
            ]
        parts += [
            f'<rect x="{MODE_LEFT}" y="{middle - 17:g}" width="{MODE_WIDTH}" height="34" rx="5"/>',
            f'<text class="mode" x="{center:g}" y="{middle + 4:g}">{mode.capitalize()}</text>',
        ]
        top += len(rows) * ROW + GAP
    width, height = MODE_LEFT + MODE_WIDTH + MARGIN, top - GAP + MARGIN
    return SVG.format(width=width, height=f"{height:g}", body="\n".join(parts))


def modes_table() -> str:
    """The table of modes as a table."""
    rows = [f"| {row.reason} | {row.to.capitalize()} | {row.basis} | {row.weight} |" for row in TRANSITIONS]
    return "\n".join(["| seen | mode from then on | basis | weight |", "|---|---|---|---|", *rows, ""])


def made() -> dict[Path, str]:
    """What this script writes: path and text."""
    return {PAGE: page(), PICTURE: diagram()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    arguments = parser.parse_args()
    if not arguments.check:
        for path, text in made().items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in made().items() if path.read_text(encoding="utf-8") != text]
    if not stale:
        return 0
    print(f"{', '.join(stale)} is not up to date: run tools/rules_page.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
