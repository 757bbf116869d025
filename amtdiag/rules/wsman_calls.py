"""What the web conversation of a provisioning shows: passwords, calls that fail, what changed the mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import ConnectionEvent, Exchange, Finding, Unknown
from amtdiag.rules.base import DeviceRule, address_filter, frames, proof, rule, times_tried
from amtdiag.times import SECOND

_READS = frozenset({None, "Get", "Enumerate", "Pull", "Release", "Identify"})
"""Tools ask for what a firmware may not have; that it has not is no failure."""
_SOON = 2 * SECOND
"""What ends a session within this time after a call may be its consequence."""
_AFTER_COMMIT = 300 * SECOND


class Called(NamedTuple):
    """An exchange and the connection it was in."""

    link: ConnectionEvent
    exchange: Exchange


def calls_of(case: DeviceEvidence) -> Iterator[Called]:
    """Yield all exchanges with the device's web server, in the order of the connections."""
    for link in (*case.returns, *case.visits):
        if link.talk is not None:
            yield from (Called(link, one) for one in link.talk.exchanges)


def link_filter(link: ConnectionEvent) -> str:
    """Return a display filter for a connection's port and both its ends."""
    return f"tcp.port=={link.ends.dport} && {address_filter(link.ends.src, link.ends.dst)}"


@rule
class PasswordWrong(DeviceRule):
    """The device refuses user and password, and not only to ask for them."""

    needs = "spoken"
    id = "password-wrong"
    precedence = 410
    title = "The device refuses the user or the password"
    label = "password wrong"
    catalogue = "F32"
    row = "the password is wrong"
    remedy = (
        "Use the password that was set in MEBx or by an earlier provisioning. If nobody knows it, it has to "
        "be reset at the machine itself, as its maker describes."
    )
    source = (
        "RFC 7616: a 401 to credentials with a fresh nonce; Open AMT documentation on a password mismatch"
    )
    example = (("hello", 0), ("web", 1, (1, None, {"status": 401})))
    near_miss = (
        ("hello", 0),
        ("web", 1, (1, None, {"status": 401, "denial": "challenge", "auth": None, "user": None})),
    )

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A 401 to a request with credentials whose nonce was fresh, and no success of that user after it."""
        calls = list(calls_of(case))
        refused = [
            one
            for one in calls
            if one.exchange.denial in ("refused", "likely") and not one.exchange.digest_short
        ]
        if not refused:
            return
        last = refused[-1]
        user = last.exchange.user
        later = [one for one in calls if _is_next_try(one, last)]
        overcome = any(one.exchange.status == 200 for one in later)
        unseen = [one for one in later if one.exchange.status is None and "answer" in one.exchange.missing]
        certain = any(one.exchange.denial == "refused" for one in refused) and not unseen
        evidence = [frame for one in refused for frame in one.exchange.evidence]
        who = f"user {user}" if user else "the user"
        yield self.finding(
            case,
            f"The device, {last.link.ends.dst}, refuses {who} {times_tried(len(refused))}: it answers 401 to "
            f"credentials with a fresh nonce ({frames(evidence)}).{_open_end(unseen)}",
            evidence,
            f"http && {link_filter(last.link)}",
            times=[one.exchange.ts for one in refused],
            count=len(refused),
            overcome=overcome,
            severity="warning" if unseen else None,
            confidence=None if certain else "medium",
        )


def _is_next_try(one: Called, refused: Called) -> bool:
    """True for what the same user, or the same server in another's name, does after a refusal."""
    if one.exchange.ts <= refused.exchange.ts:
        return False
    named = one.exchange.auth is not None or "request" in one.exchange.missing
    same_user = one.exchange.user is not None and one.exchange.user == refused.exchange.user
    return same_user or (named and one.link.ends.src == refused.link.ends.src)


def _open_end(unseen: Sequence[Called]) -> str:
    if not unseen:
        return ""
    evidence = [frame for one in unseen for frame in one.exchange.evidence]
    return f" What the device answers to a later try ({frames(evidence)}) is not in this capture."


