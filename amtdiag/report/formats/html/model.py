"""The data of the page: tables of plain JSON, whose rows its script reads one by one, when they are shown.

A table is ``rows``, how many it has, and ``columns``. A column is a list with a value a row; where many rows
have the same, it is ``values``, each once, and ``places``, the number of its value a row. As objects, data of
a fleet are five times as large, and take twice as long to be ready.

``schema``
    Higher by one where the meaning of anything here has changed.
``start``
    Nanoseconds since 1970 UTC, as text: no number of JavaScript holds them. All times are nanoseconds since
    then, or null.
``devices``
    As in report.json, and: name; state (stuck, trouble, unclear, clear); cause, a row of ``findings`` or
    null; place, the number of the stage it came to; host, the name it gives to DHCP; left_out, events of it
    that are not in the page.
``modes``, ``stages``, ``events``
    Of the devices, in the order of time: ``device`` is a row of ``devices``. An event ``lasts`` nanoseconds;
    its ``digests`` is a place in ``digest_lists``, or null.
``digest_lists``
    What Hellos trust: lists of digests as in `hello_json`.
``findings``
    As in report.json, and group: a row of ``causes``. Their device is a row of ``devices``, or null.
``causes``
    title, label.
``unknowns``, ``captures``, ``summary``
    As in report.json.
``vocabulary``
    stages, states: words in their order, on which the script relies; hello_types: words for types of Hellos.

Evidence is two columns, ``frames`` and ``files``: a list each a row, of the same length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from amtdiag.model import STATES, Diagnosis, Evidence, JudgedDigest, Judgement
from amtdiag.report.causes import same_cause
from amtdiag.report.formats.html.lanes import lane_events, within_bounds
from amtdiag.report.formats.html.summary import Outline
from amtdiag.report.formats.json import capture_json, digest_json, summary_json, unknown_json
from amtdiag.report.verdict import label_of, trouble
from amtdiag.report.wording import HELLO_TYPES, OUTCOMES, STAGES
from amtdiag.safetext import plain

SCHEMA = 2
_MIN_REPEATS = 2
"""Rows for each different value from which on values are written once."""


def table(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows, which all have the same names, as a table. Texts become safe to show."""
    columns: dict[str, list[Any]] = {}
    number = 0
    for row in rows:
        columns = columns or {name: [] for name in row}
        for name, column in columns.items():
            column.append(row[name])
        number += 1
    return {"rows": number, "columns": {name: _column(column) for name, column in columns.items()}}


def _column(values: Sequence[Any]) -> list[Any] | dict[str, list[Any]]:
    """Return a column; where one value is a list or a dict, all are."""
    keys = [json.dumps(value) for value in values] if isinstance(values[0], list | dict) else values
    different = dict(zip(keys, values, strict=True))
    if len(different) * _MIN_REPEATS > len(values):
        return [_safe(value) for value in values]
    place_of = {key: place for place, key in enumerate(different)}
    return {
        "values": [_safe(value) for value in different.values()],
        "places": [place_of[key] for key in keys],
    }


