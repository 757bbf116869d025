"""One run of simulated devices as data, and what it will do in words, before it does anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate, groupby
from typing import NamedTuple
from uuid import NAMESPACE_DNS, uuid5

from amtdiag.simulator.hosts import DEVICE_PORT, HELLO_PORT, SAMPLE_PID, SAMPLE_PPS, AmtHost
from amtdiag.simulator.lookup import server_name
from amtdiag.simulator.roots import MODERN, ListedRoot
from amtdiag.simulator.scenarios import Behaviour, Kind

PLAIN_PORT = 16992
HIGHEST_RETRY = 14
"""Of the retry counts that Intel's guide names."""
SCHEDULE: tuple[float, ...] = (*[60.0] * 5, *[300.0] * 12, *[3600.0] * 23)
"""Seconds between Hellos, as the product help of SCCM 2007 SP1 has it; Intel names no intervals."""
WINDOW = 6 * 3600.0
"""Seconds in which setup is possible, from the first Hello on: what OEMs usually set (Intel's guide)."""
STAY = 10.0
FIRMWARE: dict[Kind, str] = {"pki": "16.0.15.1735", "psk": "10.0.55.3000"}
FIRST_WITHOUT_PSK = 11
"""AMT 11.0 removed pre-shared keys (Intel's guide)."""
MAX_DEVICES = 1000
_TLS: tuple[tuple[int, tuple[str, str]], ...] = (
    (16, ("TLSv1_2", "TLSv1_2")),
    (12, ("TLSv1_1", "TLSv1_2")),
    (0, ("TLSv1", "TLSv1_1")),
)
"""By the first release: the oldest and newest TLS version (Intel's guide; up to 11, users' reports)."""
_SOLD_NO_MORE = ("Baltimore", "Cybertrust", "Verizon", "VeriSign")
"""CAs under whose roots no certificate is issued any more."""
_SUFFIX_IN_MEBX = "set-in-mebx.invalid"


class Card(NamedTuple):
    """One device."""

    uuid: str
    address: str
    """Of this machine: where its Hellos come from, and where it is called back."""
    pid: str = ""
    pps: str = ""


class SimulationPlan(NamedTuple):
    """All that a run goes by."""

    servers: tuple[str, ...]
    """Addresses; the first one gets the Hellos."""
    kind: Kind
    name: str
    """Of the scenario."""
    scenario: Behaviour
    cards: tuple[Card, ...]
    roots: tuple[ListedRoot, ...] = ()
    """What the devices list."""
    firmware: str = FIRMWARE["pki"]
    domain: str = ""
    dns: str = ""
    """Where to ask for the server; empty: nowhere."""
    hello_port: int = HELLO_PORT
    password: str | None = None
    """None: any will do."""
    plain: bool = False
    """Management without TLS too, on 16992."""
    interval: float | None = None
    """Seconds between Hellos, in place of the documented schedule."""
    hellos: int | None = None
    """Of each device at most."""
    window: float = WINDOW
    stay: float = STAY

    @property
    def release(self) -> int:
        """The first number of the firmware's version."""
        return int(self.firmware.split(".")[0])

    @property
    def versions(self) -> tuple[str, str]:
        """The oldest and the newest TLS version that a device speaks."""
        release = self.release
        usual = next(versions for first, versions in _TLS if release >= first)
        return self.scenario.versions or usual

    @property
    def suffix(self) -> str:
        """What the device holds a certificate's name against."""
        return _SUFFIX_IN_MEBX if self.scenario.other_suffix else self.domain

    @property
    def listed(self) -> tuple[ListedRoot, ...]:
        """The roots in the Hello."""
        if self.scenario.knows_roots:
            return self.roots
        return tuple(root for root in MODERN if root.name.startswith(_SOLD_NO_MORE))

    @property
    def waits(self) -> tuple[float, ...]:
        """Seconds to wait after each Hello but the last, as far as the window goes."""
        usual = SCHEDULE
        if self.interval is not None:
            usual = (self.interval,) * int(self.window / self.interval)
        within = [wait for wait, at in zip(usual, accumulate(usual), strict=True) if at <= self.window]
        return tuple(within if self.hellos is None else within[: self.hellos - 1])

    def message(self, card: Card) -> AmtHost:
        """What a device says in its Hello."""
        return AmtHost(
            name="",
            mac="",
            ip=card.address,
            uuid=card.uuid,
            pid=card.pid or None,
            roots=self.listed,
            admin_credentials=self.scenario.flag,
        )


