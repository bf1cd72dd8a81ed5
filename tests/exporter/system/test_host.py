"""What is read of the machine's memory and disks."""

from pathlib import Path
from typing import Any

import pytest

from exporter.system.host import parse_pressure, read_host, read_pressure_level
from exporter.system.machine import Limit, Memory

GIB = 2**30
# Debian 12, kernel 6.1, two trainers on too little memory.
RECORDED = """\
some avg10=41.26 avg60=32.09 avg300=11.83 total=78283123
full avg10=38.70 avg60=29.62 avg300=10.82 total=71120348
"""


def read(*arguments: Any) -> dict[str, float]:
    """The samples by name, and by their label."""
    return {" ".join([one.name, *one.labels.values()]): one.value for one in read_host(*arguments)}


def test_pressure_is_the_last_minutes_share() -> None:
    assert parse_pressure(RECORDED) == {"some": pytest.approx(0.3209), "full": pytest.approx(0.2962)}


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "some avg10=1\n"])
def test_a_text_without_pressure_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no memory pressure"):
        parse_pressure(text)


@pytest.mark.parametrize(("answer", "level"), [(1, 1), (2, 2), (4, 4), (0, None), (77, None), (None, None)])
def test_macos_level_is_one_that_apple_names(answer: int | None, level: int | None) -> None:
    assert read_pressure_level(lambda: answer) == level


def test_the_machine_is_read_as_the_rules_need_it(tmp_path: Path) -> None:
    pressure = tmp_path / "memory"
    pressure.write_text(RECORDED)
    page = read((tmp_path,), pressure)
    assert page.get("host_memory_pressure_ratio full") == pytest.approx(0.2962)
    total, available = page.get("host_memory_total_bytes"), page.get("host_memory_available_bytes")
    assert total is not None
    assert available is not None
    assert 0 < available < total
    free, size = (page.get(f"host_disk_{name}_bytes" + f" {tmp_path}") for name in ("free", "total"))
    assert free is not None
    assert size is not None
    assert 0 < free < size


def test_within_a_limit_the_machine_is_what_the_limit_leaves(tmp_path: Path) -> None:
    (tmp_path / "system").write_text("some avg10=0.00 avg60=2.00\nfull avg10=0.00 avg60=0.50\n")
    (tmp_path / "group").write_text(RECORDED)
    memory = Memory(
        4 * GIB, GIB, 2 * GIB, GIB // 2, Limit(4 * GIB, "a container"), (tmp_path / "group", tmp_path / "no")
    )
    page = read((), tmp_path / "system", lambda: memory)
    assert page.get("host_memory_total_bytes") == page.get("host_memory_limit_bytes") == 4 * GIB
    assert page.get("host_memory_available_bytes") == GIB
    assert page.get("host_swap_used_bytes") == GIB // 2
    assert page.get("host_memory_pressure_ratio full") == pytest.approx(0.2962)
    assert page.get("host_memory_pressure_ratio some") == pytest.approx(0.3209)


def test_without_a_limit_none_is_exported(tmp_path: Path) -> None:
    page = read((), tmp_path / "none", lambda: Memory(4 * GIB, GIB, 2 * GIB, 0))
    assert page.get("host_memory_limit_bytes") is None


def test_what_cannot_be_read_is_absent(tmp_path: Path) -> None:
    page = read((tmp_path / "gone",), tmp_path / "none")
    assert not [one for one in page if one.startswith("host_disk_")]
    assert page.get("host_memory_pressure_ratio full") is None
    assert page.get("host_memory_total_bytes")
