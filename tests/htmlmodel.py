"""Reads the coded model of report.html as described in `amtdiag.report.formats.html.model`."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from amtdiag.times import rfc3339

EMBEDDED = re.compile(r'<script type="application/json" id="model">(.*?)</script>', re.DOTALL)


def model_of(page: str) -> dict[str, Any]:
    """The model that a page carries."""
    (text,) = EMBEDDED.findall(page)
    carried: dict[str, Any] = json.loads(text)
    if "deflate" in carried:
        carried = json.loads(zlib.decompress(b64decode(carried["deflate"])))
    return carried


class Reader:
    """The columns of a model as rows of values."""

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.pool = model["pool"]
        self.start, self.tick = int(model["start"]), model["tick"]

    def numbers(self, column: Any, rows: int) -> list[Any]:
        found = [column] * rows if isinstance(column, int) else column
        assert len(found) == rows
        return list(found)

    def texts(self, column: Any, rows: int) -> list[Any]:
        return [self.pool[place] for place in self.numbers(column, rows)]

    def times(self, column: list[int | None]) -> list[str | None]:
        now, found = self.start, []
        for step in column:
            now += (step or 0) * self.tick
            found.append(None if step is None else rfc3339(now))
        return found

    def evidence(self, columns: dict[str, Any], rows: int) -> list[list[dict[str, Any]]]:
        counts = self.numbers(columns["n"], rows)
        files = iter(self.texts(columns["file"], sum(counts)))
        steps, frame, found = iter(columns["frame"]), 0, []
        for count in counts:
            own = []
            for _ in range(count):
                frame += next(steps)
                own.append({"file": next(files), "frame": frame})
            found.append(own)
        return found

    def table(self, columns: dict[str, Any], rows: int, *, texts: str, numbers: str, times: str) -> list[Any]:
        """Rows as objects; the names of the columns of each kind are given with blanks between."""
        decoded = {name: self.texts(columns[name], rows) for name in texts.split()}
        decoded |= {name: self.numbers(columns[name], rows) for name in numbers.split()}
        decoded |= {name: self.times(columns[name]) for name in times.split()}
        if "evidence" in columns:
            decoded["evidence"] = self.evidence(columns["evidence"], rows)
        listed = list(decoded.values())
        return [dict(zip(decoded, row, strict=True)) for row in zip(*listed, strict=True)]

    def nested(self, columns: dict[str, Any], owners: int, **kinds: str) -> Iterator[list[Any]]:
        counts = self.numbers(columns["n"], owners)
        rows = iter(self.table(columns, sum(counts), **kinds))
        for count in counts:
            yield [next(rows) for _ in range(count)]

    def devices(self) -> list[dict[str, Any]]:
        columns = self.model["devices"]
        rows = columns["rows"]
        devices = self.table(
            columns, rows,
            texts="id name state uuid aliases macs ips host hello_type stage suffix server consistent_with "
            "hints visibility schedules",
            numbers="place cause hellos is_amt left_out", times="first_seen last_seen",
        )  # fmt: skip
        modes = self.nested(
            columns["modes"], rows, texts="name basis weight reason", numbers="", times="since"
        )
        stages = self.nested(
            columns["stages"], rows, texts="name basis outcome detail", numbers="", times="at"
        )
        events = self.nested(
            columns["events"], rows, texts="kind outcome src dst detail digests",
            numbers="sport dport retry lasts", times="at",
        )  # fmt: skip
        for device, *nested in zip(devices, modes, stages, events, strict=True):
            device["modes"], device["stages"], device["events"] = nested
        return devices

    def findings(self) -> list[dict[str, Any]]:
        columns = self.model["findings"]
        return self.table(
            columns, columns["rows"],
            texts="rule catalogue category severity basis confidence summary remedy candidates filter",
            numbers="device count overcome group", times="first_ts last_ts",
        )  # fmt: skip

    def unknowns(self) -> list[dict[str, Any]]:
        columns = self.model["unknowns"]
        return self.table(columns, columns["rows"], texts="what why would_decide", numbers="device", times="")

    def captures(self) -> list[dict[str, Any]]:
        columns = self.model["captures"]
        return self.table(
            columns, columns["rows"], texts="file format linktypes notes",
            numbers="bytes packets snaplen drops truncated", times="first_ts last_ts watched_until",
        )  # fmt: skip
