"""What `amtdiag.read` gives: a diagnosis with its tables, charts and pages at hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from amtdiag import frames
from amtdiag.config import Cluster, Options
from amtdiag.errors import UsageError
from amtdiag.frames import plain
from amtdiag.model import SEVERITIES, Diagnosis, Finding, Unknown
from amtdiag.report.names import device_names, find_device
from amtdiag.report.verdict import stuck_devices, title_of, verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_LARGEST_PORT = 65_535
_MOST_CHAIN_BYTES = 16 << 20
_MOST_ROWS = 30
_MOST_CAUSES = 20


def read(
    *paths: str | PathLike[str],
    ports: Iterable[int] = (),
    root_of: str | PathLike[str] | None = None,
    cert: str | PathLike[str] | None = None,
    cert_password: str | None = None,
    keylog: str | PathLike[str] | None = None,
    psk: str | PathLike[str] | None = None,
    strict: bool = False,
    workers: int | None = None,
    cluster: str | None = None,
) -> Analysis:
    """Read captures and return what they show.

    `paths` are files or folders; several are one capture in time order. `ports` are Hello ports besides
    9971 and 9972. `root_of` is a file with a certificate chain, PEM or DER: devices that do not list its
    root get a finding. `cert` is a file with your provisioning certificate and its chain, PEM, DER or PFX:
    each device gets a finding that says whether it would accept it. `cert_password` opens a PFX (ask for it
    with `getpass.getpass()`); only the certificates are kept. `keylog` is a TLS key log (as of
    SSLKEYLOGFILE), `psk` a file of PID and PPS, a pair a line: what these open is decrypted by tshark and
    read. So many `workers` read several files at a time; unless you say, one a core where it pays. Raises
    `InputError` where nothing can be read (with `strict`: where any file cannot), `UsageError` for a port,
    chain or number that makes no sense, `MissingToolError` where there are secrets and no tshark.
    """
    from amtdiag.pipeline import diagnose

    extra = tuple(ports)
    for port in extra:
        if not 0 < port <= _LARGEST_PORT:
            raise UsageError(f"a port is a number from 1 to {_LARGEST_PORT}, not {port}")
    if workers is not None and workers < 1:
        raise UsageError(f"at least one worker has to read, not {workers}")
    on = Cluster(cluster) if cluster else None
    options = Options(extra, strict=strict, workers=workers, cluster=on)
    if root_of is not None:
        from amtdiag.trust.ownroot import own_root

        name, digests = _read_with(own_root, Path(root_of))
        options = options._replace(root_name=name, root_digests=digests)
    if cert is not None:
        from amtdiag.trust.ownchain import own_chain

        password = None if cert_password is None else cert_password.encode
        chain, leaf = _read_with(lambda data: own_chain(data, password), Path(cert))
        options = options._replace(chain=chain, chain_name=leaf)
    if keylog is not None:
        options = options._replace(key_log=_read_with(bytes, Path(keylog)))
    if psk is not None:
        from amtdiag.protocols.pid import read_pairs

        options = options._replace(keys=_read_with(read_pairs, Path(psk)))
    return Analysis(diagnose(paths, options))


_Found = TypeVar("_Found")


def _read_with(reader: Callable[[bytes], _Found], path: Path) -> _Found:
    """Read a small file with certificates; what is wrong with it comes with its name."""
    shown = plain(str(path), 200)
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_CHAIN_BYTES)
    except OSError as error:
        raise UsageError(f"{shown}: {error.strerror or error}") from error
    try:
        return reader(content)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from error


class Analysis:
    """A diagnosis, to look at in a notebook or a script.

    Tables are made when first asked for and then kept; change a copy of one, not the thing itself. In
    Jupyter an Analysis shows its verdict, its devices and what to do. It has no length and is always true:
    `if analysis` could mean "a device was seen" as well as "all is well", so ask `analysis.stuck` or
    `analysis.devices.empty`.
    """

    def __init__(self, diagnosis: Diagnosis) -> None:
        self._diagnosis = diagnosis

    @property
    def diagnosis(self) -> Diagnosis:
        """All records, as the pipeline gave them."""
        return self._diagnosis

    @cached_property
    def verdict(self) -> str:
        """The answer in one sentence."""
        return verdict(self._diagnosis)

    @cached_property
    def stuck(self) -> list[str]:
        """The ids of the devices that something stops, in the order of their appearance."""
        stuck = stuck_devices(self._diagnosis)
        return [one.id for one in self._diagnosis.devices if one.id in stuck]

    @property
    def unknowns(self) -> list[Unknown]:
        """What the captures cannot tell, and what would."""
        return list(self._diagnosis.unknowns)

    @cached_property
    def hellos(self) -> pd.DataFrame:
        """One row a Hello; columns: `amtdiag.frames.hellos`."""
        return frames.hellos(self._diagnosis)

    @cached_property
    def digests(self) -> pd.DataFrame:
        """One row a digest of a Hello; columns: `amtdiag.frames.digests`."""
        return frames.digests(self._diagnosis)

    @cached_property
    def devices(self) -> pd.DataFrame:
        """One row a device; columns: `amtdiag.frames.devices`."""
        return frames.devices(self._diagnosis)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a finding, likeliest cause first; columns: `amtdiag.frames.findings`."""
        return frames.findings(self._diagnosis)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row a Hello or connection, in time order; columns: `amtdiag.frames.events`."""
        return frames.events(self._diagnosis)

    @cached_property
    def captures(self) -> pd.DataFrame:
        """One row a capture file; columns: `amtdiag.frames.captures`."""
        return frames.captures(self._diagnosis)

    def timeline(self, device: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what happened when: of one device, or of all of them.

        `device` is an id, UUID, MAC or address, or a part of one that fits a single device. Without `ax` a
        new pyplot figure is made, which Jupyter shows. Raises `UsageError` where no device or several fit.
        """
        from amtdiag.report import charts

        if device is None:
            return charts.fleet_timeline(self._diagnosis, ax)
        return charts.device_timeline(self._diagnosis, self._find(device), ax)

    def failures(self, device: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what is wrong: the findings about one device, or how many devices each rule concerns.

        `device` and `ax` as for `timeline`.
        """
        from amtdiag.report import charts

        if device is None:
            return charts.fleet_failures(self._diagnosis, ax)
        return charts.device_failures(self._diagnosis, self._find(device), ax)

    def modes(self, ax: Axes | None = None) -> Axes:
        """Draw how many devices ended in each mode."""
        from amtdiag.report import charts

        return charts.fleet_modes(self._diagnosis, ax)

    def packets(
        self,
        device: str | None = None,
        finding: str | None = None,
        frames: Iterable[int | tuple[str, int]] | None = None,
    ) -> list[Any]:
        """Return the packets that prove something, dissected by Wireshark with amtdiag's dissector loaded.

        `device` as for `timeline`; `finding` is the id of a finding or of a rule; `frames` are numbers where
        one file was read, else pairs (file, number). Packets are pyshark's; where it is not installed or this
        Python is too new for it, a warning says so and they are `amtdiag.wireshark.packets.Packet`, used
        alike: ``packet.intelamt.uuid``. At most a thousand. Raises `UsageError` where no device or finding
        is meant, `MissingToolError` where there is no tshark, `InputError` where a file cannot be read again.
        """
        from amtdiag.wireshark.packets import evidence_of, read_packets

        identity = None if device is None else self._find(device)
        return read_packets(evidence_of(self._diagnosis, identity, finding, frames))

    def _find(self, wanted: str) -> str:
        """Return the id of the one device that is meant."""
        try:
            return find_device(self._diagnosis.devices, wanted).id
        except UsageError as error:
            raise UsageError(f"{error}; .devices lists them") from error

    def to_dict(self) -> dict[str, Any]:
        """Return what `amtdiag analyze --json` prints, as plain dicts and lists."""
        from amtdiag.report.jsonout import analysis_json

        return analysis_json(self._diagnosis)

    def to_json(self) -> str:
        """Return what `amtdiag analyze --json` prints: one line of ASCII."""
        from amtdiag.report.jsonout import dumps

        return dumps(self.to_dict())

    def save(self, folder: str | PathLike[str]) -> Path:
        """Write the report to a folder, as `amtdiag analyze -o` does, and return its path.

        The folder is made where there is none. Raises `UsageError` where it cannot be written.
        """
        from amtdiag.report.folder import write_report

        return Path(write_report(self._diagnosis, folder))

    def to_parquet(self, folder: str | PathLike[str]) -> Path:
        """Write all tables to a folder as Parquet datasets, partitioned by day, and return its path.

        `amtdiag analyze -o DIR --parquet` does so in DIR/parquet. What an earlier run wrote is replaced.
        Raises `UsageError` where it cannot be written, `MissingToolError` where pyarrow is not installed.
        """
        from amtdiag.report.dataset import write_dataset

        return write_dataset(self._diagnosis, folder)

    def __repr__(self) -> str:
        files = len(self._diagnosis.captures)
        return f"<amtdiag.Analysis of {files} file{'s' * (files != 1)}: {plain(self.verdict, 300)}>"

    def _repr_html_(self) -> str:
        """Show verdict, devices, what to do, and what cannot be known."""
        found = self._diagnosis
        parts = [
            f"<p><b>{_html(self.verdict)}</b></p>",
            *_devices_html(found, self.stuck),
            *_causes_html(found),
        ]
        unknowns = Counter((one.what, one.why, one.would_decide) for one in found.unknowns)
        if unknowns:
            rows = (_unknown_html(*one, count) for one, count in unknowns.most_common(_MOST_CAUSES))
            parts.append(f"<p><b>Cannot be known from this capture</b></p><ul>{''.join(rows)}</ul>")
        said = [*found.problems, *found.notes][:_MOST_CAUSES]
        parts += [f"<p>{_html(note)}</p>" for note in said]
        return f"<div>{''.join(parts)}</div>"


# ------------------------------------------------------------------------------------------------------- HTML


def _html(text: str, most: int = 400) -> str:
    """Text of any origin, with its reading direction kept to itself."""
    return f"<bdi>{escape(plain(text, most))}</bdi>"


_LEFT = 'style="text-align:left"'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th {_LEFT}>{one}</th>" for one in heads)
    lines = ("".join(f"<td {_LEFT}>{cell}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _devices_html(found: Diagnosis, stuck: Iterable[str]) -> Iterable[str]:
    if not found.devices:
        return
    names, held = device_names(found.devices), frozenset(stuck)
    first: dict[str | None, Finding] = {}
    for finding in found.findings:
        if finding.category == "provisioning" and finding.severity in ("error", "critical"):
            first.setdefault(finding.device, finding)
    listed = sorted(found.devices, key=lambda one: (one.id not in held, one.first_seen))
    yield _table(
        ("Device", "Address", "Hellos", "Mode", "Stopped at", "Because"),
        (
            (
                _html(names[one.id], 80),
                _html(one.ips[-1] if one.ips else "", 80),
                f"{one.hellos:,}",
                _html(one.mode.name),
                _html(one.stage.replace("_", "-")) if one.id in first else "",
                _html(title_of(first[one.id].rule)) if one.id in first else "",
            )
            for one in listed[:_MOST_ROWS]
        ),
    )
    if len(listed) > _MOST_ROWS:
        yield f"<p>and {len(listed) - _MOST_ROWS:,} more devices: see <code>.devices</code></p>"


def _causes_html(found: Diagnosis) -> Iterable[str]:
    """Each rule once: how many devices, one example, the remedy."""
    groups: dict[str, list[Finding]] = {}
    for finding in found.findings:
        groups.setdefault(finding.rule, []).append(finding)
    if not groups:
        return
    rows = []
    for rule, group in list(groups.items())[:_MOST_CAUSES]:
        first, count = group[0], len({one.device for one in group if one.device})
        severity = max((one.severity for one in group), key=SEVERITIES.index)
        row = f" ({first.catalogue})" if first.catalogue else ""
        rows.append(
            (
                _html(severity),
                _html(title_of(rule) + row),
                f"{count:,}",
                _html(first.summary),
                _html(first.remedy),
            )
        )
    yield _table(("Severity", "Finding", "Devices", "For example", "What to do"), rows)
    if len(groups) > _MOST_CAUSES:
        yield f"<p>and {len(groups) - _MOST_CAUSES:,} more rules: see <code>.findings</code></p>"


def _unknown_html(what: str, why: str, would_decide: str, count: int) -> str:
    many = f" ({count:,} devices)" if count > 1 else ""
    return f"<li>{_html(what)}{many}: {_html(why)}. It would take {_html(would_decide)}.</li>"
