"""ioreg's answer of an Apple chip, cut down to what is read; values and keys as an M3 has them."""

import plistlib

import pytest

from exporter.accelerators.apple import parse
from exporter.accelerators.reading import Device, Process

STATISTICS = {
    "In use system memory (driver)": 0,
    "Alloc system memory": 4272832512,
    "Tiler Utilization %": 54,
    "recoveryCount": 0,
    "Renderer Utilization %": 57,
    "Device Utilization %": 57,
    "Allocated PB Size": 120061952,
    "In use system memory": 1200357376,
}
CLIENTS = [
    {
        "IOObjectClass": "AGXDeviceUserClient",
        "IOUserClientCreator": "pid 533, WindowServer",
        "AppUsage": [{"API": "Metal", "accumulatedGPUTime": 7_000_000_000}],
    },
    {
        "IOUserClientCreator": "pid 4242, python3.11",
        "AppUsage": [{"API": "Metal", "accumulatedGPUTime": 1_500_000_000}, {"API": "Metal"}],
    },
    {"IOUserClientCreator": "pid 4242, python3.11", "AppUsage": [{"accumulatedGPUTime": 500_000_000}]},
    {"IOUserClientCreator": "pid 600, Finder"},
]
GPU = {
    "IOClass": "AGXAcceleratorG15G",
    "model": "Apple M3",
    "gpu-core-count": 10,
    "PerformanceStatistics": STATISTICS,
    "IORegistryEntryChildren": CLIENTS,
}


def test_the_gpu_tells_load_memory_and_the_time_of_each_process() -> None:
    assert list(parse(plistlib.dumps([GPU]))) == [
        Device(
            "apple-0",
            "Apple M3",
            values={"utilization_ratio": pytest.approx(0.57), "memory_used_bytes": 1200357376.0},
            processes=(Process(533, busy_seconds=7.0), Process(4242, busy_seconds=2.0)),
        )
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no property list",
        b"<plist><array>",
        b"<plist><dict/></plist>",
        plistlib.dumps([{"model": "x"}, 7]),
        plistlib.dumps([{"PerformanceStatistics": 3}]),
    ],
)
def test_another_answer_names_no_device(content: bytes) -> None:
    assert list(parse(content)) == []


def test_what_is_missing_or_of_another_kind_is_left_out() -> None:
    entry = {"PerformanceStatistics": {"Device Utilization %": "57"}, "IORegistryEntryChildren": [3, {"AppUsage": 3}]}
    assert list(parse(plistlib.dumps([entry]))) == [Device("apple-0", "Apple GPU")]
