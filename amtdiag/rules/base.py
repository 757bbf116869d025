"""What a rule is: its standing text, and a look at one device or at all that was seen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol, TypedDict, TypeVar, Unpack

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
    Evidence,
    Finding,
    Severity,
    Unknown,
)
from amtdiag.rules.preconditions import Mark
from amtdiag.sessions.event_log import EventLog

MOST_EVIDENCE = 8


if TYPE_CHECKING:  # each takes longer to make than a dozen rules

    class Details(TypedDict, total=False):
        """What a finding says that its rule does not; what is not given, or None, is the rule's own."""

        times: Sequence[int]
        """When it happened, in ns; the first and the last are kept."""
        count: int
        severity: Severity | None
        catalogue: str | None
        confidence: Confidence | None
        basis: Basis | None
        remedy: str | None
        candidates: tuple[Candidate, ...]
        overcome: bool

    class _Shown(Protocol):
        @property
        def evidence(self) -> tuple[Evidence, ...]: ...


Story = tuple[tuple[object, ...], ...]
"""What a device and its servers do, as plain values: one tuple an event.

An event is its name, its time in seconds, what its name asks for, and a dict of what else differs from the
usual: `("hello", 0)`, `("back", 1, "refused", {"dport": 16992})`. `tests/rules/stories.py` lists the names
and makes events of them, `tests/scenarios/stories.py` packets.
"""


class Rule(ABC):
    """The standing text of a rule, and how its findings are made."""

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
        evidence: Sequence[Evidence],
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
            evidence=tuple(dict.fromkeys(evidence))[:MOST_EVIDENCE],
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

    needs: ClassVar[Mark | Literal[""]] = ""
    """The mark without which there is nothing to look at in a case; empty where the rule always looks."""
    option: ClassVar[Literal["", "root_digests", "chain"]] = ""
    """The option of the caller's without which the rule has nothing to say."""

    @abstractmethod
    def look(self, case: DeviceEvidence) -> Iterator[Finding | Unknown]:
        """Yield what the rule finds at one device, or what it would need to see to tell."""

    def finding(
        self,
        case: DeviceEvidence,
        summary: str,
        evidence: Sequence[Evidence],
        display_filter: str,
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding about a device. Of a machine that nothing shows to have AMT all is conjecture."""
        if case.prospect:
            details |= {"severity": "warning", "basis": "inferred", "confidence": "low"}
        return self._make(case.id, case.id, (summary, display_filter), evidence, details)


class FleetEvidence(NamedTuple):
    """All that a run shows: what rules about several devices, or about none, look at."""

    cases: Sequence[DeviceEvidence]
    events: EventLog
    captures: Sequence[CaptureInfo]
    strays: Sequence[ConnectionEvent]
    """Connections to Hello ports that carried something else, or came from no device."""
    scanners: frozenset[str]
    """Addresses that try Hello ports at many servers."""


class FleetRule(Rule):
    """A rule about several devices, about strangers, or about the capture."""

    @abstractmethod
    def look(self, scene: FleetEvidence) -> Iterator[Finding | Unknown]:
        """Yield what the rule finds in all that was seen."""

    def finding(
        self,
        subject: str,
        summary: str,
        evidence: Sequence[Evidence],
        display_filter: str,
        device: str | None = None,
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding about `subject`, which tells it from others of the rule."""
        return self._make(subject, device, (summary, display_filter), evidence, details)


def proof(events: Iterable[_Shown]) -> list[Evidence]:
    """Return the frames that show these events."""
    return [frame for event in events for frame in event.evidence]


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
    return " && ".join(f"{'ipv6' if ':' in one else 'ip'}.addr=={one}" for one in addresses)


def discovery_filter(case: DeviceEvidence) -> str:
    """Return a display filter for what a device does before its Hello; by its MAC where that is known."""
    if case.macs:
        return f"eth.addr=={case.macs[0]} && (dhcp || dns || arp)"
    return (
        f"(dhcp || dns || arp) && {address_filter(case.device.ips[-1])}" if case.device.ips else "dhcp || dns"
    )


def frames(evidence: Sequence[Evidence], most: int = 5) -> str:
    """Name frames in a sentence: `frame 20`, `frames 25, 27, 29 ...`, with their files where these differ."""
    shown: dict[str, list[str]] = {}
    for one in evidence[:most]:
        shown.setdefault(one.file, []).append(str(one.frame))
    several = len({one.file for one in evidence}) > 1
    named = ", ".join(
        f"{', '.join(numbers)} of {file}" if several else ", ".join(numbers)
        for file, numbers in shown.items()
    )
    more = " ..." if len(evidence) > most else ""
    return f"frame {named}" if len(evidence) == 1 else f"frames {named}{more}"
