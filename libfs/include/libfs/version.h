/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * version.h - the version of okl4fs
 *
 * The library, the module, the daemon and the packages take it from here (CMakeLists.txt reads this
 * line). The ABI has a version of its own (abi.h).
 */
#ifndef LIBFS_VERSION_H
#define LIBFS_VERSION_H

#define OKL4FS_VERSION "0.1.0"

#endif /* LIBFS_VERSION_H */
