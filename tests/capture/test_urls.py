"""Captures that a URL names, read through fsspec."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from helpers import SAMPLES, run

from amtdiag.capture.files.urls import UrlFile, is_url, label_of

fsspec = pytest.importorskip("fsspec")


def analyze(*words: str | Path) -> dict[str, object]:
    done = run("analyze", "--json", "--fail-on", "never", *words)
    assert done.code == 0, done.err
    assert not done.err
    found: dict[str, object] = json.loads(done.out)
    return found


@pytest.mark.parametrize("name", ["fleet.pcapng.gz", "recorded/h1_single.pcap"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_url_is_read_like_its_file(name: str, workers: str) -> None:
    path = SAMPLES / name
    url = f"file://{path}"
    another = SAMPLES / "pki-connects.pcapng"
    text = json.dumps(analyze(url, another, "--workers", workers))
    assert json.loads(text.replace(url, str(path))) == analyze(path, another)


def test_memory_and_stars() -> None:
    memory = fsspec.filesystem("memory")
    for path in sorted((SAMPLES / "ring").glob("*.pcap")):
        memory.pipe_file(f"/ring/{path.name}", path.read_bytes())
    text = json.dumps(analyze("memory://ring/*.pcap"))
    assert json.loads(text.replace("memory:///ring", str(SAMPLES / "ring"))) == analyze(SAMPLES / "ring")
    named_twice = run("analyze", "--json", "memory://ring/*.pcap", "memory://ring/*.pcap")
    assert "was named twice" in named_twice.text


@pytest.mark.parametrize(
    "url",
    [
        "memory://nothing/here.pcap",
        "memory://nothing/*.pcap",
        "nosuchthing://bucket/file.pcap",
        "file:///nonexistent/file.pcap",
        "http://127.0.0.1:1/file.pcap",
        "file://\x1b[2J",
    ],
)
def test_what_cannot_be_read_is_a_line(url: str) -> None:
    done = run("analyze", url)
    assert done.code == 3
    assert done.err.startswith(f"amtdiag: {label_of(url)}: ")
    assert done.err.count("\n") == 1


def test_secrets_are_not_shown() -> None:
    url = "nosuchthing://user:word@host/file.pcap?X-Signature=abc"
    done = run("analyze", url)
    assert "nosuchthing://host/file.pcap: " in done.err
    assert "word" not in done.err
    assert "abc" not in done.err


def test_a_file_that_breaks_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Errors of drivers are of any kind."""
    path = Path(shutil.copy(SAMPLES / "pki-connects.pcapng", tmp_path))
    original = UrlFile.read

    class Breaking:
        def read(self, size: int) -> bytes:
            raise ValueError("connection lost")

        def close(self) -> None:
            pass

    def read(file: UrlFile, size: int, /) -> bytes:
        data = original(file, size)
        if size == 500:
            file._file = Breaking()  # type: ignore[assignment]
        return data

    monkeypatch.setattr(UrlFile, "read", read)
    monkeypatch.setattr("amtdiag.capture.files.inputs.CHUNK", 500)
    captures = analyze(f"file://{path}")["captures"]
    assert isinstance(captures, list)
    assert any("ValueError: connection lost" in note for note in captures[0]["notes"])


def test_without_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    done = run("analyze", "s3://bucket/file.pcap")
    assert (done.code, done.err) == (4, "amtdiag: a URL takes fsspec: pip install 'amtdiag[cluster]'\n")


def test_what_is_a_url() -> None:
    assert is_url("s3://bucket/a")
    assert is_url("HTTP://host/a")
    assert not is_url("C:/captures/a.pcap")
    assert not is_url("captures/a://b")
