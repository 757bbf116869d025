"""Tables of the page: whatever the rows are, they are read as they were written, and safe to show."""

from __future__ import annotations

import json
from typing import Any

from helpers import unsafe_characters
from htmlmodel import Reader
from hypothesis import given
from hypothesis import strategies as st

from amtdiag.report.formats.html.model import table
from amtdiag.safetext import plain

WORDS = st.text(max_size=5)
NUMBERS = st.none() | st.integers(-(2**66), 2**66)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"word": st.none() | WORDS, "number": NUMBERS, "list": st.lists(WORDS, max_size=3).map(tuple),
         "lanes": st.dictionaries(st.sampled_from(["dhcp", "dns"]), st.booleans())}
    ),
    max_size=20,
)  # fmt: skip


def read(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    text = json.dumps(table(rows))
    return Reader({"start": "0", "own": json.loads(text)}).rows("own")


@given(ROWS, st.integers(1, 5))
def test_rows_are_read_as_they_were_written(rows: list[dict[str, Any]], times: int) -> None:
    assert read(rows * times) == [
        {
            "word": None if row["word"] is None else plain(row["word"]),
            "number": row["number"],
            "list": [plain(word) for word in row["list"]],
            "lanes": row["lanes"],
        }
        for row in rows * times
    ]


def test_a_value_that_many_rows_have_is_written_once() -> None:
    column = table({"word": word} for word in ["one", "two"] * 50)["columns"]["word"]
    assert column == {"values": ["one", "two"], "places": [0, 1] * 50}
    different = [str(number) for number in range(100)]
    assert table({"word": word} for word in different)["columns"]["word"] == different


def test_texts_are_safe_to_show() -> None:
    (row,) = read([{"word": "\x1b[2J\u202e", "list": ("\x00",)}])
    assert not unsafe_characters(row["word"] + row["list"][0])
