"""Tables as Parquet datasets, a folder a day, so that the tables of many runs can be queried together.

A table's folder has ``date=YYYY-MM-DD/amtdiag.parquet`` for each day (UTC) in it, which pandas, DuckDB and
others know as Hive partitions. No partition is without a day: pyarrow refuses a dataset that has no other.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amtdiag.errors import MissingToolError
from amtdiag.tables.columns import times

if TYPE_CHECKING:
    import pandas as pd

_FILE = "amtdiag.parquet"
_DAY = "%Y-%m-%d"
_LISTS = {"ips": str, "linktypes": str, "macs": str, "verdicts": str, "frames": int, "vlan": int}
"""Columns that have several values with spaces between, and of what type they are."""


def need_pyarrow() -> None:
    """Raise `MissingToolError` where Parquet cannot be written."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise MissingToolError("Parquet takes pyarrow: pip install 'amtdiag[parquet]'")


def write_parquet(table: pd.DataFrame, folder: str | PathLike[str], time: str, otherwise: int = 0) -> None:
    """Write a table to a folder, a file a day by the column `time`; what was written there is replaced.

    Rows without a time are kept under the day of the moment `otherwise`, as is a table without rows. Times
    keep their nanoseconds. Text is as in the table, so that nothing in it acts on what shows it. Raises
    `OSError`, `MissingToolError`.
    """
    need_pyarrow()
    target = Path(folder)
    for old in target.glob(f"date=*/{_FILE}"):
        old.unlink()
    day_of_rest = times([otherwise]).dt.strftime(_DAY)[0]
    days = table[time].dt.strftime(_DAY).fillna(day_of_rest)
    converted = _converted(table)
    # Without any row there is still a file: it has the columns.
    for day in sorted(days.unique()) or [day_of_rest]:
        part = target / f"date={day}"
        part.mkdir(parents=True, exist_ok=True)
        _write(converted[days == day], part / _FILE)
    for empty in target.glob("date=*"):
        if not any(empty.iterdir()):
            empty.rmdir()


def _converted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with lists in place of text with spaces, and text in place of categories."""
    import pandas as pd

    converted = table.copy()
    for name in table.columns:
        column = table[name]
        if name in _LISTS:
            lists = [None if pd.isna(text) else [*map(_LISTS[name], text.split())] for text in column]
            converted[name] = pd.Series(lists, dtype=object)
        elif column.dtype == "category":
            converted[name] = column.astype("string")
    return converted


def _write(table: pd.DataFrame, path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, _type_of(table, name)) for name in table.columns])
    parquet.write_table(pa.Table.from_pandas(table, schema, preserve_index=False), path)


def _type_of(table: pd.DataFrame, name: str) -> Any:
    """Return the type of a column, which is the same whatever its values are."""
    import pyarrow as pa

    if name in _LISTS:
        return pa.list_(pa.int64() if _LISTS[name] is int else pa.string())
    types = {
        "Int64": pa.int64(),
        "Float64": pa.float64(),
        "boolean": pa.bool_(),
        "string": pa.string(),
        "datetime64[ns, UTC]": pa.timestamp("ns", "UTC"),
    }
    return types[str(table[name].dtype)]
