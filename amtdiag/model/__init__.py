"""The records that travel through amtdiag: facts first, then what is concluded from them.

Events are facts that frames prove. Devices, findings and unknowns are conclusions; each says whether it was
observed or inferred. Times are nanoseconds since 1970 UTC, None where unknown.

All are named tuples, made in a seventh of the time of a frozen, slotted dataclass. Modules of records do
without `from __future__ import annotations`: with it, a record takes twice as long to define.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, NamedTuple

from amtdiag.model.evidence import Evidence as Evidence
from amtdiag.model.tls import Certificates as Certificates
from amtdiag.model.tls import HiddenAlert as HiddenAlert
from amtdiag.model.tls import Missing as Missing
from amtdiag.model.tls import TlsAlert as TlsAlert
from amtdiag.model.tls import TlsConversation as TlsConversation
from amtdiag.model.tls import TlsMessage as TlsMessage
from amtdiag.model.tls import TlsSide as TlsSide
from amtdiag.model.web import Apf as Apf
from amtdiag.model.web import Exchange as Exchange
from amtdiag.model.web import HttpConversation as HttpConversation
from amtdiag.model.web import Redirection as Redirection
from amtdiag.model.web import WebCall as WebCall
from amtdiag.model.web import WebResult as WebResult
from amtdiag.model.web import WebServer as WebServer

Basis = Literal["observed", "inferred", "none"]
Severity = Literal["info", "warning", "error", "critical"]
Category = Literal["provisioning", "security", "capture"]
Weight = Literal["decisive", "strong", "weak", "none"]
Confidence = Literal["high", "medium", "low"]
Mode = Literal["factory", "setup", "operational", "unknown"]
Stage = Literal[
    "discovery",
    "resolution",
    "connection",
    "hello",
    "connect_back",
    "tls",
    "authentication",
    "commit",
    "operational",
]
Outcome = Literal["established", "refused", "rejected", "unanswered", "reset", "partial"]
FAILED: frozenset[Outcome] = frozenset({"refused", "rejected", "unanswered"})
"""Outcomes of a connection that did not come about."""
ConnectionKind = Literal["connection", "connect_back", "console", "scanner", "presence", "other"]
"""connection: of a device to a Hello port. connect_back: of its server to an AMT port of it. console: of
another host to an AMT port of it. scanner: of a host that tries Hello ports at many servers. presence: of a
device to a management presence server. other: of a bystander, or such as a browser on the Hello port."""
State = Literal["stuck", "trouble", "unclear", "clear"]
"""stuck: something stops the device (`DeviceRecord.cause`). trouble: something is wrong that is not proven to
stop it (`DeviceRecord.doubt`). unclear: the capture cannot tell. clear: nothing in the capture stops it."""
STATES: tuple[State, ...] = ("stuck", "trouble", "unclear", "clear")
"""The gravest first."""
HelloType = Literal["psk", "pki", "unknown"]
_HELLO_TYPES: dict[int | None, HelloType] = {2: "psk", 3: "pki"}
"""By version."""

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error", "critical")
"""In rising order."""


def _html(record: object, function: str) -> str:
    """Return what a notebook shows of a record. By name: the report imports the records, not the reverse."""
    html: str = getattr(import_module("amtdiag.report.notebook.html"), function)(record)
    return html


class CaptureInfo(NamedTuple):
    """One capture file and how far it could be read."""

    file: str
    format: str
    bytes: int
    packets: int
    linktypes: tuple[str, ...]
    first_ts: int | None
    last_ts: int | None
    snaplen: int | None
    drops: int | None
    truncated: bool
    notes: tuple[str, ...]
    watched_until: int | None = None
    """When the capture was stopped, which on a quiet network is long after its last packet; None where the
    file does not say."""
    secrets: str = ""
    """TLS key logs that the file brings along. Taken out before anybody is shown this record."""


class Endpoints(NamedTuple):
    """Who opened a TCP connection, and to whom. Addresses are text, MACs ``aa:bb:...`` or None."""

    src: str
    sport: int
    dst: str
    dport: int
    src_mac: str | None
    dst_mac: str | None
    vlan: tuple[int, ...]
    community_id: str


class Crossing(NamedTuple):
    """A packet that one sensor saw and another, on its way, did not. Names are those of capture files."""

    what: str
    """SYN, or answer."""
    seen_in: str
    missing_in: str


class ConnectionEvent(NamedTuple):
    """One TCP connection, from its first packet to its last."""

    ts: int
    last_ts: int
    ends: Endpoints
    outcome: Outcome
    """established: answered; refused: a SYN was answered by RST; rejected: by an ICMP message; unanswered:
    SYNs only; reset: established and then reset; partial: its opening is not in the capture."""
    syns: int
    """SYN segments of the client, duplicated frames not counted."""
    client_bytes: int
    server_bytes: int
    closed_by: Literal["client", "server", "nobody"]
    """Who sent the first FIN or RST."""
    server_seen: bool
    """At least one segment of the server is in the capture."""
    evidence: tuple[Evidence, ...]
    """SYN, answer, end: the frames that prove the outcome."""
    foreign: str | None = None
    """On a Hello port: what came instead of a Hello."""
    isn: int | None = None
    """The client's first sequence number: with the ends, it tells a connection from all others."""
    answer_ts: int | None = None
    """When the SYN was answered by a SYN-ACK."""
    web: WebServer | None = None
    """On the plain AMT port: what the web server says of itself."""
    tls: TlsConversation | None = None
    """On a TLS port of the device: how far the handshake came; None where nothing of TLS is seen."""
    opened_by: str | None = None
    """Which secret of the analyst's opened it, in words: a key log, or the PPS of a PID."""
    rejection: str | None = None
    """Who rejected it, and why; see `outcome`."""
    crossing: Crossing | None = None
    """What two sensors show of its way."""
    talk: HttpConversation | None = None
    """What was asked and answered by HTTP, on the plain AMT port."""
    redirection: Redirection | None = None
    """On the plain redirection port: the session and who asked for it."""
    apf: Apf | None = None
    """To a presence server, in the clear, which a device does not do by itself."""
    kind: ConnectionKind = "other"
    """What it is for; "other" until it is given to a device."""
    owner: str | None = None
    """The device (id) that it is of, or to; None where it is no device's, or was not given to one yet."""


