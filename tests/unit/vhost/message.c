// SPDX-License-Identifier: BSD-3-Clause
/*
 * message.c - vhost-user messages: what is known of each, and what it means for the connection
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "vhost/message_rig.h"

/* --- Headers ---------------------------------------------------------------------------------- */

Test(daemon_message, header)
{
	static const struct {
		uint32_t request, flags, bytes;
		const char *why; /* NULL: it passes */
	} rows[] = {
		{ 1, 1, 0, NULL },
		{ 1, 9, 8, NULL }, /* an answer is wanted */
		{ 1, 0xfffffff9, 8, NULL }, /* bits that mean nothing yet */
		{ 5, 1, VHOST_PAYLOAD_BYTES, NULL },
		{ 0, 1, 0, NULL }, /* read, and then refused by name */
		{ UINT32_MAX, 1, 0, NULL },
		{ 5, 1, VHOST_PAYLOAD_BYTES + 1, "it is longer than any message" },
		{ 5, 1, UINT32_MAX, "it is longer than any message" },
		{ 1, 0, 0, "its version is not 1, or it says that it is a reply" },
		{ 1, 2, 0, "its version is not 1, or it says that it is a reply" },
		{ 1, 3, 0, "its version is not 1, or it says that it is a reply" },
		{ 1, 5, 0, "its version is not 1, or it says that it is a reply" },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		const struct vhost_message msg = {
			rows[i].request, rows[i].flags, rows[i].bytes, { 0 }
		};
		const char *why = NULL;

		cr_expect_eq(vhost_judge_header(&msg, &why),
			     rows[i].why ? VHOST_HOSTILE : VHOST_PASS, "row %zu", i);
		if (rows[i].why)
			cr_expect_str_eq(why, rows[i].why, "row %zu", i);
	}
}

/* --- Requests --------------------------------------------------------------------------------- */

#define REFUSED(number, name)                                                              \
	{                                                                                  \
		(number), (name), VHOST_REFUSE, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 0 \
	}

/* What is known of each request by itself. Queue: of the message {1, 0}; -1: it is about none */
static const struct {
	uint32_t request;
	const char *name;
	enum vhost_verdict verdict;
	enum vhost_fds fds;
	enum vhost_scope scope;
	int queue;
	uint64_t answer;
} requests[] = {
	{ 1, "GET_FEATURES", VHOST_ANSWER, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 0x140000000 },
	{ 2, "SET_FEATURES", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 0 },
	{ 3, "SET_OWNER", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 0 },
	{ 4, "RESET_OWNER", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_MEMORY, -1, 0 },
	{ 5, "SET_MEM_TABLE", VHOST_PASS, VHOST_FDS_MEMORY, VHOST_SCOPE_MEMORY, -1, 0 },
	REFUSED(6, "SET_LOG_BASE"),
	REFUSED(7, "SET_LOG_FD"),
	{ 8, "SET_VRING_NUM", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_RING, 1, 0 },
	{ 9, "SET_VRING_ADDR", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_RING, 1, 0 },
	{ 10, "SET_VRING_BASE", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_RING, 1, 0 },
	{ 11, "GET_VRING_BASE", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_RING, 1, 0 },
	{ 12, "SET_VRING_KICK", VHOST_PASS, VHOST_FDS_EVENT, VHOST_SCOPE_NOTIFIER, 1, 0 },
	{ 13, "SET_VRING_CALL", VHOST_PASS, VHOST_FDS_EVENT, VHOST_SCOPE_NOTIFIER, 1, 0 },
	{ 14, "SET_VRING_ERR", VHOST_PASS, VHOST_FDS_EVENT, VHOST_SCOPE_NOTHING, 1, 0 },
	{ 15, "GET_PROTOCOL_FEATURES", VHOST_ANSWER, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 9 },
	{ 16, "SET_PROTOCOL_FEATURES", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 0 },
	{ 17, "GET_QUEUE_NUM", VHOST_ANSWER, VHOST_FDS_NONE, VHOST_SCOPE_NOTHING, -1, 17 },
	{ 18, "SET_VRING_ENABLE", VHOST_PASS, VHOST_FDS_NONE, VHOST_SCOPE_RING, 1, 0 },
	REFUSED(19, "SEND_RARP"),
	REFUSED(20, "NET_SET_MTU"),
	REFUSED(21, "SET_BACKEND_REQ_FD"),
	REFUSED(22, "IOTLB_MSG"),
	REFUSED(23, "SET_VRING_ENDIAN"),
	REFUSED(24, "GET_CONFIG"),
	REFUSED(25, "SET_CONFIG"),
	REFUSED(26, "CREATE_CRYPTO_SESSION"),
	REFUSED(27, "CLOSE_CRYPTO_SESSION"),
	REFUSED(28, "POSTCOPY_ADVISE"),
	REFUSED(29, "POSTCOPY_LISTEN"),
	REFUSED(30, "POSTCOPY_END"),
	REFUSED(31, "GET_INFLIGHT_FD"),
	REFUSED(32, "SET_INFLIGHT_FD"),
	REFUSED(33, "GPU_SET_SOCKET"),
	REFUSED(34, "RESET_DEVICE"),
	REFUSED(35, "VRING_KICK"),
	REFUSED(36, "GET_MAX_MEM_SLOTS"),
	REFUSED(37, "ADD_MEM_REG"),
	REFUSED(38, "REM_MEM_REG"),
	REFUSED(39, "SET_STATUS"),
	REFUSED(40, "GET_STATUS"),
	REFUSED(41, "GET_SHARED_OBJECT"),
	REFUSED(42, "SET_DEVICE_STATE_FD"),
	REFUSED(43, "CHECK_DEVICE_STATE"),
	REFUSED(0, "unknown"),
	REFUSED(44, "unknown"),
	REFUSED(UINT32_MAX, "unknown"),
};

