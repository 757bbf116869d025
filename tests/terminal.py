"""A terminal that a test looks at: a pseudo-terminal, and pyte to know what stands on it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pyte
from wire import FAR, Wire

_PATIENCE = 60.0


class Terminal:
    """One that a program runs in."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int, size: tuple[int, int]) -> None:
        self.process = process
        self.fd = fd
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def read(self, seconds: float) -> bool:
        """Take what comes within a time; False where there is nothing."""
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 65_536)
        except OSError:  # the end of a terminal
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def wait_for(self, words: str) -> None:
        end = time.monotonic() + _PATIENCE
        while words not in self.text:
            assert time.monotonic() < end, f"not there: {words}\n{self.text}"
            self.read(0.1)

    def end(self) -> int:
        """Take all that comes until the program has ended; return its exit code."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self.read(0.1)
        while self.read(0):
            pass
        return self.process.returncode


@contextmanager
def on_terminal(
    wire: Wire, *words: str, size: tuple[int, int] = (80, 24), env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """Run `amtdiag live` at the far end of a wire, with all three streams a terminal."""
    with program_on_terminal(
        wire.command(sys.executable, "-m", "amtdiag", "live", "-i", FAR, *words), size=size, env=env
    ) as one:
        yield one


@contextmanager
def program_on_terminal(
    words: Sequence[str], *, size: tuple[int, int] = (80, 24), env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    # pytest-xdist sets the size of its own terminal for its workers.
    here = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**here, "TERM": "xterm-256color", **(env or {})},
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours, size)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        os.close(ours)