class Digest(NamedTuple):
    """A root certificate's digest from a Hello."""

    index: int  # type: ignore[assignment]
    """Its place in the list, from 0."""
    algorithm: str
    """sha1, sha256, sha384 ...; told by the length where code and length disagree."""
    algorithm_id: int
    value: bytes


class Hello(NamedTuple):
    """A Hello message as far as its bytes could be read; a field that could not be read is None."""

    version: int | None
    admin_credentials: int | None
    """The flag as sent: 0 not set, 1 set."""
    retry_count: int | None
    uuid: str | None
    pid: str | None
    """Safe to show; None in a Hello that has no PID."""
    pid_check_ok: bool | None
    digests: tuple[Digest, ...]
    """The whole ones only."""
    declared_digests: int | None
    trailing_bytes: int
    missing_bytes: int
    """Bytes that belong to the message and are not there; what is known of them."""
    complete: bool
    problems: tuple[str, ...]

    @property
    def type(self) -> HelloType:
        """Type 2 is a pre-shared key (psk), Type 3 remote configuration (pki)."""
        return _HELLO_TYPES.get(self.version, "unknown")

    def _repr_html_(self) -> str:
        """Show a Hello in a notebook."""
        return _html(self, "hello_html")


class HelloEvent(NamedTuple):
    """A Hello on the wire."""

    ts: int
    """Of the first frame that carries its bytes."""
    ends: Endpoints
    """`src` is the device."""
    evidence: tuple[Evidence, ...]
    """The frames that carry its bytes."""
    segments: int
    """TCP segments with new bytes of it."""
    hello: Hello