Test(daemon_message, requests)
{
	for (size_t i = 0; i < N_OF(requests); i++) {
		const struct vhost_message msg = {
			requests[i].request, 1, 8, { .state = { 1, 0 } }
		};
		const char *name = requests[i].name;

		cr_expect_str_eq(vhost_request_name(msg.request), name);
		cr_expect_eq(vhost_request_fds(msg.request), requests[i].fds, "%s", name);
		cr_expect_eq(vhost_message_scope(&msg), requests[i].scope, "%s", name);
		cr_expect_eq(vhost_message_queue(&msg), requests[i].queue, "%s", name);
		cr_expect_eq(vhost_message_replies(&msg), msg.request == 11, "%s", name);
		if (requests[i].verdict == VHOST_ANSWER)
			cr_expect_eq(vhost_answer(&msg), requests[i].answer, "%s", name);
	}
}

/* One that is not offered is refused whatever it has with it; an answer needs nothing before. */
Test(daemon_message, requests_that_are_refused_or_answered)
{
	for (size_t i = 0; i < N_OF(requests); i++) {
		bool refused = requests[i].verdict == VHOST_REFUSE;
		struct vhost_said said = said_until(i % 2 ? RUNNING : NOTHING);
		struct vhost_message msg = { requests[i].request, 1, refused ? 1000 : 0, { 0 } };
		const char *why;

		if (requests[i].verdict == VHOST_PASS)
			continue;
		cr_expect_eq(vhost_judge(&msg, files, refused ? 9 : 0, &said, &why),
			     requests[i].verdict, "%s", requests[i].name);
		if (refused)
			cr_expect_str_eq(why, "it is not offered");
		else
			cr_expect_null(why);
	}
}

Test(daemon_message, a_ring_that_is_enabled_goes_on)
{
	const struct vhost_message on = STATE(SET_VRING_ENABLE, 0, 1);
	const struct vhost_message off = STATE(SET_VRING_ENABLE, 0, 0);

	cr_expect_eq(vhost_message_scope(&on), VHOST_SCOPE_NOTIFIER);
	cr_expect_eq(vhost_message_scope(&off), VHOST_SCOPE_RING);
}

/* The queue's number is 8 bits of a word that has other bits. */
Test(daemon_message, queue_of_a_notifier)
{
	const struct vhost_message msg = U64(SET_VRING_CALL, 0x110);

	cr_expect_eq(vhost_message_queue(&msg), 16);
}

/* --- What was said ---------------------------------------------------------------------------- */

/* "features 140000000, 2 regions; 0: 16 address kick call on" */
static const char *tell(const struct vhost_said *said, char *out, size_t bytes)
{
	size_t n = (size_t)snprintf(out, bytes, "features %llx, %u regions",
				    (unsigned long long)said->features, said->n_regions);

	for (unsigned int i = 0; i < VHOST_MAX_QUEUES; i++) {
		bool any = said->ring[i].size || said->ring[i].addressed || said->ring[i].kicked ||
			   said->ring[i].called || said->ring[i].enabled;

		if (any)
			n += (size_t)snprintf(out + n, bytes - n, "; %u: %u%s%s%s%s", i,
					      said->ring[i].size,
					      said->ring[i].addressed ? " address" : "",
					      said->ring[i].kicked ? " kick" : "",
					      said->ring[i].called ? " call" : "",
					      said->ring[i].enabled ? " on" : "");
	}
	return out;
}