@rule
class CallFails(DeviceRule):
    """A call that provisions the device is answered with an error."""

    needs = "spoken"
    id = "call-fails"
    precedence = 420
    title = "The device refuses a call of the provisioning"
    label = "call fails"
    catalogue = "F53"
    row = "leftovers of an earlier setup make calls fail"
    remedy = (
        "Look up the error, mend what it names and provision again. Leftovers of an earlier setup (keys, "
        "certificates) make such calls fail: a full unprovision clears them."
    )
    source = "WS-Management faults and ReturnValue (PT_STATUS) of the answers; MeshCentral issue 3615"
    example = (("hello", 0), ("web", 1, (1, "SetMEBxPassword", {"value": 2054})))
    near_miss = (("hello", 0), ("web", 1, (1, "Get", {"value": None, "fault": "Sender"})))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A call that does more than read, answered with a fault, an error or a ReturnValue other than 0."""
        calls = [
            one
            for one in calls_of(case)
            if one.exchange.call is not None and one.exchange.call.method not in _READS
        ]
        failed = [one for one in calls if _failed(one.exchange)]
        if not failed:
            return
        last = failed[-1]
        assert last.exchange.call is not None
        method = last.exchange.call.method
        overcome = any(
            one.exchange.ts > last.exchange.ts
            and one.exchange.call is not None
            and one.exchange.call.method == method
            and one.exchange.succeeded
            for one in calls
        )
        evidence = [frame for one in failed for frame in one.exchange.evidence]
        names = dict.fromkeys(_named(one.exchange) for one in failed)
        yield self.finding(
            case,
            f"{'; '.join(names)} ({frames(evidence)}).",
            evidence,
            f"http && {link_filter(last.link)}",
            times=[one.exchange.ts for one in failed],
            count=len(failed),
            catalogue="F50" if method == "AddNextCertInChain" else None,
            remedy=_remedy(last.exchange),
            overcome=overcome,
        )


def _remedy(exchange: Exchange) -> str | None:
    """What a source says to do about the return value, where one says anything."""
    from amtdiag.protocols.web.return_values import remedy

    call, result = exchange.call, exchange.result
    if call is None or result is None:
        return None
    return remedy(call.service, call.method, result.return_value)


def _failed(exchange: Exchange) -> bool:
    result = exchange.result
    said = result is not None and (result.fault is not None or result.return_value not in (0, None))
    return said or (exchange.status is not None and exchange.status >= 400 and exchange.denial is None)


def _named(exchange: Exchange) -> str:
    assert exchange.call is not None
    call, result = exchange.call, exchange.result
    what = f"{call.service}.{call.method}" if call.service else f"{call.method}"
    if result is not None and result.fault is not None:
        why = " ".join(part for part in (result.fault, result.subcode, result.reason) if part)
        return f"{what} is answered with a fault: {why}"
    if result is not None and result.return_value:
        known = " ".join(part for part in (result.name, result.meaning and f"({result.meaning})") if part)
        return f"{what} returns {result.return_value}{f', {known}' if known else ''}"
    return f"{what} is answered with HTTP status {exchange.status}"


@rule
class EndsAfterPassword(DeviceRule):
    """The device closes the connection at the call that sets its password."""

    needs = "spoken"
    id = "ends-after-password"
    precedence = 440
    title = "The device ends the session when its password is set"
    label = "ends at password"
    catalogue = "F57"
    row = "the device ends the session right after the password was set"
    severity = "warning"
    basis = "inferred"
    confidence = "medium"
    remedy = "Connect again with the new password and go on to the commit: firmware from AMT 20 on does this."
    source = "rpc-go issue 1071"
    example = (("hello", 0), ("web", 1, (2, "SetMEBxPassword", {"status": None}), {"closed_by": "server"}))
    near_miss = (("hello", 0), ("web", 1, (2, "SetMEBxPassword"), {"closed_by": "server"}))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """SetMEBxPassword or SetAdminAclEntryEx as the last call of a session that the device then closes."""
        for link in (*case.returns, *case.visits):
            last = link.talk.exchanges[-1] if link.talk is not None and link.talk.exchanges else None
            if last is None or last.call is None or link.closed_by != "server":
                continue
            sets = last.call.method in ("SetMEBxPassword", "SetAdminAclEntryEx")
            if sets and not last.missing and last.status is None and link.last_ts - last.ts <= _SOON:
                yield self.finding(
                    case,
                    f"{link.ends.dst} closes the connection at {last.call.method}, without an answer "
                    f"({frames(last.evidence)}).",
                    last.evidence,
                    link_filter(link),
                    times=[last.ts],
                )
                return


def commits_of(case: DeviceEvidence) -> list[Called]:
    """The calls that committed the setup."""
    return [
        one
        for one in calls_of(case)
        if one.exchange.call is not None
        and one.exchange.call.method == "CommitChanges"
        and one.exchange.succeeded
    ]


@rule
class BrokenAfterCommit(DeviceRule):
    """After the commit no handshake with the device succeeds any more."""

    needs = "spoken"
    id = "broken-after-commit"
    precedence = 430
    title = "After the commit the device cannot shake hands any more"
    label = "broken by commit"
    catalogue = "F54"
    row = "after the commit the device cannot shake hands any more"
    basis = "inferred"
    confidence = "medium"
    remedy = (
        "The certificate or key that was loaded before the commit is likely at fault: do a full unprovision "
        "at the machine, and load a certificate that belongs to its key."
    )
    source = "Intel's AMT guide on device modes"
    example = (("hello", 0), ("web", 1, (1, "CommitChanges")), ("tls", 9, {"alert": 80}))
    near_miss = (*example, ("tls", 20, {"finished": True}))

    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A commit that succeeded, then handshakes that alerts end and none that is finished."""
        commits = commits_of(case)
        if not commits:
            return
        since = commits[-1].exchange.ts
        later = [
            link
            for link in (*case.returns, *case.visits)
            if since < link.ts <= since + _AFTER_COMMIT and link.tls
        ]
        broken = [link for link in later if link.tls is not None and link.tls.alert is not None]
        if broken and not any(link.tls is not None and link.tls.finished for link in later):
            alert = broken[-1].tls.alert if broken[-1].tls is not None else None
            many = "a handshake" if len(broken) == 1 else f"{len(broken)} handshakes"
            yield self.finding(
                case,
                f"CommitChanges succeeded ({frames(commits[-1].exchange.evidence)}). After it "
                f"{many} ended with alert {alert}, and none was finished "
                f"({frames(proof(broken))}).",
                [*commits[-1].exchange.evidence, *proof(broken)],
                link_filter(broken[-1]),
                times=[since, *(link.ts for link in broken)],
                count=len(broken),
            )
