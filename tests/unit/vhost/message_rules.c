// SPDX-License-Identifier: BSD-3-Clause
/*
 * message_rules.c - which messages pass: a row per rule
 */
#include <criterion/criterion.h>

#include "vhost/message_rig.h"

struct rule_row {
	int line;
	enum past past;
	struct vhost_message msg;
	const struct vhost_fd *fds;
	unsigned int n_fds;
	const char *why; /* NULL: it passes */
};

#define ROW(past, fds, n_fds, why, ...)                      \
	{                                                    \
		__LINE__, past, __VA_ARGS__, fds, n_fds, why \
	}
#define OK NULL

static void judge_rows(const struct rule_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct rule_row *row = &rows[i];
		const struct vhost_said said = said_until(row->past);
		const char *why = "nothing was said";
		enum vhost_verdict verdict =
			vhost_judge(&row->msg, row->fds, row->n_fds, &said, &why);

		cr_expect_eq(verdict, row->why ? VHOST_HOSTILE : VHOST_PASS, "line %d: %s",
			     row->line, why ? why : "passed");
		if (row->why)
			cr_expect_str_eq(why ? why : "passed", row->why, "line %d: %s", row->line,
					 why ? why : "passed");
		else
			cr_expect_null(why, "line %d: %s", row->line, why);
	}
}

#define LENGTH "wrong length"
#define SIZED_MESSAGE(req, n) \
	{                     \
		HEAD(req, n)  \
	}

Test(daemon_message, lengths)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(GET_FEATURES, 8)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(GET_PROTOCOL_FEATURES, 1)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(GET_QUEUE_NUM, 8)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(SET_FEATURES, 7)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(SET_FEATURES, 9)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(SET_PROTOCOL_FEATURES, 0)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(SET_OWNER, 8)),
		ROW(NOTHING, NULL, 0, LENGTH, SIZED_MESSAGE(RESET_OWNER, 8)),
		ROW(MEMORY, NULL, 0, LENGTH, SIZED_MESSAGE(SET_VRING_NUM, 4)),
		ROW(MEMORY, NULL, 0, LENGTH, SIZED_MESSAGE(SET_VRING_BASE, 12)),
		ROW(MEMORY, NULL, 0, LENGTH, SIZED_MESSAGE(GET_VRING_BASE, 0)),
		ROW(MEMORY, NULL, 0, LENGTH, SIZED_MESSAGE(SET_VRING_ENABLE, 40)),
		ROW(SIZED, NULL, 0, LENGTH, SIZED_MESSAGE(SET_VRING_ADDR, 32)),
		ROW(SIZED, NULL, 0, LENGTH, SIZED_MESSAGE(SET_VRING_ADDR, 48)),
		ROW(SIZED, eventfds, 1, LENGTH, SIZED_MESSAGE(SET_VRING_KICK, 4)),
		ROW(SIZED, eventfds, 1, LENGTH, SIZED_MESSAGE(SET_VRING_CALL, 16)),
		ROW(SIZED, eventfds, 1, LENGTH, SIZED_MESSAGE(SET_VRING_ERR, 0)),
		ROW(NOTHING, files, 1, LENGTH, SIZED_MESSAGE(SET_MEM_TABLE, 0)),
		ROW(NOTHING, files, 1, LENGTH, SIZED_MESSAGE(SET_MEM_TABLE, 4)),
		ROW(NOTHING, files, 1, LENGTH, SIZED_MESSAGE(SET_MEM_TABLE, 40)),
		ROW(NOTHING, files, 1, LENGTH,
		    { HEAD(SET_MEM_TABLE, 40), .payload.memory.n_regions = 2 }),
		/* Its length in 32 bits would be 8. */
		ROW(NOTHING, files, 1, LENGTH,
		    { HEAD(SET_MEM_TABLE, 8), .payload.memory.n_regions = 1U << 27 }),
	};

	judge_rows(rows, N_OF(rows));
}

