"""Events and evidence of the stories that stand in the rules as plain data, and what rules say of them.

The first words of a story's tuples, the time in seconds after `START` always next:

hello           a Hello; uuid, src, dst, mac, pid, digests, retry_count, ...; device=N: one of a fleet;
                cut_by="sender" or "capture": it is not whole
link OUTCOME    a connection of the device to the Hello port, or to the port that it names
back OUTCOME    a connection of the server to the device
odd             an attempt of the device at a port of its server where no Hello is expected
tls             a connection back with TLS: chain (of `amtdiag.simulator.chains`), alert, by, finished, ...
web (...)       a connection back to port 16992, and its calls: (seconds, method or None, fields)
lookup ADDRESS  a DNS question for the provisioning server, and the addresses in its answer
lease KIND      a DHCP message, an acknowledgement unless it says otherwise
pong MODE, ping TARGET, arp ADDRESS, unanswered-arp TARGET
until           when the capture ends, 600 unless it says otherwise
drops           how many packets the capturing program lost; in the place of the time

Addresses may be `server`, `device` and `other`; digests hex, names of built-in roots, or `the sample root`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from helpers import (
    DEVICE,
    FILE,
    MAC,
    OTHER_MAC,
    OTHER_UUID,
    SERVER,
    START,
    AnyEvent,
    back,
    capture,
    case_of,
    followed,
    hello,
    lease,
    link,
    lookup,
    odd,
    ping,
    pong,
    replace,
    scene_of,
    sighting,
    vain,
)

from amtdiag.config import Options
from amtdiag.model import (
    CaptureInfo,
    Certificates,
    ConnectionEvent,
    Evidence,
    Exchange,
    Finding,
    HelloEvent,
    HttpConversation,
    TlsConversation,
    TlsMessage,
    Unknown,
    WebCall,
    WebResult,
    WebServer,
)
from amtdiag.rules.base import DeviceRule, FleetEvidence, FleetRule, Rule, Story
from amtdiag.simulator import chains
from amtdiag.simulator.certificates import SERVER_AUTH, SETUP_OID, Identity, Wish, authority, certify
from amtdiag.times import SECOND
from amtdiag.trust.catalogue import roots

ELSEWHERE = "192.168.2.149"
HOSTS = {"server": SERVER, "device": DEVICE, "other": ELSEWHERE}
MACS = {"device": MAC, "other": OTHER_MAC}
SUFFIX = "example.com"
"""What DHCP gives the devices of these tests."""
FRAMES = (Evidence(FILE, 80),)
GOOD, WEAK = "DigiCert Global Root G2", "Go Daddy Class 2 Certification Authority"
OWN_ROOT = b"\xaa" * 32
OWN = Options(root_name="Example Root", root_digests=frozenset({OWN_ROOT}))
_CUT = {
    "sender": ("the message is cut by the sender: 60 of 841 bytes reach",),
    "capture": ("bytes 300-599 of the message are not in the capture",),
}


@cache
def own_chain() -> Options:
    """A caller whose chain is for setup.example.com, below the samples' root."""
    leaf = certify(Wish("setup.example.com", usages=(SERVER_AUTH, SETUP_OID)), authority())
    return Options(chain=(leaf.der, authority().der), chain_name="setup.example.com")


def options_for(rule: type[Rule]) -> Options:
    """What the caller has to give for the rule to speak."""
    if issubclass(rule, DeviceRule) and rule.option:
        return OWN if rule.option == "root_digests" else own_chain()
    return Options()


def digest(name: str) -> bytes:
    """A digest by its hex, or by the root that it is of."""
    if name == "the sample root":
        return hashlib.sha256(authority().der).digest()
    known = {root.name: root.sha256 for root in roots()}
    return bytes.fromhex(known.get(name, name))


@cache
def ders(chain: str) -> tuple[bytes, ...]:
    """The certificates of a chain in `amtdiag.simulator.chains`, in their order."""
    if chain == "none":
        return ()
    made: Identity = getattr(chains, chain)(SUFFIX)
    return tuple(one.public_bytes(Encoding.DER) for one in load_pem_x509_certificates(made.chain))


# --------------------------------------------------------------------------------------------- events by word


def _hello(after: float, *, cut_by: str = "", dst: str = SERVER, **fields: Any) -> HelloEvent:
    if "device" in fields:
        number = fields.pop("device")
        fields = {
            "uuid": f"0000{number:04x}-13d4-1d18-e487-1c697a6b7a2b",
            "src": f"10.0.0.{number}",
            **fields,
        }
    if fields.get("uuid") == "other":
        fields["uuid"] = OTHER_UUID
    if "digests" in fields:
        fields["digests"] = [digest(name) for name in fields["digests"]]
    if cut_by:
        fields |= {"complete": False, "problems": _CUT[cut_by]}
    event = hello(after, **fields)
    return replace(event, ends=replace(event.ends, dst=dst))


def exchange(after: float, method: str | None = None, status: int | None = 200, **fields: Any) -> Exchange:
    """A request with credentials of `admin`, and its answer; with a method, a call that returns 0."""
    ts = START + round(after * SECOND)
    call = result = None
    if method is not None:
        call = WebCall("wsman", "AMT_SetupAndConfigurationService", method, None, None, (), None)
        if status == 200:
            result = WebResult(fields.pop("value", 0), None, None, fields.pop("fault", None), None, None)
    usual = {
        "ts": ts, "answered": None if status is None else ts, "evidence": (Evidence(FILE, 70),),
        "method": "POST", "path": "/wsman", "auth": "Digest", "user": "admin", "digest_short": False,
        "status": status,
        "server_version": None, "content_type": None, "offered": (), "realm": None,
        "denial": "refused" if status == 401 else None, "call": call, "result": result, "missing": (),
        "problems": (),
    }  # fmt: skip
    return Exchange(**{**usual, **fields})