Test(daemon_message, what_a_message_means)
{
	static const struct {
		enum past past;
		struct vhost_message msg;
		const char *then;
	} rows[] = {
		{ NOTHING, NONE(SET_OWNER), "features 0, 0 regions" },
		{ NOTHING, U64(SET_FEATURES, VERSION_1), "features 100000000, 0 regions" },
		{ NOTHING, U64(SET_PROTOCOL_FEATURES, 9), "features 0, 0 regions" },
		{ NOTHING, TABLE(8, EIGHT), "features 0, 8 regions" },
		{ RUNNING, TABLE(1, ONE(0)),
		  "features 140000000, 1 regions; 0: 16 address kick call on" },
		{ NOTHING, STATE(SET_VRING_NUM, 16, 64), "features 0, 0 regions; 16: 64" },
		{ NOTHING, STATE(SET_VRING_BASE, 0, 7), "features 0, 0 regions" },
		{ SIZED, ADDR(0, 0, USER, USER, USER),
		  "features 140000000, 2 regions; 0: 16 address" },
		/* Without protocol features, a queue runs when it has a kick descriptor. */
		{ NOTHING, U64(SET_VRING_KICK, 3), "features 0, 0 regions; 3: 0 kick on" },
		{ ADDRESSED, U64(SET_VRING_KICK, 0),
		  "features 140000000, 2 regions; 0: 16 address kick" },
		{ NOTHING, U64(SET_VRING_CALL, 3), "features 0, 0 regions; 3: 0 call" },
		{ NOTHING, U64(SET_VRING_CALL, 0x103), "features 0, 0 regions; 3: 0 call" },
		{ NOTHING, U64(SET_VRING_ERR, 0), "features 0, 0 regions" },
		{ NOTHING, STATE(SET_VRING_ENABLE, 5, 1), "features 0, 0 regions; 5: 0 on" },
		{ RUNNING, STATE(SET_VRING_ENABLE, 0, 0),
		  "features 140000000, 2 regions; 0: 16 address kick call" },
		{ RUNNING, STATE(GET_VRING_BASE, 0, 0),
		  "features 140000000, 2 regions; 0: 16 address on" },
		{ RUNNING, NONE(RESET_OWNER), "features 0, 0 regions" },
	};

	for (size_t i = 0; i < N_OF(rows); i++) {
		struct vhost_said said = said_until(rows[i].past);
		char text[256];

		vhost_said_more(&said, &rows[i].msg, &rows[i].msg);
		cr_expect_str_eq(tell(&said, text, sizeof(text)), rows[i].then, "row %zu: %s", i,
				 text);
	}
}

Test(daemon_message, regions_that_were_said)
{
	const struct vhost_said said = said_until(MEMORY);

	cr_expect_eq(said.region[1].gpa, 4 * MIB);
	cr_expect_eq(said.region[1].user_addr, USER + 8 * MIB);
	cr_expect_eq(said.region[1].bytes, 2 * PAGE);
}

Test(daemon_message, a_ring_is_ready_when_all_was_said)
{
	for (enum past i = NOTHING; i <= RUNNING; i++) {
		struct vhost_said said = said_until(i);

		for (unsigned int queue = 0; queue < VHOST_MAX_QUEUES; queue++)
			cr_expect_eq(vhost_ring_is_ready(&said, queue), i == RUNNING && !queue,
				     "after step %d, queue %u", i, queue);
	}
}

Test(daemon_message, a_ring_is_not_ready_when_something_is_gone)
{
	static const struct vhost_message gone[] = {
		NONE(RESET_OWNER),
		STATE(SET_VRING_ENABLE, 0, 0),
		STATE(GET_VRING_BASE, 0, 0),
	};
	struct vhost_said said = said_until(RUNNING);

	said.n_regions = 0; /* the library could not map a table */
	cr_expect_not(vhost_ring_is_ready(&said, 0));
	for (size_t i = 0; i < N_OF(gone); i++) {
		said = said_until(RUNNING);
		vhost_said_more(&said, &gone[i], &gone[i]);
		cr_expect_not(vhost_ring_is_ready(&said, 0), "row %zu", i);
	}
}
