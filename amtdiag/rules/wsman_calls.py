"""What the web conversation of a provisioning shows: passwords, calls that fail, what changed the mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import ConnectionEvent, Evidence, Exchange, Finding, Unknown
from amtdiag.rules.base import DeviceRule, address_filter, frames, proof, rule, times_tried, where
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

    @property
    def ts(self) -> int:
        """When it was asked, in ns."""
        return self.exchange.ts

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The frames of question and answer."""
        return self.exchange.evidence

    @property
    def method(self) -> str | None:
        """The method that it calls; None where it calls none, or that is not known."""
        return self.exchange.call.method if self.exchange.call is not None else None


def calls_of(device: DeviceEvidence) -> list[Called]:
    """Return all exchanges with the device's web server, in the order of the connections."""
    return [
        Called(link, exchange)
        for link in device.links
        if link.talk is not None
        for exchange in link.talk.exchanges
    ]


def link_filter(link: ConnectionEvent) -> str:
    """Return a display filter for a connection's port and both its ends."""
    return f"tcp.port=={link.ends.dport} && {address_filter(link.ends.src, link.ends.dst)}"


@rule
class PasswordWrong(DeviceRule):
    """The device refuses user and password, and not only to ask for them."""

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A 401 to a request with credentials whose nonce was fresh, and no success of that user after it."""
        calls = calls_of(device)
        refused = [
            call
            for call in calls
            if call.exchange.denial in ("refused", "likely") and not call.exchange.digest_short
        ]
        if not refused:
            return
        last = refused[-1]
        user = last.exchange.user
        later = [call for call in calls if _is_next_try(call, last)]
        overcome = any(call.exchange.status == 200 for call in later)
        unseen = [
            call for call in later if call.exchange.status is None and "answer" in call.exchange.missing
        ]
        certain = any(call.exchange.denial == "refused" for call in refused) and not unseen
        who = f"user {user}" if user else "the user"
        yield self.about(
            device,
            refused,
            f"The device, {last.link.ends.dst}, refuses {who} {times_tried(len(refused))}: it answers 401 to "
            f"credentials with a fresh nonce ({where(refused)}).{_open_end(unseen)}",
            f"http && {link_filter(last.link)}",
            overcome=overcome,
            severity="warning" if unseen else None,
            confidence=None if certain else "medium",
        )


def _is_next_try(call: Called, refused: Called) -> bool:
    """True for what the same user, or the same server in another's name, does after a refusal."""
    if call.exchange.ts <= refused.exchange.ts:
        return False
    named = call.exchange.auth is not None or "request" in call.exchange.missing
    same_user = call.exchange.user is not None and call.exchange.user == refused.exchange.user
    return same_user or (named and call.link.ends.src == refused.link.ends.src)


def _open_end(unseen: Sequence[Called]) -> str:
    if not unseen:
        return ""
    return f" What the device answers to a later try ({where(unseen)}) is not in this capture."


@rule
class CallFails(DeviceRule):
    """A call that provisions the device is answered with an error."""

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A call that does more than read, answered with a fault, an error or a ReturnValue other than 0."""
        calls = [call for call in calls_of(device) if call.method not in _READS]
        failed = [call for call in calls if _failed(call.exchange)]
        if not failed:
            return
        last = failed[-1]
        names = dict.fromkeys(_named(call.exchange) for call in failed)
        yield self.about(
            device,
            failed,
            f"{'; '.join(names)} ({where(failed)}).",
            f"http && {link_filter(last.link)}",
            catalogue="F50" if last.method == "AddNextCertInChain" else None,
            remedy=_remedy(last.exchange),
            overcome=any(
                call.ts > last.ts and call.method == last.method and call.exchange.succeeded for call in calls
            ),
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
    fails = result is not None and (result.fault is not None or result.return_value not in (0, None))
    return fails or (exchange.status is not None and exchange.status >= 400 and exchange.denial is None)


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

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """SetMEBxPassword or SetAdminAclEntryEx as the last call of a session that the device then closes."""
        for link in device.links:
            last = link.talk.exchanges[-1] if link.talk is not None and link.talk.exchanges else None
            if last is None or last.call is None or link.closed_by != "server":
                continue
            sets = last.call.method in ("SetMEBxPassword", "SetAdminAclEntryEx")
            if sets and not last.missing and last.status is None and link.last_ts - last.ts <= _SOON:
                yield self.finding(
                    device,
                    f"{link.ends.dst} closes the connection at {last.call.method}, without an answer "
                    f"({frames(last.evidence)}).",
                    last.evidence,
                    link_filter(link),
                    times=[last.ts],
                )
                return


def commits_of(device: DeviceEvidence) -> list[Called]:
    """The calls that committed the setup."""
    return [call for call in calls_of(device) if call.method == "CommitChanges" and call.exchange.succeeded]


@rule
class BrokenAfterCommit(DeviceRule):
    """After the commit no handshake with the device succeeds any more."""

    subject = staticmethod(calls_of)
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

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """A commit that succeeded, then handshakes that alerts end and none that is finished."""
        commits = commits_of(device)
        if not commits:
            return
        since = commits[-1].ts
        later = [link for link in device.links if since < link.ts <= since + _AFTER_COMMIT and link.tls]
        broken = [link for link in later if link.tls is not None and link.tls.alert is not None]
        if broken and not any(link.tls is not None and link.tls.finished for link in later):
            alert = broken[-1].tls.alert if broken[-1].tls is not None else None
            many = "a handshake" if len(broken) == 1 else f"{len(broken)} handshakes"
            yield self.finding(
                device,
                f"CommitChanges succeeded ({frames(commits[-1].evidence)}). After it "
                f"{many} ended with alert {alert}, and none was finished "
                f"({where(broken)}).",
                [*commits[-1].evidence, *proof(broken)],
                link_filter(broken[-1]),
                times=[since, *(link.ts for link in broken)],
                count=len(broken),
            )