class DhcpEvent(NamedTuple):
    """One DHCP message, of either version. What it does not carry is None or empty."""

    ts: int
    mac: str
    """The client's, from chaddr or its DUID."""
    kind: str
    """discover, offer, request, ack, nak ...; for DHCPv6 the nearest of these."""
    address: str | None
    """The address that is given; in a request the one that is asked for."""
    server: str | None
    dns: tuple[str, ...]
    domain: str | None
    """Option 15; for DHCPv6 the first name of option 24."""
    host: str | None
    fqdn: str | None
    search: bool
    """A search list is there (option 119), which AMT is not known to use."""
    wanted: frozenset[int]
    whole: bool
    """All of it is in the capture: an option that is not here was not sent."""
    evidence: tuple[Evidence, ...]
    version: Literal[4, 6] = 4
    xid: int = 0
    """Transaction: a message that is sent again has the same."""
    owner: str | None = None
    """The device (id) that is the client; None where that is no device, or was not given to one yet."""


class LookupEvent(NamedTuple):
    """One DNS question, with the answer if it came."""

    ts: int
    client: str
    server: str
    name: str
    type: str
    queries: int
    """How often it was asked."""
    rcode: str | None
    """None where no answer was seen, or not enough of it to tell."""
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    other_addresses: tuple[str, ...]
    """Of a second answer that says something else."""
    evidence: tuple[Evidence, ...]
    rejection: str | None = None
    """Who says by ICMP that the question could not be delivered, and why."""
    port: int = 0
    """The client's UDP port; 0 where it is not known, or TCP was spoken."""
    owner: str | None = None
    """The device (id) that asks; None where that is no device, or was not given to one yet."""


class PongEvent(NamedTuple):
    """A device's answer to an RMCP presence ping: the plain statement of its mode."""

    ts: int
    device: str
    asker: str
    mode: Mode
    version: str | None
    port: int | None
    evidence: tuple[Evidence, ...]
    owner: str | None = None
    """The device (id) that answers; None where it was not given to one."""


class PingEvent(NamedTuple):
    """An RMCP presence ping."""

    ts: int
    asker: str
    target: str
    evidence: tuple[Evidence, ...]


class Sighting(NamedTuple):
    """ARP: a MAC says that it has an address."""

    ts: int
    mac: str
    address: str
    evidence: tuple[Evidence, ...]


class UnansweredArp(NamedTuple):
    """Somebody asks by ARP who has an address, again and again, and nobody answers."""

    ts: int
    last_ts: int
    asker: str
    target: str
    requests: int
    evidence: tuple[Evidence, ...]


class RejectionEvent(NamedTuple):
    """ICMP: a packet could not be delivered."""

    ts: int
    reporter: str
    """The router or host that says so."""
    reason: str
    transport: str
    """tcp or udp; the rest is of the packet that could not be delivered."""
    src: str
    sport: int
    dst: str
    dport: int
    evidence: tuple[Evidence, ...]


class JudgedDigest(NamedTuple):
    """A digest and what the catalogue of built-in roots says of it."""

    digest: Digest
    name: str | None
    verdict: str
    """The first of `verdicts`, or `ok`."""
    verdicts: tuple[str, ...]
    """All that hold, gravest first; see `amtdiag.trust.verdicts`."""


class Judgement(NamedTuple):
    """What a list of digests is worth. Devices of one firmware share theirs."""

    digests: tuple[JudgedDigest, ...]
    by_verdict: Mapping[str, tuple[JudgedDigest, ...]]
    """The digests that a verdict stands beside; verdicts of none are not there."""
    consistent_with: str | None
    """The AMT releases that the list fits, in words; None where it points nowhere."""


class HelloRecord(NamedTuple):
    """A Hello, whose it is, and what its digests are worth."""

    event: HelloEvent
    device: str
    judgement: Judgement

    @property
    def digests(self) -> tuple[JudgedDigest, ...]:
        """The digests of its list, each with its verdicts."""
        return self.judgement.digests

    def _repr_html_(self) -> str:
        """Show a Hello of a capture in a notebook."""
        return _html(self, "record_html")


class ModeSpan(NamedTuple):
    """A mode that a device was in from `since` on."""

    name: Mode
    basis: Basis
    weight: Weight
    since: int | None
    reason: str
    evidence: tuple[Evidence, ...]


