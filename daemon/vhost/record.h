/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - what a frontend has set up, kept where a killed daemon cannot lose it
 *
 * A file in memory, mapped by the daemon and held by the service manager, too: a store to it is as
 * good as written when the process is killed. The next daemon gets the same open file. Two slots and
 * a word that says which is in force make any change one atomic store.
 *
 * Whether an answer was sent is certain, too. It lies in the file at the file's offset and is sent
 * by sendfile(2), which sends it and moves the offset in one system call. So an answer that lies at
 * the offset was not sent. The kernel may send the page itself and not a copy: what was sent last
 * must not be overwritten, so answers have RECORD_ANSWER_BYTES of room and take turns in it, and a
 * socket takes less (front.c).
 */
#ifndef OKL4FSD_VHOST_RECORD_H
#define OKL4FSD_VHOST_RECORD_H

#include "vhost/message.h"

#define RECORD_ANSWER_BYTES 16384

/**
 * struct record_state - all that is known of a connection
 * @said: what the frontend has said
 * @memory: number of the file of each region in the store (store_share())
 * @kick: number of each queue's kick descriptor in the store (kept.h); 0: none
 * @call: likewise
 * @next: number that the next descriptor gets
 * @msg_bytes: of the message that led to this state, which may still be in the socket
 * @answer_at: offset in the file of the answer to it; 0: it has none
 */
struct record_state {
	struct vhost_said said;
	uint32_t memory[GUEST_MEMORY_MAX_REGIONS];
	uint32_t kick[VHOST_MAX_QUEUES], call[VHOST_MAX_QUEUES];
	uint32_t next, msg_bytes, answer_at;
};

struct record_file;

/**
 * struct record - an open record
 * @state: the private copy; what the owner changes, and then commits
 * @fd: the file, or -1
 * @file: it, mapped
 * @turn: counts the commits; slot @turn % 2 is in force
 */
struct record {
	struct record_state state;
	int fd;
	struct record_file *file;
	uint64_t turn;
};

/** record_new() - make one, with nothing said; Return: 0 or -errno */
int record_new(struct record *r);

/**
 * record_open() - take up the record of a former daemon
 * @r: out
 * @fd: its file; the record's if this succeeds
 *
 * Nothing in it is believed that a later check of the messages (vhost_repeat(), vhost_judge())
 * would not find out.
 *
 * Return: NULL, or what is wrong; static memory.
 */
const char *record_open(struct record *r, int fd);

/** record_taken_up() - taking it up has worked; not doing so a number of times damages the record */
void record_taken_up(struct record *r);

/** record_close() - let it go */
void record_close(struct record *r);

/**
 * record_commit() - @r->state is in force from here on, because a message was carried out
 * @r: record
 * @msg_bytes: bytes of the message, which is still in the socket
 * @answer: NULL: none
 * @answer_bytes: its bytes, at most VHOST_REPLY_BYTES
 *
 * Return: 0 or -errno.
 */
int record_commit(struct record *r, uint32_t msg_bytes, const void *answer, uint32_t answer_bytes);

/** record_is_done() - the message that led to this state was taken from the socket and answered */
bool record_is_done(const struct record *r);

/** record_done() - from here on it is */
void record_done(struct record *r);

/** record_answer_is_due() - there is an answer and it was not sent */
bool record_answer_is_due(const struct record *r);

/** record_answer() - send the answer; Return: 0, or -EIO: the socket takes none */
int record_answer(struct record *r, int socket);

#endif