#define UNINVITED "descriptors come with it"

Test(daemon_message, descriptors_of_messages_that_have_none)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, files, 1, UNINVITED, NONE(GET_FEATURES)),
		ROW(NOTHING, files, 1, UNINVITED, NONE(SET_OWNER)),
		ROW(NOTHING, files, 9, UNINVITED, NONE(RESET_OWNER)),
		ROW(NOTHING, files, 1, UNINVITED, U64(SET_FEATURES, VERSION_1)),
		ROW(NOTHING, files, 1, UNINVITED, U64(SET_PROTOCOL_FEATURES, 9)),
		ROW(NOTHING, files, 1, UNINVITED, STATE(SET_VRING_NUM, 0, 16)),
		ROW(NOTHING, files, 1, UNINVITED, STATE(SET_VRING_BASE, 0, 16)),
		ROW(NOTHING, files, 1, UNINVITED, STATE(GET_VRING_BASE, 0, 0)),
		ROW(NOTHING, files, 1, UNINVITED, STATE(SET_VRING_ENABLE, 0, 1)),
		ROW(SIZED, files, 1, UNINVITED, ADDR(0, 0, USER, USER, USER)),
	};

	judge_rows(rows, N_OF(rows));
}

#define NO_QUEUE "no such queue: there are at most 17"

Test(daemon_message, queues)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_NUM, 16, 16)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(SET_VRING_NUM, 17, 16)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(SET_VRING_NUM, 256, 16)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(SET_VRING_NUM, UINT32_MAX, 16)),
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_BASE, 16, 0)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(SET_VRING_BASE, 17, 0)),
		ROW(NOTHING, NULL, 0, OK, STATE(GET_VRING_BASE, 16, 0)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(GET_VRING_BASE, 17, 0)),
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_ENABLE, 16, 1)),
		ROW(NOTHING, NULL, 0, NO_QUEUE, STATE(SET_VRING_ENABLE, 17, 1)),
		ROW(SIZED, NULL, 0, NO_QUEUE, ADDR(17, 0, USER, USER, USER)),
		ROW(SIZED, eventfds, 1, NO_QUEUE, U64(SET_VRING_KICK, 17)),
		ROW(SIZED, eventfds, 1, OK, U64(SET_VRING_CALL, 16)),
		ROW(SIZED, eventfds, 1, NO_QUEUE, U64(SET_VRING_CALL, 17)),
		ROW(SIZED, eventfds, 1, NO_QUEUE, U64(SET_VRING_ERR, 255)),
	};

	judge_rows(rows, N_OF(rows));
}

#define NOT_OFFERED "a feature is not offered"
#define RUNS        "features do not change while a queue runs"

Test(daemon_message, features)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, NULL, 0, OK, U64(SET_FEATURES, 0)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_FEATURES, VERSION_1)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_FEATURES, VERSION_1 | PROTOCOL)),
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_FEATURES, 1)),
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_FEATURES, 1ULL << 26)), /* logging */
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_FEATURES, VERSION_1 | 1ULL << 34)),
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_FEATURES, UINT64_MAX)),
		ROW(CALLED, NULL, 0, OK, U64(SET_FEATURES, VERSION_1)),
		ROW(RUNNING, NULL, 0, OK, U64(SET_FEATURES, VERSION_1 | PROTOCOL)),
		ROW(RUNNING, NULL, 0, RUNS, U64(SET_FEATURES, VERSION_1)),
		ROW(RUNNING, NULL, 0, NOT_OFFERED, U64(SET_FEATURES, 1)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_PROTOCOL_FEATURES, 9)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_PROTOCOL_FEATURES, 0)),
		ROW(RUNNING, NULL, 0, OK, U64(SET_PROTOCOL_FEATURES, 1)),
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_PROTOCOL_FEATURES, 2)),
		ROW(NOTHING, NULL, 0, NOT_OFFERED, U64(SET_PROTOCOL_FEATURES, 1ULL << 63)),
		ROW(NOTHING, NULL, 0, OK, NONE(SET_OWNER)),
		ROW(RUNNING, NULL, 0, OK, NONE(SET_OWNER)),
		ROW(RUNNING, NULL, 0, OK, NONE(RESET_OWNER)),
	};

	judge_rows(rows, N_OF(rows));
}

