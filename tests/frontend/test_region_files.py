# SPDX-License-Identifier: BSD-3-Clause
"""Guest memory in files that a program serves: refused, without asking that program."""
import contextlib
import os
import tempfile

import vhost_user as vu
from fuse_file import GETATTR, STATFS, FuseFile
from memory import Memory, Region
from rig import FrontendTest
from vhost_user import Dropped, Frontend

MIB = 1 << 20
HIGH = 0x40000000


class RegionFiles(FrontendTest):
    """vm1 passes files of all kinds; vm2 must not notice anything."""

    def region(self, fd: int, gpa: int = HIGH) -> Region:
        """A region with 1 MiB of a file."""
        region = Region(gpa, MIB)
        region.close()
        region.fd = os.dup(fd)
        self.addCleanup(region.close)
        return region

    def fuse(self, silent=()) -> FuseFile:
        """A file that a program serves."""
        file = FuseFile(MIB, silent)
        self.addCleanup(file.close)
        return file

    def offer(self, fd: int) -> Frontend:
        """A frontend that has sent a memory table with this file, after a memfd."""
        frontend = self.connect(memory=Memory(Region(0, MIB), self.region(fd)))
        frontend.handshake()
        frontend.send(vu.SET_MEM_TABLE, *frontend.mem_table(), vu.VERSION | vu.NEED_REPLY)
        return frontend

    def test_neighbour_is_not_replaced(self):
        """A file that claims blocks of 1 GiB, and whose pages cannot be read."""
        fuse = self.fuse()
        self.assertEqual(os.fstat(fuse.fd).st_blksize, 1 << 30)
        memory = Memory(Region(0x100000, 32 * MIB), self.region(fuse.fd))
        attacker = self.connect(memory=memory)
        with contextlib.suppress(Dropped):
            attacker.setup()
        bystander = self.bystander()  # its memory lies right below the attacker's
        with contextlib.suppress(Dropped, IndexError):
            attacker.rings[0].add([(HIGH, 16, False), (memory.alloc(4096), 4096, True)])
            attacker.dropped()
        self.assert_undisturbed(bystander)
        self.assert_logged("guest vm1", "SET_MEM_TABLE", "refused", "memfd", "ext4")

    def test_nobody_waits_for_the_server(self):
        """The daemon asks it neither for the kind of file system nor for the size of the file."""
        bystander = self.bystander()
        for silent in ((STATFS,), (STATFS, GETATTR)):
            with self.subTest(silent=silent):
                frontend = self.offer(self.fuse(silent).fd)
                self.assertTrue(frontend.dropped())
                self.assert_undisturbed(bystander)
                frontend.close()
                self.wait_free("vm1")
                self.device("vm1").close()
                self.wait_free("vm1")

    def test_files_that_are_fine(self):
        """In memory, and on a disk as libvirt's <source type='file'/> makes it; without a name."""
        for folder in ("/dev/shm", "/var/tmp"):
            with self.subTest(folder), tempfile.TemporaryFile(dir=folder) as file:
                kind = os.popen(f"stat -f -c %T {folder}").read().strip()
                if kind not in ("ext2/ext3", "xfs", "btrfs", "f2fs", "tmpfs"):
                    self.skipTest(f"{folder} is on {kind}")
                file.truncate(MIB)
                frontend = self.offer(file.fileno())
                self.assertEqual(frontend.receive()[2], bytes(8))
                frontend.close()
