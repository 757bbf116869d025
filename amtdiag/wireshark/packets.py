"""The packets that prove something, as Wireshark dissects them: by pyshark, else by tshark itself.

pyshark 0.6 runs an event loop of its own, which fails inside a loop that runs already, as in Jupyter: it gets
a thread and a loop for itself. Its JSON (EK) mode takes a twentieth of the time of its XML.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from amtdiag.capture.decryptor import find_tshark
from amtdiag.errors import InputError, MissingToolError, UsageError
from amtdiag.model import Diagnosis, Evidence
from amtdiag.safetext import plain
from amtdiag.wireshark.dissector import NAME, lua_source

MAX_PACKETS = 1000
_TIMEOUT = 600
"""Seconds that tshark may take for a file."""
_FIRST_WITHOUT_PYSHARK = (3, 14)
_NUMBERS = (
    "flag", "version", "retry", "digests", "digest_index", "digest_algorithm_id", "digest_length", "missing",
    "trailing", "segment", "later",
)  # fmt: skip
_BYTES = ("digest_value", "rest")
_TYPES: dict[str, str] = {
    **{f"intelamt_intelamt_{name}": "integer" for name in _NUMBERS},
    **{f"intelamt_intelamt_{name}": "byte" for name in _BYTES},
}
"""Of our fields, in the words of Elasticsearch: pyshark asks tshark for them, which then loads no Lua."""


class Layer(SimpleNamespace):
    """One protocol of a packet. Fields are attributes: ``packet.intelamt.uuid``, ``packet.tcp.srcport``.

    A field that occurs several times is a list. Numbers and bytes of `intelamt` come as such, all else as the
    text that tshark gives.
    """

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field; dots may stand for the underscores of its name."""
        return getattr(self, name.replace(".", "_"), default)


class Packet:
    """A packet as tshark dissects it; its layers are attributes, as those of a packet of pyshark.

    What tshark calls the layer `frame` is `frame_info`, as there.
    """

    def __init__(self, layers: dict[str, Any]) -> None:
        """`layers` are those of tshark's JSON (EK)."""
        self.layers: list[Layer] = []
        """Outermost first; a protocol that occurs several times has several."""
        for name, found in layers.items():
            for fields in found if isinstance(found, list) else [found]:
                if isinstance(fields, dict):
                    named = {_short(name, key): _cast(key, value) for key, value in fields.items()}
                    self.layers.append(Layer(layer_name="frame_info" if name == "frame" else name, **named))

    @property
    def number(self) -> int:
        """Its frame number."""
        return int(self.frame_info.number)

    def __contains__(self, name: object) -> bool:
        return any(layer.layer_name == name for layer in self.layers)

    def __getattr__(self, name: str) -> Layer:
        for layer in self.__dict__.get("layers", ()):
            if layer.layer_name == name:
                return cast("Layer", layer)
        raise AttributeError(f"no layer {name!r} in this packet")

    def __repr__(self) -> str:
        return f"<packet {self.number}: {' '.join(layer.layer_name for layer in self.layers)}>"


def _short(layer: str, key: str) -> str:
    """Return ``uuid`` of ``intelamt_intelamt_uuid``."""
    return key.removeprefix(f"{layer}_").removeprefix(f"{layer}_")


def _cast(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_cast(key, member) for member in value]
    kind = _TYPES.get(key)
    try:
        if kind == "integer":
            return int(value)
        return bytes.fromhex(value.replace(":", "")) if kind == "byte" else value
    except (AttributeError, TypeError, ValueError):
        return value


# ----------------------------------------------------------------------------------------------- which frames


class FileFrames(NamedTuple):
    """Frames of one file that are to be read."""

    file: str
    """As it was named when it was read."""
    frames: tuple[int, ...]
    """Their numbers, from 1, in rising order."""


def evidence_of(
    diagnosis: Diagnosis,
    device: str | None,
    finding: str | None,
    frames: Iterable[int | tuple[str, int]] | None,
) -> list[FileFrames]:
    """Return the frames that are meant, file by file, at most `MAX_PACKETS` of them.

    `device` is an id, `finding` the id of a finding or of a rule. Raises `UsageError` where there is no such.
    """
    places = set(_places(diagnosis, device, finding))
    if frames is not None:
        named = {_place(diagnosis, frame) for frame in frames}
        places = named if device is None and finding is None else places & named
    order = {capture.file: number for number, capture in enumerate(diagnosis.captures)}
    listed = sorted(places, key=lambda place: (order.get(place.file, len(order)), place))
    if len(listed) > MAX_PACKETS:
        _warn(f"{len(listed):,} frames are meant: these are the first {MAX_PACKETS:,}")
    found: dict[str, list[int]] = {}
    for place in listed[:MAX_PACKETS]:
        found.setdefault(place.file, []).append(place.frame)
    return [FileFrames(file, tuple(numbers)) for file, numbers in found.items()]