#define COUNT    "the number of regions is not 1 to 8"
#define PER_FD   "there is not one descriptor per region"
#define TOO_MUCH "the regions take more than 4 TiB of address space"

Test(daemon_message, memory)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, files, 1, OK, TABLE(1, ONE(0))),
		ROW(RUNNING, files, 8, OK, TABLE(8, EIGHT)),
		ROW(NOTHING, files, 0, COUNT, TABLE(0, ONE(0))),
		ROW(NOTHING, files, 8, COUNT, TABLE(9, EIGHT)),
		ROW(NOTHING, files, 0, PER_FD, TABLE(1, ONE(0))),
		ROW(NOTHING, files, 2, PER_FD, TABLE(1, ONE(0))),
		ROW(NOTHING, files, 9, PER_FD, TABLE(8, EIGHT)),
		/* Of the table */
		ROW(NOTHING, files, 1, "a region is empty", TABLE(1, REGION(0, 0, USER, 0))),
		ROW(NOTHING, files, 1, "a region is not made of whole pages",
		    TABLE(1, REGION(0, PAGE + 1, USER, 0))),
		ROW(NOTHING, files, 1, "a region is not made of whole pages",
		    TABLE(1, REGION(512, PAGE, USER, 0))),
		ROW(NOTHING, files, 1, "a region is not made of whole pages",
		    TABLE(1, REGION(0, PAGE, USER + 1, 0))),
		ROW(NOTHING, huge_files, 1, "a region wraps around the end of the address space",
		    TABLE(1, REGION(2 * PAGE, -PAGE, 0, 0))),
		ROW(NOTHING, huge_files, 1, "a region wraps around the end of the address space",
		    TABLE(1, REGION(0, 2 * PAGE, -PAGE, 0))),
		ROW(NOTHING, files, 2, "two regions overlap in guest-physical addresses",
		    TABLE(2, REGION(0, MIB, USER, 0), REGION(MIB - PAGE, MIB, USER + TIB, 0))),
		ROW(NOTHING, files, 2, "two regions overlap in frontend addresses",
		    TABLE(2, REGION(0, MIB, USER, 0), REGION(MIB, MIB, USER + MIB - PAGE, 0))),
		ROW(NOTHING, files, 2, OK,
		    TABLE(2, REGION(0, MIB, USER, 0), REGION(MIB, MIB, USER + MIB, 0))),
		/* Of the files */
		ROW(NOTHING, bad_file, 2, "a bad file", TABLE(2, ONE(0), ONE(1))),
		ROW(NOTHING, files, 1, OK, TABLE(1, REGION(0, PAGE, USER, MIB - PAGE))),
		ROW(NOTHING, files, 1, "a region is larger than its file",
		    TABLE(1, REGION(0, PAGE, USER, MIB))),
		ROW(NOTHING, files, 1, "a region is larger than its file",
		    TABLE(1, REGION(0, MIB + PAGE, USER, 0))),
		ROW(NOTHING, files, 1, "a region is larger than its file",
		    TABLE(1, REGION(0, 2 * PAGE, USER, -PAGE))),
		ROW(NOTHING, files, 1, "a region does not begin at a page of its file",
		    TABLE(1, REGION(0, PAGE, USER, 100))),
		/* Of all of them */
		ROW(NOTHING, huge_files, 1, OK, TABLE(1, REGION(0, 4 * TIB, USER, 0))),
		ROW(NOTHING, huge_files, 1, TOO_MUCH, TABLE(1, REGION(0, 4 * TIB, USER, PAGE))),
		ROW(NOTHING, huge_files, 1, TOO_MUCH, TABLE(1, REGION(0, PAGE, USER, 4 * TIB))),
		ROW(NOTHING, huge_files, 2, OK,
		    TABLE(2, REGION(0, 2 * TIB, 0, 0), REGION(8 * TIB, TIB, 8 * TIB, TIB))),
		ROW(NOTHING, huge_files, 2, TOO_MUCH,
		    TABLE(2, REGION(0, 2 * TIB, 0, PAGE), REGION(8 * TIB, TIB, 8 * TIB, TIB))),
	};

	judge_rows(rows, N_OF(rows));
}

