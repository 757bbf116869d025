"""Whose each event is: what the quick way of setting an owner rests on."""

from __future__ import annotations

import pytest

from amtdiag.model import ConnectionEvent, DhcpEvent, LookupEvent, PongEvent


@pytest.mark.parametrize("record", [ConnectionEvent, DhcpEvent, LookupEvent, PongEvent])
def test_the_owner_is_the_last_field(record: type[tuple[object, ...]]) -> None:
    """`assign` puts it behind all others; a field that is added later goes in front of it."""
    fields = record._fields  # type: ignore[attr-defined]
    assert fields[-1] == "owner"
    if record is ConnectionEvent:
        assert fields[-2] == "kind"
