"""How far a device came: the stages that were attempted, and whether each was passed.

discovery: it gets a lease. resolution: it finds its server in DNS. connection: it reaches the server's Hello
port; to look for the server by ARP is to try. hello: its Hello arrives whole. connect_back: the server opens
a connection to the device. tls: bytes go both ways there. authentication: the device's web server takes user
and password. commit: CommitChanges is called. operational: a sign that it is under management.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import (
    FAILED,
    Basis,
    ConnectionEvent,
    DhcpEvent,
    Evidence,
    Exchange,
    HelloType,
    LookupEvent,
    Stage,
    StageReached,
    UnansweredArp,
)
from amtdiag.protocols.ports import DEVICE_PORTS
from amtdiag.protocols.tls.constants import ALERTS, is_13
from amtdiag.times import span

_FEW = 8
_GAPS_SHOWN = 4
_UNAUTHORIZED = 401

_Try = ConnectionEvent | UnansweredArp


def stages_of(case: DeviceEvidence, basis: Basis) -> tuple[StageReached, ...]:
    """Return the stages that were attempted, in their order. `basis` is that of the connections back."""
    return tuple(_stages(case, basis))


def _stages(case: DeviceEvidence, basis: Basis) -> Iterator[StageReached]:
    if case.leases:
        yield _discovery(case)
    if case.lookups or case.vain_lookups:
        yield _resolution(case)
    tries: list[_Try] = [*case.attempts, *case.odd_attempts, *case.server_gone]
    if tries:
        yield _reach("connection", tries, case.attempts, "observed")
    if case.hellos:
        yield _hello(case)
    # What came before its first Hello belongs to another story.
    start = case.hellos[0].event.ts if case.hellos else 0
    back = [link for link in case.returns if link.ts >= start]
    tries = [*back, *case.sought]
    if tries:
        yield _reach("connect_back", tries, back, basis)
    talks = [
        link for link in back if _is_web_over_tls(link.ends.dport) and link.client_bytes and link.server_bytes
    ]
    if talks:
        best = next((link for link in talks if link.tls and link.tls.finished), talks[-1])
        yield StageReached("tls", talks[0].ts, basis, _is_shaken(best), _frames(talks), _tls_detail(best))
    exchanges = [one for link in back if link.talk is not None for one in link.talk.exchanges]
    if exchanges:
        yield from _spoken(exchanges, basis)


def _discovery(case: DeviceEvidence) -> StageReached:
    acks = case.acks
    shown = (acks or case.leases)[0]
    refused = case.asked_in_vain or case.leases[-1].kind == "nak"
    failed = refused and not case.lookups and not case.sets_out_after(case.leases[0].ts)
    passed = True if acks else False if failed else None
    return StageReached(
        "discovery", case.leases[0].ts, "observed", passed, shown.evidence, _lease_detail(shown)
    )


def _lease_detail(lease: DhcpEvent) -> str:
    if lease.kind != "ack":
        return f"{lease.kind}; no lease in this capture"
    server = f" from {lease.server}" if lease.server else ""
    domain = f"domain {lease.domain}" if lease.domain else "no domain"
    return f"{lease.address or 'an answer'}{server}, {domain}"


def _resolution(case: DeviceEvidence) -> StageReached:
    lookups = case.lookups or case.vain_lookups
    found = case.resolved
    shown = found[0] if found else lookups[-1]
    basis: Basis = "observed" if case.lookups else "inferred"
    return StageReached(
        "resolution", lookups[0].ts, basis, bool(found), shown.evidence[:_FEW], _lookup_detail(shown)
    )


def _lookup_detail(lookup: LookupEvent) -> str:
    if lookup.addresses:
        return f"{lookup.name} is {lookup.addresses[0]}"
    return f"{lookup.name}: {lookup.rejection or lookup.rcode or 'no answer'}"


def _reach(
    name: Stage, tries: Sequence[_Try], links: Sequence[ConnectionEvent], basis: Basis
) -> StageReached:
    """A stage that is passed once a connection is made."""
    reached = [link for link in links if link.outcome not in FAILED]
    shown: Sequence[_Try] = reached or tries
    first = min([one.ts for one in tries])
    return StageReached(name, first, basis, bool(reached), _frames(shown), _reach_detail(shown))


def _reach_detail(tries: Sequence[_Try]) -> str:
    """Whither, and what came of it: `10.0.0.1 port 9971: refused 3 times`."""
    first = tries[0]
    if isinstance(first, UnansweredArp):
        return f"nobody has {first.target}"
    count = sum([isinstance(one, ConnectionEvent) and one.outcome == first.outcome for one in tries])
    times = f", {count} times" if count > 1 else ""
    return f"{first.ends.dst} port {first.ends.dport}: {first.outcome}{times}"


_KINDS: dict[HelloType, str] = {"psk": "PSK", "pki": "PKI", "unknown": "of an unknown version"}


def _hello(case: DeviceEvidence) -> StageReached:
    events = [record.event for record in case.hellos]
    whole = [event for event in events if event.hello.complete]
    shown = (whole or events)[0]
    counts = [event.hello.retry_count for event in events if event.hello.retry_count is not None]
    retries = "" if not counts else f", retry {counts[0]}"
    if len(counts) > 1:
        retries += f" to {counts[-1]}"
    kind = _KINDS[shown.hello.type]
    many = "1 Hello" if len(events) == 1 else f"{len(events)} Hellos"
    gaps = "" if len(events) == 1 else _gaps_in_words([b.ts - a.ts for a, b in pairwise(events)])
    return StageReached(
        "hello",
        events[0].ts,
        "observed",
        True if whole else None,
        shown.evidence[:_FEW],
        f"{many}, {kind}{retries}{gaps}",
    )


def _gaps_in_words(gaps: Sequence[int]) -> str:
    if not gaps:
        return ""
    shown = ", ".join(span(gap) for gap in gaps[:_GAPS_SHOWN])
    return f", gaps {shown}{' ...' if len(gaps) > _GAPS_SHOWN else ''}"


def _spoken(exchanges: Sequence[Exchange], basis: Basis) -> Iterator[StageReached]:
    """What was asked of the device's web server, and whether it was granted."""
    asked = [one for one in exchanges if one.auth is not None]
    if asked:
        refused = [one for one in asked if one.denial in ("refused", "likely")]
        granted = [one for one in asked if one.status is not None and one.status != _UNAUTHORIZED]
        shown = granted or refused or asked
        passed = True if granted else False if refused else None
        who = f"{shown[0].auth}, user {shown[0].user}" if shown[0].user else f"{shown[0].auth}"
        outcome = {True: "granted", False: "refused", None: "no answer seen"}[passed]
        yield StageReached(
            "authentication", asked[0].ts, basis, passed, shown[0].evidence[:_FEW], f"{who}: {outcome}"
        )
    commits = [one for one in exchanges if one.call is not None and one.call.method == "CommitChanges"]
    if commits:
        shown = [one for one in commits if one.succeeded] or commits
        value = shown[0].result.return_value if shown[0].result is not None else None
        passed = shown[0].succeeded if shown[0].status is not None else None
        detail = "no answer seen" if passed is None else f"CommitChanges returns {value}"
        yield StageReached("commit", commits[0].ts, basis, passed, shown[0].evidence[:_FEW], detail)