#define SIZE  "the size is not a power of two of at most 32768"
#define INDEX "the index has over 16 bits"

Test(daemon_message, sizes_and_bases)
{
	static const struct rule_row rows[] = {
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_NUM, 0, 1)),
		ROW(RUNNING, NULL, 0, OK, STATE(SET_VRING_NUM, 0, 32768)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, 0)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, 3)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, 32769)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, 65536)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, 1U << 31)),
		ROW(NOTHING, NULL, 0, SIZE, STATE(SET_VRING_NUM, 0, UINT32_MAX)),
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_BASE, 0, 0)),
		ROW(NOTHING, NULL, 0, OK, STATE(SET_VRING_BASE, 0, 65535)),
		ROW(NOTHING, NULL, 0, INDEX, STATE(SET_VRING_BASE, 0, 65536)),
		ROW(NOTHING, NULL, 0, INDEX, STATE(SET_VRING_BASE, 0, UINT32_MAX)),
	};

	judge_rows(rows, N_OF(rows));
}

Test(daemon_message, entries_in_all)
{
	static const struct rule_row full = ROW(NOTHING, NULL, 0,
						"the queues have more than 65536 entries in all",
						STATE(SET_VRING_NUM, 2, 1));
	static const struct vhost_message first = STATE(SET_VRING_NUM, 0, 32768);
	static const struct vhost_message second = STATE(SET_VRING_NUM, 1, 32768);
	static const struct vhost_message less = STATE(SET_VRING_NUM, 1, 16384);
	struct vhost_said said = { 0 };
	const char *why;

	vhost_said_more(&said, &first, &first);
	cr_expect_eq(vhost_judge(&second, NULL, 0, &said, &why), VHOST_PASS);
	vhost_said_more(&said, &second, &second);
	/* The same again counts once. */
	cr_expect_eq(vhost_judge(&second, NULL, 0, &said, &why), VHOST_PASS);
	cr_expect_eq(vhost_judge(&full.msg, NULL, 0, &said, &why), VHOST_HOSTILE);
	cr_expect_str_eq(why, full.why);
	vhost_said_more(&said, &less, &less);
	cr_expect_eq(vhost_judge(&full.msg, NULL, 0, &said, &why), VHOST_PASS);
}

#define OUTSIDE "a part of the ring is not in guest memory"
#define NO_SIZE "the size of the queue has not been set: SET_VRING_NUM comes first"
#define END     (USER + MIB) /* of the first region */
#define DESC    256 /* bytes of the parts of 16 entries */
#define AVAIL   36
#define USED    132

