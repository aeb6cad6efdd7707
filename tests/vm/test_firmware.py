# SPDX-License-Identifier: BSD-3-Clause
"""A UEFI guest: OVMF's own virtio-fs driver meets our device and must let the guest start."""
import shutil
import unittest
from pathlib import Path

from vm.base import VmTest, echo

CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")


class Uefi(VmTest):
    """Debian's OVMF; no device has a bootindex, so OVMF connects every driver to every device."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        variables = cls.scratch / "vars.fd"
        shutil.copy(VARS, variables)
        cls.one_guest({"echo": echo()}, way="fs", boot_timeout=240, qemu_args=[
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={CODE}",
            "-drive", f"if=pflash,format=raw,unit=1,file={variables}"])

    def test_past_the_firmware(self):
        """The firmware really was there, and the fifo works behind it."""
        self.guest.check("test -d /sys/firmware/efi")
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)

    def test_reset_goes_through_the_firmware_again(self):
        """After a reset the device has had a Linux driver, then meets the firmware's once more."""
        self.guest.reset(240)
        self.guest.check("okl4test seq /okl4/echo records=2000", 60)


if __name__ == "__main__":
    unittest.main()
