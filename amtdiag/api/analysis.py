"""What `amtdiag.read` gives: a diagnosis with its tables, charts and pages at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from amtdiag import tables
from amtdiag.config import Cluster, Options
from amtdiag.errors import UsageError
from amtdiag.model import DeviceRecord, Diagnosis, Unknown
from amtdiag.report.device_names import find_device
from amtdiag.report.timezones import Wanted
from amtdiag.report.verdict import verdict
from amtdiag.safetext import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from rich.console import Console, ConsoleOptions, RenderableType

    from amtdiag.report.device import Device

_LARGEST_PORT = 65_535
_MOST_CHAIN_BYTES = 16 << 20


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

    extra = checked_ports(ports)
    if workers is not None and workers < 1:
        raise UsageError(f"at least one worker has to read, not {workers}")
    on = Cluster(cluster) if cluster else None
    options = Options(extra, strict=strict, workers=workers, cluster=on)
    options = own_certificates(options, root_of, cert, cert_password)
    if keylog is not None:
        options = options._replace(key_log=_read_with(bytes, Path(keylog)))
    if psk is not None:
        from amtdiag.protocols.pid import read_pairs

        options = options._replace(keys=_read_with(read_pairs, Path(psk)))
    return Analysis(diagnose(paths, options))


def checked_ports(ports: Iterable[int]) -> tuple[int, ...]:
    """Return ports as they came. Raises `UsageError` for a number that is none."""
    extra = tuple(ports)
    for port in extra:
        if not 0 < port <= _LARGEST_PORT:
            raise UsageError(f"a port is a number from 1 to {_LARGEST_PORT}, not {port}")
    return extra


def own_certificates(
    options: Options,
    root_of: str | PathLike[str] | None,
    cert: str | PathLike[str] | None,
    cert_password: str | None,
) -> Options:
    """Add the caller's root and provisioning chain; see `read`."""
    if root_of is not None:
        from amtdiag.trust.user_root import own_root

        name, digests = _read_with(own_root, Path(root_of))
        options = options._replace(root_name=name, root_digests=digests)
    if cert is not None:
        from amtdiag.trust.user_chain import own_chain

        password = None if cert_password is None else cert_password.encode
        chain, leaf = _read_with(lambda data: own_chain(data, password), Path(cert))
        options = options._replace(chain=chain, chain_name=leaf)
    return options


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
        return [device.id for device in self._diagnosis.devices if device.state == "stuck"]

    @property
    def unknowns(self) -> list[Unknown]:
        """What the captures cannot tell, and what would."""
        return list(self._diagnosis.unknowns)

    @cached_property
    def hellos(self) -> pd.DataFrame:
        """One row a Hello; columns: `amtdiag.tables.hellos`."""
        return tables.hellos(self._diagnosis)

    @cached_property
    def digests(self) -> pd.DataFrame:
        """One row a digest of a Hello; columns: `amtdiag.tables.digests`."""
        return tables.digests(self._diagnosis)

    @cached_property
    def devices(self) -> pd.DataFrame:
        """One row a device; columns: `amtdiag.tables.devices`."""
        return tables.devices(self._diagnosis)

    @cached_property
    def findings(self) -> pd.DataFrame:
        """One row a finding, likeliest cause first; columns: `amtdiag.tables.findings`."""
        return tables.findings(self._diagnosis)

    @cached_property
    def events(self) -> pd.DataFrame:
        """One row a Hello or connection, in time order; columns: `amtdiag.tables.events`."""
        return tables.events(self._diagnosis)

    @cached_property
    def captures(self) -> pd.DataFrame:
        """One row a capture file; columns: `amtdiag.tables.captures`."""
        return tables.captures(self._diagnosis)

    def device(self, device: str) -> Device:
        """Return one device, which shows its whole story in Jupyter.

        `device` is an id, UUID, MAC or address, or a part of one that fits a single device. Raises
        `UsageError` where no device or several fit.
        """
        from amtdiag.report.device import Device

        return Device(self._diagnosis, self._record(device))

    def timeline(self, device: str | None = None, ax: Axes | None = None, tz: Wanted = "UTC") -> Axes:
        """Draw what happened when: of one device, or of all of them.

        `device` is an id, UUID, MAC or address, or a part of one that fits a single device. Without `ax` a
        new pyplot figure is made, which Jupyter shows. `tz` is the zone of the times of day: `UTC`, `local`
        for your own, or a name such as `Europe/Berlin`. Raises `UsageError` where no device or several fit,
        and where there is no such zone.
        """
        from amtdiag.report import charts

        if device is None:
            return charts.fleet_timeline(self._diagnosis, ax, tz)
        return charts.device_timeline(self._diagnosis, self._find(device), ax, tz)

    def failures(self, device: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw what is wrong: the findings about one device, or how many devices each rule concerns.

        `device` and `ax` as for `timeline`.
        """
        from amtdiag.report import charts

        if device is None:
            return charts.fleet_failures(self._diagnosis, ax)
        return charts.device_failures(self._diagnosis, self._find(device), ax)

    def failures_over_time(self, ax: Axes | None = None, tz: Wanted = "UTC") -> Axes:
        """Draw how many devices had which trouble when; `ax` and `tz` as for `timeline`."""
        from amtdiag.report import charts

        return charts.fleet_failures_over_time(self._diagnosis, ax, tz)

    def funnel(self, ax: Axes | None = None) -> Axes:
        """Draw how many devices came as far as each stage, and how many stopped there."""
        from amtdiag.report import charts

        return charts.fleet_funnel(self._diagnosis, ax)

    def stages(self, ax: Axes | None = None) -> Axes:
        """Draw which device passed which stage; of more than 200, how many of each group did."""
        from amtdiag.report import charts

        return charts.fleet_stages(self._diagnosis, ax)

    def retry_gaps(self, device: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw how long devices wait before each Hello, beside what others document; `device` as above."""
        from amtdiag.report import charts

        if device is None:
            return charts.fleet_retry_gaps(self._diagnosis, ax)
        return charts.device_retry_gaps(self._diagnosis, self._find(device), ax)

    def roots(self, ax: Axes | None = None) -> Axes:
        """Draw in how many devices' lists each root certificate stands, and what no catalogue names."""
        from amtdiag.report import charts

        return charts.fleet_roots(self._diagnosis, ax)

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
        return self._record(wanted).id

    def _record(self, wanted: str) -> DeviceRecord:
        try:
            return find_device(self._diagnosis.devices, wanted)
        except UsageError as error:
            raise UsageError(f"{error}; .devices lists them") from error

    def to_dict(self) -> dict[str, Any]:
        """Return what `amtdiag analyze --json` prints, as plain dicts and lists."""
        from amtdiag.report.formats.json import analysis_json

        return analysis_json(self._diagnosis)

    def to_json(self) -> str:
        """Return what `amtdiag analyze --json` prints: one line of ASCII."""
        from amtdiag.report.formats.json import dumps

        return dumps(self.to_dict())

    def save(
        self, folder: str | PathLike[str], charts: str | Iterable[str] = ("png", "svg"), tz: Wanted = "UTC"
    ) -> Path:
        """Write the report to a folder, as `amtdiag analyze -o` does, and return its path.

        report.html in it is the page for people. The folder is made where there is none. `charts` are the
        formats that they are written in: `png`, `svg`, both, or none (an empty tuple, in a tenth of the
        time); `tz` is as for `timeline`. Raises `UsageError` where it cannot be written, and for a format or
        zone that there is not.
        """
        from amtdiag.report.charts import FORMATS
        from amtdiag.report.report_directory import write_report

        wanted = {charts} if isinstance(charts, str) else set(charts)
        if not wanted <= set(FORMATS):
            raise UsageError(f"charts are written as {' or '.join(FORMATS)}")
        formats = [one for one in FORMATS if one in wanted]
        return Path(write_report(self._diagnosis, folder, formats, tz))

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

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        """Print what `amtdiag analyze` prints."""
        from amtdiag.report.formats.terminal import analysis_parts

        return analysis_parts(self._diagnosis)

    def _repr_html_(self) -> str:
        """Show verdict, devices, what to do, and what cannot be known."""
        from amtdiag.report.notebook.html import analysis_html

        return analysis_html(self._diagnosis)
