"""What tests of the Wireshark side share: tshark with our dissector, and what it says of a capture."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

FIELDS = (
    "frame.number",
    "tcp.stream",
    "intelamt.flag",
    "intelamt.version",
    "intelamt.type",
    "intelamt.retry",
    "intelamt.uuid",
    "intelamt.pid",
    "intelamt.pid.ok",
    "intelamt.digests",
    "intelamt.digest.index",
    "intelamt.digest.algorithm_id",
    "intelamt.digest.algorithm",
    "intelamt.digest.length",
    "intelamt.digest.value",
    "intelamt.digest.name",
    "intelamt.digest.verdict",
    "intelamt.digest.verdicts",
    "intelamt.complete",
    "intelamt.missing",
    "intelamt.trailing",
    "intelamt.problem",
    "intelamt.bug",
)
ALL_SEGMENTS = ("-o", "tcp.no_subdissector_on_error:FALSE")
"""Wireshark keeps what comes out of order from all dissectors, unless told otherwise."""


class Row(NamedTuple):
    """What the dissector says of one frame: a list of values a field."""

    frame: int
    stream: int
    values: dict[str, list[str]]

    def one(self, name: str) -> str | None:
        """The only value of a field, None where it is not there."""
        (value,) = self.values[name] or [None]
        return value


def tshark_output(tshark: Path, script: Path, capture: Path, *words: str) -> str:
    """Run tshark with the dissector, and hold it to having nothing to say of its own."""
    command = [tshark, "-n", "-X", f"lua_script:{script}", "-r", capture, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    grave = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, grave) == (0, []), done.stderr
    return done.stdout


def rows(tshark: Path, script: Path, capture: Path, *words: str) -> Iterable[Row]:
    """Read a capture with tshark: the frames in which our dissector found something."""
    shown = [word for field in FIELDS for word in ("-e", field)]
    options = ("-E", "occurrence=a", "-E", "aggregator=|")
    for line in tshark_output(
        tshark, script, capture, "-Y", "intelamt", "-T", "fields", *shown, *options, *words
    ).splitlines():
        cells = [cell.split("|") if cell else [] for cell in line.split("\t")]
        values: dict[str, Any] = dict(zip(FIELDS, cells, strict=True))
        yield Row(int(values["frame.number"][0]), int(values["tcp.stream"][-1]), values)
