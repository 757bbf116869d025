"""Rules about the list of root digests."""

from __future__ import annotations

from typing import Any

from helpers import (
    hello,
)

from amtdiag.config import Options
from amtdiag.rules.roots import RootNotListed, ZeroDigest
from rules.stories import (
    GOOD,
    digest,
    looked,
    unknown,
)

LOST: dict[str, Any] = {
    "complete": False,
    "problems": ("bytes 300-599 of the message are not in the capture",),
}


def test_a_list_that_is_not_whole_may_hold_the_root() -> None:
    assert "Example Root" in unknown(RootNotListed, [hello(**LOST)]).what


def test_without_a_root_of_ones_own_none_is_missed() -> None:
    assert looked(RootNotListed, [hello()], options=Options()) == []


def test_a_pid_without_a_list_is_no_list_without_the_root() -> None:
    assert looked(RootNotListed, [hello(pid="0000037M")]) == []


def test_the_latest_list_is_judged() -> None:
    assert looked(ZeroDigest, [hello(digests=[bytes(32)]), hello(60, digests=[digest(GOOD)])]) == []
