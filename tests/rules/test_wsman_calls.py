"""Rules about the calls to a device's web server."""

from __future__ import annotations

from helpers import (
    hello,
)

from amtdiag.rules.wsman_calls import CallFails
from rules.stories import (
    exchange,
    found,
    web,
)


def test_a_return_value_that_a_source_explains_has_its_own_remedy() -> None:
    refused = exchange(1, "SetMEBxPassword", value=16)
    other = exchange(1, "SetMEBxPassword", value=2054)
    told = [found(CallFails, [hello(), web(1, one)]).remedy for one in (refused, other)]
    assert told[0].startswith("MEBx has a policy for this call")
    assert told[1] == CallFails.remedy
