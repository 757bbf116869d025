"""The one function that makes text safe to show: nothing that acts comes out, nothing harmless is lost."""

from __future__ import annotations

import os

import pytest
from helpers import unsafe_characters
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.safetext import safe

any_text = st.one_of(st.text(), st.text(st.characters()), st.text(st.sampled_from("\x1b\u202e\udcff\\ax07")))
"""With surrogates too."""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("trace.pcapng", "trace.pcapng"),
        ("Größe 日本 e\u0301 😀", "Größe 日本 e\u0301 😀"),
        ("C:\\captures", "C:\\\\captures"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\tb\nc\r", "a\\x09b\\x0ac\\x0d"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2028\u2029\u200b\ufeff", "\\u2028\\u2029\\u200b\\ufeff"),
        ("\ue000\U000e0041", "\\ue000\\U000e0041"),
        ("\ud800", "\\ud800"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("[red]$x$<b>=1", "[red]$x$<b>=1"),
    ],
)
def test_text(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"0000037M", "0000037M"),
        (b"\x1b[2J\xff\\", "\\x1b[2J\\xff\\\\"),
        ("é".encode(), "\\xc3\\xa9"),
        (b"", ""),
    ],
)
def test_bytes(data: bytes, shown: str) -> None:
    assert safe(data) == shown


@given(st.one_of(any_text, st.binary()))
def test_nothing_that_acts_comes_out(text: str | bytes) -> None:
    shown = safe(text)
    assert unsafe_characters(shown, allowed="") == []
    assert shown.splitlines() in ([], [shown])
    shown.encode("utf-8")


@given(any_text, any_text)
def test_different_text_looks_different(one: str, other: str) -> None:
    # A byte that is no UTF-8 and the Latin-1 control of that number are shown alike, on purpose.
    assert (safe(one) == safe(other)) == (one == other) or any("\udc80" <= c <= "\udcff" for c in one + other)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_different_bytes_look_different(one: bytes, other: bytes) -> None:
    assert (safe(one) == safe(other)) == (one == other)


@given(st.one_of(any_text, st.binary()), st.integers(0, 40))
def test_the_limit_holds_and_is_said(text: str | bytes, limit: int) -> None:
    whole, shown = safe(text, 10**6), safe(text, limit)
    assert len(shown) <= 10 * limit + 1
    assert shown == whole or (shown.endswith("…") and whole.startswith(shown[:-1]))
    assert len(text) > limit or shown == whole
