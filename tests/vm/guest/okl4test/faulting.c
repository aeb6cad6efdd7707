// SPDX-License-Identifier: BSD-3-Clause
/*
 * faulting.c - a write whose bytes are not there yet
 *
 * They are in a page that userfaultfd(2) withholds, so the write sleeps in the middle of its
 * copying, with all the locks that it then holds. `faulting` is printed, and a line from stdin
 * supplies the page.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "target.h"
#include "util.h"

int cmd_faulting(char **argv)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *away = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_range range = { .start = (uintptr_t)away, .len = page };
	struct uffdio_register keep = { .range = range, .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_zeropage give = { .range = range };
	struct uffdio_api api = { .api = UFFD_API };
	int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	struct target target;
	struct async writer;
	char line[16];

	expect(faults >= 0 && away != MAP_FAILED, "userfaultfd: %m");
	expect(!ioctl(faults, UFFDIO_API, &api) && !ioctl(faults, UFFDIO_REGISTER, &keep),
	       "userfaultfd: %m");
	target_open(&target, argv[0], false, true);
	async_start(&writer, true, target.tx, away, page);
	wait_poll(faults, POLLIN);
	puts("faulting");
	expect(fgets(line, sizeof(line), stdin), "stdin ends");
	expect(!ioctl(faults, UFFDIO_ZEROPAGE, &give), "UFFDIO_ZEROPAGE: %m");
	printf("written %zd\n", async_join(&writer));
	target_close(&target);
	return 0;
}
