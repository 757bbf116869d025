"""Files that a cluster reads: the same as one process alone gives, whatever becomes of the workers."""

from __future__ import annotations

import datetime
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from helpers import HELLO_ONLY, SAMPLES, run
from test_workers import INTEREST, LIMITS, Read, ring, rows_of, scene

from amtdiag.capture.files.inputs import open_inputs
from amtdiag.capture.parallel import dask as cluster_module
from amtdiag.capture.parallel import dask_task, worker
from amtdiag.capture.prefilter.kernel import sieve_for
from amtdiag.capture.scan import Scan
from amtdiag.config import Cluster, Limits, Options
from amtdiag.pipeline import diagnose
from amtdiag.report.formats.json import analysis_json, dumps

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

pytestmark = [
    # dask closes what it can when its event loop has ended already.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
]


@contextmanager
def local_cluster(**options: Any) -> Iterator[Any]:
    with distributed.LocalCluster(
        threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=60, **options
    ) as running:
        yield running


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two processes and a scheduler."""
    with local_cluster(n_workers=2) as running:
        yield running


@contextmanager
def on_workers(cluster: Any, prepare: Callable[[], None], undo: Callable[[], None]) -> Iterator[None]:
    """Something that is otherwise on all workers, for a while."""
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=20)  # one may have been killed just before
        client.run(prepare)
        yield
        client.run(undo)


def analyze(*words: str | Path, cluster: Any = None) -> Any:
    where = ["--cluster", cluster.scheduler_address] if cluster is not None else []
    return run("analyze", "--json", "--fail-on", "never", *where, *words)


# -------------------------------------------------------------------------------------------- the same result


@pytest.mark.parametrize(
    "paths",
    [
        [SAMPLES / "ring"],
        [SAMPLES / "fleet.pcapng.gz"],
        [SAMPLES / "lab" / "two-sensors-dropped"],
        [SAMPLES / "gave-up.pcap.gz", SAMPLES / "pki-connects.pcapng", HELLO_ONLY],
        [SAMPLES],
    ],
    ids=lambda paths: paths[0].name,
)
def test_samples(paths: list[Path], cluster: Any) -> None:
    ours, theirs = analyze(*paths), analyze(*paths, cluster=cluster)
    assert not theirs.err
    assert theirs.code == ours.code == 0
    assert theirs.out == ours.out


def test_the_workers_read(cluster: Any) -> None:
    """What the other tests compare did not come from this process."""
    with patch("amtdiag.capture.filescan.FileScan._batches", side_effect=AssertionError):
        assert analyze(HELLO_ONLY, cluster=cluster).code == 0
        with pytest.raises(AssertionError):
            analyze(HELLO_ONLY)


def test_urls(cluster: Any) -> None:
    url = f"file://{SAMPLES / 'ring'}/*.pcap"
    assert analyze(url, cluster=cluster) == analyze(url)


def test_broken_files(tmp_path: Path, cluster: Any) -> None:
    paths = ring(tmp_path)
    data = paths[1].read_bytes()
    paths[1].write_bytes(data[:300] + b"\xff" * 16 + data[316:])
    paths[2].write_bytes(b"no capture at all")
    assert analyze(tmp_path, cluster=cluster) == analyze(tmp_path)


def test_a_file_in_which_too_much_matters(tmp_path: Path, cluster: Any) -> None:
    paths = ring(tmp_path)

    def little() -> None:
        from amtdiag.capture.parallel import dask_task

        dask_task.MAX_BYTES = 1000

    def as_it_was() -> None:
        from amtdiag.capture.parallel import dask_task

        dask_task.MAX_BYTES = 64 << 20

    with on_workers(cluster, little, as_it_was):
        assert analyze(*paths, cluster=cluster) == analyze(*paths)


# ------------------------------------------------------------------------------------------- what goes wrong


def test_a_worker_killed_midway(tmp_path: Path, cluster: Any) -> None:
    """Another one takes over, and nothing is lost."""
    paths = ring(tmp_path, padding=100_000)
    marker = str(tmp_path / "killed")

    def kill_once() -> None:
        import os
        import signal

        from amtdiag.capture.parallel import worker

        worker.PART_BYTES = 10_000
        original, parts = worker.Scout._part, []

        def part(self: Any) -> Any:
            parts.append(1)
            if len(parts) == 3:
                try:
                    os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    return original(self)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(self)

        worker.Scout._part = part  # type: ignore[method-assign]
        worker.Scout.original = original  # type: ignore[attr-defined]

    def restore() -> None:
        from amtdiag.capture.parallel import worker

        worker.PART_BYTES = 1 << 20
        worker.Scout._part = getattr(worker.Scout, "original", worker.Scout._part)  # type: ignore[method-assign]

    with on_workers(cluster, kill_once, restore):
        assert analyze(*paths, cluster=cluster) == analyze(*paths)
    assert Path(marker).exists()


Answer = Callable[..., Any]


def replace_task(answer: Answer) -> tuple[Callable[[], None], Callable[[], None]]:
    """Another body for the task, which is given the original one and its arguments."""

    def prepare() -> None:
        from amtdiag.capture.parallel import dask_task

        original = dask_task.read_file
        dask_task.original = original  # type: ignore[attr-defined]
        dask_task.read_file = lambda setup, order: answer(original, setup, order)

    def undo() -> None:
        from amtdiag.capture.parallel import dask_task

        dask_task.read_file = getattr(dask_task, "original", dask_task.read_file)

    return prepare, undo


RUBBISH: list[tuple[Answer, str]] = [
    (lambda *_: "text", "what the worker sent is no answer"),
    (lambda *_: b"bytes", "what the worker sent is no answer"),
    (
        lambda read_file, *given: read_file(*given)[:-1],
        "the worker's answer is damaged: it ends in the middle of the file",
    ),
    (
        lambda read_file, *given: read_file(*given) + b"more",
        "the worker's answer is damaged: it ends in the middle of the file",
    ),
    (
        lambda read_file, *given: read_file(*given).replace(b"h1_single", b"h1_s\x1bngle"),
        "sent is damaged",
    ),
    (
        lambda read_file, *given: read_file(*given).replace(b"h1_single", b"other_one"),
        "the worker's answer is about another file",
    ),
    (lambda read_file, setup, _: read_file(setup, b""), "JSONDecodeError"),
    (lambda *_: 1 // 0, "the task failed: ZeroDivisionError: integer division or modulo by zero"),
]


def test_rubbish(cluster: Any) -> None:
    for answer, reason in RUBBISH:
        with on_workers(cluster, *replace_task(answer)):
            done = analyze(HELLO_ONLY, cluster=cluster)
        assert done.code == 0
        assert not done.err
        (note,) = json.loads(done.out)["captures"][0]["notes"]
        assert note.startswith("reading stopped: ")
        assert reason in note


def test_a_worker_that_always_dies(tmp_path: Path, cluster: Any) -> None:
    cluster.scheduler.allowed_failures, before = 0, cluster.scheduler.allowed_failures
    try:
        with on_workers(cluster, *replace_task(lambda *_: os.kill(os.getpid(), 9))):
            done = analyze(HELLO_ONLY, cluster=cluster)
    finally:
        cluster.scheduler.allowed_failures = before
    assert json.loads(done.out)["captures"][0]["notes"] == [
        "reading stopped: the process that read it died, and so did each that took over (1 in all)"
    ]


def test_another_version(cluster: Any) -> None:
    def answer(read_file: Callable[..., bytes], *given: bytes) -> bytes:
        return read_file(*given).replace(b"kernel ", b"Kernel ", 1)

    with on_workers(cluster, *replace_task(answer)):
        done = analyze(HELLO_ONLY, cluster=cluster)
    assert done.code == 4
    assert done.err.startswith("amtdiag: a worker of the cluster has amtdiag ")
    assert done.err.count("\n") == 1


def test_no_amtdiag_on_the_workers(cluster: Any) -> None:
    def hide() -> None:
        import sys

        name = "amtdiag.capture.parallel.dask_task"
        sys.modules["kept"], sys.modules[name] = sys.modules[name], None  # type: ignore[assignment]

    def show() -> None:
        import sys

        sys.modules["amtdiag.capture.parallel.dask_task"] = sys.modules["kept"]

    analyze(HELLO_ONLY, SAMPLES / "ring", cluster=cluster)
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.run(__import__, "amtdiag.capture.parallel.dask_task")
    with on_workers(cluster, hide, show):
        done = analyze(HELLO_ONLY, cluster=cluster)
    assert done.code == 4
    assert done.err.startswith("amtdiag: a worker of the cluster lacks this amtdiag: ")
    assert done.err.count("\n") == 1


@contextmanager
def foreign_cluster(folder: Path) -> Iterator[str]:
    """The address of a scheduler with a worker, processes that cannot import amtdiag at all."""
    (folder / "sitecustomize.py").write_text("import sys; sys.modules['amtdiag'] = None\n")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    calls = (
        ["dask_scheduler", "--host", address, "--no-dashboard"],
        ["dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{call[0]}", *call[1:]],
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,
            stderr=subprocess.DEVNULL,
        )
        for call in calls
    ]
    try:
        with distributed.Client(address, set_as_default=False, timeout=20) as client:
            client.wait_for_workers(1, timeout=20)
        yield address
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_no_amtdiag_anywhere_else(tmp_path: Path) -> None:
    """Neither the scheduler nor a worker can import what a task names: that is said, and nothing hangs."""
    with foreign_cluster(tmp_path) as address:
        begun = time.monotonic()
        done = run("analyze", "--json", HELLO_ONLY, "--cluster", address)
    assert time.monotonic() - begun < 10
    assert done.code == 4
    assert done.err.startswith("amtdiag: a worker of the cluster lacks this amtdiag: ")
    assert done.err.count("\n") == 1


def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        begun = time.monotonic()
        done = run("analyze", HELLO_ONLY, "--cluster", f"tcp://127.0.0.1:{nobody.getsockname()[1]}")
    assert done.code == 4
    assert "cannot be used: OSError: Timed out" in done.err
    assert done.err.count("\n") == 1
    assert time.monotonic() - begun < 8


def test_no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    with local_cluster(n_workers=0) as empty:
        done = analyze(HELLO_ONLY, cluster=empty)
    assert done.code == 4
    assert "has no workers" in done.err


@pytest.mark.parametrize("lost", ["workers", "scheduler"])
def test_a_cluster_that_is_lost(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is read here."""
    monkeypatch.setattr(cluster_module, "PATIENCE_SECONDS", 0)
    take = cluster_module.Fleet.take
    taken: list[int] = []

    def take_and_lose(fleet: Any, number: int) -> Any:
        taken.append(number)
        if len(taken) == 2 and lost == "workers":
            running.scale(0)
            while running.scheduler.workers:
                time.sleep(0.05)
        elif len(taken) == 2:
            running.close()
        return take(fleet, number)

    monkeypatch.setattr(cluster_module.Fleet, "take", take_and_lose)
    paths = [SAMPLES / "ring", SAMPLES / "lab" / "two-sensors-dropped"]
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        local_cluster(n_workers=1) as running,
    ):
        assert analyze(*paths, cluster=running) == analyze(*paths)
    assert len(taken) > 3


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://192.0.2.1:8786", "--cluster-insecure"),
        ("tcp://scheduler:8786", "--cluster-insecure"),
        ("tcp://127.0.0.1.example.com:8786", "--cluster-insecure"),
        ("tls://192.0.2.1:8786", "dask's configuration has no distributed.comm.tls.ca-file"),
        ("scheduler:8786", "a cluster's address is"),
        ("tcp://127.0.0.1", "a cluster's address is"),
        ("inproc://1/2:3", "a cluster's address is"),
        ("tcp://[:1", "a cluster's address is"),
        ("tcp://\x1b[2J:1", "\\x1b"),
    ],
)
def test_addresses_that_will_not_do(address: str, reason: str) -> None:
    done = run("analyze", HELLO_ONLY, "--cluster", address)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_plain_tcp_elsewhere_if_you_say_so() -> None:
    cluster_module._checked(Cluster("tcp://192.0.2.1:8786", insecure=True))


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    done = run("analyze", HELLO_ONLY, "--cluster", "tcp://127.0.0.1:1")
    assert done.code == 4
    assert done.err == "amtdiag: --cluster takes dask.distributed: pip install 'amtdiag[cluster]'\n"


