"""tshark as one that opens what is encrypted, given the secrets; and where it is."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from amtdiag.capture.files.buffer import ReadBuffer
from amtdiag.capture.files.pcapng import Pcapng
from amtdiag.config import Limits
from amtdiag.errors import MissingToolError

_PATIENCE = 600
"""Seconds that tshark may take."""
_PORT = 16993
_SOURCE, _SECRETS = "in.pcap", "keys.log"
_PROTOCOLS = ("frame", "raw", "ip", "tcp", "tls", "http")
"""All that it needs: the bytes are a stranger's, and what is not switched on cannot be attacked."""


_ELSEWHERE = {
    "win32": tuple(
        f"{folder}\\Wireshark\\tshark.exe"
        for key in ("ProgramFiles", "ProgramW6432")
        if (folder := os.environ.get(key))
    ),
    "darwin": ("/Applications/Wireshark.app/Contents/MacOS/tshark",),
}
"""Where its installers put it without telling the search path."""


def find_tshark() -> str | None:
    """Return the path of tshark, None where there is none."""
    found = shutil.which("tshark")
    return found or next(filter(os.path.isfile, _ELSEWHERE.get(sys.platform, ())), None)


class TsharkError(Exception):
    """tshark did not do its work; the text says why."""


class DecryptedRow(NamedTuple):
    """What the handshake messages and alerts in one frame say, once decrypted."""

    frame: int
    """In the capture that was handed over, from 1."""
    messages: tuple[int, ...]
    """Kinds of its handshake messages."""
    certificates: tuple[bytes, ...]
    """DER, in their order."""
    alerts: tuple[int, ...]


class Decrypter:
    """A capture and the secrets for it, to be asked what they open.

    The capture is a pcap file, the key log lines as of SSLKEYLOGFILE. Both are handed over in files that only
    this user can read, and are removed. What is asked raises `MissingToolError` where there is no tshark, and
    `TsharkError` where it fails or takes too long.
    """

    def __init__(self, capture: bytes, key_log: bytes, limits: Limits) -> None:
        self._capture = capture
        self._key_log = key_log
        self._limits = limits

    def data(self) -> list[bytes]:
        """Return the application data, each record as one exported PDU."""
        with self._handed_over() as folder:
            target = folder / "out.pcapng"
            self._run(folder, "-U", "OSI layer 7", "-w", target)
            if not target.exists():
                raise TsharkError("tshark wrote nothing")
            records = Pcapng(ReadBuffer(io.BytesIO(target.read_bytes())), self._limits).records()
            return [bytes(data[start:end]) for _, _, data, start, end, _ in records]

    def handshakes(self) -> list[DecryptedRow]:
        """Return the handshake messages and alerts, frame by frame."""
        fields = ("frame.number", "tls.handshake.type", "tls.handshake.certificate", "tls.alert_message.desc")
        words = [word for field in fields for word in ("-e", field)]
        with self._handed_over() as folder:
            lines = self._run(folder, "-T", "fields", *words, "-E", "occurrence=a").splitlines()
        return list(filter(None, map(_row, lines)))

    @contextmanager
    def _handed_over(self) -> Iterator[Path]:
        """A folder that holds both, for the time being."""
        with tempfile.TemporaryDirectory(prefix="amtdiag-") as name:
            folder = Path(name)
            for path, content in ((_SOURCE, self._capture), (_SECRETS, self._key_log)):
                (folder / path).touch(0o600)
                (folder / path).write_bytes(content)
            yield folder

    def _run(self, folder: Path, *output: str | Path) -> str:
        program = find_tshark()
        if program is None:
            raise MissingToolError(
                "tshark is needed to decrypt, and is not installed (package tshark or wireshark)"
            )
        words: list[str | Path] = [program, "-n", "-r", folder / _SOURCE]
        words += ["-d", f"tcp.port=={_PORT},tls", "-d", f"tls.port=={_PORT},http"]
        words += ["-o", f"tls.keylog_file:{folder / _SECRETS}"]
        words += ["-o", "tls.desegment_ssl_application_data:FALSE", "--disable-protocol", "ALL"]
        for name in _PROTOCOLS:
            words += ["--enable-protocol", name]
        try:
            done = subprocess.run([*words, *output], capture_output=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            raise TsharkError(f"tshark took longer than {_PATIENCE} s") from None
        except OSError as error:
            raise TsharkError(f"tshark does not start: {error.strerror}") from error
        if done.returncode:
            raise TsharkError(f"tshark gave up with status {done.returncode}")
        return done.stdout.decode("ascii", "replace")


def _row(line: str) -> DecryptedRow | None:
    """Read a line of fields; None where it is none, or says nothing."""
    cells = [[part for part in cell.split(",") if part] for cell in line.split("\t")]
    try:
        (frame,), kinds, certificates, alerts = cells
        found = DecryptedRow(
            int(frame),
            tuple(map(int, kinds)),
            tuple(bytes.fromhex(certificate.replace(":", "")) for certificate in certificates),
            tuple(map(int, alerts)),
        )
    except ValueError:
        return None
    return found if found.messages or found.alerts else None
