"""The coded model: what the script of the page shows on demand, as columns over a pool of values.

A document of plain JSON, decoded as follows.

``pool``
    Values that other places name by number: null at 0, then texts, lists and objects, each once.
column
    A list with a value a row; a number alone where all rows have the same. Written below as ``text`` (a place
    in the pool), ``number``, ``time`` or ``span``. A truth is 0 or 1, "none" among numbers is -1.
``start``, ``tick``
    A ``time`` is a difference to the row before in ticks, the first row's to ``start``; null is no time and
    changes nothing. ``start`` is nanoseconds since 1970 UTC, as text; ``tick`` is nanoseconds, 1 to 1000.
    A ``span`` is a duration in ticks.
evidence
    ``n``: frames a row; ``frame``: their numbers, row after row, as differences; ``file``: text of each.
nested tables (``modes``, ``stages``, ``events`` of the devices)
    ``n``: rows a device has; the other columns hold the rows of all devices, one after the other.

``schema``
    Higher by one where the meaning of anything here has changed.
``rows`` of a table
    How many it has.
``devices``
    id, name, uuid, hello_type, stage, host (the name it gives to DHCP), suffix, server, consistent_with:
    text; aliases, macs, ips, hints, visibility, schedules: text (lists, objects); hellos, is_amt: number;
    state (stuck, trouble, unclear, clear): text; cause: row of ``findings``; place: stage it came to, by
    number; first_seen, last_seen: time; left_out: events of it that are not in the page.
``devices.modes``
    name, basis, weight, reason: text; since: time; evidence.
``devices.stages``
    name, basis, outcome, detail: text; at: time; evidence.
``devices.events``
    kind, outcome, src, dst, detail: text; sport, dport, retry: number; at: time; lasts: span; digests: text
    (list of places in the pool, each a digest as in `hello_json`); evidence.
``findings``
    rule, catalogue, category, severity, basis, confidence, summary, remedy, filter: text; candidates: text
    (list of pairs); device: row of ``devices``; count, overcome, group (cause, by number): number; first_ts,
    last_ts: time; evidence.
``causes``
    title, label: text.
``unknowns``
    what, why, would_decide: text; device: row of ``devices``.
``captures``
    file, format, linktypes, notes: text; bytes, packets, snaplen, drops, truncated: number; first_ts,
    last_ts, watched_until: time.
``summary``
    As in report.json, without root_of.
``vocabulary``
    stages, states, lanes: lists of words in their order, which columns and the script rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from amtdiag.model import (
    Basis,
    Category,
    Confidence,
    DeviceRecord,
    Diagnosis,
    Finding,
    HelloType,
    JudgedDigest,
    Judgement,
    Mode,
    Severity,
    Stage,
    Weight,
)
from amtdiag.report.formats.html.columnar import Clock, Column, Pool, evidence_columns, packed
from amtdiag.report.formats.html.lanes import Happening, happenings, within_bounds
from amtdiag.report.formats.html.summary import STAGES, STATES, Outline, cause_key
from amtdiag.report.formats.json import digest_json, summary_json
from amtdiag.report.verdict import label_of
from amtdiag.tables import EventKind, EventOutcome, Owners, plain

SCHEMA = 1
_OUTCOMES = {True: "passed", False: "failed", None: "open"}
_WORDS = [
    word
    for words in (
        Stage,
        Mode,
        Basis,
        Weight,
        Confidence,
        Severity,
        Category,
        HelloType,
        EventKind,
        EventOutcome,
    )
    for word in get_args(words)
]
_Row = TypeVar("_Row")


def coded(outline: Outline) -> dict[str, Any]:
    """Return the model of a diagnosis."""
    return _Coder(outline).document()


class _Coder:
    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.diagnosis: Diagnosis = outline.diagnosis
        self.pool = Pool()
        for word in _WORDS:  # first: what many rows have gets a number of one or two digits
            self.pool.text(word)
        self.clock = Clock()
        self.row = {one.id: number for number, one in enumerate(self.diagnosis.devices)}
        self.lists: dict[int, int] = {}

    def document(self) -> dict[str, Any]:
        summary = summary_json(self.diagnosis)
        del summary["root_of"]
        parts = {
            "devices": self.devices(),
            "findings": self.findings(),
            "causes": {
                "rows": len(self.outline.causes),
                "title": self.texts(self.outline.causes, lambda one: one.title),
                "label": self.texts(self.outline.causes, lambda one: label_of(one.first.rule)),
            },
            "unknowns": self.unknowns(),
            "captures": self.captures(),
        }
        start, tick = self.clock.finish()
        return {
            "schema": SCHEMA,
            "tool": plain(str(self.diagnosis.tool.get("version", ""))),
            "start": str(start),
            "tick": tick,
            "vocabulary": {"stages": STAGES, "states": STATES},
            "summary": summary,
            **parts,
            "pool": self.pool.values,
        }

    def texts(self, rows: Iterable[_Row], get: Callable[[_Row], str | None]) -> Column:
        """A column of texts."""
        text = self.pool.text
        return packed([text(get(one)) for one in rows])

    def lists_of(self, rows: Iterable[_Row], get: Callable[[_Row], Iterable[str]]) -> Column:
        """A column of lists of texts."""
        return packed([self.pool.texts(get(one)) for one in rows])

    def devices(self) -> dict[str, Any]:
        listed, outline = self.diagnosis.devices, self.outline
        rows = {id(one): number for number, one in enumerate(self.diagnosis.findings)}
        causes = outline.first_cause
        hosts = self.hosts()
        own = happenings(self.diagnosis)
        shown = {one.id: within_bounds(own.get(one.id, []), len(listed)) for one in listed}
        return {
            "rows": len(listed),
            "id": self.texts(listed, lambda one: one.id),
            "name": self.texts(listed, lambda one: outline.names[one.id]),
            "state": self.texts(listed, lambda one: outline.states[one.id]),
            "place": packed([outline.place(one) for one in listed]),
            "cause": packed([rows[id(causes[one.id])] if one.id in causes else -1 for one in listed]),
            "uuid": self.texts(listed, lambda one: one.uuid),
            "aliases": self.lists_of(listed, lambda one: one.aliases),
            "macs": self.lists_of(listed, lambda one: one.macs),
            "ips": self.lists_of(listed, lambda one: one.ips),
            "host": self.texts(listed, lambda one: hosts.get(one.id)),
            "hello_type": self.texts(listed, lambda one: one.hello_type),
            "hellos": packed([one.hellos for one in listed]),
            "stage": self.texts(listed, lambda one: one.stage),
            "first_seen": self.clock.times(one.first_seen for one in listed),
            "last_seen": self.clock.times(one.last_seen for one in listed),
            "suffix": self.texts(listed, lambda one: one.suffix),
            "server": self.texts(listed, lambda one: one.server),
            "consistent_with": self.texts(listed, lambda one: one.firmware),
            "hints": self.lists_of(listed, lambda one: one.hints),
            "visibility": packed([self.pool.other(dict(one.visibility)) for one in listed]),
            "schedules": packed(
                [
                    self.pool.other([[plain(s.documented_by), plain(s.text), s.fits] for s in one.schedules])
                    for one in listed
                ]
            ),
            "is_amt": packed([int(one.is_amt) for one in listed]),
            "left_out": packed([len(own.get(one.id, ())) - len(shown[one.id]) for one in listed]),
            "modes": self.modes(listed),
            "stages": self.stages(listed),
            "events": self.events([shown[one.id] for one in listed]),
        }

    def hosts(self) -> Mapping[str, str]:
        """The last name that each device gave to DHCP."""
        owners = Owners(self.diagnosis)
        named = ((owners.of_mac(one.mac), one.fqdn or one.host) for one in self.diagnosis.dhcp)
        return {device: name for device, name in named if device is not None and name}

    def modes(self, devices: Sequence[DeviceRecord]) -> dict[str, Any]:
        rows = [span for one in devices for span in one.modes]
        return {
            "n": packed([len(one.modes) for one in devices]),
            "name": self.texts(rows, lambda one: one.name),
            "basis": self.texts(rows, lambda one: one.basis),
            "weight": self.texts(rows, lambda one: one.weight),
            "since": self.clock.times(one.since for one in rows),
            "reason": self.texts(rows, lambda one: one.reason),
            "evidence": evidence_columns([one.evidence for one in rows], self.pool),
        }

    def stages(self, devices: Sequence[DeviceRecord]) -> dict[str, Any]:
        rows = [stage for one in devices for stage in one.stages]
        return {
            "n": packed([len(one.stages) for one in devices]),
            "name": self.texts(rows, lambda one: one.name),
            "basis": self.texts(rows, lambda one: one.basis),
            "outcome": self.texts(rows, lambda one: _OUTCOMES[one.passed]),
            "at": self.clock.times(one.at for one in rows),
            "detail": self.texts(rows, lambda one: one.detail),
            "evidence": evidence_columns([one.evidence for one in rows], self.pool),
        }

    def events(self, devices: Sequence[Sequence[Happening]]) -> dict[str, Any]:
        rows = [one for own in devices for one in own]
        return {
            "n": packed(map(len, devices)),
            "kind": self.texts(rows, lambda one: one.kind),
            "outcome": self.texts(rows, lambda one: one.outcome),
            "at": self.clock.times(one.ts for one in rows),
            "lasts": self.clock.spans(one.last_ts - one.ts for one in rows),
            "src": self.texts(rows, lambda one: one.ends.src or None),
            "sport": packed([one.ends.sport for one in rows]),
            "dst": self.texts(rows, lambda one: one.ends.dst or None),
            "dport": packed([one.ends.dport for one in rows]),
            "detail": self.texts(rows, lambda one: one.detail),
            "retry": packed([-1 if one.retry is None else one.retry for one in rows]),
            "digests": packed([self.digests(one.judgement) for one in rows]),
            "evidence": evidence_columns([one.evidence for one in rows], self.pool),
        }

    def digests(self, judgement: Judgement | None) -> int:
        """A list of digests, coded once: devices of one firmware share theirs."""
        if judgement is None or not judgement.digests:
            return 0
        place = self.lists.get(id(judgement))
        if place is None:
            places = [self.pool.other(_digest(one)) for one in judgement.digests]
            place = self.lists[id(judgement)] = self.pool.other(places)
        return place

    def findings(self) -> dict[str, Any]:
        listed = self.diagnosis.findings
        groups = {cause_key(one.first): one.number for one in self.outline.causes}
        return {
            "rows": len(listed),
            "rule": self.texts(listed, lambda one: one.rule),
            "group": packed([groups[cause_key(one)] for one in listed]),
            "catalogue": self.texts(listed, lambda one: one.catalogue),
            "category": self.texts(listed, lambda one: one.category),
            "severity": self.texts(listed, lambda one: one.severity),
            "device": packed([self.row.get(one.device or "", -1) for one in listed]),
            "basis": self.texts(listed, lambda one: one.basis),
            "confidence": self.texts(listed, lambda one: one.confidence),
            "count": packed([one.count for one in listed]),
            "first_ts": self.clock.times(one.first_ts for one in listed),
            "last_ts": self.clock.times(one.last_ts for one in listed),
            "summary": self.texts(listed, lambda one: one.summary),
            "remedy": self.texts(listed, lambda one: one.remedy),
            "candidates": packed([self.pool.other(_candidates(one)) for one in listed]),
            "filter": self.texts(listed, lambda one: one.display_filter or None),
            "overcome": packed([int(one.overcome) for one in listed]),
            "evidence": evidence_columns([one.evidence for one in listed], self.pool),
        }

    def unknowns(self) -> dict[str, Any]:
        listed = self.diagnosis.unknowns
        return {
            "rows": len(listed),
            "what": self.texts(listed, lambda one: one.what),
            "why": self.texts(listed, lambda one: one.why),
            "would_decide": self.texts(listed, lambda one: one.would_decide),
            "device": packed([self.row.get(one.device or "", -1) for one in listed]),
        }

    def captures(self) -> dict[str, Any]:
        listed = self.diagnosis.captures
        return {
            "rows": len(listed),
            "file": self.texts(listed, lambda one: one.file),
            "format": self.texts(listed, lambda one: one.format),
            "bytes": packed([one.bytes for one in listed]),
            "packets": packed([one.packets for one in listed]),
            "linktypes": self.lists_of(listed, lambda one: one.linktypes),
            "first_ts": self.clock.times(one.first_ts for one in listed),
            "last_ts": self.clock.times(one.last_ts for one in listed),
            "snaplen": packed([-1 if one.snaplen is None else one.snaplen for one in listed]),
            "drops": packed([-1 if one.drops is None else one.drops for one in listed]),
            "truncated": packed([int(one.truncated) for one in listed]),
            "watched_until": self.clock.times(one.watched_until for one in listed),
            "notes": self.lists_of(listed, lambda one: one.notes),
        }


def _digest(judged: JudgedDigest) -> dict[str, Any]:
    found = digest_json(judged)
    return {**found, "name": None if judged.name is None else plain(judged.name)}


def _candidates(finding: Finding) -> list[list[str]]:
    return [[plain(one.cause), plain(one.would_decide)] for one in finding.candidates]