Test(daemon_message, addresses)
{
	static const struct rule_row rows[] = {
		ROW(SIZED, NULL, 0, OK, ADDR(0, 0, USER, USER + PAGE, USER + 2 * PAGE)),
		ROW(RUNNING, NULL, 0, OK, ADDR(0, 0, USER, USER, USER)),
		/* Each part up to the end of its region, and one byte further */
		ROW(SIZED, NULL, 0, OK, ADDR(0, 0, END - DESC, END - AVAIL, END - USED)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, END - DESC + 1, END - AVAIL, END - USED)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, END - DESC, END - AVAIL + 1, END - USED)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, END - DESC, END - AVAIL, END - USED + 1)),
		/* In another region; before the first one, between them, nowhere */
		ROW(SIZED, NULL, 0, OK, ADDR(0, 0, USER, USER + 8 * MIB, USER + 8 * MIB + PAGE)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, USER - 1, USER, USER)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, USER, END, USER)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, USER, USER, 0)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, UINT64_MAX, USER, USER)),
		ROW(SIZED, NULL, 0, OUTSIDE, ADDR(0, 0, 0, 0, 0)), /* guest-physical, not its own */
		ROW(SIZED, NULL, 0, "logging is not offered", ADDR(0, 1, USER, USER, USER)),
		/* What has to come before */
		ROW(FEATURES, NULL, 0, OUTSIDE, ADDR(0, 0, USER, USER, USER)),
		ROW(MEMORY, NULL, 0, NO_SIZE, ADDR(0, 0, USER, USER, USER)),
		ROW(RUNNING, NULL, 0, NO_SIZE, ADDR(1, 0, USER, USER, USER)),
	};

	judge_rows(rows, N_OF(rows));
}

#define BITS    "unknown bits are set"
#define N_FDS   "the number of descriptors is wrong"
#define NOT_ONE "its descriptor is not an eventfd"
#define NO_ADDR "the queue has no address: SET_VRING_ADDR comes first"
#define POLLING "polling a queue is not offered"

Test(daemon_message, notifiers)
{
	static const struct rule_row rows[] = {
		ROW(ADDRESSED, eventfds, 1, OK, U64(SET_VRING_KICK, 0)),
		ROW(RUNNING, eventfds, 1, OK, U64(SET_VRING_KICK, 0)),
		ROW(SIZED, eventfds, 1, NO_ADDR, U64(SET_VRING_KICK, 0)),
		ROW(ADDRESSED, eventfds, 1, NO_ADDR, U64(SET_VRING_KICK, 1)),
		ROW(ADDRESSED, NULL, 0, POLLING, U64(SET_VRING_KICK, 0x100)),
		ROW(ADDRESSED, NULL, 0, N_FDS, U64(SET_VRING_KICK, 0)),
		ROW(ADDRESSED, eventfds, 2, N_FDS, U64(SET_VRING_KICK, 0)),
		ROW(ADDRESSED, eventfds, 9, N_FDS, U64(SET_VRING_KICK, 0)),
		ROW(ADDRESSED, eventfds, 1, BITS, U64(SET_VRING_KICK, 0x200)),
		ROW(ADDRESSED, eventfds, 1, BITS, U64(SET_VRING_KICK, 1ULL << 63)),
		ROW(ADDRESSED, no_eventfd, 1, NOT_ONE, U64(SET_VRING_KICK, 0)),
		/* A queue may be called from the beginning, or not be called at all. */
		ROW(NOTHING, eventfds, 1, OK, U64(SET_VRING_CALL, 0)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_VRING_CALL, 0x100)),
		ROW(NOTHING, eventfds, 1, N_FDS, U64(SET_VRING_CALL, 0x100)),
		ROW(NOTHING, NULL, 0, N_FDS, U64(SET_VRING_CALL, 0)),
		ROW(NOTHING, no_eventfd, 1, NOT_ONE, U64(SET_VRING_CALL, 0)),
		ROW(NOTHING, eventfds, 1, BITS, U64(SET_VRING_CALL, 0x200)),
		ROW(NOTHING, eventfds, 1, OK, U64(SET_VRING_ERR, 0)),
		ROW(NOTHING, NULL, 0, OK, U64(SET_VRING_ERR, 0x100)),
		ROW(NOTHING, no_eventfd, 1, NOT_ONE, U64(SET_VRING_ERR, 0)),
		ROW(NOTHING, eventfds, 3, N_FDS, U64(SET_VRING_ERR, 0)),
	};

	judge_rows(rows, N_OF(rows));
}
