// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/message_rig.h"

#include <criterion/criterion.h>

#define FILE_OF(n)                                          \
	{                                                   \
		.file = {.bytes = (n), .page_bytes = PAGE } \
	}

const struct vhost_fd eventfds[VHOST_MAX_FDS] = { { .is_eventfd = true } };
const struct vhost_fd no_eventfd[VHOST_MAX_FDS];
const struct vhost_fd files[VHOST_MAX_FDS] = {
	FILE_OF(MIB), FILE_OF(MIB), FILE_OF(MIB), FILE_OF(MIB),
	FILE_OF(MIB), FILE_OF(MIB), FILE_OF(MIB), FILE_OF(MIB),
};
const struct vhost_fd bad_file[VHOST_MAX_FDS] = { FILE_OF(MIB),
						  { .file = { .wrong = "a bad file" } } };
const struct vhost_fd huge_files[VHOST_MAX_FDS] = { FILE_OF(1ULL << 60), FILE_OF(1ULL << 60) };

static const struct vhost_message past[] = {
	[FEATURES] = U64(SET_FEATURES, VERSION_1 | PROTOCOL),
	[MEMORY] =
		TABLE(2, REGION(0, MIB, USER, 0), REGION(4 * MIB, 2 * PAGE, USER + 8 * MIB, PAGE)),
	[SIZED] = STATE(SET_VRING_NUM, 0, 16),
	[ADDRESSED] = ADDR(0, 0, USER, USER + PAGE, USER + 2 * PAGE),
	[KICKED] = U64(SET_VRING_KICK, 0),
	[CALLED] = U64(SET_VRING_CALL, 0),
	[RUNNING] = STATE(SET_VRING_ENABLE, 0, 1),
};

struct vhost_said said_until(enum past until)
{
	struct vhost_said said = { 0 };

	for (enum past i = FEATURES; i <= until; i++) {
		const struct vhost_message *msg = &past[i];
		enum vhost_fds kind = vhost_request_fds(msg->request);
		const char *why;

		cr_assert_eq(vhost_judge(msg, kind == VHOST_FDS_MEMORY ? files : eventfds,
					 kind == VHOST_FDS_MEMORY ? 2 :
					 kind == VHOST_FDS_EVENT  ? 1 :
								    0,
					 &said, &why),
			     VHOST_PASS, "step %d of the past: %s", i, why);
		vhost_said_more(&said, msg, msg);
	}
	return said;
}
