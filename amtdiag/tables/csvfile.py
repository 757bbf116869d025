"""Tables as CSV files that are safe to open in a spreadsheet."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from amtdiag.safetext import plain
from amtdiag.times import rfc3339

if TYPE_CHECKING:
    import pandas as pd

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet run a cell, the full-width forms of = + - @ among it."""


def csv_safe(text: str) -> str:
    """Return `text`, behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def write_csv(table: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a table as CSV: UTF-8, RFC 3339 times with nanoseconds, empty cells for what is not known.

    Text cells and headings that a spreadsheet would run get an apostrophe in front. Raises OSError.
    """
    import pandas as pd
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    columns = {}  # by number: two may have one name
    for number in range(len(table.columns)):
        column = table.iloc[:, number]
        if not is_numeric_dtype(column.dtype):  # truths are numeric too
            convert = _time_cell if is_datetime64_any_dtype(column.dtype) else _text_cell
            # Each value is converted once: most columns repeat a few.
            cells = {value: convert(value) for value in column.dropna().unique()}
            column = column.astype(object).map(cells)
        columns[number] = column
    written = pd.DataFrame(columns)
    written.columns = pd.Index([_text_cell(name) for name in table.columns])
    written.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _text_cell(value: object) -> str:
    return csv_safe(plain(str(value)))


def _time_cell(value: Any) -> str:
    return rfc3339(value.value)
