"""What a rule is: its standing text, and a look at one device or at all that was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypedDict, TypeVar, Unpack

from amtdiag.config import Options
from amtdiag.devices.evidence import DeviceEvidence
from amtdiag.model import (
    Basis,
    Candidate,
    CaptureInfo,
    Category,
    Confidence,
    ConnectionEvent,
    Crossing,
    Endpoints,
    Evidence,
    Finding,
    Severity,
    Unknown,
)
from amtdiag.sessions.event_log import EventLog

MAX_EVIDENCE = 8
"""Frames that a finding names."""

if TYPE_CHECKING:  # each takes longer to make than a dozen rules

    class Details(TypedDict, total=False):
        """What a finding says that its rule does not; what is not given, or None, is the rule's own."""

        times: Sequence[int]
        """When it happened, in ns; the first and the last are kept."""
        count: int
        """How many events it speaks of; 1 where it is not given."""
        severity: Severity | None
        catalogue: str | None
        confidence: Confidence | None
        basis: Basis | None
        remedy: str | None
        candidates: tuple[Candidate, ...]
        overcome: bool
        """The trouble passed: a later attempt succeeded."""

    class _Dated(Protocol):
        @property
        def ts(self) -> int: ...
        @property
        def evidence(self) -> tuple[Evidence, ...]: ...


Story = tuple[tuple[object, ...], ...]
"""What a device and its servers do, as plain values: one tuple an event.

An event is its name, its time in seconds, what its name asks for, and a dict of what else differs from the
usual: `("hello", 0)`, `("back", 1, "refused", {"dport": 16992})`. `tests/rules/stories.py` lists the names
and makes events of them, `tests/scenarios/stories.py` packets.
"""


class Rule:
    """The standing text of a rule, and how its findings are made.

    No ABC: to find out which of a hundred rules are its subclasses takes longer than to import them all.
    """

    id: ClassVar[str]
    """Stable name of the rule, as it stands in reports."""
    precedence: ClassVar[int]
    """What stops a device first has the lowest: in this order rules are listed, and findings of one severity
    about as many devices. No two rules share one; leave a gap to the neighbours."""
    title: ClassVar[str]
    label: ClassVar[str] = ""
    """The cause in a word or two, for a table that names the stage beside it."""
    catalogue: ClassVar[str | None] = None
    """Row of the failure catalogue; None where the rule belongs to none."""
    row: ClassVar[str] = ""
    """What that row says; empty where another rule of the row says it."""
    other_rows: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Rows that only some findings of the rule name, and what they say."""
    category: ClassVar[Category] = "provisioning"
    severity: ClassVar[Severity] = "error"
    confidence: ClassVar[Confidence] = "high"
    basis: ClassVar[Basis] = "observed"
    remedy: ClassVar[str]
    source: ClassVar[str]
    """Where the rule comes from."""
    example: ClassVar[Story]
    """What it has to speak of."""
    near_miss: ClassVar[Story]
    """What looks much like it and is no fault."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def _make(
        self,
        subject: str,
        device: str | None,
        text: tuple[str, str],
        shown: Sequence[Evidence],
        details: Details,
    ) -> Finding:
        """Return a finding; what is not given is the rule's own. One that was overcome is a warning."""
        summary, display_filter = text
        times = details.get("times", ())
        overcome = details.get("overcome", False)
        return Finding(
            id=f"{self.id}/{subject}",
            rule=self.id,
            catalogue=details.get("catalogue") or self.catalogue,
            category=self.category,
            severity="warning" if overcome else details.get("severity") or self.severity,
            device=device,
            basis=details.get("basis") or self.basis,
            confidence=details.get("confidence") or self.confidence,
            count=details.get("count", 1),
            first_ts=min(times, default=None),
            last_ts=max(times, default=None),
            summary=summary,
            remedy=details.get("remedy") or self.remedy,
            evidence=tuple(dict.fromkeys(shown))[:MAX_EVIDENCE],
            display_filter=display_filter,
            candidates=details.get("candidates", ()),
            overcome=overcome,
        )


_Rule = TypeVar("_Rule", bound=type[Rule])
registered: dict[str, type[Rule]] = {}
"""All rules by their id, in the order in which their modules were imported."""
_precedences: dict[int, str] = {}


def rule(defined: _Rule) -> _Rule:
    """Register a rule, which makes it part of every run.

    Raises ValueError where its id or its precedence is that of another rule.
    """
    owner = defined.id if defined.id in registered else _precedences.get(defined.precedence)
    if owner is not None:
        raise ValueError(f"{defined.id} has the id or the precedence ({defined.precedence}) of {owner}")
    registered[defined.id] = defined
    _precedences[defined.precedence] = defined.id
    return defined