def cards(
    count: int, addresses: tuple[str, ...], pairs: tuple[tuple[str, str], ...] = ()
) -> tuple[Card, ...]:
    """Devices over the addresses in turn. Their UUIDs are the same in each run: a server knows them again."""
    made = []
    for number in range(count):
        address = addresses[number % len(addresses)]
        pid, pps = pairs[number] if pairs else ("", "")
        made.append(Card(str(uuid5(NAMESPACE_DNS, f"{number}.{address}.device.amtdiag")), address, pid, pps))
    return tuple(made)


def sample_pair() -> tuple[str, str]:
    """The PID and PPS that Intel's guide prints: no secret."""
    return SAMPLE_PID, SAMPLE_PPS.decode("ascii")


# --------------------------------------------------------------------------------------------------- in words


def lines(plan: SimulationPlan) -> Iterator[str]:
    """Say what a run will do, a line a point."""
    yield from (f"{label:<10}{text}" for label, text in _points(plan))


def _points(plan: SimulationPlan) -> Iterator[tuple[str, str]]:
    server = plan.servers[0]
    yield "plays", f"{plan.name}: the device {plan.scenario.does}"
    shared = Counter(card.address for card in plan.cards)
    for address, count in shared.items():
        who = plan.cards[[card.address for card in plan.cards].index(address)].uuid
        more = f" and {count - 1:,} more" if count > 1 else ""
        yield "devices", f"{who}{more} on {address}, AMT {plan.firmware}"
    if any(count > 1 for count in shared.values()):
        yield "", "they share an address: a server that tells devices by it takes them for one, and a"
        yield "", "connection back reaches the one that said Hello last (--bind gives more addresses)"
    if plan.dns:
        yield "asks", f"{plan.dns} for {server_name(plan.domain)} before each Hello; if the answer is not"
        yield "", f"{' or '.join(plan.servers)}, no Hello is sent"
    what = f"PSK, PID {plan.cards[0].pid}" if plan.kind == "psk" else f"PKI, {len(plan.listed)} roots"
    yield "sends", f"Hellos ({what}) to {_place(server, plan.hello_port)} over TCP:"
    yield "", _rhythm(plan)
    for address in shared:
        yield "listens", _listens(plan, address)
    if plan.kind == "pki" and plan.scenario.door == "open":
        yield (
            "judges",
            f"the server's chain by AMT's rules, for the domain {plan.suffix or '(none: --domain)'}",
        )
    yield "ends", f"{_time(plan.window)} after the first Hello, or when no Hello is left to send and nothing"
    yield "", f"has happened for {_time(plan.stay)}, or with Ctrl-C"
    yield "never", "begins to talk to anyone else; keeps or changes anything on this machine"


def _listens(plan: SimulationPlan, address: str) -> str:
    doors = {
        "closed": f"not on {_place(address, DEVICE_PORT)}",
        "silent": f"on {_place(address, DEVICE_PORT)} (takes no connection)",
        "mute": f"on {_place(address, DEVICE_PORT)} (says nothing)",
        "hangs-up": f"on {_place(address, DEVICE_PORT)} (hangs up)",
    }
    versions = " to ".join(dict.fromkeys(_version(version) for version in plan.versions))
    protection = "pre-shared key" if plan.kind == "psk" else f"{versions}, asks for the server's chain"
    listens = doors.get(plan.scenario.door, f"on {_place(address, DEVICE_PORT)} ({protection})")
    plain = f", {_place(address, PLAIN_PORT)} (no TLS)" if plan.plain else ""
    return f"{listens}{plain}; on port 623/udp for presence pings"


def _version(name: str) -> str:
    number = name.removeprefix("TLSv").replace("_", ".")
    return f"TLS {number if '.' in number else number + '.0'}"


def _rhythm(plan: SimulationPlan) -> str:
    waits = plan.waits
    if not waits:
        return "one each" if len(plan.cards) > 1 else "one"
    parts = [f"{len(list(same))} x after {_time(wait)}" for wait, same in groupby(waits)]
    return f"now, then {', '.join(parts)}"


def _place(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 7200 else f"{seconds / 3600:g} h"