def web(after: float, *exchanges: Exchange, **fields: Any) -> ConnectionEvent:
    """A conversation with the device's web server."""
    talk = HttpConversation(WebServer("11.8.50", 200), exchanges, (), 0)
    usual = {"dport": 16992, "client_bytes": 900, "server_bytes": 900, "talk": talk, "lasts": 1.0}
    return back(after, "established", **{**usual, **fields})


def tls(after: float, conversation: TlsConversation | None, **fields: Any) -> ConnectionEvent:
    """A conversation on the device's TLS port."""
    usual = {"client_bytes": 517, "server_bytes": 900, "closed_by": "server", "lasts": 1.0}
    return back(after, "established", tls=conversation, **{**usual, **fields})


def _tls(
    after: float, *, chain: str = "", alert: int | None = None, by: str = "server", **fields: Any
) -> ConnectionEvent:
    usual: dict[str, Any] = {"finished": False, "version": 0x0303, "alert": alert}
    usual["alert_by"] = None if alert is None else by
    usual["messages"] = (TlsMessage("client", "ClientHello", START, FRAMES),)
    if chain:
        usual["client_chain"] = Certificates(ders(chain), True, FRAMES)
    return tls(after, TlsConversation(**{**usual, **fields}))


def _web(after: float, *calls: tuple[Any, ...], version: str | None = None, **fields: Any) -> ConnectionEvent:
    exchanges = [exchange(*positional, **named) for positional, named in map(_split, calls)]
    if version is not None:
        fields["web"] = WebServer(version, 200)
    return web(after, *exchanges, **fields)


def _arp(after: float, host: str = "device") -> AnyEvent:
    mac = MACS.get(host, OTHER_MAC)
    return sighting(after, mac, HOSTS.get(host, host))


WORDS: dict[str, Callable[..., AnyEvent]] = {
    "hello": _hello,
    "link": link,
    "back": back,
    "odd": odd,
    "tls": _tls,
    "web": _web,
    "lookup": lambda after, *addresses, **fields: lookup(after, *map(_host, addresses), **fields),
    "lease": lease,
    "pong": pong,
    "ping": ping,
    "arp": _arp,
    "unanswered-arp": lambda after, target, **fields: vain(after, _host(target), **fields),
}


def _host(name: str) -> str:
    return HOSTS.get(name, name)


def _split(words: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Take the dict at the end of a tuple apart; addresses and MACs in it by their names."""
    if not words or not isinstance(words[-1], dict):
        return words, {}
    named: dict[str, Any] = dict(words[-1])
    for key in {"src", "dst", "mac", "address", "client", "asker", "server"} & set(named):
        named[key] = (MACS if key == "mac" else HOSTS).get(named[key], named[key])
    return words[:-1], named


@dataclass
class Told:
    """The events of a story, and the capture that it is in."""

    events: list[AnyEvent] = field(default_factory=list)
    until: float = 600
    drops: int | None = None

    @property
    def captures(self) -> list[CaptureInfo]:
        return [capture(self.until, drops=self.drops)]

    @property
    def evidence(self) -> FleetEvidence:
        """All that a run shows of it."""
        return scene_of(*self.events, captures=self.captures)


def told(story: Story) -> Told:
    """Make the events of a story."""
    made = Told()
    for word, *rest in story:
        assert isinstance(word, str)
        if word in ("until", "drops"):
            setattr(made, word, rest[0])
        else:
            positional, named = _split(tuple(rest))
            made.events.append(WORDS[word](*positional, **named))
    return made


# -------------------------------------------------------------------------------------------- what rules say


def said(rule: type[Rule], story: Story) -> list[Finding | Unknown]:
    """What a rule says of all that a story tells."""
    evidence, made = told(story).evidence, rule(options_for(rule))
    if isinstance(made, FleetRule):
        return list(made.look(evidence))
    assert isinstance(made, DeviceRule)
    return [result for case in evidence.cases for result in made.look(case)]


def looked(
    rule: type[DeviceRule], events: Iterable[AnyEvent], until: float = 600, options: Options = OWN
) -> list[Finding | Unknown]:
    """What one rule says of one device."""
    return list(rule(options).look(case_of(events, until)))


def found(
    rule: type[DeviceRule], events: Iterable[AnyEvent], until: float = 600, options: Options = OWN
) -> Finding:
    """The one finding of a rule."""
    (finding,) = looked(rule, events, until, options)
    assert isinstance(finding, Finding)
    return finding


def unknown(
    rule: type[DeviceRule], events: Iterable[AnyEvent], until: float = 600, options: Options = OWN
) -> Unknown:
    """The one thing that a rule cannot tell."""
    (result,) = looked(rule, events, until, options)
    assert isinstance(result, Unknown)
    return result


def seen(
    rule: type[FleetRule],
    *events: AnyEvent,
    options: Options = OWN,
    captures: Iterable[CaptureInfo] = (),
) -> list[Finding | Unknown]:
    """What a rule says of all that was seen."""
    return list(rule(options).look(scene_of(*events, captures=list(captures))))


def each_device(rule: type[DeviceRule], *events: AnyEvent) -> list[list[Finding | Unknown]]:
    """What a rule says of each of several devices."""
    return [list(rule(OWN).look(case)) for case in followed(*events).cases]
