"""Devices and findings as JSON text: of a large fleet they are nearly all of the document.

Text is put together here as the encoder would write it, at a third of the price of a dictionary that is
encoded after it; `jsonout` reads it back where a dictionary is wanted, so that each key stands in one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted  # what json.dumps uses for each string

from amtdiag.model import DeviceRecord, Evidence, Finding, ModeSpan, StageReached
from amtdiag.times import rfc3339

_BOOLEANS = {True: "true", False: "false", None: "null"}
_OUTCOMES = {True: '"passed"', False: '"failed"', None: '"open"'}


def _text(text: str | None) -> str:
    return "null" if text is None else _quoted(text)


def _time(ts: int | None) -> str:
    return "null" if ts is None else f'"{rfc3339(ts)}"'


def _list(items: Iterable[str]) -> str:
    return f"[{', '.join(items)}]"


def _texts(texts: Iterable[str]) -> str:
    return _list(map(_quoted, texts))


def evidence_text(evidence: tuple[Evidence, ...]) -> str:
    """Frames with their files."""
    return _list([f'{{"file": {_quoted(file)}, "frame": {frame}}}' for file, frame in evidence])


def _mode(span: ModeSpan) -> str:
    return (
        f'{{"name": {_quoted(span.name)}, "basis": {_quoted(span.basis)}, "weight": {_quoted(span.weight)}, '
        f'"since": {_time(span.since)}, "reason": {_quoted(span.reason)}, '
        f'"evidence": {evidence_text(span.evidence)}}}'
    )


def _stage(stage: StageReached) -> str:
    return (
        f'{{"name": {_quoted(stage.name)}, "at": {_time(stage.at)}, "basis": {_quoted(stage.basis)}, '
        f'"outcome": {_OUTCOMES[stage.passed]}, "detail": {_quoted(stage.detail)}, '
        f'"evidence": {evidence_text(stage.evidence)}}}'
    )


@lru_cache(maxsize=64)
def _visibility(lanes: tuple[tuple[str, bool], ...]) -> str:
    return f"{{{', '.join(f'{_quoted(lane)}: {_BOOLEANS[shown]}' for lane, shown in lanes)}}}"


def device_text(device: DeviceRecord) -> str:
    """One device."""
    modes = list(map(_mode, device.modes))
    mode = modes[-1] if device.mode is device.modes[-1] else _mode(device.mode)
    schedules = [
        f'{{"documented_by": {_quoted(one.documented_by)}, "schedule": {_quoted(one.text)}, '
        f'"fits": {_BOOLEANS[one.fits]}}}'
        for one in device.schedules
    ]
    return (
        f'{{"id": {_quoted(device.id)}, "aliases": {_texts(device.aliases)}, "uuid": {_text(device.uuid)}, '
        f'"macs": {_texts(device.macs)}, "ips": {_texts(device.ips)}, '
        f'"hello_type": {_text(device.hello_type)}, "hellos": {device.hellos}, '
        f'"retry_counts": {_list(map(str, device.retry_counts))}, '
        f'"gaps_seconds": {_list([repr(round(gap / 1e9, 9)) for gap in device.gaps])}, '
        f'"first_seen": {_time(device.first_seen)}, "last_seen": {_time(device.last_seen)}, '
        f'"mode": {mode}, "modes": {_list(modes)}, "stage": {_quoted(device.stage)}, '
        f'"stages": {_list(map(_stage, device.stages))}, '
        f'"visibility": {_visibility(tuple(device.visibility.items()))}, "suffix": {_text(device.suffix)}, '
        f'"server": {_text(device.server)}, "consistent_with": {_text(device.firmware)}, '
        f'"hints": {_texts(device.hints)}, "is_amt": {_BOOLEANS[device.is_amt]}, '
        f'"documented_schedules": {_list(schedules)}, "state": {_quoted(device.state)}, '
        f'"cause": {_rule(device.cause)}, "doubt": {_rule(device.doubt)}}}'
    )


def _rule(finding: Finding | None) -> str:
    return "null" if finding is None else _quoted(finding.rule)


def finding_text(one: Finding) -> str:
    """One finding."""
    candidates = [
        f'{{"cause": {_quoted(each.cause)}, "would_decide": {_quoted(each.would_decide)}}}'
        for each in one.candidates
    ]
    return (
        f'{{"id": {_quoted(one.id)}, "rule": {_quoted(one.rule)}, "catalogue": {_text(one.catalogue)}, '
        f'"category": {_quoted(one.category)}, "severity": {_quoted(one.severity)}, '
        f'"device": {_text(one.device)}, "basis": {_quoted(one.basis)}, '
        f'"confidence": {_quoted(one.confidence)}, "count": {one.count}, "first_ts": {_time(one.first_ts)}, '
        f'"last_ts": {_time(one.last_ts)}, "summary": {_quoted(one.summary)}, '
        f'"remedy": {_quoted(one.remedy)}, "evidence": {evidence_text(one.evidence)}, '
        f'"display_filter": {_quoted(one.display_filter)}, "overcome": {_BOOLEANS[one.overcome]}, '
        f'"candidates": {_list(candidates)}}}'
    )
