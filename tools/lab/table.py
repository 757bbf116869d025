"""The table of scenarios: each is a function that acts on a site, with a name and a story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tools.lab.site import Site

Act = Callable[[Site], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and what Wireshark has to see of it."""

    name: str
    story: str
    act: Act
    seconds: float
    """About how long it takes: the long ones are begun first."""
    shows: Mapping[str, int]
    """Display filter, after `server: ` for one sensor: how many frames it picks at least; 0 for none."""
    shifts: Mapping[str, float] = field(default_factory=dict)
    """By how many seconds the clock of a sensor is wrong."""


SCENARIOS: list[Scenario] = []
"""In the order in which they are defined, which gives each its number and its addresses."""


def scenario(
    name: str,
    story: str,
    shows: Mapping[str, int] | None = None,
    *,
    seconds: float = 10,
    shifts: Mapping[str, float] | None = None,
) -> Callable[[Act], Act]:
    """Enter a function into the table."""

    def enter(act: Act) -> Act:
        SCENARIOS.append(Scenario(name, story, act, seconds, shows or {}, shifts or {}))
        return act

    return enter
