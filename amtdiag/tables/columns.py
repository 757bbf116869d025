"""Columns of the tables: one type for each kind of fact, whatever the rows and however few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from amtdiag.model import Endpoints, Evidence
from amtdiag.safetext import plain

_LARGEST = 2**63 - 1


def ends(pairs: Sequence[Endpoints]) -> dict[str, Any]:
    """From whom to whom."""
    return {
        "src": texts(one.src or None for one in pairs),
        "sport": ints(one.sport or None for one in pairs),
        "dst": texts(one.dst or None for one in pairs),
        "dport": ints(one.dport or None for one in pairs),
    }


def first_frame(evidence: Sequence[Sequence[Evidence]]) -> dict[str, Any]:
    """Where the first of the evidence is."""
    return {
        "file": texts(some[0].file if some else None for some in evidence),
        "frame": ints(some[0].frame if some else None for some in evidence),
    }


def _bounded(value: int) -> int:
    """What a damaged capture says beyond 64 bits (times: the years 1677 to 2262) becomes the limit."""
    return max(-_LARGEST, min(value, _LARGEST))


def times(values: Iterable[int | None]) -> Any:
    """Moments as ``datetime64[ns, UTC]``."""
    import numpy as np
    import pandas as pd

    # The smallest 64-bit number is NumPy's "not a time".
    numbers = [-_LARGEST - 1 if value is None else _bounded(value) for value in values]
    moments = np.array(numbers, dtype="int64").view("datetime64[ns]")
    return pd.Series(moments, dtype="datetime64[ns]").dt.tz_localize("UTC")


def ints(values: Iterable[int | None]) -> Any:
    """Whole numbers as ``Int64``."""
    import pandas as pd

    return pd.array([None if value is None else _bounded(value) for value in values], dtype="Int64")


def floats(values: Iterable[float | None]) -> Any:
    """Durations in seconds as ``Float64``."""
    import pandas as pd

    return pd.array(list(values), dtype="Float64")


def flags(values: Iterable[bool | None]) -> Any:
    """Truths as ``boolean``."""
    import pandas as pd

    return pd.array(list(values), dtype="boolean")


def texts(values: Iterable[str | None]) -> Any:
    """Text as ``string``, safe to show."""
    import pandas as pd

    return pd.array([None if value is None else plain(value) for value in values], dtype="string")


def words(values: Iterable[str | None], vocabulary: Sequence[str], *, ordered: bool = False) -> Any:
    """Words of a fixed vocabulary as categories."""
    import pandas as pd

    return pd.Categorical(list(values), categories=list(vocabulary), ordered=ordered)
