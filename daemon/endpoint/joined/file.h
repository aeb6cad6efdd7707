/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * file.h - what a pair has moved, kept where a killed daemon cannot lose it
 *
 * One file per pair, and per session of a pair, mapped: a store to it is as good as written when the process is killed. It is
 * read once, when it is opened, and checked; from then on the private copy counts and is only
 * published. Two slots and a word that says which is in force make any change one atomic store; a
 * move of bytes, which is the frequent change, is one store of its own.
 */
#ifndef OKL4FSD_ENDPOINT_JOINED_FILE_H
#define OKL4FSD_ENDPOINT_JOINED_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

#define JOINED_NAME_BYTES 64 /* of a guest, of a channel; with NUL */

/**
 * struct joined_name - one side of a pair
 * @guest: its guest
 * @channel: its channel
 */
struct joined_name {
	char guest[JOINED_NAME_BYTES], channel[JOINED_NAME_BYTES];
};

/**
 * struct joined_way - one direction: way w goes from side w to the other
 * @moved: bytes that went over, counted on without end
 * @tail_base: the host's cursor in fwd of the side it comes from is this and @moved
 * @head_base: likewise in bwd of the side that it goes to
 * @writer_seen: phase of the writing guest that was carried over
 * @writer_phase: the host's phase in bwd that stands for it
 * @reader_seen: phase of the reading guest that was carried over
 * @reader_phase: the host's phase in fwd that stands for it
 */
struct joined_way {
	uint64_t moved;
	uint64_t tail_base, head_base;
	uint64_t writer_seen, writer_phase;
	uint64_t reader_seen, reader_phase;
};

/**
 * struct joined_state - all that is known of a pair
 * @instance: of each side's memory; 0: none yet
 * @way: both directions
 */
struct joined_state {
	uint64_t instance[2];
	struct joined_way way[2];
};

struct joined_disk;

/**
 * struct joined_file - an open file
 * @state: the private copy; what the owner changes, and then commits
 * @path: of the file
 * @fd: it, locked, or -1
 * @disk: it, mapped
 * @turn: counts the commits; slot @turn % 2 is in force
 */
struct joined_file {
	struct joined_state state;
	char *path;
	int fd;
	struct joined_disk *disk;
	uint64_t turn;
};

/**
 * joined_set_dir() - where the files lie: `joined` beside the control socket
 * @control_path: of the control socket, of which each daemon has its own; copied
 *
 * Main, before there is an endpoint. Return: 0 or -ENOMEM.
 */
int joined_set_dir(const char *control_path);

/**
 * joined_file_open() - take up the file of a pair, or make it
 * @f: out
 * @name: the two sides, the lesser first (joined_name_compare())
 * @session: number of the session; 0: the channels have none
 *
 * A file that is damaged or is not ours is refused with a log line, and started again empty.
 *
 * Return: 0; -EBUSY: another daemon has it; or another negated errno; with a log line.
 */
int joined_file_open(struct joined_file *f, const struct joined_name name[2], uint64_t session);

/** joined_file_close() - let it go; the file stays */
void joined_file_close(struct joined_file *f);

/** joined_file_remove() - the pair has ended: remove the file, if there is one; logs no error */
void joined_file_remove(const struct joined_name name[2], uint64_t session);

/** joined_file_sessions() - call @found with the number of each session of a pair that has a file */
void joined_file_sessions(const struct joined_name name[2],
			  void (*found)(const struct joined_name name[2], uint64_t session));

/**
 * joined_file_moved() - commit a move of bytes, which lie in the ring they go to but are not
 * published
 */
void joined_file_moved(struct joined_file *f, unsigned int way, uint64_t bytes);

/** joined_file_commit() - commit all other changes of @f->state, before they are published */
void joined_file_commit(struct joined_file *f);

/** joined_name_compare() - by guest, then by channel; Return: as strcmp(3) */
int joined_name_compare(const struct joined_name *a, const struct joined_name *b);

/**
 * joined_sweep() - remove the files of pairs that the configuration no longer has
 * @guest: guests
 * @n_guests: how many
 *
 * A file goes when one of its guests is among these and has no such pair. Files of other guests
 * stay: they may be added later. Main; none of the files that go is in use.
 */
void joined_sweep(const struct guest_config *guest, size_t n_guests);

#endif
