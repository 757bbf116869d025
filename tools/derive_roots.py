#!/usr/bin/env python3
"""Re-derive the catalogue of built-in roots from real certificates.

A digest in ``amtdiag/trust/roots.csv`` is only worth something if it is the digest of a certificate that
somebody really has. This script reads certificate bundles, hashes every certificate in them, and holds each
row of the catalogue against the certificate that hashes to it: the three digests, both dates, key, signature
algorithm, and whether it is self-signed. What a certificate cannot say (which firmware carries it, under
which name, who says so) it leaves alone.

Root certificates disappear from today's bundles, so old releases of the packages that carry them are needed.
These four hold every row; the column ``derived_from`` says which of them a row was derived from::

    python -m pip download --no-deps --dest bundles certifi==0.0.8
    python -m pip download --no-deps --dest bundles certifi==2015.4.28
    python -m pip download --no-deps --dest bundles certifi==2026.10.18
    python -m pip download --no-deps --dest bundles sslyze==2.1.4
    python tools/derive_roots.py --require-all bundles

(certifi 0.0.8 and sslyze 2.1.4 exist as source archives only, and pip runs the setup.py of those to learn
their metadata.) Anything else that holds certificates does as well: a system's ``/etc/ssl/certs``, a folder
unpacked from a .deb, single .pem, .crt or .der files. Folders are searched through, archives are read in
place.

Exit status: 0 all that was found agrees; 1 something does not, or a row is missing and --require-all was
given; 2 an input could not be read. ``--write`` corrects the catalogue by what the certificates say.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import csv
import hashlib
import lzma
import re
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

CATALOGUE = Path(__file__).resolve().parents[1] / "amtdiag" / "trust" / "roots.csv"
NOT_DERIVED = "not re-derived"

# The largest bundle known is below 1 MiB: the limit keeps a stray disk image from being read whole.
LARGEST_FILE = 32 * 2**20

_PEM = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.+?)-----END ", re.DOTALL)
_RELEASE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*)-(?P<version>\d+(?:\.\d+)+)")
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ZIP = (".zip", ".whl")

# RuntimeError: a zip with a password, or packed in a way that zipfile does not know.
_UNREADABLE = (
    EOFError,
    OSError,
    RuntimeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)

# Spelt out here because cryptography has no name for MD2, and its names are private.
_SIGNATURES = {
    "1.2.840.113549.1.1.2": "md2WithRSAEncryption",
    "1.2.840.113549.1.1.4": "md5WithRSAEncryption",
    "1.2.840.113549.1.1.5": "sha1WithRSAEncryption",
    "1.2.840.113549.1.1.11": "sha256WithRSAEncryption",
    "1.2.840.113549.1.1.12": "sha384WithRSAEncryption",
    "1.2.840.113549.1.1.13": "sha512WithRSAEncryption",
    "1.2.840.10045.4.3.2": "ecdsa-with-SHA256",
    "1.2.840.10045.4.3.3": "ecdsa-with-SHA384",
    "1.2.840.10045.4.3.4": "ecdsa-with-SHA512",
}

# What stands before the hash in an RSA signature (RFC 8017, 9.2, note 1).
_DIGEST_INFO = {
    "md2": bytes.fromhex("3020300c06082a864886f70d020205000410"),
    "md5": bytes.fromhex("3020300c06082a864886f70d020505000410"),
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A real certificate, and where it was found."""

    der: bytes
    where: str  # file name, or "archive!member"
    release: str  # "certifi 2015.4.28" if the archive's name tells, else ""


# ---------------------------------------------------------------------------------------- reading the bundles


def release_of(filename: str) -> str:
    """The package and version an archive's name stands for, in the spelling of the column ``derived_from``.

    ``certifi-2015.04.28-py2.py3-none-any.whl`` is "certifi 2015.4.28": PyPI holds 04 and 4 to be one version.
    """
    match = _RELEASE.match(filename)
    if match is None:
        return ""
    version = ".".join(str(int(part)) for part in match["version"].split("."))
    return f"{match['name'].lower()} {version}"


def files(path: Path) -> list[Path]:
    """The file itself, or all files below a folder (dangling links, as /etc/ssl/certs has them, left out)."""
    return sorted(child for child in path.rglob("*") if child.is_file()) if path.is_dir() else [path]