# ------------------------------------------------------------------------------------------------------- TLS


def authority(folder: Path, name: str) -> dict[str, str]:
    """A CA and a certificate that it signed, for all parts of a cluster."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one)]) for one in (f"{name} CA", f"{name} node")
    ]
    for at, is_ca in enumerate((True, False)):
        certificate = (
            x509.CertificateBuilder()
            .subject_name(names[at])
            .issuer_name(names[0])
            .public_key(keys[at].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .sign(keys[0], hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        pem += keys[at].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}{at}.pem").write_bytes(pem)
    return {"ca": str(folder / f"{name}0.pem"), "node": str(folder / f"{name}1.pem")}


def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 2)
    ours, theirs = authority(tmp_path, "ours"), authority(tmp_path, "theirs")
    security = distributed.Security(
        tls_ca_file=ours["ca"],
        require_encryption=True,
        **{f"tls_{role}_cert": ours["node"] for role in ("client", "scheduler", "worker")},
    )

    def configured(files: dict[str, str]) -> Any:
        tls = "distributed.comm.tls"
        return dask.config.set({f"{tls}.ca-file": files["ca"], f"{tls}.client.cert": files["node"]})

    paths = [SAMPLES / "ring"]
    with local_cluster(n_workers=1, security=security, protocol="tls") as running:
        assert running.scheduler_address.startswith("tls://127.0.0.1:")
        with configured(ours):
            assert analyze(*paths, cluster=running) == analyze(*paths)
        with configured(theirs):
            stranger = analyze(*paths, cluster=running)
        plain = run("analyze", *paths, "--cluster", running.scheduler_address.replace("tls:", "tcp:"))
    assert (stranger.code, stranger.err.count("\n")) == (4, 1)
    assert (plain.code, plain.err.count("\n")) == (4, 1)


# ------------------------------------------------------------------ answers, without the time a cluster takes


class Here:
    """The client of a cluster that is this thread; what comes back may be changed on its way."""

    def __init__(self, change: Callable[[bytes], bytes] = lambda data: data) -> None:
        self._change = change

    def submit(self, function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        data = self._change(function(*arguments))

        class Done:
            def result(self, timeout: float) -> bytes:
                return data

            def release(self) -> None:
                pass

        return Done()

    def nthreads(self) -> dict[str, int]:
        return {"here": 1}

    def close(self, timeout: float) -> None:
        pass


def read(paths: Sequence[Path], limits: Limits, cluster: Cluster | None = None) -> Read:
    opened = open_inputs(paths, limits)
    scan = Scan(opened.inputs, INTEREST, limits, sieve=sieve_for(INTEREST)[0], cluster=cluster)
    rows = rows_of(scan)
    return Read(rows, [], scan.captures, (scan.packets, scan.evicted, scan.incomplete_datagrams))


def test_conversations_across_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_connect", lambda _: Here())
    monkeypatch.setattr(worker, "PART_BYTES", 300)
    for seed in range(30):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        paths = scene(chance, folder)
        # Some answers are too long to be sent.
        monkeypatch.setattr(dask_task, "MAX_BYTES", chance.choice([64 << 20, 300_000]))
        assert read(paths, LIMITS, Cluster("")) == read(paths, LIMITS), f"seed {seed}"


def test_damaged_answers_never_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ring(tmp_path, 2)
    chance = random.Random(1)
    stopped = 0

    def change(data: bytes) -> bytes:
        hurt = bytearray(data)
        head = data.index(b"\n", len(dask_task.MAGIC)) + 1
        # Left out is the table of bits, which is most of it and cannot be wrong.
        places = [*range(head, data.index(b"]", head)), *range(len(data) - 3000, len(data))]
        for _ in range(chance.randrange(1, 4)):
            hurt[chance.choice(places)] = chance.choice([0, 1, 0x1B, 0x22, 0x5B, 0x7F, 0xFF])
        return bytes(hurt)

    monkeypatch.setattr(cluster_module, "_connect", lambda _: Here(change))
    for _ in range(400):
        result = diagnose(paths, Options(cluster=Cluster("")))
        stopped += "reading stopped" in dumps(analysis_json(result))
    assert stopped > 50
