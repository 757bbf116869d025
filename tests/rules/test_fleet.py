"""Rules that compare devices."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import (
    SERVER,
    AnyEvent,
    back,
    hello,
    replace,
)

from amtdiag.config import Options
from amtdiag.model import (
    Finding,
    HelloEvent,
)
from amtdiag.rules import fleet
from rules.stories import (
    OWN,
    seen,
)


def device(number: int, **changes: Any) -> HelloEvent:
    return hello(
        number,
        **{
            "uuid": f"0000{number:04x}-13d4-1d18-e487-1c697a6b7a2b",
            "src": f"10.0.0.{number}",
            **changes,
        },
    )


def rules_of(*events: AnyEvent, options: Options = OWN) -> list[tuple[str, str | None]]:
    rules = (fleet.PidReused, fleet.UnexpectedServer, fleet.PskAmongPki, fleet.PkiAmongPsk)
    results = [one for rule in rules for one in seen(rule, *events, options=options)]
    return [(one.rule, one.device) for one in results if isinstance(one, Finding)]


def test_a_pid_of_two_devices() -> None:
    shared = [device(number, pid="0000037M") for number in (1, 2)]
    assert rules_of(*shared) == [("pid-reused", None)]
    assert rules_of(device(1, pid="0000037M"), device(1, pid="0000037M")) == []


def to_server(event: HelloEvent, server: str) -> HelloEvent:
    return replace(event, ends=replace(event.ends, dst=server))


@pytest.mark.parametrize(("others", "odd"), [(3, False), (4, True)])
def test_one_that_goes_to_another_server(others: int, odd: bool) -> None:
    hellos = [device(number) for number in range(1, others + 1)]
    stray = to_server(device(99), "10.6.6.6")
    expected = [("unexpected-server", f"uuid:{stray.hello.uuid}")] if odd else []
    assert rules_of(*hellos, stray) == expected
    assert rules_of(*hellos, stray, to_server(device(98), "10.6.6.6")) == [], (
        "two of them are a second server"
    )


def test_a_server_that_was_not_named() -> None:
    mine = Options(servers=frozenset({SERVER}))
    assert rules_of(device(1), options=mine) == []
    stray = to_server(device(99), "10.6.6.6")
    assert rules_of(device(1), stray, options=mine) == [("unexpected-server", f"uuid:{stray.hello.uuid}")]


@pytest.mark.parametrize(
    ("odd_one", "usual", "rule"),
    [("0000037M", None, "psk-among-pki"), (None, "0000037M", "pki-among-psk")],
)
def test_a_type_that_the_server_does_not_serve(odd_one: str | None, usual: str | None, rule: str) -> None:
    served: list[AnyEvent] = [device(1, pid=usual), back(2, "established", dst="10.0.0.1")]
    left = device(9, pid=odd_one)
    assert rules_of(*served, left) == [(rule, f"uuid:{left.hello.uuid}")]
    alike = rules_of(*served, device(9, pid=usual, digests=[b"\1" * 32]))
    assert alike == ([] if usual is None else [("pid-reused", None)])
    assert rules_of(left) == []
