"""`amtdiag hello`: from bytes in any dress to words, and from words to bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers import ROOT, UUID, run, spawn

REAL: dict[str, Any] = json.loads((ROOT / "tests" / "data" / "real_hello.json").read_text(encoding="utf-8"))
PAYLOAD = bytes.fromhex(REAL["payload_hex"])
DIGEST = hashlib.sha256(b"a root of one's own").hexdigest()


def decoded(*words: str | Path, stdin: bytes = b"") -> Any:
    ran = run("hello", "decode", "--json", *words, stdin=stdin)
    assert (ran.code, ran.err) == (0, "")
    return json.loads(ran.out)


def built(*words: str) -> bytes:
    ran = run("hello", "build", "--uuid", UUID, *words)
    assert (ran.code, ran.err) == (0, "")
    return ran.out


# ----------------------------------------------------------------------------------------------------- decode


def grouped(separator: str) -> Callable[[bytes], str]:
    return lambda data: data.hex(separator)


@pytest.mark.parametrize(
    "written",
    [
        bytes.hex,
        lambda data: data.hex().upper(),
        grouped(" "),
        grouped(":"),
        grouped("-"),
        lambda data: "0x" + data.hex(),
        lambda data: "\n".join(data[at : at + 16].hex(" ") for at in range(0, len(data), 16)) + "\n",
    ],
    ids=["plain", "capitals", "spaces", "colons", "dashes", "0x", "lines"],
)
@pytest.mark.parametrize("place", ["line", "file", "stdin"])
def test_hexadecimal_text(place: str, written: Callable[[bytes], str], tmp_path: Path) -> None:
    text = written(PAYLOAD)
    if place == "line":
        found = decoded(text)
    elif place == "file":
        (tmp_path / "hello.txt").write_text(text)
        found = decoded(tmp_path / "hello.txt")
    else:
        found = decoded("-", stdin=text.encode())
    assert found["uuid"] == REAL["uuid"]
    assert [one["digest"] for one in found["hashes"]] == [one["digest"] for one in REAL["digests"]]
    assert found["complete"]


def test_bytes_from_a_file_and_from_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "hello.bin").write_bytes(PAYLOAD)
    from_file = decoded(tmp_path / "hello.bin")
    assert from_file == decoded("-", stdin=PAYLOAD) == decoded(PAYLOAD.hex())
    done = spawn("hello", "decode", "--json", "-", stdin=PAYLOAD)
    assert json.loads(done.stdout) == from_file


def test_words_for_people() -> None:
    ran = run("hello", "decode", PAYLOAD.hex())
    lines = ran.text.splitlines()
    assert ran.code == 0
    assert lines[:2] == ["type:              pki (version 3)", f"UUID:              {REAL['uuid']}"]
    assert len([line for line in lines if any(one["digest"] in line for one in REAL["digests"])]) == 23
    assert "Go Daddy" in ran.text


@pytest.mark.parametrize(("flag", "shown"), [(0, "not set"), (1, "set"), (7, "7")])
def test_credentials_flag(flag: int, shown: str) -> None:
    text = run("hello", "decode", built("--flag", str(flag), "--digest", DIGEST).hex()).text
    assert f"admin credentials: {shown}\n" in text


def test_a_pid_is_shown_as_mebx_shows_it() -> None:
    text = run("hello", "decode", built("--pid", "0000037M").hex()).text
    assert "PID:               0000-037M\n" in text


def test_problems_are_named() -> None:
    text = run("hello", "decode", built("--pid", "0000037N").hex()).text
    assert "problem: the PID's check character is wrong\n" in text


@pytest.mark.parametrize(
    "data",
    [b"", b"\1", b"GET / HTTP/1.1\r\n\r\n", bytes.fromhex("160301020001000100"), b"\xff" * 64],
    ids=["nothing", "one byte", "HTTP", "TLS", "ones"],
)
@pytest.mark.parametrize("face", [[], ["--json"]], ids=["text", "json"])
def test_what_is_no_hello(data: bytes, face: list[str]) -> None:
    code, out, err = run("hello", "decode", *face, "-", stdin=data)
    assert (code, out) == (3, b"")
    assert err.startswith("amtdiag: not a Hello: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("source", ["neither", "012", "01 0", "z" * 5000, "0" * 5001])
def test_text_that_is_no_hexadecimal(source: str) -> None:
    code, out, err = run("hello", "decode", source)
    assert (code, out) == (2, b"")
    assert err.count("\n") == 1


def test_a_folder_is_no_message(tmp_path: Path) -> None:
    code, out, err = run("hello", "decode", tmp_path)
    assert (code, out) == (3, b"")
    assert err.count("\n") == 1


# ------------------------------------------------------------------------------------------------------ build


def test_round_trip_of_a_pki_hello() -> None:
    sha1, sha384 = "0b" * 20, "0c" * 48
    data = built(
        "--root", "Starfield Root Certificate Authority", "--digest", DIGEST, "--digest", f"sha1:{sha1}",
        "--digest", f"SHA384:{sha384}", "--retry", "3", "--flag", "0",
    )  # fmt: skip
    found = decoded("-", stdin=data)
    assert (found["type"], found["uuid"], found["retry_count"]) == ("pki", UUID, 3)
    assert found["admin_credentials_set"] is False
    root, *others = found["hashes"]
    assert root["name"].startswith("Starfield Root Certificate Authority")
    assert [(one["algorithm"], one["digest"]) for one in others] == [
        ("sha256", DIGEST),
        ("sha1", sha1),
        ("sha384", sha384),
    ]
    assert found["problems"] == []


@pytest.mark.parametrize("pid", ["0000-037M", "0000037M"])
def test_round_trip_of_a_psk_hello(pid: str) -> None:
    found = decoded("-", stdin=built("--pid", pid))
    assert (found["type"], found["pid"], found["pid_check_ok"]) == ("psk", "0000037M", True)
    assert found["hashes"] == []


def test_round_trip_through_a_real_pipe() -> None:
    data = spawn("hello", "build", "--uuid", UUID, "--digest", DIGEST).stdout
    done = spawn("hello", "decode", "-", stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert DIGEST in done.stdout.decode()


@pytest.mark.parametrize(
    "words",
    [
        ["--uuid", "nonsense"],
        ["--uuid", ""],
        ["--uuid", UUID, "--pid", "SHORT"],
        ["--uuid", UUID, "--pid", "0000-037M-TOO-LONG"],
        ["--uuid", UUID, "--pid", "0000-037M", "--digest", DIGEST],
        ["--uuid", UUID, "--digest", "nonsense"],
        ["--uuid", UUID, "--digest", "abc"],
        ["--uuid", UUID, "--digest", "abcd"],
        ["--uuid", UUID, "--digest", f"sha1:{DIGEST}"],
        ["--uuid", UUID, "--digest", f"crc32:{DIGEST}"],
        ["--uuid", UUID, "--root", "no such root"],
        ["--uuid", UUID, "--root", "Go"],
        ["--uuid", UUID, "--root", "VeriSign"],
        ["--uuid", UUID, "--retry", "-1"],
        ["--uuid", UUID, "--retry", str(2**32)],
        ["--uuid", UUID, "--flag", "65536"],
    ],
    ids=" ".join,
)
def test_what_no_hello_can_carry(words: Sequence[str]) -> None:
    code, out, err = run("hello", "build", *words)
    assert (code, out) == (2, b"")
    assert err.startswith("amtdiag: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["--uuid", UUID, "--retry", "many"], ["--uuid"]], ids=" ".join)
def test_usage(words: Sequence[str]) -> None:
    code, out, err = run("hello", "build", *words)
    assert (code, out) == (2, b"")
    assert "amtdiag hello build: error: " in err.splitlines()[-1]


def test_order_of_digests_is_that_of_the_line() -> None:
    words = ["--digest", DIGEST, "--root", "Starfield Root Certificate Authority", "--digest", "0d" * 32]
    names = [one["name"] for one in decoded("-", stdin=built(*words))["hashes"]]
    assert [bool(name) for name in names] == [False, True, False]
