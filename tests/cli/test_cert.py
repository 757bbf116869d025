"""`amtdiag analyze --cert`: my provisioning chain against each device, and how a password gets in."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificates
from helpers import HELLO_ONLY, SAMPLES, run
from shapes import device, device_uuid, pcap, pki, plain, psk, records

from amtdiag import read
from amtdiag.errors import UsageError
from amtdiag.simulator import chains
from amtdiag.simulator.certificates import Identity, authority, server_identity

TLS = SAMPLES / "tls-cut-by-device.pcapng"
"""A device of the domain site12.example that does not list the root of the samples."""
PASSWORD = "correct horse"


def saved(identity: Identity, folder: Path) -> Path:
    path = folder / "chain.pem"
    path.write_bytes(identity.chain + identity.key)
    return path


def pfx(identity: Identity, folder: Path) -> Path:
    key = load_pem_private_key(identity.key, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    own, *others = load_pem_x509_certificates(identity.chain)
    path = folder / "chain.pfx"
    encryption = BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"x", key, own, others, encryption))
    return path


@pytest.fixture
def pfx_file(tmp_path: Path) -> Path:
    return pfx(server_identity("site12.example"), tmp_path)


def findings(chain: Path, capture: Path, *words: str | Path) -> list[Any]:
    ran = run("analyze", "--json", "--cert", chain, *words, capture)
    assert ran.code in (0, 1), ran.err
    return [one for one in json.loads(ran.out)["findings"] if one["rule"].startswith("own-chain")]


def test_a_root_that_the_device_does_not_list(tmp_path: Path) -> None:
    (found,) = findings(saved(server_identity("site12.example"), tmp_path), TLS)
    assert (found["rule"], found["catalogue"], found["severity"]) == ("own-chain-refused", "F18", "error")
    assert found["evidence"][0]["frame"] == 16
    assert "Sample Provisioning Root" in found["summary"]


@pytest.mark.parametrize(
    ("chain", "rows"),
    [
        (chains.web_certificate, {"F24"}), (chains.console_oid, {"F24"}), (chains.leaf_only, {"F26"}),
        (chains.without_server_auth, {"F25"}), (chains.of_another_domain, {"F22"}),
        (chains.disordered, {"F27"}), (chains.expired, {"F18", "F28"}), (chains.wildcard, {"F18", "F22"}),
        (chains.with_sha1_root, {"F18", "F20"}), (chains.with_small_key, {"F18", "F21"}),
    ],
)  # fmt: skip
def test_chains_with_a_flaw(chain: chains.Chain, rows: set[str], tmp_path: Path) -> None:
    """Beside its root, which is not listed, each has a flaw: the first rule that refuses gives the row."""
    found = findings(saved(chain("site12.example"), tmp_path), TLS)
    assert {one["catalogue"] for one in found} == rows


def test_each_device_for_itself(tmp_path: Path) -> None:
    root = hashlib.sha256(authority().der).digest()
    messages = [
        pki([(2, b"\1" * 32), (2, root)], uuid_wire=device_uuid(1)),
        pki([(2, b"\1" * 32)], uuid_wire=device_uuid(2)),
        psk(uuid_wire=device_uuid(3)),
    ]
    packets = [plain(message, device(number)) for number, message in enumerate(messages, 1)]
    capture = tmp_path / "three.pcap"
    capture.write_bytes(pcap([one for talk in packets for one in records(talk)]))
    chain = saved(server_identity("site01.example"), tmp_path)
    ran = run("analyze", "--json", "--cert", chain, capture)
    told = json.loads(ran.out)
    ids = [one["id"] for one in told["devices"]]
    refused = [one["device"] for one in told["findings"] if one["rule"] == "own-chain-refused"]
    assert refused == [ids[1]]
    open_ones = [one for one in told["unknowns"] if "accepts provisionserver.site01.example" in one["what"]]
    assert [one["device"] for one in open_ones] == [ids[0]]
    assert "DHCP" in open_ones[0]["would_decide"]
    assert told["tool"]["options"]["cert"] == "provisionserver.site01.example"


def test_no_chain_no_word() -> None:
    ran = run("analyze", "--json", HELLO_ONLY)
    assert json.loads(ran.out)["tool"]["options"]["cert"] is None
    assert "own-chain" not in ran.text


# -------------------------------------------------------------------------------------------------- passwords


@pytest.mark.parametrize(
    "content", [PASSWORD, f"{PASSWORD}\n", f"{PASSWORD}\r\nnext line", f"\ufeff{PASSWORD}"]
)
def test_a_password_from_a_file(content: str, pfx_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(content, "utf-8", newline="")
    assert [one["rule"] for one in findings(pfx_file, TLS, "--cert-password-file", file)] == [
        "own-chain-refused"
    ]


def refused(*words: str | Path, code: int = 2) -> str:
    ran = run("analyze", *words, TLS)
    assert (ran.code, ran.out) == (code, b"")
    assert ran.err.startswith("amtdiag: ")
    assert ran.err.count("\n") == 1
    return ran.err


def test_what_cannot_be_opened(pfx_file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong horse")
    assert "password is wrong" in refused("--cert", pfx_file, "--cert-password-file", wrong)
    assert "needs a password" in refused("--cert", pfx_file)
    assert "goes with --cert" in refused("--cert-password-file", wrong)
    assert "no certificate" in refused("--cert", wrong)
    refused("--cert", tmp_path / "nothing", code=3)
    refused("--cert", pfx_file, "--cert-password-file", tmp_path / "nothing", code=3)


@pytest.mark.parametrize("answer", [PASSWORD, "wrong horse"])
def test_a_password_typed_at_a_terminal(answer: str, pfx_file: Path) -> None:
    """It is asked for on standard error, and not echoed; standard output stays data."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "amtdiag", "analyze", "--json", "--cert", pfx_file, TLS],
        stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        os.close(slave)
        assert process.stderr
        prompt = b""
        while not prompt.endswith(b": "):
            prompt += process.stderr.read(1)
        os.write(master, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
    os.close(master)
    assert prompt == f"Password of {pfx_file}: ".encode()
    assert answer.encode() not in out + err
    if answer == PASSWORD:
        assert process.returncode == 1
        assert json.loads(out)["tool"]["options"]["cert"] == "provisionserver.site12.example"
    else:
        assert process.returncode == 2
        assert b"password is wrong" in err


def test_from_python(pfx_file: Path, tmp_path: Path) -> None:
    found = read(TLS, cert=pfx_file, cert_password=PASSWORD)
    assert "own-chain-refused" in set(found.findings["rule"])
    with pytest.raises(UsageError, match="chain\\.pfx: the password is wrong"):
        read(TLS, cert=pfx_file, cert_password="wrong")
    with pytest.raises(UsageError, match="needs a password"):
        read(TLS, cert=pfx_file)


def test_the_report_holds_no_key_and_no_password(pfx_file: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    words: list[str | Path] = [
        "--cert",
        pfx_file,
        "--cert-password-file",
        tmp_path / "password",
        "-o",
        tmp_path / "report",
    ]
    run("analyze", *words, TLS)
    key = server_identity("site12.example").key
    secret = load_pem_private_key(key, None)
    assert isinstance(secret, rsa.RSAPrivateKey)
    told = b"".join(one.read_bytes() for one in (tmp_path / "report").rglob("*") if one.is_file())
    assert b"own-chain-refused" in told
    for word in (PASSWORD.encode(), str(secret.private_numbers().d).encode(), b"PRIVATE KEY"):
        assert word not in told
