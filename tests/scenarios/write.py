"""Writes scenarios as capture files, each with its expected.json."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from amtdiag.errors import UsageError
from scenarios.containers import render
from scenarios.packets import MICROSECOND, SECOND, Frame, need_scapy
from scenarios.scenarios import SCENARIOS, Scenario, names, play
from scenarios.scene import Scene
from scenarios.truth import hello_json, messages_json

ORIGIN = "amtdiag/simulate"


def write(folder: Path, wanted: Sequence[str] = ()) -> list[Path]:
    """Write these scenarios, or all, into a folder; return the expected.json of each.

    Raises UsageError for an unknown name and MissingToolError where scapy is missing.
    """
    need_scapy()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        raise UsageError(f"no scenario is called {', '.join(unknown)}; there are {', '.join(names())}")
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder, scenario) for scenario in SCENARIOS if not wanted or scenario.name in wanted]


def _write(folder: Path, scenario: Scenario) -> Path:
    scene = play(scenario)
    files = _files(scenario, scene)
    home = folder / scenario.name if scene.cuts else folder
    home.mkdir(exist_ok=True)
    for name, frames in files:
        data = render(frames, scenario.container, comment=scenario.story, dropped=scene.dropped)
        (home / name).write_bytes(data)
    target = folder / f"{scenario.name}.expected.json"
    text = json.dumps(_expected(scenario, scene, files), indent=1)
    target.write_text(_CLAIM.sub(_in_a_line, text) + "\n", encoding="utf-8")
    return target


_CLAIM = re.compile(r'\{\s+("rule": "[^{}]*?)\s+\}')


def _in_a_line(claim: re.Match[str]) -> str:
    """A claim takes one line."""
    return "{" + " ".join(claim[1].split()) + "}"


def _files(scenario: Scenario, scene: Scene) -> list[tuple[str, list[Frame]]]:
    """The frames of each file, in order; more than one only where the scenario is cut."""
    frames = scene.trace.ordered()
    suffix = scenario.container.replace("-ns", "")
    if not scene.cuts:
        return [(f"{scenario.name}.{suffix}", frames)]
    # Frames have whole microseconds, whatever precision a scenario calculates with.
    limits = [0, *(cut // MICROSECOND * MICROSECOND for cut in scene.cuts), frames[-1].ts + 1]
    files = []
    for number, (begin, end) in enumerate(itertools.pairwise(limits), start=1):
        part = [frame for frame in frames if begin <= frame.ts < end]
        opened = datetime.fromtimestamp(part[0].ts // SECOND, UTC)
        # As dumpcap names the files of a ring.
        files.append((f"{scenario.name}_{number:05}_{opened:%Y%m%d%H%M%S}.{suffix}", part))
    return files


def _expected(scenario: Scenario, scene: Scene, files: list[tuple[str, list[Frame]]]) -> dict[str, object]:
    lists: dict[tuple[bytes, ...], str] = {}
    hellos = [hello_json(hello, number, files, lists) for number, hello in enumerate(scene.trace.hellos)]
    return {
        "story": scenario.story,
        "origin": ORIGIN,
        "packets": {name: len(frames) for name, frames in files},
        "digest_lists": {name: [digest.hex() for digest in digests] for digests, name in lists.items()},
        "hellos": sorted((hello for hello in hellos if hello), key=lambda hello: str(hello["ts"])),
        "devices": [fate.json() for fate in scene.fates],
        "findings": [claim.json() for claim in scene.found],
        **({"also": [claim.json() for claim in scene.also]} if scene.also else {}),
        **({"silent": True} if scene.silent else {}),
        **({"unknowns": scene.unknowns} if scene.unknowns else {}),
        **({"verdict": scene.verdict} if scene.verdict else {}),
        **({"messages": messages_json(files[0][1])} if scenario.messages else {}),
    }
