# SPDX-License-Identifier: BSD-3-Clause
"""Build what a suite tests."""
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from vm import kernel, paths, sysroot
from vm.apt import AptError


class BuildFailed(Exception):
    """The build of what is to be tested has failed."""


def _run(argv) -> None:
    sys.stdout.flush()
    done = subprocess.run([str(arg) for arg in argv], cwd=paths.ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(map(str, argv))}\n{done.stdout[-6000:]}")


def _configure_and_build(name: str, directory: Path) -> Path:
    print(f"building {name}", flush=True)
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".dev.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["cmake", "--preset", name, "-B", directory, "-DOKL4FS_WERROR=ON"]
        try:
            _run(command)
        except BuildFailed:
            _run(command + ["--fresh"])
        _run(["ninja", "-C", directory])
    return directory


def release() -> Path:
    """Build everything for the host and for guests; the build directory."""
    return _configure_and_build("release", paths.BUILD)


def preset(name: str) -> Path:
    """Build a preset; its build directory."""
    return _configure_and_build(name, paths.BUILD / name)


def for_guests(name: str | None = None) -> None:
    """Build everything for the host and for guests, and the driver for a kernel."""
    release()
    try:
        kernel.module(kernel.get(name))
    except (AptError, kernel.KernelError, subprocess.CalledProcessError) as error:
        raise BuildFailed(str(error)) from error


def arm64() -> None:
    """Build the daemon, the guests' programs and the driver for arm64, with a cross compiler."""
    directory = paths.BUILD / "arm64"
    print("building arm64", flush=True)
    try:
        _run(["cmake", "-G", "Ninja", "-B", directory, "-DCMAKE_BUILD_TYPE=Release",
              "--toolchain", paths.ROOT / "cmake/aarch64-linux-gnu.cmake",
              f"-DCMAKE_SYSROOT={sysroot.get('arm64')}", "-DOKL4FS_TESTS=OFF",
              "-DOKL4FS_GUEST_TOOLS=ON", "-DOKL4FS_WERROR=ON"])
        _run(["ninja", "-C", directory, "okl4fsd", "okl4fsctl", "guest_tools"])
        kernel.module(kernel.get("6.1-arm64"))
    except (AptError, kernel.KernelError, subprocess.CalledProcessError) as error:
        raise BuildFailed(str(error)) from error


def take_back() -> None:
    """Take back the ownership of what root has built or cached for us."""
    if os.geteuid():
        subprocess.run(["sudo", "find", paths.BUILD, paths.cache_dir(), "-user", "root",
                        "-exec", "chown", "-h", f"{os.geteuid()}:{os.getegid()}", "{}", "+"],
                       check=True, stdin=subprocess.DEVNULL)


def environment() -> dict[str, str]:
    """The environment of every test."""
    return {"PYTHONPATH": str(paths.ROOT / "tests"), "PYTHONDONTWRITEBYTECODE": "1",
            "OKL4FS_BUILD": str(paths.BUILD), "LC_ALL": "C.UTF-8",
            "XDG_CACHE_HOME": str(paths.cache_dir().parent),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_leaks=1"),
            "UBSAN_OPTIONS": os.environ.get("UBSAN_OPTIONS", "print_stacktrace=1")}
