"""What HTTP conversations with a device show."""

from __future__ import annotations

from typing import NamedTuple


class WebServer(NamedTuple):
    """What a device's HTTP answers say of it. Text is safe to show."""

    version: str | None
    """From `Server: Intel(R) Active Management Technology 11.8.50.3425`."""
    status: int
    """Of the first answer; 401 asks for a password."""