def _safe(value: Any) -> Any:
    """Return a value whose texts are safe to show."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_safe(member) for member in value]
    return {key: _safe(member) for key, member in value.items()} if isinstance(value, dict) else value


def page_data(outline: Outline) -> dict[str, Any]:
    """Return the data of a diagnosis."""
    return _PageData(outline).document()


class _PageData:
    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.diagnosis: Diagnosis = outline.diagnosis
        self.row = {device.id: number for number, device in enumerate(self.diagnosis.devices)}
        starts = [capture.first_ts for capture in self.diagnosis.captures if capture.first_ts is not None]
        self.start = min(starts, default=0)
        happened = lane_events(self.diagnosis)
        self.happened = [happened.get(device.id, []) for device in self.diagnosis.devices]
        self.shown = [within_bounds(own, len(self.happened)) for own in self.happened]
        self.digest_lists: dict[tuple[JudgedDigest, ...], int] = {}

    def document(self) -> dict[str, Any]:
        summary = summary_json(self.diagnosis)
        del summary["root_of"]
        return {
            "schema": SCHEMA,
            "tool": plain(str(self.diagnosis.tool.get("version", ""))),
            "start": str(self.start),
            "vocabulary": {"stages": STAGES, "states": STATES, "hello_types": HELLO_TYPES},
            "summary": summary,
            "devices": table(self.devices()),
            "modes": table(self.modes()),
            "stages": table(self.stages()),
            "events": table(self.events()),
            "digest_lists": _safe([list(map(digest_json, digests)) for digests in self.digest_lists]),
            "findings": table(self.findings()),
            "causes": table(
                {"title": cause.title, "label": label_of(cause.first.rule)} for cause in self.outline.causes
            ),
            "unknowns": table(
                {**unknown_json(unknown), "device": self.row.get(unknown.device or "")}
                for unknown in self.diagnosis.unknowns
            ),
            "captures": table(self.captures()),
        }

    def since(self, ts: int | None) -> int | None:
        """Return a time as the page has it."""
        return None if ts is None else ts - self.start

    def devices(self) -> Iterator[dict[str, Any]]:
        outline, hosts = self.outline, self.hosts()
        finding_rows = {finding.id: number for number, finding in enumerate(self.diagnosis.findings)}
        for number, device in enumerate(self.diagnosis.devices):
            first = trouble(device)
            yield {
                "id": device.id,
                "name": outline.names[device.id],
                "state": device.state,
                "place": outline.place(device),
                "cause": None if first is None else finding_rows[first.id],
                "uuid": device.uuid,
                "aliases": device.aliases,
                "macs": device.macs,
                "ips": device.ips,
                "host": hosts.get(device.id),
                "hello_type": device.hello_type,
                "hellos": device.hellos,
                "stage": device.stage,
                "first_seen": self.since(device.first_seen),
                "last_seen": self.since(device.last_seen),
                "suffix": device.suffix,
                "server": device.server,
                "consistent_with": device.firmware,
                "hints": device.hints,
                "visibility": dict(device.visibility),
                "schedules": tuple(
                    (schedule.documented_by, schedule.text, schedule.fits) for schedule in device.schedules
                ),
                "is_amt": device.is_amt,
                "left_out": len(self.happened[number]) - len(self.shown[number]),
            }

    def hosts(self) -> Mapping[str, str]:
        """The last name that each device gave to DHCP."""
        named = ((lease.owner, lease.fqdn or lease.host) for lease in self.diagnosis.dhcp)
        return {device: name for device, name in named if device is not None and name}

    def modes(self) -> Iterator[dict[str, Any]]:
        for number, device in enumerate(self.diagnosis.devices):
            for mode in device.modes:
                yield {
                    "device": number,
                    "name": mode.name,
                    "basis": mode.basis,
                    "weight": mode.weight,
                    "since": self.since(mode.since),
                    "reason": mode.reason,
                    **_evidence(mode.evidence),
                }

    def stages(self) -> Iterator[dict[str, Any]]:
        for number, device in enumerate(self.diagnosis.devices):
            for stage in device.stages:
                yield {
                    "device": number,
                    "name": stage.name,
                    "basis": stage.basis,
                    "outcome": OUTCOMES[stage.passed],
                    "at": self.since(stage.at),
                    "detail": stage.detail,
                    **_evidence(stage.evidence),
                }

    def events(self) -> Iterator[dict[str, Any]]:
        for number, shown in enumerate(self.shown):
            for event in shown:
                yield {
                    "device": number,
                    "kind": event.kind,
                    "outcome": event.outcome,
                    "at": self.since(event.ts),
                    "lasts": event.last_ts - event.ts,
                    "src": event.ends.src or None,
                    "sport": event.ends.sport,
                    "dst": event.ends.dst or None,
                    "dport": event.ends.dport,
                    "detail": event.detail,
                    "retry": event.retry,
                    "digests": self.digest_list(event.judgement),
                    **_evidence(event.evidence),
                }

    def digest_list(self, judgement: Judgement | None) -> int | None:
        """Return the place of a list of digests: devices of one firmware share theirs."""
        if judgement is None or not judgement.digests:
            return None
        return self.digest_lists.setdefault(judgement.digests, len(self.digest_lists))

    def findings(self) -> Iterator[dict[str, Any]]:
        groups = {same_cause(cause.first): cause.number for cause in self.outline.causes}
        for finding in self.diagnosis.findings:
            yield {
                "rule": finding.rule,
                "group": groups[same_cause(finding)],
                "catalogue": finding.catalogue,
                "category": finding.category,
                "severity": finding.severity,
                "device": self.row.get(finding.device or ""),
                "basis": finding.basis,
                "confidence": finding.confidence,
                "count": finding.count,
                "first_ts": self.since(finding.first_ts),
                "last_ts": self.since(finding.last_ts),
                "summary": finding.summary,
                "remedy": finding.remedy,
                "candidates": tuple(
                    (candidate.cause, candidate.would_decide) for candidate in finding.candidates
                ),
                "filter": finding.display_filter or None,
                "overcome": finding.overcome,
                **_evidence(finding.evidence),
            }

    def captures(self) -> Iterator[dict[str, Any]]:
        for capture in self.diagnosis.captures:
            times = {
                "first_ts": self.since(capture.first_ts),
                "last_ts": self.since(capture.last_ts),
                "watched_until": self.since(capture.watched_until),
            }
            yield {**capture_json(capture), **times}


def _evidence(evidence: Sequence[Evidence]) -> dict[str, Any]:
    return {
        "frames": tuple(frame.frame for frame in evidence),
        "files": tuple(frame.file for frame in evidence),
    }