class StageReached(NamedTuple):
    """A stage of provisioning that was attempted."""

    name: Stage
    at: int
    basis: Basis
    passed: bool | None
    """None while that is open or cannot be told."""
    evidence: tuple[Evidence, ...]
    detail: str = ""
    """What happened, in a few words that are safe to show."""


class KnownSchedule(NamedTuple):
    """How often devices say Hello, as somebody documents it."""

    documented_by: str
    text: str
    fits: bool | None
    """The measured gaps are like a part of it; None where there are too few."""


class Candidate(NamedTuple):
    """One possible cause, and what would decide for or against it."""

    cause: str
    would_decide: str


class Finding(NamedTuple):
    """A judgement about one device, or about the capture where `device` is None."""

    id: str
    rule: str
    catalogue: str | None
    category: Category
    severity: Severity
    device: str | None
    basis: Basis
    confidence: Confidence
    count: int  # type: ignore[assignment]
    first_ts: int | None
    last_ts: int | None
    summary: str
    remedy: str
    evidence: tuple[Evidence, ...]
    display_filter: str
    candidates: tuple[Candidate, ...] = ()
    overcome: bool = False
    """A later attempt got through: history, not a verdict."""

    def _repr_html_(self) -> str:
        """Show a finding in a notebook."""
        return _html(self, "finding_html")


class DeviceRecord(NamedTuple):
    """One device over the whole capture."""

    id: str
    aliases: tuple[str, ...]
    uuid: str | None
    macs: tuple[str, ...]
    ips: tuple[str, ...]
    hello_type: HelloType | None
    retry_counts: tuple[int, ...]
    gaps: tuple[int, ...]
    """Nanoseconds between one Hello and the next."""
    hellos: int
    first_seen: int
    last_seen: int
    mode: ModeSpan
    modes: tuple[ModeSpan, ...]
    stage: Stage
    stages: tuple[StageReached, ...]
    visibility: Mapping[str, bool]
    """Per lane: whether this capture shows it for this device."""
    suffix: str | None
    server: str | None
    firmware: str | None
    """What the digest list is consistent with, or what a pong says; the text tells which."""
    hints: tuple[str, ...] = ()
    """What the UUID seems to say of the board; never a fact."""
    schedules: tuple[KnownSchedule, ...] = ()
    """Documented schedules beside the measured `gaps`; empty where there are no gaps."""
    is_amt: bool = True
    """False for a machine that nothing shows to have AMT: listed because its lease has a fault."""
    state: State = "clear"
    """How it fares; as `amtdiag.rules.outcome` decides it, once, when all findings are known."""
    cause: Finding | None = None
    """What stops it; None where nothing is proven to."""
    doubt: Finding | None = None
    """The first trouble that is not proven to stop it; None where there is none."""


class Unknown(NamedTuple):
    """What this capture cannot tell, and what would."""

    what: str
    why: str
    device: str | None
    would_decide: str


class OwnRoot(NamedTuple):
    """Which devices carry the digest of the caller's root certificate (ids)."""

    name: str
    carried_by: tuple[str, ...]
    not_by: tuple[str, ...]
    unknown: tuple[str, ...]
    """No whole digest list of theirs is in the capture."""


class Diagnosis(NamedTuple):
    """All that one run found out. `amtdiag.Analysis` shows it."""

    captures: tuple[CaptureInfo, ...]
    hellos: tuple[HelloRecord, ...]
    connections: tuple[ConnectionEvent, ...]
    dhcp: tuple[DhcpEvent, ...]
    lookups: tuple[LookupEvent, ...]
    """DNS questions for a provisioning server."""
    pongs: tuple[PongEvent, ...]
    devices: tuple[DeviceRecord, ...]
    findings: tuple[Finding, ...]
    """Likeliest cause first."""
    unknowns: tuple[Unknown, ...]
    notes: tuple[str, ...]
    """About the run as a whole: inputs left out, limits hit."""
    problems: tuple[str, ...]
    """Named inputs that could not be read."""
    tool: Mapping[str, object]
    own_root: OwnRoot | None = None
    """None where the caller gave no certificate."""
