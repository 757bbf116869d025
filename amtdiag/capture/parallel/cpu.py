"""How many processes are to read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from amtdiag.capture.files.inputs import Input

WORTH_IT = 2 << 30
"""Bytes of all files from which more processes save more than their start costs: plain ones are read at
gigabytes a second."""
_PACKED = 10
"""A packed byte costs as much as so many that are not."""


def workers_for(inputs: Sequence[Input], asked: int | None) -> int:
    """Return how many processes are to read: those asked for, else as many as pay for their start."""
    files = [known for source in inputs if (known := source.known()) is not None]
    if len(inputs) < 2 or not sys.executable:
        return 1
    if asked is None:
        cost = sum(known.size * (_PACKED if known.compression else 1) for known in files)
        asked = _usable_cores() if cost > WORTH_IT else 1
    return min(asked, len(files))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
