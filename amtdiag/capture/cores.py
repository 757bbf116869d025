"""How many processes are to read."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from amtdiag.capture.inputs import Input

WORTH_IT = 64 << 20
"""Bytes of all files from which more processes save more than their start costs."""


def workers_for(inputs: Sequence[Input], asked: int | None) -> int:
    """Return how many processes are to read: those asked for, else as many as pay for their start."""
    sizes = [known.size for one in inputs if (known := one.known()) is not None]
    if len(inputs) < 2 or not sys.executable:
        return 1
    if asked is None:
        asked = _usable_cores() if sum(sizes) > WORTH_IT else 1
    return min(asked, len(sizes))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
