"""All tables of a diagnosis as Parquet datasets."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from amtdiag import tables
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.safetext import plain

TABLES = {
    "hellos": (tables.hellos, "ts"),
    "digests": (tables.digests, "ts"),
    "devices": (tables.devices, "first_seen"),
    "findings": (tables.findings, "first_ts"),
    "events": (tables.events, "ts"),
    "captures": (tables.captures, "first_ts"),
}
"""Each with the column whose day it is kept under."""


def write_dataset(diagnosis: Diagnosis, folder: str | PathLike[str]) -> Path:
    """Write every table to ``folder/TABLE/date=YYYY-MM-DD/`` and return the folder, which is made if need be.

    Days are UTC; what has no time of its own is kept under the day of the first packet of all. What an
    earlier run wrote there is replaced. Raises `UsageError` where it cannot be written.
    """
    target = Path(folder)
    begun = min((one.first_ts for one in diagnosis.captures if one.first_ts is not None), default=0)
    try:
        for name, (table, time) in TABLES.items():
            tables.write_parquet(table(diagnosis), target / name, time, begun)
    except OSError as error:
        shown = plain(str(folder))
        raise UsageError(f"the tables cannot be written to {shown}: {error.strerror or error}") from error
    return target
