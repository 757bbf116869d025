"""What all reports say of the captures as a whole."""

from __future__ import annotations

from collections import Counter

from amtdiag.model import Diagnosis


def capture_span(diagnosis: Diagnosis) -> tuple[int, int] | None:
    """Return the times of the first and the last packet, in ns since 1970; None without packets."""
    times = [
        ts for capture in diagnosis.captures for ts in (capture.first_ts, capture.last_ts) if ts is not None
    ]
    return (min(times), max(times)) if times else None


def all_notes(diagnosis: Diagnosis) -> list[str]:
    """Return the notes of the files, named where there are several, then those of the run."""
    several = len(diagnosis.captures) > 1
    notes = [
        f"{capture.file}: {note}" if several else note
        for capture in diagnosis.captures
        for note in capture.notes
    ]
    return [*notes, *diagnosis.notes]


def count_unknowns(diagnosis: Diagnosis) -> Counter[tuple[str, str, str]]:
    """Return of how many devices the same cannot be known: what, why, and what would decide."""
    return Counter((unknown.what, unknown.why, unknown.would_decide) for unknown in diagnosis.unknowns)
