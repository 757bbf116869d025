"""`amtdiag simulate device` against a small server in network namespaces, watched by `amtdiag live`.

All devices of the table are played at one time on one network, each on a machine of its own. What was played
is known beforehand, and the analysis has to say it: of the live run, and of the file that it kept.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ssl import TLSVersion
from typing import Any, NamedTuple

import pytest
from flaws import DOMAIN, Chains
from helpers import run as command
from making import Made
from office import SERVER, Office, Serving, office
from wire import inside, packets_of

from amtdiag.simulator import plan as plans
from amtdiag.simulator.roots import MODERN, ListedRoot
from amtdiag.simulator.run import Outcome, Run, SimulatorEvent
from amtdiag.simulator.scenarios import SCENARIOS, Expected, Kind

# -------------------------------------------------------------------------------------------------- the table


class Row(NamedTuple):
    """One device, what the server does to it, and what the analysis must say."""

    expected: Expected
    scenario: str = "success"
    kind: Kind = "pki"
    chain: Callable[[Chains], Sequence[Made]] | None = Chains.good
    serving: Serving = Serving()
    domain: str = DOMAIN
    hellos: int = 1
    port: int = 9971
    provisioned: bool = False
    unheard: bool = False
    """No Hello of it arrives."""


def _finds(*rules: str, stage: str = "tls", mode: str | None = "setup") -> Expected:
    return Expected(frozenset(rules), stage, mode)


PLAIN = Serving(port=16992)
DONE = {"broken-after-commit", "cut-hello", "no-admin-password", "split-hello", "starts-over"}
"""Scenarios at whose end the device is provisioned."""


def _row(name: str) -> Row:
    """What the table of scenarios says of a device before a server that is right."""
    one = SCENARIOS[name]
    serving = PLAIN if one.needs_plain else Serving()
    serving = serving._replace(
        times=2 if name in ("wrong-password", "hangs-up") else 1,
        first=3 if name == "starts-over" else 1,
        tls_then=name == "broken-after-commit",
    )
    hellos = serving.first
    return Row(
        one.expected, name, one.kind or "pki", serving=serving, hellos=hellos, provisioned=name in DONE
    )


ROWS: dict[str, Row] = {
    **{name: _row(name) for name in SCENARIOS},
    # A presence ping at the end tells the mode for certain.
    "success": Row(
        _finds(stage="operational", mode="operational"), serving=Serving(pings=True), provisioned=True
    ),
    "success, OU": Row(_finds(), chain=Chains.by_unit, provisioned=True),
    "success, PSK": Row(
        _finds(stage="operational", mode="operational"),
        kind="psk",
        serving=Serving(pings=True),
        provisioned=True,
    ),
    "success, plain": Row(
        _finds(stage="operational", mode="operational"), kind="psk", serving=PLAIN, provisioned=True
    ),
    "foreign root": Row(_finds("chain-root-not-listed"), chain=Chains.of_foreign_root),
    "another domain": Row(_finds("certificate-domain"), chain=Chains.of_another_domain),
    "web certificate": Row(_finds("certificate-usage"), chain=Chains.for_the_web),
    "no server authentication": Row(_finds("certificate-server-auth"), chain=Chains.without_server_auth),
    "expired": Row(_finds("certificate-dates"), chain=Chains.expired),
    "small key": Row(_finds("chain-small-key"), chain=Chains.small_key),
    "disordered": Row(_finds("chain-out-of-order"), chain=Chains.disordered),
    "leaf only": Row(_finds("chain-not-whole"), chain=Chains.leaf_only),
    "namesake": Row(_finds("chain-signature", "chain-root-not-listed"), chain=Chains.of_a_namesake),
    "no certificate": Row(_finds("no-client-certificate"), chain=None),
    "server of TLS 1.1": Row(_finds("tls-version"), serving=Serving(newest=TLSVersion.TLSv1_1)),
    "server without PSK": Row(_finds("psk-not-offered"), kind="psk"),
    "no record": Row(
        _finds("no-server-record", stage="resolution", mode=None), domain="elsewhere.example", unheard=True
    ),
    "record of another server": Row(
        _finds(stage="resolution", mode=None), domain="astray.example", unheard=True
    ),
    "nothing listens": Row(
        _finds("server-refuses-hello", stage="connection", mode=None), port=9972, unheard=True
    ),
}
ROWS["old-tls"] = ROWS["old-tls"]._replace(serving=Serving(oldest=TLSVersion.TLSv1_2))


class Player:
    """Plays one row."""

    def __init__(self, there: Office, row: Row, chains: Chains, folder: Path) -> None:
        self.row = row
        self.namespace, self.address = there.machine()
        self.said: list[SimulatorEvent] = []
        self.outcome: Outcome | None = None
        scenario = SCENARIOS[row.scenario]
        pair = plans.sample_pair()
        self.plan = plans.SimulationPlan(
            servers=(SERVER,),
            kind=row.kind,
            name=row.scenario,
            scenario=scenario,
            cards=plans.cards(1, (self.address,), (pair,) if row.kind == "psk" else ()),
            roots=(*MODERN[:4], _listed(chains.root)),
            firmware=plans.FIRMWARE[row.kind],
            domain=row.domain,
            dns=SERVER,
            hello_port=row.port,
            plain=row.serving.port == 16992,
            interval=1.0,
            hellos=row.hellos,
            window=30.0,
            stay=5.0 if scenario.door in ("silent", "mute") else 2.0,
        )
        serving = row.serving
        if row.kind == "psk" and row.expected.findings != {"psk-not-offered"}:
            serving = serving._replace(pair=pair)
        elif row.chain is not None:
            file = folder / f"{self.address}.pem"
            shown = row.chain(chains)
            file.write_bytes(shown[0].key_pem + b"".join(one.pem for one in shown))
            serving = serving._replace(identity=file)
        there.server.serving[self.address] = serving

    @property
    def lists_own_root(self) -> bool:
        """True where its Hello shows a digest that no catalogue can name, which is rightly reported."""
        whole = sum(self.plan.scenario.hello_parts) == 1 and self.outcome is not None and self.outcome.hellos
        return self.row.kind == "pki" and self.plan.scenario.knows_roots and bool(whole)

    @property
    def uuid(self) -> str:
        return self.plan.cards[0].uuid

    def play(self) -> None:
        with inside(self.namespace), Run(self.plan, self.said.append) as one:
            self.outcome = one.play(lambda: False)


def _listed(root: Made) -> ListedRoot:
    return ListedRoot("office", hashlib.sha1(root.der).hexdigest(), hashlib.sha256(root.der).hexdigest())


Analysis = dict[str, list[dict[str, Any]]]
"""The lines of a report, by their kind."""


def analysis(lines: list[dict[str, Any]]) -> Analysis:
    """The report that ends a run, without what was said meanwhile."""
    found: Analysis = {}
    for line in lines:
        if "timestamp" not in line:
            found.setdefault(line["event_type"], []).append(line)
    return found


class Played(NamedTuple):
    """What was played, and what came of it."""

    players: dict[str, Player]
    live: Analysis
    kept: Analysis
    """The same capture, read from the file."""
    packets: list[bytes]


@pytest.mark.needs("ip", "dnsmasq", "udhcpc", "openssl")
def test_the_live_analysis_says_what_was_played(tmp_path: Path) -> None:
    # One test: the workers of pytest-xdist would each play all of it again.
    before = set(threading.enumerate())
    with office(tmp_path) as there:
        played = play(there, tmp_path)
    assert not [one for one in threading.enumerate() if one not in before and one.is_alive()]
    assert {name: said(played, one) for name, one in played.players.items()} == {
        name: wanted(one) for name, one in played.players.items()
    }
    the_file_that_was_kept_says_the_same(played)
    the_evidence_is_about_the_device(played)


def play(there: Office, folder: Path) -> Played:
    """Play all devices at one time."""
    file = folder / "kept.pcapng"
    with (
        there.watched("-w", str(file), "--fail-on", "never") as live,
        ThreadPoolExecutor(len(ROWS)) as pool,
    ):
        chains = Chains()
        made = pool.map(lambda row: Player(there, row, chains, folder), ROWS.values())
        players = dict(zip(ROWS, made, strict=True))
        for done in [pool.submit(one.play) for one in players.values()]:
            done.result()
        there.server.wait()
        code, lines = live.end()
    assert code == 0
    kept = command("analyze", "--jsonl", "--fail-on", "never", file).text.splitlines()
    print({name: (players[name].said, there.server.results.get(players[name].address)) for name in ROWS})
    return Played(players, analysis(lines), analysis([json.loads(one) for one in kept]), packets_of(file))


class Story(NamedTuple):
    """What is told of one device."""

    findings: set[str]
    stage: str
    mode: str | None
    hellos: int
    provisioned: int


def wanted(player: Player) -> Story:
    """What was played."""
    row = player.row
    own_root = {"unknown-digest"} if player.lists_own_root else set()
    hellos = 0 if row.unheard else row.hellos
    expected = row.expected
    return Story(set(expected.findings) | own_root, expected.stage, expected.mode, hellos, row.provisioned)


def said(played: Played, player: Player) -> Story:
    """What the live analysis says; whether it was provisioned, and what it sent, the device itself."""
    device = device_of(played.live, player)
    findings = findings_of(played.live, device)
    assert player.outcome is not None
    assert device["hellos"] == player.outcome.hellos
    mode = None if player.row.expected.mode is None else device["mode"]["name"]
    rules = {one["rule"] for one in findings if one["severity"] != "info"}
    return Story(rules, device["stage"], mode, player.outcome.hellos, player.outcome.provisioned)


def device_of(analysed: Analysis, player: Player) -> dict[str, Any]:
    """The device by its UUID, or where it never said Hello by its address."""
    found = [one for one in analysed["device"] if player.uuid == one["uuid"]]
    found = found or [one for one in analysed["device"] if player.address in one["ips"]]
    assert len(found) == 1, player.row
    device: dict[str, Any] = found[0]
    return device


def findings_of(analysed: Analysis, device: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in analysed["finding"] if one["device"] == device["id"]]


def the_file_that_was_kept_says_the_same(played: Played) -> None:
    kinds = {"device", "finding", "unknown", "connection", "dhcp", "dns"}
    assert kinds <= set(played.live)
    for kind in sorted(kinds):
        assert played.live[kind] == played.kept[kind], kind
    assert len(played.live["device"]) == len(ROWS)


def the_evidence_is_about_the_device(played: Played) -> None:
    """Each frame that a finding points at has the device's address in it."""
    for player in played.players.values():
        for finding in findings_of(played.live, device_of(played.live, player)):
            frames = [place["frame"] for place in finding["evidence"]]
            assert frames
            for frame in frames:
                assert socket.inet_aton(player.address) in played.packets[frame - 1], (finding["rule"], frame)
