"""The comparison of two devices on a terminal: the first difference on top, the others in a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from amtdiag.report.compare import NOT_REACHED, OUTCOME, Comparison, Line, Subject
from amtdiag.report.console import indented, print_parts
from amtdiag.report.verdict import title_of
from amtdiag.report.wording import stage_name

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_STYLES = {"differs": "yellow", "same": "dim", "unseen": "dim"}


def print_comparison(comparison: Comparison, console: Console | None = None, *, everything: bool) -> None:
    """Print to standard output, or to `console`; with `everything` what is the same, too."""
    print_parts(_parts(comparison, everything), console)


def _parts(comparison: Comparison, everything: bool) -> Iterable[RenderableType]:
    good, bad, lines = comparison
    yield _subject("good", good)
    yield _subject("bad", bad)
    yield Text()
    first = comparison.first
    if first is not None:
        yield Text(f"First difference, at {stage_name(first.stage)}: {first.name}.", style="bold")
        yield indented(f"good: {first.good}")
        yield indented(f"bad:  {first.bad}")
    else:
        yield Text("No difference in what both captures show.", style="bold")
    shown = [line for line in lines if everything or (line is not first and _adds_something(line))]
    if shown:
        yield Text()
        yield Padding(_table(shown), (0, 0, 0, 2), expand=False)
    for role, subject in (("good", good), ("bad", bad)):
        if any(capture.truncated for capture in subject.diagnosis.captures):
            yield Text()
            yield Text(f"The capture of the {role} one is cut: what is not reached may lie behind its end.")
    if bad.causes:
        yield Text()
        yield Text("What the rules say of the bad one", style="bold")
        yield from (indented(title_of(rule)) for rule in bad.causes)
    unseen = sorted({stage_name(line.stage) for line in lines if line.standing == "unseen"})
    if unseen and not everything:
        yield Text()
        yield Text(f"Not compared, since one capture does not show it: {', '.join(unseen)}.", style="dim")


def _adds_something(line: Line) -> bool:
    """True where a difference says more than that one device did not get there."""
    nowhere = NOT_REACHED in (line.good, line.bad)
    return line.standing == "differs" and (not nowhere or line.name == OUTCOME)


def _subject(role: str, subject: Subject) -> Text:
    device = subject.device
    where = device.ips[-1] if device.ips else "no address"
    files = subject.diagnosis.captures
    name = files[0].file if len(files) == 1 else f"{len(files)} files"
    got = f"got to {device.stage.replace('_', '-')}, {device.mode.name}"
    return Text(f"{role:5}{name} · {subject.name} · {where} · {got}")


def _table(lines: Iterable[Line]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("Stage", "What", "Good", "Bad"):
        table.add_column(heading, overflow="fold")
    for line in lines:
        style = _STYLES[line.standing]
        cells = (stage_name(line.stage), line.name, line.good, line.bad)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table
