"""The story of each device, told from the events that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from amtdiag.devices.assign import Book
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.devices.identity import address_id, uuid_hints
from amtdiag.devices.modes import Sign, Trigger, history
from amtdiag.devices.retry_schedules import known_schedules
from amtdiag.devices.stages import stages_of
from amtdiag.devices.visibility import Coverage, lanes_of
from amtdiag.model import Basis, ConnectionEvent, DeviceRecord, Evidence, HelloRecord, StageReached
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.sessions.event_log import EventLog
from amtdiag.times import SECOND
from amtdiag.trust.releases import stated

_RCFG = b"AMT RCFG"
"""Common name of the certificate that a device in remote setup shows (rpc-go)."""
_SETUP = 300 * SECOND
"""A provisioning that begins within this time after a Hello belongs to it."""
_PONG_TRIGGERS: dict[str, Trigger] = {
    "factory": "pong-factory",
    "setup": "pong-setup",
    "operational": "pong-operational",
}


class BuiltDevices(NamedTuple):
    """What `follow` gives: the cases, and connections to Hello ports that are nobody's."""

    cases: list[DeviceEvidence]
    hellos: list[HelloRecord]
    strays: list[ConnectionEvent]
    scanners: frozenset[str]


def follow(
    events: EventLog, coverage: Coverage, hello_ports: frozenset[int], most_devices: int
) -> BuiltDevices:
    """Give every event to its device and tell each device's story. Events may come in any order."""
    events.sort()
    events.join_rejections()
    book = Book(events, hello_ports, most_devices)
    for case in book.cases.values():
        _describe(case, coverage)
    cases = sorted(book.cases.values(), key=lambda case: case.device.first_seen)
    records = sorted((record for case in cases for record in case.hellos), key=lambda r: r.event.ts)
    return BuiltDevices(cases, records, book.strays, book.scanners)


def _describe(case: DeviceEvidence, coverage: Coverage) -> None:
    events = [record.event for record in case.hellos]
    traces = _traces(case)
    first_seen, last_seen = min(traces.times), max(traces.times)
    case.covered_until = coverage.until(last_seen, traces.files)
    last = case.hellos[-1] if case.hellos else None
    basis: Basis = "inferred" if case.shared_address else "observed"
    stages = stages_of(case, basis)
    modes = history(_signs(case))
    now = modes[-1]
    if now.name == "operational" and now.since is not None:
        stages += (StageReached("operational", now.since, now.basis, True, now.evidence, now.reason),)
    gaps = tuple([b.ts - a.ts for a, b in pairwise(events)]) if len(events) > 1 else ()
    addresses = list(dict.fromkeys(traces.addresses))
    uuid = next((event.hello.uuid for event in events if event.hello.uuid), None)
    others = [f"mac:{mac}" for mac in case.macs] + [address_id(one, first_seen) for one in addresses]
    case.device = DeviceRecord(
        id=case.id,
        aliases=tuple([other for other in others if other != case.id]),
        uuid=uuid,
        macs=tuple(case.macs),
        ips=tuple(addresses),
        hello_type=events[-1].hello.type if events else None,
        retry_counts=tuple([e.hello.retry_count for e in events if e.hello.retry_count is not None]),
        gaps=gaps,
        hellos=len(events),
        first_seen=first_seen,
        last_seen=last_seen,
        mode=modes[-1],
        modes=modes,
        stage=stages[-1].name if stages else "discovery",
        stages=stages,
        visibility=lanes_of(case),
        suffix=case.suffix,
        server=_server(case),
        firmware=_firmware(case, last),
        hints=uuid_hints(uuid, case.macs),
        schedules=known_schedules(gaps) if gaps else (),
        is_amt=not case.prospect,
    )


class _Traces(NamedTuple):
    """What all that happened to a device leaves behind."""

    times: list[int]
    files: set[str]
    """The captures in which it is seen: those of the first frame of each event."""
    addresses: list[str]
    """That it had, in the order of what is surest; some more than once."""


def _traces(case: DeviceEvidence) -> _Traces:
    times: list[int] = []
    addresses: list[str] = []
    first_frames: list[tuple[Evidence, ...]] = []
    for record in case.hellos:
        event = record.event
        times.append(event.ts)
        addresses.append(event.ends.src)
        first_frames.append(event.evidence)
    for link in case.attempts:
        times += link.ts, link.last_ts
        addresses.append(link.ends.src)
        first_frames.append(link.evidence)
    for lookup in case.lookups:
        times.append(lookup.ts)
        addresses.append(lookup.client)
        first_frames.append(lookup.evidence)
    for lease in case.leases:
        times.append(lease.ts)
        first_frames.append(lease.evidence)
        if lease.kind == "ack" and lease.address:
            addresses.append(lease.address)
    for pong in case.pongs:
        times.append(pong.ts)
        addresses.append(pong.device)
        first_frames.append(pong.evidence)
    for links in (case.returns, case.visits):
        for link in links:
            times += link.ts, link.last_ts
            addresses.append(link.ends.dst)
            first_frames.append(link.evidence)
    for link in case.outgoing:
        times += link.ts, link.last_ts
        addresses.append(link.ends.src)
        first_frames.append(link.evidence)
    for link in case.odd_attempts:
        times += link.ts, link.last_ts
    if case.server_gone or case.asked_for:
        times += [asked.last_ts for asked in (*case.server_gone, *case.sought)]
    return _Traces(times, {frames[0].file for frames in first_frames if frames}, addresses)


