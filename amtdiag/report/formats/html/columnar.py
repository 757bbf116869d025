"""How the model of the page is written: values once, columns in place of objects, times as differences."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import gcd
from typing import Any

from amtdiag.model import Evidence
from amtdiag.tables import plain

Column = list[Any] | int
"""A value a row; a number alone where every row has it."""


class Pool:
    """Values of a document, each written once and known by its place; place 0 is null."""

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._texts: dict[str, int] = {}
        self._others: dict[str, int] = {}

    def text(self, text: str | None) -> int:
        """Return the place of a text that is safe to show."""
        if text is None:
            return 0
        place = self._texts.get(text)
        if place is None:
            place = self._texts[text] = self._add(plain(text))
        return place

    def other(self, value: object) -> int:
        """Return the place of a list or an object."""
        key = json.dumps(value)
        place = self._others.get(key)
        if place is None:
            place = self._others[key] = self._add(value)
        return place

    def texts(self, texts: Iterable[str]) -> int:
        """Return the place of a list of texts."""
        return self.other([plain(one) for one in texts])

    def _add(self, value: object) -> int:
        self.values.append(value)
        return len(self.values) - 1


class Clock:
    """Turns columns of times into differences, once all of them are known."""

    def __init__(self) -> None:
        self._columns: list[list[int | None]] = []
        self._spans: list[list[int]] = []

    def times(self, values: Iterable[int | None]) -> list[int | None]:
        """Return a column of moments that `finish` rewrites in place."""
        column = list(values)
        self._columns.append(column)
        return column

    def spans(self, values: Iterable[int]) -> list[int]:
        """Return a column of durations that `finish` rewrites in place."""
        column = list(values)
        self._spans.append(column)
        return column

    def finish(self) -> tuple[int, int]:
        """Rewrite all columns, and return the moment they count from and the tick they count in, in ns.

        Captures that know microseconds have all times in steps of 1000 ns; three digits less are written.
        """
        moments = [one for column in self._columns for one in column if one is not None]
        start = min(moments, default=0)
        step = gcd(1000, start, *(one - start for one in moments))
        tick = gcd(step, *(one for column in self._spans for one in column))
        for column in self._columns:
            before = start
            for place, moment in enumerate(column):
                if moment is not None:
                    column[place] = (moment - before) // tick
                    before = moment
        for spans in self._spans:
            spans[:] = [one // tick for one in spans]
        return start, tick


def packed(values: Iterable[Any]) -> Column:
    """Return a column, as one number where all rows have the same."""
    column = list(values)
    first = column[0] if column else 0
    same = type(first) is int and column.count(first) == len(column)
    return first if same else column


def evidence_columns(rows: Sequence[tuple[Evidence, ...]], pool: Pool) -> dict[str, Column]:
    """Return frames row by row: `n` of each; `frame` as differences over all rows, `file` in the pool."""
    frames, files, before = [], [], 0
    for row in rows:
        for one in row:
            frames.append(one.frame - before)
            files.append(pool.text(one.file))
            before = one.frame
    return {"n": packed(map(len, rows)), "frame": frames, "file": packed(files)}
