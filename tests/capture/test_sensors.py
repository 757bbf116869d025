"""Files of one ring are one sensor, files that run at the same time are two."""

from __future__ import annotations

import pytest

from amtdiag.capture.files.sensors import Sensors

SECOND = 1_000_000_000
File = tuple[str, float, float]
"""Name, first and last packet in seconds."""


def placed(*files: File) -> list[int]:
    """The sensor of each file, given in the order of their beginnings."""
    ends: dict[int, int] = {}
    sensors = Sensors([name for name, _, _ in files], ends.get)
    found = []
    for number, (_, start, end) in enumerate(files):
        found.append(sensors.place(number, round(start * SECOND)))
        # Known once the file has been read, which is when the next begins behind it.
        ends[number] = round(end * SECOND)
    return found


@pytest.mark.parametrize(
    "names",
    [
        ("ring_00001_20260302150000.pcap", "ring_00002_20260302150300.pcap"),
        ("trace.pcap", "trace.pcap1"),
        ("trace.pcap0", "trace.pcap1"),
        ("trace1.pcapng.gz", "trace2.pcapng.gz"),
        ("trace_a.pcap", "trace_b.pcap"),
    ],
)
def test_what_follows_without_a_pause_is_one_capture(names: tuple[str, str]) -> None:
    assert placed((names[0], 0, 10), (names[1], 10.2, 20)) == [0, 0]


def test_packets_written_slightly_out_of_order_are_no_second_sensor() -> None:
    assert placed(("ring_1.pcap", 0, 10.4), ("ring_2.pcap", 10, 20)) == [0, 0]


def test_what_runs_at_the_same_time_is_two() -> None:
    assert placed(("device.pcap", 0, 100), ("server.pcap", 5, 90)) == [0, 1]
    assert placed(("port1.pcap", 0, 100), ("port2.pcap", 5, 90)) == [0, 1]


def test_rings_of_two_sensors_stay_apart() -> None:
    files = [
        ("a/ring_1.pcap", 0.0, 10.0),
        ("b/ring_1.pcap", 1.0, 12.0),
        ("a/ring_2.pcap", 10.1, 20.0),
        ("b/ring_2.pcap", 12.1, 22.0),
        ("b/ring_3.pcap", 22.1, 30.0),
        ("a/ring_3.pcap", 22.2, 31.0),
    ]
    assert placed(*files) == [0, 1, 0, 1, 1, 0]


def test_other_names_are_other_views_even_one_behind_the_other() -> None:
    """Their clocks may differ by more than they last."""
    assert placed(("device.pcap", 0, 2), ("server.pcap", 2.5, 5)) == [0, 1]


def test_a_series_goes_on_after_any_pause() -> None:
    assert placed(("day_1.pcap", 0, 10), ("day_2.pcap", 90_000, 90_010)) == [0, 0]
    assert placed(("monday.pcap", 0, 10), ("friday.pcap", 90_000, 90_010)) == [0, 1]


def test_a_file_that_is_still_read_is_not_over() -> None:
    sensors = Sensors(["a.pcap", "a2.pcap"], lambda number: None)
    assert [sensors.place(0, 0), sensors.place(1, SECOND)] == [0, 1]
    assert list(sensors.files()) == [(0,), (1,)]


def test_times_in_front_of_a_name_are_no_sensors() -> None:
    hours = [(f"20260302-{hour:02}00-uplink.pcap", hour * 3600, hour * 3600 + 3599) for hour in range(24)]
    assert placed(*hours) == [0] * 24
    later = ("20260305-0000-uplink.pcap", 3 * 86_400, 3 * 86_400 + 9)
    assert placed(hours[0], later) == [0, 1], "after a pause nothing says that it is the same place"


def test_a_name_of_digits_takes_no_time() -> None:
    assert placed(("1" * 4000 + "x", 0, 1), ("1_" * 2000 + "x.pcap", 2, 3)) == [0, 1]
