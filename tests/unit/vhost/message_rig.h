/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message_rig.h - vhost-user messages in one line, and what a connection has said before them
 */
#ifndef TESTS_UNIT_VHOST_MESSAGE_RIG_H
#define TESTS_UNIT_VHOST_MESSAGE_RIG_H

#include "vhost/message.h"

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE        4096ULL
#define MIB         (1ULL << 20)
#define TIB         (1ULL << 40)
#define USER        0x7f0000000000ULL
#define VERSION_1   VHOST_F_VERSION_1
#define PROTOCOL    VHOST_F_PROTOCOL_FEATURES

/* Messages */
#define HEAD(req, n) .request = VHOST_REQ_##req, .flags = VHOST_FLAG_VERSION, .bytes = (n)
#define NONE(req)            \
	{                    \
		HEAD(req, 0) \
	}
#define U64(req, word)                              \
	{                                           \
		HEAD(req, 8), .payload.u64 = (word) \
	}
#define STATE(req, i, n)                                   \
	{                                                  \
		HEAD(req, 8), .payload.state = {(i), (n) } \
	}
#define ADDR(i, f, d, a, u)                                 \
	{                                                   \
		HEAD(SET_VRING_ADDR, 40), .payload.addr = { \
			.index = (i),                       \
			.flags = (f),                       \
			.desc = (d),                        \
			.avail = (a),                       \
			.used = (u)                         \
		}                                           \
	}
#define TABLE_BYTES(n) (8 + 32 * (n))
#define TABLE(n, ...)                                                    \
	{                                                                \
		HEAD(SET_MEM_TABLE, TABLE_BYTES(n)), .payload.memory = { \
			.n_regions = (n),                                \
			.region = { __VA_ARGS__ }                        \
		}                                                        \
	}
/* A region: guest-physical address, size, frontend's address, offset */
#define REGION(g, n, u, o)                                                     \
	{                                                                      \
		.gpa = (g), .bytes = (n), .user_addr = (u), .mmap_offset = (o) \
	}

#define ONE(n) REGION((n)*MIB, PAGE, USER + (n)*MIB, 0)
#define EIGHT  ONE(0), ONE(1), ONE(2), ONE(3), ONE(4), ONE(5), ONE(6), ONE(7)

/* Descriptors: eventfds; none of them; files of 1 MiB; a good and a bad one; huge ones */
extern const struct vhost_fd eventfds[VHOST_MAX_FDS], no_eventfd[VHOST_MAX_FDS];
extern const struct vhost_fd files[VHOST_MAX_FDS], bad_file[VHOST_MAX_FDS];
extern const struct vhost_fd huge_files[VHOST_MAX_FDS];

/* What was said before; the later ones include the earlier ones. Queue 0 has 16 entries. */
enum past { NOTHING, FEATURES, MEMORY, SIZED, ADDRESSED, KICKED, CALLED, RUNNING };

/** said_until() - what a connection has said after these steps, each of which has passed */
struct vhost_said said_until(enum past until);

#endif