def _places(diagnosis: Diagnosis, device: str | None, finding: str | None) -> Iterator[Evidence]:
    findings = [
        found
        for found in diagnosis.findings
        if (device is None or found.device == device)
        and (finding is None or finding in (found.id, found.rule))
    ]
    if finding is not None and not findings:
        raise UsageError(f"no finding here that '{plain(finding, 80)}' names; .findings lists them")
    for found in findings:
        yield from found.evidence
    if finding is not None:
        return
    for record in diagnosis.devices:
        if device in (None, record.id):
            for mode in record.modes:
                yield from mode.evidence
            for stage in record.stages:
                yield from stage.evidence
    for hello in diagnosis.hellos:
        if device in (None, hello.device):
            yield from hello.event.evidence


def _place(diagnosis: Diagnosis, frame: int | tuple[str, int]) -> Evidence:
    if isinstance(frame, tuple):
        return Evidence(*frame)
    if len(diagnosis.captures) != 1:
        raise UsageError("several files were read: name a frame as a pair (file, number)")
    return Evidence(diagnosis.captures[0].file, int(frame))


# ------------------------------------------------------------------------------------------------ how to read


def read_packets(wanted: Sequence[FileFrames]) -> list[Any]:
    """Return the packets of these frames, in their order.

    Raises `MissingToolError` where there is no tshark, `InputError` where it cannot read a file.
    """
    program = find_tshark()
    if program is None:
        raise MissingToolError(f"tshark dissects packets, and is not installed: {_how_to_install()}")
    why = _why_not_pyshark()
    if why:
        _warn(f"{why}: these packets are read by tshark directly, as amtdiag's own simple objects")
    read = _by_tshark if why else _by_pyshark
    found: list[Any] = []
    with _dissector() as script:
        for part in wanted:
            if not Path(part.file).exists():
                raise InputError(f"{part.file}: not there (any more): its packets cannot be read once more")
            found += read(program, script, part)
    return found


def _why_not_pyshark() -> str | None:
    if sys.version_info >= _FIRST_WITHOUT_PYSHARK:
        version = ".".join(map(str, sys.version_info[:2]))
        return f"Python {version} is too new for pyshark, which runs on 3.13 and older"
    if find_spec("pyshark") is None:
        return "pyshark is not installed (pip install 'amtdiag[wireshark]')"
    return None


def _how_to_install() -> str:
    return {
        "darwin": "brew install --cask wireshark",
        "win32": "winget install WiresharkFoundation.Wireshark",
    }.get(sys.platform, "apt install tshark, or dnf install wireshark-cli")


@contextmanager
def _dissector() -> Iterator[Path]:
    """Our dissector in a file of its own, for the time being."""
    with TemporaryDirectory(prefix="amtdiag-") as name:
        script = Path(name) / NAME
        script.write_text(lua_source(), encoding="ascii")
        yield script


def _options(script: Path, part: FileFrames) -> list[str]:
    """Options that both ways have: no names looked up, no further than the last frame."""
    return ["-n", "-X", f"lua_script:{script}", "-c", str(max(part.frames))]


def _filter(part: FileFrames) -> str:
    return f"frame.number in {{{', '.join(map(str, part.frames))}}}"


def _by_tshark(program: str, script: Path, part: FileFrames) -> list[Packet]:
    command = [program, *_options(script, part), "-r", part.file, "-Y", _filter(part), "-T", "ek"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{part.file}: tshark did not do its work: {plain(str(error), 200)}") from error
    if done.returncode:
        errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise InputError(f"{part.file}: tshark cannot read it: {plain(errors[-1] if errors else '', 300)}")
    lines = map(json.loads, done.stdout.decode("utf-8", "replace").splitlines())
    return [Packet(line["layers"]) for line in lines if "layers" in line]


def _by_pyshark(program: str, script: Path, part: FileFrames) -> list[Any]:
    found: list[Any] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            found.extend(_loaded(program, script, part))
        except Exception as error:  # raised again where the caller waits
            failed.append(error)

    thread = Thread(target=work, name="amtdiag-pyshark")
    thread.start()
    thread.join()
    if failed:
        raise InputError(f"{part.file}: pyshark cannot read it: {plain(str(failed[0]), 300)}") from failed[0]
    # Of a file that tshark cannot read pyshark says nothing.
    return found or list(_by_tshark(program, script, part))


def _loaded(program: str, script: Path, part: FileFrames) -> list[Any]:
    """Have pyshark read packets, in a thread and a loop of its own."""
    import asyncio

    import pyshark
    from pyshark.ek_field_mapping import MAPPING

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        capture = pyshark.FileCapture(
            part.file,
            display_filter=_filter(part),
            use_ek=True,
            tshark_path=program,
            custom_parameters=_options(script, part),
            eventloop=loop,
        )
        try:
            packets: list[Any] = []
            loop.run_until_complete(capture.packets_from_tshark(packets.append, close_tshark=False))
            # pyshark would kill tshark, which has said all. Where it just ended by itself, asyncio then loses
            # its exit code, logs that, and pyshark may take it for a crash: so its end is waited for.
            for process in tuple(capture._running_processes):
                loop.run_until_complete(asyncio.wait_for(process.wait(), _TIMEOUT))
            capture._running_processes.clear()  # tshark itself is asked where nothing was read
        finally:
            capture.close()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    types = {key: {"type": kind} for key, kind in _TYPES.items()}
    MAPPING._protocol_to_mapping["intelamt"] = {"properties": types}
    return packets


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)