class DeviceRule(Rule):
    """A rule about one device. Subclasses say what it means once, and look for it in `look`."""

    subject: ClassVar[Any] = "id"
    """What the rule is about: a field of `DeviceEvidence`, or a static function that finds it. Where that is
    empty or None the rule is passed over. Of a device it is asked once, for all rules that name the same."""
    option: ClassVar[Literal["", "root_digests", "chain"]] = ""
    """The option of the caller's without which the rule has nothing to say."""

    def examine(self, device: DeviceEvidence, _subject: Any) -> Iterator[Finding | Unknown]:
        """Look at a device whose subject is found already, for rules that would only find it again."""
        return self.look(device)

    def look(self, device: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Yield what the rule finds at one device, or what it would need to see to tell."""
        raise NotImplementedError

    def finding(
        self,
        device: DeviceEvidence,
        summary: str,
        shown: Sequence[Evidence],
        display_filter: str,
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding about a device. Of a machine that nothing shows to have AMT all is conjecture."""
        if device.prospect:
            details |= {"severity": "warning", "basis": "inferred", "confidence": "low"}
        return self._make(device.id, device.id, (summary, display_filter), shown, details)

    def about(
        self,
        device: DeviceEvidence,
        events: Sequence[_Dated],
        summary: str,
        display_filter: str,
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding about events of a device: their frames, times and number."""
        details.setdefault("times", [event.ts for event in events])
        details.setdefault("count", len(events))
        return self.finding(device, summary, proof(events), display_filter, **details)


class Picking(Protocol):
    """A rule about those events of a kind that it picks."""

    id: str

    @staticmethod
    def picks(event: Any, /) -> bool:
        """Tell whether the rule is about this event."""
        ...


def picked_by(
    members: Iterable[Picking], events: Callable[[DeviceEvidence], Iterable[Any]]
) -> Callable[[DeviceEvidence], dict[str, list[Any]]]:
    """Return the subject of rules that go through the same events: those that each picks, by its id."""

    def subject(device: DeviceEvidence) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for event in events(device):
            for member in members:
                if member.picks(event):
                    found.setdefault(member.id, []).append(event)
        return found

    return subject


class FleetEvidence(NamedTuple):
    """All that a run shows: what rules about several devices, or about none, look at."""

    cases: Sequence[DeviceEvidence]
    """Every device, with what was seen of it."""
    events: EventLog
    """All events, whosoever they are."""
    captures: Sequence[CaptureInfo]
    """The files that were read."""
    strays: Sequence[ConnectionEvent]
    """Connections to Hello ports that carried something else, or came from no device."""
    scanners: frozenset[str]
    """Addresses that try Hello ports at many servers."""


class FleetRule(Rule):
    """A rule about several devices, about strangers, or about the capture."""

    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Yield what the rule finds in all that was seen."""
        raise NotImplementedError

    def finding(
        self,
        subject: str,
        summary: str,
        shown: Sequence[Evidence],
        display_filter: str,
        device: str | None = None,
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding about `subject`, which tells it from others of the rule."""
        return self._make(subject, device, (summary, display_filter), shown, details)


def proof(events: Iterable[_Dated]) -> list[Evidence]:
    """Return the frames that show these events."""
    return [frame for event in events for frame in event.evidence]


def where(events: Iterable[_Dated]) -> str:
    """Name the frames that show these events, in a sentence."""
    return frames(proof(events))


def times_tried(count: int) -> str:
    """Return how often, in words: once, twice, 5 times."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def lost_between(crossing: Crossing | None) -> str:
    """Return the sentence that says what got lost between two sensors; nothing where that is not known."""
    if crossing is None:
        return ""
    return (
        f" The {crossing.what} is in {crossing.seen_in} and not in {crossing.missing_in}, which was "
        "capturing at that time: it was lost between the two."
    )


def address_filter(*addresses: str) -> str:
    """Return a Wireshark display filter for packets that have all of these addresses."""
    return " && ".join(f"{'ipv6' if ':' in address else 'ip'}.addr=={address}" for address in addresses)


def flow_filter(ends: Endpoints) -> str:
    """Return a display filter for packets of a device to or from the port that it connects to."""
    return f"tcp.port=={ends.dport} && {address_filter(ends.src)}"


def discovery_filter(device: DeviceEvidence) -> str:
    """Return a display filter for what a device does before its Hello; by its MAC where that is known."""
    if device.macs:
        return f"eth.addr=={device.macs[0]} && (dhcp || dns || arp)"
    ips = device.device.ips
    return f"(dhcp || dns || arp) && {address_filter(ips[-1])}" if ips else "dhcp || dns"


def frames(shown: Sequence[Evidence], limit: int = 5) -> str:
    """Name frames in a sentence: `frame 20`, `frames 25, 27, 29 ...`, with their files where these differ."""
    by_file: dict[str, list[str]] = {}
    for frame in shown[:limit]:
        by_file.setdefault(frame.file, []).append(str(frame.frame))
    several = len({frame.file for frame in shown}) > 1
    named = ", ".join(
        f"{', '.join(numbers)} of {file}" if several else ", ".join(numbers)
        for file, numbers in by_file.items()
    )
    more = " ..." if len(shown) > limit else ""
    return f"frame {named}" if len(shown) == 1 else f"frames {named}{more}"
