# SPDX-License-Identifier: BSD-3-Clause
"""Sessions in a real guest: each open of a node is a connection of its own."""
import unittest

from vm.base import VmTest, echo


class Sessions(VmTest):
    """One guest."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.one_guest({"echo": {"sessions": 600, "endpoint": echo()}})
        cls.guest.check("mkfifo /okl4/echo")

    def test_two_shells(self):
        """Two descriptors of one node do not see each other's bytes."""
        self.assertEqual(self.guest.check(
            "exec 3<>/okl4/echo 4<>/okl4/echo; echo three >&3; echo four >&4; "
            "head -n1 <&4; head -n1 <&3"), "four\nthree\n")


if __name__ == "__main__":
    unittest.main()
