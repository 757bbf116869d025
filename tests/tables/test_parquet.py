"""Tables as Parquet: types, days, what a second run leaves, what is missing."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import shapes
from helpers import HELLO_ONLY, SAMPLES, run, unsafe_characters

import amtdiag
from amtdiag import tables
from amtdiag.config import Options
from amtdiag.errors import UsageError
from amtdiag.model import Diagnosis
from amtdiag.pipeline import diagnose
from amtdiag.report.dataset import TABLES, write_dataset

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

DAY = 86_400_000_000_000


def plain_again(column: Any) -> list[Any]:
    """Values of either side, lists as text with spaces."""
    return [
        " ".join(map(str, one)) if hasattr(one, "tolist") else None if one is None or one is pd.NA else one
        for one in column.astype(object).where(column.notna(), None)
    ]


@pytest.mark.parametrize("sample", ["fleet.pcapng.gz", "ring", "no-hello.pcapng", "lab"])
def test_what_was_written_is_read(sample: str, tmp_path: Path) -> None:
    diagnosis = diagnose([SAMPLES / sample])
    assert write_dataset(diagnosis, tmp_path) == tmp_path
    for name, (table, time) in TABLES.items():
        truth = table(diagnosis)
        found = pd.read_parquet(tmp_path / name)
        assert list(found.columns) == [*truth.columns, "date"]
        assert len(found) == len(truth)
        keys = [one for one in ("ts", "id", "device", "file", "frame", "index") if one in truth.columns]
        ours, theirs = truth.sort_values(keys, kind="stable"), found.sort_values(keys, kind="stable")
        for column in truth.columns:
            assert plain_again(ours[column]) == plain_again(theirs[column]), (name, column)
        begun = min(one.first_ts for one in diagnosis.captures if one.first_ts is not None)
        days = ours[time].fillna(pd.Timestamp(begun, tz="UTC")).dt.strftime("%Y-%m-%d")
        assert plain_again(days) == plain_again(theirs["date"].astype("string"))


def test_types_do_not_depend_on_rows(tmp_path: Path) -> None:
    from pyarrow import parquet

    schemas = []
    for sample in ("fleet.pcapng.gz", "no-hello.pcapng"):
        write_dataset(diagnose([SAMPLES / sample]), tmp_path / sample)
        schemas.append(
            {
                name: parquet.read_schema(next((tmp_path / sample / name).glob("*/*.parquet")))
                for name in TABLES
            }
        )
    assert schemas[0] == schemas[1]
    assert {str(one) for schema in schemas[0].values() for one in schema.types} == {
        "bool", "double", "int64", "list<element: int64>", "list<element: string>", "string",
        "timestamp[ns, tz=UTC]",
    }  # fmt: skip


def test_without_any_row(tmp_path: Path) -> None:
    nothing = diagnose([SAMPLES / "no-hello.pcapng"])
    write_dataset(nothing, tmp_path)
    assert not len(nothing.hellos)
    assert len(list((tmp_path / "hellos").glob("date=20*/amtdiag.parquet"))) == 1
    assert pd.read_parquet(tmp_path / "hellos").empty


def two_days(folder: Path) -> Diagnosis:
    stored = []
    for day in (0, 2):
        flow = replace(shapes.FLOW, sport=50000 + day)
        stored += shapes.records(shapes.plain(flow=flow, start=shapes.T0 + day * DAY))
    path = folder / "days.pcap"
    path.write_bytes(shapes.pcap(stored))
    return diagnose([path], Options())


def test_days_and_a_second_run(tmp_path: Path) -> None:
    target = tmp_path / "out"
    write_dataset(two_days(tmp_path), target)
    assert len(list((target / "hellos").glob("date=*"))) == 2
    (target / "hellos" / "date=2000-01-01").mkdir()
    (target / "hellos" / "date=2000-01-01" / "other.parquet").write_bytes(b"of somebody else")
    write_dataset(diagnose([HELLO_ONLY]), target)
    days = {one.name for one in (target / "hellos").iterdir()}
    assert len(days) == 2
    assert "date=2000-01-01" in days


def test_text_cannot_act_on_what_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "evil\x1b[2J\u202e\n.pcap"
    path.write_bytes(HELLO_ONLY.read_bytes())
    amtdiag.read(path).to_parquet(tmp_path / "out")
    for name in TABLES:
        text = pd.read_parquet(tmp_path / "out" / name).astype("string").to_csv()
        assert not unsafe_characters(text)


def test_command(tmp_path: Path) -> None:
    done = run("analyze", HELLO_ONLY, "-o", tmp_path, "--parquet", "--fail-on", "never")
    assert done.code == 0
    assert {one.name for one in (tmp_path / "parquet").iterdir()} == set(TABLES)
    assert len(pd.read_parquet(tmp_path / "parquet" / "hellos")) == len(tables.hellos(diagnose([HELLO_ONLY])))


def test_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_folder = run("analyze", HELLO_ONLY, "--parquet")
    assert (without_folder.code, without_folder.err) == (2, "amtdiag: --parquet takes a folder: -o DIR\n")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        amtdiag.read(HELLO_ONLY).to_parquet(tmp_path / "file")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    done = run("analyze", HELLO_ONLY, "-o", tmp_path / "report", "--parquet")
    assert done.code == 4
    assert done.err == "amtdiag: Parquet takes pyarrow: pip install 'amtdiag[parquet]'\n"
    assert not (tmp_path / "report").exists()
