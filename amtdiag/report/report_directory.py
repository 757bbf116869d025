"""A report as a folder: a page, JSON, tables, charts. No file name in it comes from a capture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from amtdiag import tables
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.report.charts import FORMATS, Format, write_charts
from amtdiag.report.formats.html import render_page
from amtdiag.report.formats.json import analysis_text, dumps, hello_json
from amtdiag.report.timezones import Wanted
from amtdiag.safetext import plain

_TABLES = {
    "hellos.csv": tables.hellos,
    "digests.csv": tables.digests,
    "devices.csv": tables.devices,
    "findings.csv": tables.findings,
    "events.csv": tables.events,
    "captures.csv": tables.captures,
}


def write_report(
    diagnosis: Diagnosis,
    folder: str | PathLike[str],
    formats: Sequence[Format] = FORMATS,
    tz: Wanted = "UTC",
) -> Path:
    """Write the whole report below `folder`, which is made where it is not there, and return it.

    report.html is for people, a page that needs no other file; report.json and hellos.jsonl are what the
    command line prints; the tables are CSV; charts/ holds the charts in each of the `formats`, with times of
    day of the zone `tz`. Raises `UsageError` where the folder cannot be written, and where there is no such
    zone.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        _write(target / "report.html", render_page(diagnosis))
        _write(target / "report.json", analysis_text(diagnosis))
        _write(target / "hellos.jsonl", (dumps(hello_json(record)) + "\n" for record in diagnosis.hellos))
        for name, table in _TABLES.items():
            tables.write_csv(table(diagnosis), target / name)
        write_charts(diagnosis, target / "charts", formats=formats, tz=tz)
    except OSError as error:
        shown = plain(str(folder))
        raise UsageError(f"the report cannot be written to {shown}: {error.strerror or error}") from error
    return target


def _write(path: Path, pieces: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
