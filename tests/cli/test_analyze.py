"""`amtdiag analyze` and `hellos`: inputs, exit codes, the text report, the caller's own root."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from helpers import HELLO_ONLY, SAMPLES, run, spawn
from rich.cells import cell_len
from shapes import bare, device, device_uuid, pcap, pki, plain, psk, records
from test_samples import Sample, every_sample

ERROR = SAMPLES / "connect-back-refused.pcapng"
WARNING = SAMPLES / "admin-flag-unset.pcapng"
INFO = SAMPLES / "pki-connects.pcapng"
NOTHING = SAMPLES / "not-looking.pcapng"


def analysed(*words: str | Path, code: int | None = None) -> Any:
    ran = run("analyze", "--json", *words)
    assert code in {None, ran.code}
    return json.loads(ran.out)


# ------------------------------------------------------------------------------------------------- exit codes


@pytest.mark.parametrize(
    ("sample", "level", "code"),
    [
        (ERROR, None, 1),
        (ERROR, "critical", 0),
        (ERROR, "error", 1),
        (ERROR, "warning", 1),
        (ERROR, "info", 1),
        (ERROR, "never", 0),
        (WARNING, None, 0),
        (WARNING, "error", 0),
        (WARNING, "warning", 1),
        (WARNING, "never", 0),
        (INFO, "warning", 0),
        (INFO, "info", 1),
        (NOTHING, "info", 0),
    ],
)
@pytest.mark.parametrize("face", [[], ["--json"], ["--jsonl"]], ids=["text", "json", "jsonl"])
def test_exit_code_follows_fail_on(sample: Path, level: str | None, code: int, face: list[str]) -> None:
    ran = run("analyze", *face, *(["--fail-on", level] if level else []), sample)
    assert (ran.code, ran.err) == (code, "")


def test_hellos_has_no_findings_to_fail_on() -> None:
    assert run("hellos", ERROR).code == 0


# ----------------------------------------------------------------------------------------------------- inputs


def a_missing_file(folder: Path) -> list[Path]:
    return [folder / "nothing.pcap"]


def an_empty_folder(folder: Path) -> list[Path]:
    return [folder]


def a_folder_of_other_files(folder: Path) -> list[Path]:
    (folder / "notes.txt").write_text("nothing to see")
    return [folder]


def a_text_file(folder: Path) -> list[Path]:
    (folder / "trace.pcap").write_text("no capture at all, whatever its name says")
    return [folder / "trace.pcap"]


def an_empty_file(folder: Path) -> list[Path]:
    (folder / "trace.pcap").touch()
    return [folder / "trace.pcap"]


def text_in_gzip(folder: Path) -> list[Path]:
    (folder / "trace.pcap.gz").write_bytes(gzip.compress(b"no capture inside"))
    return [folder / "trace.pcap.gz"]


UNREADABLE: list[Callable[[Path], list[Path]]] = [
    a_missing_file,
    an_empty_folder,
    a_folder_of_other_files,
    a_text_file,
    an_empty_file,
    text_in_gzip,
]


@pytest.mark.parametrize("inputs", UNREADABLE, ids=lambda made: made.__name__)
@pytest.mark.parametrize("command", [["analyze"], ["analyze", "--json"], ["hellos"]], ids=" ".join)
def test_nothing_to_read(command: list[str], inputs: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    code, out, err = run(*command, *inputs(tmp_path))
    assert (code, out) == (3, b"")
    assert err.startswith("amtdiag: ")
    assert err.count("\n") == 1
    assert str(tmp_path) in err


def test_standard_input_without_a_capture() -> None:
    code, out, err = run("analyze", "-", stdin=b"hello, world")
    assert (code, out) == (3, b"")
    assert err.startswith("amtdiag: standard input: not a capture: ")
    assert err.count("\n") == 1


def test_every_bad_input_gets_its_line(tmp_path: Path) -> None:
    code, out, err = run("analyze", tmp_path / "one", tmp_path / "two")
    assert (code, out) == (3, b"")
    assert [Path(line.split(": ")[1]).name for line in err.splitlines()] == ["one", "two"]


@pytest.mark.parametrize("inputs", UNREADABLE, ids=lambda made: made.__name__)
def test_one_bad_input_among_several(inputs: Callable[[Path], list[Path]], tmp_path: Path) -> None:
    ran = run("analyze", "--json", NOTHING, *inputs(tmp_path))
    assert ran.code == 0
    assert ran.err.count("\n") == 1
    summary = json.loads(ran.out)["summary"]
    assert (summary["files"], summary["devices"]) == (1, 1)
    assert [f"amtdiag: {problem}\n" for problem in summary["problems"]] == [ran.err]


@pytest.mark.parametrize("command", ["analyze", "hellos"])
def test_strict_wants_all_inputs(command: str, tmp_path: Path) -> None:
    code, out, err = run(command, "--strict", NOTHING, tmp_path / "nothing.pcap")
    assert (code, out) == (3, b"")
    assert err.count("\n") == 1
    assert run(command, "--strict", NOTHING).code == 0


def test_folders_may_hold_other_files(tmp_path: Path) -> None:
    (tmp_path / "trace.pcap").write_bytes(HELLO_ONLY.read_bytes())
    (tmp_path / "notes.txt").write_text("captured on Monday")
    ran = run("analyze", "--json", "--strict", tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert any("1 files are not captures" in note for note in json.loads(ran.out)["summary"]["notes"])


def test_a_file_named_twice_is_read_once() -> None:
    twice = analysed(HELLO_ONLY, HELLO_ONLY)
    assert (twice["summary"]["files"], twice["summary"]["hellos"]) == (1, 1)


@pytest.mark.parametrize(
    "packed",
    [bytes, gzip.compress, bz2.compress, lzma.compress],
    ids=["plain", "gzip", "bzip2", "xz"],
)
@pytest.mark.parametrize("sample", [HELLO_ONLY, ERROR], ids=lambda path: path.suffix)
def test_standard_input(sample: Path, packed: Callable[[bytes], bytes]) -> None:
    done = spawn("analyze", "--json", "-", stdin=packed(sample.read_bytes()))
    direct = analysed(sample, code=done.returncode)
    piped = json.loads(done.stdout)
    assert done.stderr == b""
    assert piped["captures"][0]["file"] == "standard input"
    assert piped["captures"][0]["packets"] == direct["captures"][0]["packets"]
    assert [one["id"] for one in piped["devices"]] == [one["id"] for one in direct["devices"]]
    assert [one["id"] for one in piped["findings"]] == [one["id"] for one in direct["findings"]]


def test_named_ports_are_hello_ports(tmp_path: Path) -> None:
    path = tmp_path / "custom.pcap"
    path.write_bytes(pcap(records(plain(bare(5), device(7, dport=12345)))))
    assert analysed(path)["summary"]["hellos"] == 0
    named = analysed("--port", "12345", "--port", "23456", path)
    assert named["summary"]["hellos"] == 1
    assert named["tool"]["options"]["ports"] == [9971, 9972, 12345, 23456]


# ----------------------------------------------------------------------------------------------------- output


def test_faces_exclude_each_other_but_not_the_folder(tmp_path: Path) -> None:
    ran = run("analyze", "--json", "-o", tmp_path / "new" / "report", HELLO_ONLY)
    assert ran.code == 0
    assert (tmp_path / "new" / "report" / "report.json").read_bytes() == ran.out


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    ran = run("analyze", "-o", tmp_path / "taken", HELLO_ONLY)
    assert ran.code == 2
    assert ran.err.startswith("amtdiag: ")
    assert ran.err.count("\n") == 1


@every_sample
@pytest.mark.parametrize("command", ["analyze", "hellos"])
def test_text_fits_80_columns(command: str, sample: Sample) -> None:
    lines = run(command, sample.path, columns=80).text.splitlines()
    assert lines
    assert [line for line in lines if cell_len(line) > 80 and not line.startswith("  Look: ")] == []


def test_commands_to_copy_are_in_one_line() -> None:
    text = run("analyze", ERROR, columns=40).text
    assert f"  Look: tshark -r {ERROR} -Y 'tcp.port==16993 && ip.addr==" in text


def test_a_path_with_spaces_is_quoted_in_the_command(tmp_path: Path) -> None:
    path = tmp_path / "it's a trace.pcapng"
    path.write_bytes(ERROR.read_bytes())
    text = run("analyze", path).text
    assert "it'\"'\"'s a trace.pcapng' -Y " in text


# -------------------------------------------------------------------------------------- the caller's own root


def certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None = None) -> Any:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


@pytest.fixture(scope="module")
def own_chain() -> list[x509.Certificate]:
    """A server's certificate and the root that signed it."""
    root_key, leaf_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Example Root", root_key).sign(root_key, hashes.SHA256())
    leaf = certificate("provision.example", leaf_key, root).sign(root_key, hashes.SHA256())
    return [leaf, root]


