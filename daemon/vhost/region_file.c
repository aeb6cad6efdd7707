/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frontend hands over the files that its guest's memory lies in. The kernel must be able to
 * provide a page of such a file without a program that the daemon does not trust: a thread that
 * touches a page of a FUSE file waits until the FUSE server has answered, and gets SIGBUS if the
 * server wants it to.
 *
 * fstatfs(2) tells the type of a file system, but FUSE asks its server for the answer, as it may
 * for fstat(2). So the daemon first asks two questions that the kernel answers by itself: whether
 * the file has seals, which only files in memory have, and whether its file system can map extents,
 * which FUSE, NFS and 9p cannot. Only if one answer is yes does the daemon ask for the type. Mount
 * tables do not help: a frontend may live in another mount namespace.
 *
 * overlayfs is refused although the kernel serves it, since any file system may lie below it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <libfs/abi.h>
#include <libfs/checked.h>

#include "vhost/region_file.h"

#define ACCEPTED "memfd, tmpfs, hugetlbfs, ext2, ext3, ext4, xfs, btrfs and f2fs are accepted"

/* Asks nothing that could reach a file server. */
static bool is_kernels_own(int fd)
{
	/* A length of 0 is an error (EINVAL) where the call is known at all. */
	struct fiemap nothing = { .fm_length = 0 };

	return fcntl(fd, F_GET_SEALS) >= 0 || !ioctl(fd, FS_IOC_FIEMAP, &nothing) ||
	       errno == EINVAL;
}

/* Return: 0 when the file system is not accepted. */
static uint64_t page_bytes_of(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return 0;
	switch ((uint32_t)fs.f_type) {
	case HUGETLBFS_MAGIC:
		return (uint64_t)fs.f_bsize;
	case TMPFS_MAGIC:
	case EXT4_SUPER_MAGIC: /* and ext2, ext3 */
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
		return (uint64_t)sysconf(_SC_PAGESIZE);
	}
	return 0;
}

const char *region_file_check(int fd, uint64_t offset, uint64_t bytes, uint64_t *page_bytes)
{
	uint64_t page = is_kernels_own(fd) ? page_bytes_of(fd) : 0;
	struct stat st;

	if (!page)
		return "a region's descriptor is not that of a file that the kernel serves by itself "
		       "(" ACCEPTED ")";
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return "a region's descriptor is not that of a regular file";
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return "a region's file is not open for reading and writing";
	if (offset % OKL4FS_PAGE_BYTES)
		return "a region does not begin at a page of its file";
	if (st.st_size < 0 || !okl4_range_ok(offset, bytes, (uint64_t)st.st_size))
		return "a region is larger than its file";
	/* DPDK maps a multiple of the block size. */
	if (!okl4_is_pow2((uint64_t)st.st_blksize))
		return "a region's file has no usable block size";
	if (page_bytes)
		*page_bytes = page;
	return NULL;
}