def contents(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """A file, or every file in an archive, as (where, release, bytes)."""
    if path.name.endswith(_ZIP):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and info.file_size <= LARGEST_FILE:
                    yield f"{path.name}!{info.filename}", release_of(path.name), archive.read(info)
    elif path.name.endswith(_TAR):
        with tarfile.open(path) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isreg() and member.size <= LARGEST_FILE else None
                if stream is not None:
                    yield f"{path.name}!{member.name}", release_of(path.name), stream.read()
    elif path.stat().st_size <= LARGEST_FILE:
        yield path.name, "", path.read_bytes()


def der_length(blob: bytes) -> int | None:
    """How long the DER sequence is that ``blob`` starts with; None if there is none, or it is cut."""
    # A certificate is longer than 255 and shorter than 65,536 bytes: its length takes two bytes.
    if len(blob) < 4 or blob[:2] != b"\x30\x82":
        return None
    length = 4 + int.from_bytes(blob[2:4], "big")
    return length if length <= len(blob) else None


def certificates(blob: bytes) -> Iterator[bytes]:
    """The DER of every certificate in a file: PEM anywhere in it, or one DER certificate."""
    pems = _PEM.findall(blob)
    if not pems and der_length(blob) == len(blob):
        yield blob
    for body in pems:
        try:
            der = base64.b64decode(body)
        except binascii.Error:
            continue
        # OpenSSL's TRUSTED CERTIFICATE has trust settings behind the certificate; they are not part of it.
        if (length := der_length(der)) is not None:
            yield der[:length]


# ------------------------------------------------------------------------------------ what a certificate says


def digests(der: bytes) -> dict[str, str]:
    """The three digests that AMT can announce a root by, the strongest first."""
    return {
        name: hashlib.new(name, der, usedforsecurity=False).hexdigest()
        for name in ("sha384", "sha256", "sha1")
    }


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether the certificate's own key made its signature.

    RSA signatures are opened by hand because libraries have stopped verifying MD5 and SHA-1. Nothing here can
    compute MD2: a signature that opens, with this key, to a well-formed MD2 DigestInfo was made by this key,
    which is the question asked; that the digest in it is the right one is not checked.
    """
    if certificate.issuer != certificate.subject:
        return False
    key = certificate.public_key()
    body = certificate.tbs_certificate_bytes
    try:
        if isinstance(key, rsa.RSAPublicKey):
            opened = key.recover_data_from_signature(certificate.signature, padding.PKCS1v15(), None)
            for name, prefix in _DIGEST_INFO.items():
                if opened.startswith(prefix):
                    digest = opened[len(prefix) :]
                    if name == "md2":
                        return len(digest) == 16
                    return digest == hashlib.new(name, body, usedforsecurity=False).digest()
            return False
        if isinstance(key, ec.EllipticCurvePublicKey) and certificate.signature_hash_algorithm is not None:
            key.verify(certificate.signature, body, ec.ECDSA(certificate.signature_hash_algorithm))
            return True
    except InvalidSignature:
        return False
    raise UnsupportedAlgorithm("only RSA and ECDSA self-signatures can be checked")


def facts(der: bytes) -> dict[str, str]:
    """Those columns of the catalogue that follow from the certificate.

    Raises:
        ValueError: the certificate's encoding is one that the library refuses; its digests are still good.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about serial numbers and encodings that were usual in the 1990s
            certificate = x509.load_der_x509_certificate(der)
            not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            algorithm = certificate.signature_algorithm_oid.dotted_string
            key = certificate.public_key()
            if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
                raise UnsupportedAlgorithm(f"unexpected kind of key: {type(key).__name__}")
            self_signed = is_self_signed(certificate)
    except (TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ValueError(str(error)) from error
    return {
        **digests(der),
        "not_before": not_before.date().isoformat(),
        "not_after": not_after.date().isoformat(),
        "key_algorithm": "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC",
        "key_bits": str(key.key_size),
        "signature_algorithm": _SIGNATURES.get(algorithm, algorithm),
        "self_signed": "yes" if self_signed else "no",
    }


# ------------------------------------------------------------------------------------------------- comparison


def read_catalogue(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The column names and the rows."""
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or ()), list(reader)


def write_catalogue(path: Path, columns: Sequence[str], rows: Iterable[dict[str, str]]) -> None:
    """Write the catalogue back."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def search(
    inputs: Iterable[Path], rows: Sequence[dict[str, str]]
) -> tuple[dict[int, list[Found]], set[str], list[str]]:
    """Look through the inputs for certificates that the catalogue knows by any of their digests.

    Any, not all: a row with one wrong digest must be found by a right one, to be told apart from a row whose
    certificate is not there.

    Returns:
        The finds by row number, the releases that were among the inputs, and what could not be read.
    """
    known = {
        row[name]: number
        for number, row in enumerate(rows)
        for name in ("sha1", "sha384", "sha256")
        if row[name]
    }
    found: dict[int, list[Found]] = {}
    releases: set[str] = set()
    unreadable: list[str] = []
    for path in (file for given in inputs for file in files(given)):
        try:
            for where, release, blob in contents(path):
                releases.add(release)
                for der in certificates(blob):
                    hashes = digests(der)
                    number = next((known[value] for value in hashes.values() if value in known), None)
                    if number is not None:
                        found.setdefault(number, []).append(Found(der, where, release))
        except _UNREADABLE as error:
            unreadable.append(f"{path}: {error}")
    return found, releases - {""}, unreadable


def disagreements(
    row: dict[str, str], finds: Sequence[Found], releases: set[str]
) -> tuple[list[str], list[str]]:
    """What a row says that the certificates found for it do not.

    Returns:
        Disagreements, and notes about what could not be checked.
    """
    wrong: list[str] = []
    notes: list[str] = []
    for der in sorted({find.der for find in finds}):
        try:
            said = facts(der)
        except ValueError as error:
            said = digests(der)
            notes.append(f"only the digests were checked: {error}")
        wrong += [
            f"{name}: has {row[name]!r}, not {value!r}" for name, value in said.items() if row[name] != value
        ]
    if row["derived_from"] == NOT_DERIVED:
        notes.append(f"derived_from says {NOT_DERIVED!r}, yet here it is")
    elif row["derived_from"] in releases and row["derived_from"] not in {find.release for find in finds}:
        wrong.append(f"derived_from: it is not in {row['derived_from']}, which was searched")
    return wrong, notes


def refresh(row: dict[str, str], finds: Sequence[Found]) -> bool:
    """Put what the certificate says into the row; False if that cannot be told."""
    ders = {find.der for find in finds}
    if len(ders) != 1:
        return False  # digests of two different certificates in one row: a person has to look
    try:
        row.update(facts(ders.pop()))
    except ValueError:
        return False
    if row["derived_from"] == NOT_DERIVED:
        row["derived_from"] = next((find.release for find in finds if find.release), finds[0].where)
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; the result is the exit status."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "inputs", nargs="+", type=Path, metavar="PATH", help="bundle, certificate, archive or folder"
    )
    parser.add_argument("--catalogue", type=Path, default=CATALOGUE, metavar="CSV", help="another catalogue")
    parser.add_argument(
        "--require-all", action="store_true", help="a row whose certificate is not there is an error"
    )
    parser.add_argument(
        "--write", action="store_true", help="correct the catalogue by what the certificates say"
    )
    options = parser.parse_args(arguments)
    for path in options.inputs:
        if not path.exists():
            parser.error(f"no such file or folder: {path}")

    columns, rows = read_catalogue(options.catalogue)
    found, releases, unreadable = search(options.inputs, rows)
    if options.write:
        for number, finds in found.items():
            refresh(rows[number], finds)
        write_catalogue(options.catalogue, columns, rows)

    mismatches = 0
    for number, row in enumerate(rows):
        if number not in found:
            print(f"not found  {row['name']}")
            continue
        wrong, notes = disagreements(row, found[number], releases)
        mismatches += bool(wrong)
        print(f"{'MISMATCH ' if wrong else 'ok       '}  {row['name']}  ({found[number][0].where})")
        for line in (*wrong, *notes):
            print(f"           {line}")
    for line in unreadable:
        print(f"cannot read {line}", file=sys.stderr)
    print(f"{len(found)} of {len(rows)} rows found, {mismatches} of them with a mismatch")
    if mismatches or (options.require_all and len(found) < len(rows)):
        return 1
    return 2 if unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