def _server(case: DeviceEvidence) -> str | None:
    """The server that the device turns to: by its Hello, its attempt, or what DNS told it."""
    targets = [record.event.ends.dst for record in case.hellos] or [link.ends.dst for link in case.attempts]
    if targets:
        return targets[-1]
    return case.resolved[-1].addresses[0] if case.resolved else None


def _firmware(case: DeviceEvidence, last: HelloRecord | None) -> str | None:
    """A pong says the version; else the digest list hints at it."""
    versions = [pong.version for pong in case.pongs if pong.version]
    versions += [link.web.version for link in case.returns if link.web and link.web.version]
    versions += [link.web.version for link in case.visits if link.web and link.web.version]
    if versions:
        return stated(versions[-1])
    return last.judgement.consistent_with if last else None


_CALLS: dict[str | None, Trigger] = {
    "CommitChanges": "commit",
    "Unprovision": "unprovision",
    "PartialUnprovision": "partial-unprovision",
}


def _calls(link: ConnectionEvent) -> Iterator[Sign]:
    """Calls that succeeded and change the mode; of WS-Management only, whose answers are documented."""
    for one in link.talk.exchanges if link.talk is not None else ():
        call = one.call
        trigger = _CALLS.get(call.method) if call is not None and call.protocol == "wsman" else None
        if trigger is not None and one.succeeded:
            yield Sign(one.answered or one.ts, trigger, one.evidence)


def _certificates(link: ConnectionEvent) -> Iterator[Sign]:
    """The certificate of remote setup; only its name is of interest, and that stands there as it is."""
    chain = link.tls.server_chain if link.tls is not None else None
    if chain is not None and any(_RCFG in one for one in chain.der[:1]):
        yield Sign(link.ts, "rcfg", chain.evidence)


def _is_called_back(case: DeviceEvidence, link: ConnectionEvent) -> bool:
    """True for a server's call soon after a Hello: without TLS, setup itself runs over the plain port."""
    return any(
        record.event.ends.dst == link.ends.src and 0 <= link.ts - record.event.ts <= _SETUP
        for record in case.hellos
    )


_SETS_UP = frozenset({"SetMEBxPassword", "CommitChanges", "AddNextCertInChain", "AdminSetup", "Setup"})


def _sets_up(link: ConnectionEvent) -> bool:
    """True for a conversation that sets the device up: until the commit it is not operational."""
    talk = link.talk
    return talk is not None and any(
        one.call is not None and one.call.method in _SETS_UP for one in talk.exchanges
    )


def _signs(case: DeviceEvidence) -> list[Sign]:
    """What tells the mode."""
    signs = [Sign(record.event.ts, "hello", record.event.evidence) for record in case.hellos]
    signs += [Sign(lookup.ts, "discovery", lookup.evidence) for lookup in case.lookups]
    if case.pongs or case.returns or case.visits or case.outgoing:
        signs += _signs_of_management(case)
    return signs


def _signs_of_management(case: DeviceEvidence) -> Iterator[Sign]:
    """What the device itself answers, and what is said to it."""
    for pong in case.pongs:
        trigger = _PONG_TRIGGERS.get(pong.mode)
        if trigger is not None:
            yield Sign(pong.ts, trigger, pong.evidence)
    spoken = [*case.returns, *case.visits]
    committed = False
    telling = [
        link for link in spoken if link.talk is not None or link.tls is not None or link.web is not None
    ]
    for link in sorted(telling, key=lambda one: one.ts):
        calls = list(_calls(link))
        committed = committed or any(sign.trigger == "commit" for sign in calls)
        yield from calls
        if not committed:  # a certificate may be kept; what was committed is known
            yield from _certificates(link)
        if link.web is not None and not _is_called_back(case, link) and not _sets_up(link):
            yield Sign(link.ts, "web", link.evidence)
    talks = [("redirection", link) for link in spoken if _is_redirection(link)]
    talks += [("cira", link) for link in case.outgoing]
    for name, link in talks:
        if link.outcome in ("established", "reset") and link.client_bytes and link.server_bytes:
            yield Sign(link.ts, "redirection" if name == "redirection" else "cira", link.evidence)


def _is_redirection(link: ConnectionEvent) -> bool:
    return DEVICE_PORTS[link.ends.dport].protocol == "redirection"