@pytest.fixture(scope="module")
def go_daddy() -> x509.Certificate:
    """A root that the real Hello of the samples lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots with odd serial numbers
        bundle = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    name = "Go Daddy Root Certificate Authority - G2"
    return next(
        one
        for one in bundle
        if name in {part.value for part in one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    )


@pytest.fixture
def three_devices(own_chain: Sequence[x509.Certificate], tmp_path: Path) -> Path:
    """A capture of a device with the own root, one without, and one with a pre-shared key."""
    own = own_chain[-1].fingerprint(hashes.SHA256())
    messages = [
        pki([(2, b"\1" * 32), (2, own)], uuid_wire=device_uuid(1)),
        pki([(2, b"\1" * 32), (2, b"\2" * 32)], uuid_wire=device_uuid(2)),
        psk(uuid_wire=device_uuid(3)),
    ]
    packets = [plain(message, device(number)) for number, message in enumerate(messages, 1)]
    path = tmp_path / "three.pcap"
    path.write_bytes(pcap([one for talk in packets for one in records(talk)]))
    return path


@pytest.mark.parametrize("order", [1, -1], ids=["leaf first", "root first"])
def test_devices_that_carry_the_root(
    three_devices: Path, own_chain: Sequence[x509.Certificate], order: int, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pem(*own_chain[::order]))
    found = analysed("--root-of", chain, three_devices, code=1)
    carried, lacking, other = (one["id"] for one in found["devices"])
    assert found["summary"]["root_of"] == {
        "name": "Example Root",
        "carried_by": [carried],
        "not_by": [lacking],
        "unknown": [other],
    }
    missing = [one for one in found["findings"] if one["rule"] == "root-not-listed"]
    assert [(one["device"], one["severity"], one["catalogue"]) for one in missing] == [
        (lacking, "error", "F18")
    ]
    text = run("analyze", "--root-of", chain, three_devices).text
    assert "Example Root" in text


@pytest.mark.parametrize("encoding", [serialization.Encoding.PEM, serialization.Encoding.DER])
def test_a_root_of_the_catalogue(
    go_daddy: x509.Certificate, encoding: serialization.Encoding, tmp_path: Path
) -> None:
    path = tmp_path / "root"
    path.write_bytes(go_daddy.public_bytes(encoding))
    found = analysed("--root-of", path, HELLO_ONLY, code=0)
    assert found["summary"]["root_of"]["carried_by"] == [found["devices"][0]["id"]]
    assert "root-not-listed" not in {one["rule"] for one in found["findings"]}


def test_a_list_that_is_not_whole_says_nothing(own_chain: Sequence[x509.Certificate], tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pem(*own_chain))
    found = analysed("--root-of", chain, SAMPLES / "damaged-hello.pcapng", code=0)
    assert found["summary"]["root_of"]["unknown"] == [found["devices"][0]["id"]]
    assert any("carries Example Root" in one["what"] for one in found["unknowns"])


def test_without_a_chain_there_is_no_word_of_roots() -> None:
    assert analysed(HELLO_ONLY)["summary"]["root_of"] is None


def test_chains_that_are_none(own_chain: Sequence[x509.Certificate], tmp_path: Path) -> None:
    contents = {"text": b"no certificate", "leaf": pem(own_chain[0]), "empty": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        code, out, err = run("analyze", "--root-of", tmp_path / name, HELLO_ONLY)
        assert (code, out) == (2, b""), name
        assert err.startswith("amtdiag: "), name
        assert err.count("\n") == 1, name


def test_a_missing_chain_is_an_input_that_cannot_be_read(tmp_path: Path) -> None:
    code, out, err = run("analyze", "--root-of", tmp_path / "nothing.pem", HELLO_ONLY)
    assert (code, out) == (3, b"")
    assert err.count("\n") == 1
