"""tshark as one that opens what is encrypted, given the secrets."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from pathlib import Path

from amtdiag.capture.pcapng import Pcapng
from amtdiag.capture.window import Window
from amtdiag.config import Limits
from amtdiag.errors import MissingToolError

_PATIENCE = 600
"""Seconds that tshark may take."""
_PORT = 16993
_PROTOCOLS = ("frame", "raw", "ip", "tcp", "tls", "http")
"""All that it needs: the bytes are a stranger's, and what is not switched on cannot be attacked."""


class TsharkError(Exception):
    """tshark did not do its work; the text says why."""


def decrypt(capture: bytes, keylog: bytes, limits: Limits) -> list[bytes]:
    """Return the application data that the secrets open, each record as one exported PDU.

    `capture` is a pcap file, `keylog` lines as of SSLKEYLOGFILE. Both are handed over in files that only this
    user can read, and are removed. Raises `MissingToolError` where there is no tshark, `TsharkError` where it
    fails or takes too long.
    """
    program = shutil.which("tshark")
    if program is None:
        raise MissingToolError(
            "tshark is needed to decrypt, and is not installed (package tshark or wireshark)"
        )
    with tempfile.TemporaryDirectory(prefix="amtdiag-") as folder:
        source, secrets, target = (Path(folder, name) for name in ("in.pcap", "keys.log", "out.pcapng"))
        for path, content in ((source, capture), (secrets, keylog)):
            path.touch(0o600)
            path.write_bytes(content)
        words: list[str | Path] = [
            program,
            "-n",
            "-r",
            source,
            "-d",
            f"tcp.port=={_PORT},tls",
            "-d",
            f"tls.port=={_PORT},http",
        ]
        words += ["-o", f"tls.keylog_file:{secrets}", "-o", "tls.desegment_ssl_application_data:FALSE"]
        words += ["--disable-protocol", "ALL"]
        for name in _PROTOCOLS:
            words += ["--enable-protocol", name]
        words += ["-U", "OSI layer 7", "-w", target]
        try:
            done = subprocess.run(words, capture_output=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise TsharkError(f"tshark took longer than {_PATIENCE} s") from None
        except OSError as error:
            raise TsharkError(f"tshark does not start: {error.strerror}") from error
        if done.returncode or not target.exists():
            raise TsharkError(f"tshark gave up with status {done.returncode}")
        return _packets(target.read_bytes(), limits)


def _packets(pcapng: bytes, limits: Limits) -> list[bytes]:
    records = Pcapng(Window(io.BytesIO(pcapng)), limits).records()
    return [bytes(data[start:end]) for _, _, data, start, end, _ in records]
