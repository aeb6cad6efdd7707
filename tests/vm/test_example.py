# SPDX-License-Identifier: BSD-3-Clause
"""The OKL4 example of 2008: the host sends a file twice, `cat /okl4/intervm_test | wc -c` counts."""
import hashlib
import random
import unittest

from vm.base import VmTest


class Example(VmTest):
    """One guest with a channel that has the original's name."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content = random.Random(2008).randbytes(3 * 1024 * 1024 + 12345)
        path = cls.scratch / "test_file"
        path.write_bytes(cls.content)
        cls.one_guest({"intervm_test": {"type": "intervm", "file": str(path), "rounds": 3}})

    def test_file_comes_whole_each_time(self):
        """Close, wait for the other end, open again, send again."""
        self.guest.check("mknod /okl4/intervm_test p")
        size, digest = len(self.content), hashlib.sha256(self.content).hexdigest()
        with self.subTest("as the document has it"):
            self.assertEqual(self.guest.check("cat /okl4/intervm_test | wc -c").strip(), str(size))
        for turn in ("second", "third"):
            with self.subTest(turn):
                output = self.guest.check("cat /okl4/intervm_test | tee /tmp/got | wc -c; "
                                          "sha256sum < /tmp/got")
                self.assertEqual(output.split()[:2], [str(size), digest])

    def test_one_line_at_probe_and_one_a_channel(self):
        """The driver is quiet."""
        lines = [line for line in self.guest.check("dmesg").splitlines() if "] okl4fs" in line
                 and "module verification" not in line and "out-of-tree" not in line]
        self.assertLessEqual(len(lines), 2, "\n".join(lines))


if __name__ == "__main__":
    unittest.main()
