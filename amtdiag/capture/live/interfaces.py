"""Interfaces opened by name, with what captures on the system at hand."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amtdiag.capture.live.source import LiveSource
    from amtdiag.capture.prefilter.interest import Interest


def open_source(
    interfaces: Sequence[str], wanted: Interest, *, any_port: bool, promiscuous: bool, narrowed: str
) -> LiveSource:
    """Open interfaces on whichever system this is; `narrowed` is a filter as of pcap-filter(7), or empty.

    Raises `MissingToolError` where a right or a library is missing, `InputError` where there is no such
    interface, `UsageError` where the filter is none.
    """
    if sys.platform != "linux":
        from amtdiag.capture.live.scapy_source import ScapySource

        return ScapySource(interfaces, wanted, any_port=any_port, narrowed=narrowed)
    from amtdiag.capture.live.af_packet import Sniffer

    return Sniffer(interfaces, wanted, any_port=any_port, promiscuous=promiscuous, narrowed=narrowed)
