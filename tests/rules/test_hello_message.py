"""Rules about the Hello itself."""

from __future__ import annotations

from itertools import permutations

import pytest
from helpers import (
    START,
    hello,
)

from amtdiag.rules import hello_message
from amtdiag.rules.base import DeviceRule
from amtdiag.rules.catalogue import DEVICE_RULES
from amtdiag.rules.hello_message import AdminCredentialsUnset, JunkUuid
from amtdiag.times import SECOND
from rules.stories import (
    found,
    told,
)


def test_every_hello_of_a_kind_is_counted() -> None:
    hellos = [hello(second, admin_credentials=second % 2) for second in range(9)]
    finding = found(AdminCredentialsUnset, hellos)
    assert finding.count == 5
    assert finding.last_ts == START + 8 * SECOND


@pytest.mark.parametrize(
    "rule",
    [rule for rule in DEVICE_RULES if issubclass(rule, hello_message._HelloRule) and rule is not JunkUuid],
    ids=lambda rule: rule.id,
)
def test_a_good_hello_hides_no_bad_one(rule: type[DeviceRule]) -> None:
    events = [*told(rule.near_miss).events, *told(rule.example).events, hello(60)]
    for order in permutations(events):
        assert found(rule, order).count == 1
