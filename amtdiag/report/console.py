"""Printing to a terminal, or to a file in its place."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType


class Command(Text):
    """A command to copy: printed in one line however long, so that no break gets into it."""


def print_parts(parts: Iterable[RenderableType], console: Console | None) -> None:
    """Print to a terminal as it comes; to a file or pipe without the blanks that fill lines up."""
    if console is not None or sys.stdout.isatty():
        console = console or Console(highlight=False)
        for part in parts:
            console.print(part, soft_wrap=isinstance(part, Command))
        return
    buffer = StringIO()
    plain = Console(highlight=False, file=buffer)
    for part in parts:
        plain.print(part, soft_wrap=isinstance(part, Command))
    for line in buffer.getvalue().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def indented(text: str, by: int = 2) -> Padding:
    """Return text that stands a little to the right, and wraps under itself."""
    return Padding(Text(text), (0, 0, 0, by), expand=False)
