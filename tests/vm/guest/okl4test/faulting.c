// SPDX-License-Identifier: BSD-3-Clause
/*
 * faulting.c - a write whose bytes are not there yet
 *
 * They are in a page that userfaultfd(2) withholds, so the write sleeps in the middle of its
 * copying, with all the locks that it then holds. `faulting` is printed, and a line from stdin
 * supplies the page.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "target.h"
#include "util.h"

COMMAND(faulting, "NODE")
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct away away = away_make(page);
	struct target target;
	struct async writer;
	char line[16];

	target_open(&target, argv[0], false, true);
	async_start(&writer, true, target.tx, away.pages, page);
	wait_poll(away.faults, POLLIN);
	puts("faulting");
	expect(fgets(line, sizeof(line), stdin), "stdin ends");
	away_give(&away);
	printf("written %ld\n", async_join(&writer));
	target_close(&target);
	return 0;
}
