"""All tables of a diagnosis as Parquet datasets."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from amtdiag import frames
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis

TABLES = {
    "hellos": (frames.hellos, "ts"),
    "digests": (frames.digests, "ts"),
    "devices": (frames.devices, "first_seen"),
    "findings": (frames.findings, "first_ts"),
    "events": (frames.events, "ts"),
    "captures": (frames.captures, "first_ts"),
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
            frames.write_parquet(table(diagnosis), target / name, time, begun)
    except OSError as error:
        shown = frames.plain(str(folder))
        raise UsageError(f"the tables cannot be written to {shown}: {error.strerror or error}") from error
    return target