def _is_shaken(link: ConnectionEvent) -> bool | None:
    """True where the handshake was finished, False where it was broken off; None where that is not known."""
    tls = link.tls
    if tls is None or tls.alert is not None:
        return None if tls is None else False
    return tls.finished


def _tls_detail(link: ConnectionEvent) -> str:
    tls = link.tls
    if tls is None:
        return f"{link.client_bytes:,} bytes there, {link.server_bytes:,} back"
    if tls.alert is not None:
        who = "the device" if tls.alert_by == "server" else "the server"
        return f"{who} sends alert {tls.alert} ({ALERTS.get(tls.alert, 'unknown')})"
    if tls.finished is None and not is_13(tls.version or 0):
        return "parts of the handshake are not in this capture"
    return {True: "handshake finished", False: "handshake not finished", None: "TLS 1.3"}[tls.finished]


def _frames(events: Sequence[_Try]) -> tuple[Evidence, ...]:
    """The first frames that prove what became of these connections, or of the search for the other side."""
    if len(events) == 1:
        return events[0].evidence[:_FEW]
    return tuple([frame for event in events[:_FEW] for frame in event.evidence])[:_FEW]


def _is_web_over_tls(port: int) -> bool:
    return DEVICE_PORTS[port].tls and DEVICE_PORTS[port].protocol == "web"
