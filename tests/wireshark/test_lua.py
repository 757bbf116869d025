"""The dissector's parser by itself, in both languages that Wireshark has: Lua 5.2 and Lua 5.4."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from dissected import damaged

from amtdiag.model import Hello
from amtdiag.protocols.hello import parse
from amtdiag.trust.verdicts import judge
from amtdiag.wireshark.dissector import MARK, lua_source

LUA = ("lua5.2", "lua5.4")
DAY = "2026-03-02"
NOON = 1_772_452_800 * 10**9
ASK = """
local parts = dofile(arg[1])
for line in io.lines() do
    local strict, places, digits = line:match("^(%d) (%S*) (%x*)$")
    local gaps = {}
    for first, stop in places:gmatch("(%d+)-(%d+)") do
        gaps[#gaps + 1] = { tonumber(first), tonumber(stop) }
    end
    local data = digits:gsub("%x%x", function(two) return string.char(tonumber(two, 16)) end)
    local found = parts.parse(data, gaps, strict == "1")
    if not found then
        print("no Hello")
    else
        parts.judge(found.digests, arg[2])
        local words = {}
        local function add(value)
            words[#words + 1] = tostring(value)
        end
        add(found.version) add(found.kind) add(found.flag) add(found.retry) add(found.uuid)
        add(found.pid) add(found.pid_ok) add(found.declared)
        add(found.complete) add(found.missing) add(found.trailing)
        for _, one in ipairs(found.digests) do
            add(one.index) add(one.id) add(one.algorithm) add(parts.hex(one.value)) add(one.name)
            add(table.concat(one.verdicts, "+"))
        end
        for _, one in ipairs(found.problems) do
            add(one.text)
        end
        print(table.concat(words, "|"))
    end
end
"""


def shown(value: object) -> str:
    """A value as Lua prints it."""
    if value is None:
        return "nil"
    return str(value).lower() if isinstance(value, bool) else str(value)


def told(data: bytes, gaps: tuple[tuple[int, int], ...], *, strict: bool) -> str:
    """The same words of our parser."""
    found = parse(data, gaps, strict=strict)
    if not isinstance(found, Hello):
        return "no Hello"
    words: list[object] = [
        found.version, found.type, found.admin_credentials, found.retry_count, found.uuid,
        found.pid, found.pid_check_ok, found.declared_digests,
        found.complete, found.missing_bytes, found.trailing_bytes,
    ]  # fmt: skip
    for one in judge(found, NOON).digests if found.type != "psk" else ():
        digest = one.digest
        words += [digest.index, digest.algorithm_id, digest.algorithm, digest.value.hex(), one.name]
        words.append("+".join(one.verdicts))
    words += [one.replace(" by the sender:", ":") for one in found.problems]
    return "|".join(map(shown, words))


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "intelamt.lua"
    path.write_text(lua_source(), encoding="ascii")
    return path


@pytest.mark.parametrize("language", LUA)
def test_it_compiles(language: str, need: Callable[[str], Path], script: Path) -> None:
    compiler = need(language.replace("lua", "luac"))
    done = subprocess.run([compiler, "-p", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
@pytest.mark.parametrize("language", LUA)
def test_damaged_hellos_read_as_ours(
    language: str, strict: bool, need: Callable[[str], Path], script: Path, tmp_path: Path
) -> None:
    cases = list(damaged(7, 600))
    ask = tmp_path / "ask.lua"
    ask.write_text(ASK, encoding="ascii")
    lines = (f"{int(strict)} {','.join(f'{a}-{b}' for a, b in gaps)} {data.hex()}\n" for data, gaps in cases)
    done = subprocess.run(
        [need(language), ask, script, DAY],
        input="".join(lines), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    wanted = [told(data, gaps, strict=strict) for data, gaps in cases]
    assert done.stdout.splitlines() == wanted
    hellos = sum(one != "no Hello" for one in wanted)
    assert len(cases) * 0.1 < hellos < len(cases)


def test_it_is_ascii_and_says_whose_it_is() -> None:
    source = lua_source()
    assert source.isascii()
    assert source.startswith(MARK)
    assert "@GENERATED@" not in source
