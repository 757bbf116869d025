"""Keys and certificates for TLS on the connection back, made anew by OpenSSL for every run of the lab."""

from __future__ import annotations

import ssl
from pathlib import Path

from tools.lab.net import run

_AMT_OID = "2.16.840.1.113741.1.2.3"
_LEAF = f"""\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth, {_AMT_OID}
"""


class Credentials:
    """A root that stands in for a bought one, a key for the servers below it, and a device's certificate."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root, self._root_key = folder / "root.pem", folder / "root.key"
        self._key, self._device = folder / "server.key", folder / "device.pem"
        _self_signed("Lab Root CA", self._root_key, self._root)
        _self_signed("AMT RCFG", folder / "device.key", self._device)
        run("openssl", "genrsa", "-out", str(self._key), "2048")
        (folder / "leaf.cnf").write_text(_LEAF)

    def server(self, name: str) -> ssl.SSLContext:
        """What the SCA connects back with: a client that shows leaf and root."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain(name), self._key)
        return context

    def listening_server(self, name: str) -> ssl.SSLContext:
        """What a server shows that devices connect to."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._chain(name), self._key)
        return context

    def connecting_device(self) -> ssl.SSLContext:
        """A device that connects to a server below the lab's root."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self._root)
        return context

    def device(self) -> ssl.SSLContext:
        """What the device listens with: a self-signed certificate, and it wants to see the server's chain."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self._root)
        context.load_cert_chain(self._device, self._device.with_suffix(".key"))
        return context

    def _chain(self, name: str) -> Path:
        chain = self._folder / f"{name}.pem"
        request, leaf = chain.with_suffix(".csr"), chain.with_suffix(".leaf")
        run(*f"openssl req -new -key {self._key} -subj /O=Lab/CN={name} -out {request}".split())
        run(
            *f"openssl x509 -req -in {request} -CA {self._root} -CAkey {self._root_key}".split(),
            *f"-set_serial {sum(name.encode())} -days 365 -extfile {self._folder / 'leaf.cnf'}".split(),
            *f"-out {leaf}".split(),
        )
        chain.write_text(leaf.read_text() + self._root.read_text())
        return chain


def _self_signed(name: str, key: Path, target: Path) -> None:
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"),
        *("-subj", f"/O=Lab/CN={name}", "-keyout", str(key), "-out", str(target)),
    )
