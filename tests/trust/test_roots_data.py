"""The catalogue of built-in roots: consistent in itself, and true to the real certificates found here.

The certificates are hashed and read in this file, not by tools/derive_roots.py, which has tests of its own at
the end: an error in one of the two must not hide in the other.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

COLUMNS = [
    "name",
    "mebx_name",
    "sha1",
    "sha256",
    "sha384",
    "not_before",
    "not_after",
    "key_algorithm",
    "key_bits",
    "signature_algorithm",
    "self_signed",
    "in_amt",
    "seen_in",
    "removed_in",
    "derived_from",
    "source",
    "confidence",
]
HEX_LENGTH = {"sha1": 40, "sha256": 64, "sha384": 96}
KEY_BITS = {"RSA": {"1024", "2048", "4096"}, "EC": {"256", "384"}}
SIGNATURES = {
    "RSA": {f"{digest}WithRSAEncryption" for digest in ("md2", "md5", "sha1", "sha256", "sha384", "sha512")},
    "EC": {"ecdsa-with-SHA256", "ecdsa-with-SHA384"},
}
NOT_DERIVED = "not re-derived"

# certifi 2026.10.18 holds 13. Mozilla retires old roots, so later releases will hold fewer; but a test that
# finds almost none checks nothing, and must say so.
FEWEST_FROM_CERTIFI = 8

# A Hello with 24 digests that MeshCentral's source quotes: those with a known certificate (shortened), and
# those without. The latter are most likely a user's own roots, and giving them a name would hide just that.
HELLO_NAMED = (
    "c3846bf2 45140b32 d7a7a0fb 1465fa20 2ce1cb0b 9acfab7e 16af57a9 960adf00 68ad5090 6dc47172 73c17643 "
    "43df5774 23995611 70a73f7f 4348a0e9 cb3ccbb7 31ad6648 552f7bdc cbb522d7 179fbc14 2cabeafe"
)
HELLO_NAMELESS = [
    "67540a47aa5b9f34570a99723cfefa96a96ee3f0d9b8bf4def9440b8065d665d",
    "7224395222cd588c4f2683716922addb41e39b581ac34fa87b39efa896fbb39e",
    "a267c480b0b29056eb5e8aa7c93add804f5a7df516e969e77bcacafe8d456079",
]

SYSTEM_STORES = (Path("/etc/ssl/certs"), Path("/usr/share/ca-certificates"))

TEXT = (files("amtdiag.trust") / "roots.csv").read_bytes().decode()
ROWS = list(csv.DictReader(io.StringIO(TEXT)))


# --------------------------------------------------------------------------------------- consistent in itself


def test_the_table_is_whole() -> None:
    assert next(csv.reader(io.StringIO(TEXT))) == COLUMNS
    assert TEXT.endswith("\n")
    assert "\r" not in TEXT
    for row in ROWS:
        assert None not in row, f"too many cells: {row}"
        assert None not in row.values(), f"too few cells: {row}"


def test_cells_are_plain_text() -> None:
    for row in ROWS:
        for value in row.values():
            assert value == value.strip(), row["name"]
            assert value.isascii(), row["name"]
            assert value.isprintable(), row["name"]
            assert not value.startswith(("=", "+", "-", "@")), "a spreadsheet would run it"


def test_required_cells_are_filled() -> None:
    for row in ROWS:
        may_be_empty = {"mebx_name", "removed_in"}
        if row["derived_from"] == NOT_DERIVED:
            may_be_empty |= {"sha384", "not_before", "self_signed"}
        assert {name for name, value in row.items() if not value} <= may_be_empty, row["name"]
        assert row["mebx_name"] != row["name"], "mebx_name is for another name only"


def test_digests_are_lower_case_hex() -> None:
    for row in ROWS:
        for column, length in HEX_LENGTH.items():
            if row[column]:
                assert re.fullmatch(rf"[0-9a-f]{{{length}}}", row[column]), (row["name"], column)


@pytest.mark.parametrize("column", ["name", "sha1", "sha256", "sha384"])
def test_no_value_twice(column: str) -> None:
    counts = Counter(row[column] for row in ROWS if row[column])
    assert [value for value, count in counts.items() if count > 1] == []


def test_dates_are_iso_and_in_order() -> None:
    for row in ROWS:
        not_after = date.fromisoformat(row["not_after"])
        assert not_after.isoformat() == row["not_after"]  # fromisoformat takes 20281231 as well
        if row["not_before"]:
            not_before = date.fromisoformat(row["not_before"])
            assert not_before.isoformat() == row["not_before"]
            assert date(1990, 1, 1) < not_before < not_after, row["name"]


def test_words_are_of_the_known_vocabulary() -> None:
    for row in ROWS:
        derived = row["derived_from"] != NOT_DERIVED
        assert row["key_bits"] in KEY_BITS[row["key_algorithm"]], row["name"]
        assert row["signature_algorithm"] in SIGNATURES[row["key_algorithm"]], row["name"]
        assert row["self_signed"] in ({"yes", "no"} if derived else {"", "yes", "no"}), row["name"]
        assert row["in_amt"] in {"yes", "possibly", "no"}, row["name"]
        assert row["confidence"] == ("computed" if derived else "quoted"), row["name"]
        assert not derived or re.fullmatch(r"[\w-]+ \d[\w.+]*", row["derived_from"]), row["name"]


def test_only_roots_of_an_amt_list_were_seen_in_one() -> None:
    for row in ROWS:
        assert row["seen_in"].startswith("no AMT list") == (row["in_amt"] == "no"), row["name"]
        if row["in_amt"] == "no":
            assert not row["mebx_name"], row["name"]
            assert not row["removed_in"], row["name"]


def test_sizes_of_the_groups() -> None:
    assert Counter(row["in_amt"] for row in ROWS) == {"yes": 26, "possibly": 1, "no": 11}


def test_the_known_hello_is_named() -> None:
    in_amt = {row["sha256"][:8] for row in ROWS if row["in_amt"] == "yes"}
    assert set(HELLO_NAMED.split()) <= in_amt


@pytest.mark.parametrize("digest", HELLO_NAMELESS)
def test_an_unknown_digest_stays_unknown(digest: str) -> None:
    assert digest not in TEXT


def test_two_certificates_of_one_subject_stay_two_rows() -> None:
    entrust = [row for row in ROWS if row["mebx_name"] == "Entrust.net CA (2048)"]
    assert {(row["sha1"][:8], row["not_after"], row["in_amt"]) for row in entrust} == {
        ("50300609", "2029-07-24", "yes"),
        ("801d62d0", "2019-12-24", "possibly"),
    }


def test_a_root_is_known_under_both_its_names() -> None:
    names = {row["name"]: row["mebx_name"] for row in ROWS}
    assert names["AAA Certificate Services"] == "Comodo AAA CA"


def test_what_firmware_16_refuses_is_marked() -> None:
    for row in ROWS:
        if row["in_amt"] == "yes" and row["signature_algorithm"] == "sha1WithRSAEncryption":
            assert "15.0-H" in row["removed_in"] or "MeshCentral" in row["removed_in"], row["name"]
        if row["in_amt"] == "yes" and row["signature_algorithm"].startswith(("sha256", "sha384", "ecdsa")):
            assert row["removed_in"] == "", row["name"]


# ------------------------------------------------------------------------------ true to the real certificates


def pem_certificates(text: bytes) -> Iterator[bytes]:
    for body in re.findall(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", text, re.DOTALL):
        yield base64.b64decode(body)


def assert_rows_match(ders: set[bytes]) -> set[str]:
    """Hold the catalogue against the certificates; returns the names of the rows that were re-derived."""
    by_digest = {row[column]: row for row in ROWS for column in HEX_LENGTH if row[column]}
    derived = set()
    for der in ders:
        digests = {column: hashlib.new(column, der).hexdigest() for column in HEX_LENGTH}
        known = [by_digest[digest] for digest in digests.values() if digest in by_digest]
        if not known:
            continue
        row = known[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old encodings
            certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        assert row | digests == row
        assert row["not_before"] == f"{certificate.not_valid_before_utc:%Y-%m-%d}"
        assert row["not_after"] == f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        assert row["key_algorithm"] == ("RSA" if isinstance(key, rsa.RSAPublicKey) else "EC")
        assert row["key_bits"] == str(key.key_size)
        if row["signature_algorithm"] != "md2WithRSAEncryption":  # which the library has no name for
            algorithm = certificate.signature_hash_algorithm
            assert algorithm is not None
            assert algorithm.name in row["signature_algorithm"].lower()
        assert (row["self_signed"] == "yes") == (certificate.issuer == certificate.subject)
        derived.add(row["name"])
    return derived


def test_certifi_holds_enough_of_the_roots_and_each_agrees() -> None:
    ders = set(pem_certificates(Path(certifi.where()).read_bytes()))
    derived = assert_rows_match(ders)
    assert len(derived) >= FEWEST_FROM_CERTIFI, f"certifi holds only {sorted(derived)}"


@pytest.mark.parametrize("store", SYSTEM_STORES, ids=str)
def test_roots_in_the_system_store_agree(store: Path) -> None:
    paths = [path for path in store.rglob("*") if path.suffix in {".pem", ".crt"} and path.is_file()]
    ders = {der for path in paths for der in pem_certificates(path.read_bytes())}
    if not ders:
        pytest.skip(f"no certificates in {store}")
    # How many of ours a system trusts is its owner's business; that those agree is ours.
    assert_rows_match(ders)


# ------------------------------------------------------------------------------------ the script that derives


SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "derive_roots.py"
needs_script = pytest.mark.skipif(not SCRIPT.exists(), reason="tools/ is not part of an installed package")


def derive(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    """Run tools/derive_roots.py as a person would; a traceback is never an answer."""
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def rows_in_certifi() -> dict[str, bytes]:
    """The certificates in certifi that the catalogue has, by the SHA-256 of their row."""
    ours = {row["sha256"] for row in ROWS}
    ders = pem_certificates(Path(certifi.where()).read_bytes())
    return {digest: der for der in ders if (digest := hashlib.sha256(der).hexdigest()) in ours}


@needs_script
def test_script_agrees_with_this_catalogue() -> None:
    result = derive(certifi.where())
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert sum(line.startswith("ok ") for line in lines) == len(rows_in_certifi()) >= FEWEST_FROM_CERTIFI
    assert sum(line.startswith(("ok ", "not found ")) for line in lines) == len(ROWS)
    assert (
        derive("--require-all", certifi.where()).returncode == 1
    )  # the VeriSign roots left certifi long ago


@needs_script
@pytest.mark.parametrize(
    ("column", "lie"),
    [
        ("sha1", "0" * 40),
        ("sha256", "0" * 64),
        ("sha384", "0" * 96),
        ("sha384", ""),
        ("not_before", "1999-01-01"),
        ("not_after", "2099-01-01"),
        ("key_algorithm", "DSA"),
        ("key_bits", "512"),
        ("signature_algorithm", "md2WithRSAEncryption"),
        ("self_signed", "no"),
    ],
)
def test_script_finds_and_corrects_a_lie(tmp_path: Path, column: str, lie: str) -> None:
    number = next(n for n, row in enumerate(ROWS) if row["sha256"] in rows_in_certifi())
    rows = [dict(row) for row in ROWS]
    rows[number][column] = lie
    catalogue = tmp_path / "roots.csv"
    with catalogue.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    found = derive("--catalogue", catalogue, certifi.where())
    assert found.returncode == 1
    assert re.search(rf"MISMATCH +{re.escape(ROWS[number]['name'])} .*\n +{column}: ", found.stdout)
    assert derive("--catalogue", catalogue, "--write", certifi.where()).returncode == 0
    assert catalogue.read_text(encoding="utf-8") == TEXT


@needs_script
def test_script_reads_der_and_archives(tmp_path: Path) -> None:
    der, *others = rows_in_certifi().values()
    (tmp_path / "one.der").write_bytes(der)
    (tmp_path / "folder").mkdir()
    with zipfile.ZipFile(tmp_path / "folder" / "two.whl", "w") as archive:
        archive.writestr("package/two.der", others[0])
    with tarfile.open(tmp_path / "folder" / "three.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("package/three.pem")
        pem = (
            b"junk\n-----BEGIN CERTIFICATE-----\n"
            + base64.encodebytes(others[1])
            + b"-----END CERTIFICATE-----\n"
        )
        member.size = len(pem)
        tar.addfile(member, io.BytesIO(pem))
    result = derive(tmp_path)
    assert result.returncode == 0
    assert result.stdout.count("\nok ") + result.stdout.startswith("ok ") == 3
    for where in ("(one.der)", "(two.whl!package/two.der)", "(three.tar.gz!package/three.pem)"):
        assert where in result.stdout


@needs_script
def test_script_survives_what_is_not_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n" * 2)
    (tmp_path / "short.der").write_bytes(b"\x30\x82\x00\x04abcd")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    result = derive(tmp_path, certifi.where())
    assert result.returncode == 0
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04")
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b\x08")
    result = derive(tmp_path, certifi.where())
    assert result.returncode == 2
    assert result.stderr.count("cannot read") == 2
    assert "\nok " in result.stdout  # what could be read was read all the same
    assert derive(tmp_path / "nowhere").returncode == 2


@needs_script
def test_script_checks_where_a_row_says_it_comes_from(tmp_path: Path) -> None:
    claimed = next(row for row in ROWS if row["sha256"] in rows_in_certifi())["derived_from"]
    without = tmp_path / f"{claimed.replace(' ', '-')}-py3-none-any.whl"
    with zipfile.ZipFile(without, "w") as archive:
        archive.writestr("cacert.pem", "nothing in here")
    result = derive(without, certifi.where())
    assert result.returncode == 1
    assert f"derived_from: it is not in {claimed}" in result.stdout
