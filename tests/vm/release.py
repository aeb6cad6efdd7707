# SPDX-License-Identifier: BSD-3-Clause
"""The release of Debian that this machine runs."""
import functools
import platform


@functools.cache
def codename() -> str:
    """Its name as apt knows it, such as `bookworm`."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
