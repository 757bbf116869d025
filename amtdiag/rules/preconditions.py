"""What a case holds, in a few words: a rule names the one without which it has nothing to look at.

Of a large fleet most devices are well. Their marks are taken once, for less than three rules take to find
nothing, and then all rules but a few are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import FAILED, ConnectionEvent, HelloRecord, LookupEvent
from amtdiag.protocols.hello import MAX_DOCUMENTED_RETRY, is_junk_uuid
from amtdiag.protocols.ports import PLAIN_PORTS

Mark = Literal[
    # Hellos: any of them; that of a verdict stands beside a digest of one.
    "hellos", "several-hellos", "damaged-hello", "split-hello", "no-admin-password", "wrong-pid",
    "junk-uuid", "odd-version", "last-retry", "shared-address", "unknown", "weak", "expired", "all-zero",
    # What came of them: nobody called back since the first; nobody ever, but there is a trace of why.
    "uncalled", "strayed",
    # Questions: none with an address; all without an answer; one with two; an address, and nothing tried
    # after it; a Hello to another address than the first that was given.
    "unresolved", "silent-lookups", "two-answers", "idle", "untold-server",
    # Attempts to reach a Hello port, by outcome; what says that the server is not there.
    "failed-attempts", "refused-attempts", "rejected-attempts", "unanswered-attempts",
    "server-gone",
    # Connections back, by outcome; one in which something of TLS, or anything of the device, is seen.
    "refused-back", "rejected-back", "silent-back", "answered-back",
    # Connections to its ports by whomever.
    "several-links", "plain-links", "shaken", "spoken",
    # Other events.
    "leases", "pongs", "vain-lookups", "odd-attempts", "several-modes",
]  # fmt: skip


def marks_of(case: DeviceEvidence) -> tuple[str, ...]:
    """Return the marks of a case in a fixed order, verdicts that no rule asks for among them."""
    marks: list[str] = []
    hellos, lookups, attempts, returns = case.hellos, case.lookups, case.attempts, case.returns
    if hellos:
        marks += _of_hellos(case, hellos)
    if lookups:
        marks += _of_lookups(case, lookups)
    if attempts:
        marks += _of_attempts(attempts)
    if returns or case.asked_for:
        marks += _of_returns(case, returns)
    if returns or case.visits:
        marks += _of_links(case)
    if case.server_gone and "server-gone" not in marks:
        marks.append("server-gone")
    if case.leases:
        marks.append("leases")
    if case.pongs:
        marks.append("pongs")
    if case.vain_lookups:
        marks.append("vain-lookups")
    if case.odd_attempts:
        marks.append("odd-attempts")
    if len(case.device.modes) > 1:
        marks.append("several-modes")
    return tuple(marks)


def _of_hellos(case: DeviceEvidence, records: Sequence[HelloRecord]) -> list[str]:
    marks = ["hellos"]
    for record in records:
        event = record.event
        hello = event.hello
        if not hello.complete:
            marks.append("damaged-hello")
        if event.segments > 1:
            marks.append("split-hello")
        if hello.admin_credentials == 0:
            marks.append("no-admin-password")
        if hello.pid_check_ok is False:
            marks.append("wrong-pid")
        if hello.uuid is not None and is_junk_uuid(hello.uuid):
            marks.append("junk-uuid")
        if hello.type == "unknown":
            marks.append("odd-version")
        marks += record.judgement.by_verdict
    retry = records[-1].event.hello.retry_count
    if retry is not None and retry >= MAX_DOCUMENTED_RETRY:
        marks.append("last-retry")
    if case.shared_address:
        marks.append("shared-address")
    first = records[0].event.ts
    if not any([link.ts >= first for link in case.returns]):
        marks.append("uncalled")
    if not case.returns and (case.elsewhere or case.names):
        marks.append("strayed")
    if len(records) > 1:
        marks.append("several-hellos")
        return list(dict.fromkeys(marks))
    return marks


def _of_lookups(case: DeviceEvidence, lookups: Sequence[LookupEvent]) -> Iterator[str]:
    first: LookupEvent | None = None
    answered = doubted = False
    for lookup in lookups:
        if first is None and lookup.addresses:
            first = lookup
        if lookup.rcode is not None:
            answered = True
        if lookup.other_addresses:
            doubted = True
    if doubted:
        yield "two-answers"
    if not answered:
        yield "silent-lookups"
    if first is None:
        yield "unresolved"
        return
    if not case.sets_out_after(first.ts):
        yield "idle"
    for record in case.hellos:
        server = record.event.ends.dst
        if server not in first.addresses and server not in first.other_addresses:
            yield "untold-server"
            break


_ATTEMPTS: dict[str, tuple[str, ...]] = {
    "refused": ("failed-attempts", "refused-attempts"),
    "rejected": ("failed-attempts", "rejected-attempts", "server-gone"),
    "unanswered": ("failed-attempts", "unanswered-attempts"),
}
_RETURNS = {"refused": "refused-back", "rejected": "rejected-back", "unanswered": "silent-back"}


def _of_attempts(attempts: Sequence[ConnectionEvent]) -> list[str]:
    failed = [mark for link in attempts if link.outcome in FAILED for mark in _ATTEMPTS[link.outcome]]
    return list(dict.fromkeys(failed))


def _of_returns(case: DeviceEvidence, returns: Sequence[ConnectionEvent]) -> list[str]:
    marks = []
    for link in returns:
        if link.outcome in FAILED:
            marks.append(_RETURNS[link.outcome])
        if link.server_bytes or link.tls is not None:
            marks.append("answered-back")
    if case.asked_for:
        marks.append("silent-back")
    return list(dict.fromkeys(marks)) if len(marks) > 1 else marks


def _of_links(case: DeviceEvidence) -> Iterator[str]:
    links = case.links
    if len(links) > 1:
        yield "several-links"
    shaken = spoken = plain = False
    for link in links:
        shaken = shaken or link.tls is not None
        spoken = spoken or link.talk is not None or link.web is not None
        plain = plain or link.ends.dport in PLAIN_PORTS
    if shaken:
        yield "shaken"
    if spoken:
        yield "spoken"
    if plain:
        yield "plain-links"
