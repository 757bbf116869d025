"""What is found, as comments for Wireshark: of the file as a whole, and of the frames that prove it."""

from __future__ import annotations

from collections.abc import Iterator

from amtdiag._version import __version__
from amtdiag.model import Diagnosis, Evidence, Finding
from amtdiag.report.device_names import device_names
from amtdiag.report.verdict import title_of, verdict
from amtdiag.safetext import plain

_MAX_TEXT = 2000
"""Characters of a text."""
_MAX_PER_FRAME = 16
"""Findings a frame."""
_MAX_LINES = 60
"""Of one kind in the comment of the file."""


def packet_comments(diagnosis: Diagnosis) -> dict[Evidence, list[str]]:
    """Return the comments of each frame, one a finding, in the order of the findings.

    Each says which frame of which file it was, since numbering changes; the first of a finding what to do.
    """
    names = device_names(diagnosis.devices)
    comments: dict[Evidence, list[str]] = {}
    for finding in diagnosis.findings:
        for place in dict.fromkeys(finding.evidence):
            own = comments.setdefault(place, [])
            if len(own) < _MAX_PER_FRAME:
                own.append(_comment(finding, names, place, in_full=place is finding.evidence[0]))
            elif len(own) == _MAX_PER_FRAME:
                own.append("amtdiag: more findings than are shown here rest on this frame")
    return comments


def _comment(finding: Finding, names: dict[str, str], place: Evidence, *, in_full: bool) -> str:
    who = f", device {names[finding.device]}" if finding.device in names else ""
    # One line: Wireshark's list, tshark's fields and a CSV of them have one line a packet.
    was = plain(f" [{finding.rule}{who}; was frame {place.frame} of {place.file}]")
    remedy = f" Do: {plain(finding.remedy, _MAX_TEXT)}" if in_full else ""
    return f"{_finding(finding)}{remedy}{was}"


def _finding(finding: Finding) -> str:
    title = title_of(finding.rule)
    return f"amtdiag {finding.severity}: {title}. {plain(finding.summary, _MAX_TEXT)}"


def section_comment(diagnosis: Diagnosis) -> str:
    """Return the comment of the whole: the verdict, what no frame shows, and where the packets are from."""
    lines = [plain(verdict(diagnosis), _MAX_TEXT)]
    lines += _limited([_finding(finding) for finding in diagnosis.findings if not finding.evidence])
    lines += _limited(
        [
            plain(f"Cannot be known: {unknown.what}: {unknown.why}", _MAX_TEXT)
            for unknown in diagnosis.unknowns
        ]
    )
    lines += _limited([plain(note, _MAX_TEXT) for note in (*diagnosis.problems, *diagnosis.notes)])
    if len(diagnosis.captures) > 1:
        lines.append(
            "Several files in one: if they were captured at several places, amtdiag no longer knows."
        )
    lines.append(f"Relevant packets, picked by amtdiag {__version__}, of:")
    lines += _limited(
        [plain(f"{capture.file} ({capture.packets:,} packets)") for capture in diagnosis.captures]
    )
    return "\n".join(lines)


def _limited(lines: list[str]) -> Iterator[str]:
    lines = list(dict.fromkeys(lines))
    yield from lines[:_MAX_LINES]
    if len(lines) > _MAX_LINES:
        yield f"and {len(lines) - _MAX_LINES:,} more"
