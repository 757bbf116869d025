"""Reads the data of report.html as described in `amtdiag.report.formats.html.model`."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from typing import Any

from amtdiag.times import rfc3339

EMBEDDED = re.compile(r'<script type="application/json" id="model">(.*?)</script>', re.DOTALL)


def model_of(page: str) -> dict[str, Any]:
    """The data that a page carries."""
    (text,) = EMBEDDED.findall(page)
    carried: dict[str, Any] = json.loads(text)
    if "deflate" in carried:
        carried = json.loads(zlib.decompress(b64decode(carried["deflate"])))
    return carried


TIMES = {"first_seen", "last_seen", "since", "at", "first_ts", "last_ts", "watched_until"}


class Reader:
    """The tables of a page as lists of objects."""

    def __init__(self, model: dict[str, Any]) -> None:
        self.model = model
        self.start = int(model["start"])

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of a table: times as JSON has them elsewhere, frames with their files."""
        table = self.model[name]
        columns = {name: self.column(name, column) for name, column in table["columns"].items()}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        assert len(rows) == table["rows"]
        for row in rows:
            if "frames" in row:
                frames = zip(row.pop("files"), row.pop("frames"), strict=True)
                row["evidence"] = [{"file": file, "frame": frame} for file, frame in frames]
        return rows

    def column(self, name: str, column: Any) -> list[Any]:
        values = [column["values"][place] for place in column["places"]] if "values" in column else column
        if name in TIMES:
            return [None if value is None else rfc3339(self.start + value) for value in values]
        return list(values)

    def devices(self) -> list[dict[str, Any]]:
        """The devices, each with its modes, stages and events."""
        devices = self.rows("devices")
        for device in devices:
            device |= {"modes": [], "stages": [], "events": []}
        for name in ("modes", "stages", "events"):
            for row in self.rows(name):
                devices[row.pop("device")][name].append(row)
        return devices

    def digests(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """The digests of a Hello."""
        return [] if event["digests"] is None else self.model["digest_lists"][event["digests"]]
