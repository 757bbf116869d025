"""Tables of a diagnosis, for pandas and for spreadsheets.

Every function takes a `Diagnosis` and returns a new DataFrame with one row a fact. Times are
``datetime64[ns, UTC]``, durations seconds (``Float64``), numbers ``Int64``, truths ``boolean``, text
``string``; what is not known is ``<NA>``. Words of a fixed vocabulary are categories, ordered where they have
an order. The types are the same when there is no row. pandas is imported when the first table is made.
"""

from amtdiag.tables.csvfile import csv_safe, write_csv
from amtdiag.tables.dataframes import (
    MODES,
    captures,
    devices,
    digests,
    events,
    findings,
    hellos,
)
from amtdiag.tables.event import Event, EventKind, EventOutcome, all_events
from amtdiag.tables.parquet import need_pyarrow, write_parquet

__all__ = [
    "MODES",
    "Event",
    "EventKind",
    "EventOutcome",
    "all_events",
    "captures",
    "csv_safe",
    "devices",
    "digests",
    "events",
    "findings",
    "hellos",
    "need_pyarrow",
    "write_csv",
    "write_parquet",
]
