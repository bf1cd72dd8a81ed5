"""Xid errors are read from records of the kernel's log, as different drivers write them."""

import os
from pathlib import Path

from exporter.accelerators.xids import Xid, parse, parse_slot, read_kernel_log

RECORDS = """\
6,1201,88000000,-;usb 1-1: new high-speed USB device number 2 using xhci_hcd
4,1202,90000000,-;NVRM: Xid (PCI:0000:65:00): 13, pid=4711, name=python, Graphics Exception: ESR 0x50df30=0x107000e
3,1203,99500000,-;NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
 SUBSYSTEM=pci
3,1204,x,-;NVRM: Xid (PCI:0000:01:00): 79
3,1205,99600000,-;NVRM: Xid (PCI:zz): 79
"""


def test_errors_are_found_with_their_card_and_age() -> None:
    found = parse(RECORDS.splitlines(), uptime_seconds=100.0)
    assert found == [Xid((0, 0x65, 0), 13, 10.0), Xid((0, 1, 0), 79, 0.5)]


def test_the_librarys_address_is_the_kernels() -> None:
    assert parse_slot("00000000:65:00.0") == parse_slot("0000:65:00") == (0, 0x65, 0)
    assert parse_slot("nonsense") is None


def test_a_log_that_may_not_be_read_or_holds_nothing_more_ends(tmp_path: Path) -> None:
    assert list(read_kernel_log(tmp_path / "none")) == []
    (tmp_path / "log").write_bytes(b"6,1,2,-;one\n")
    assert list(read_kernel_log(tmp_path / "log")) == ["6,1,2,-;one\n"]
    os.mkfifo(tmp_path / "empty")
    writer = os.open(tmp_path / "empty", os.O_RDWR)  # as the kernel's own: nothing more to read is EAGAIN
    try:
        assert list(read_kernel_log(tmp_path / "empty")) == []
    finally:
        os.close(writer)
