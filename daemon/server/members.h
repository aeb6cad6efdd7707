/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * members.h - the guests of the server and the workers that serve them
 */
#ifndef OKL4FSD_SERVER_MEMBERS_H
#define OKL4FSD_SERVER_MEMBERS_H

#include <sys/queue.h>

#include "guest/guest.h"

struct server_watch;

/**
 * struct member - a guest of the server
 * @guest: the guest; NULL: it was taken out, or could not be started
 * @worker: index of its worker
 */
struct member {
	struct guest *guest;
	unsigned int worker;
};

/**
 * struct worker - a worker
 * @loop: its loop
 * @n_guests: guests that it serves
 */
struct worker {
	struct loop *loop;
	unsigned int n_guests;
};

/**
 * struct server - see server.h
 * @main_loop: loop of the main thread, to which all of this belongs
 * @config_path: configuration file, or NULL
 * @cfg: the configuration that was loaded last, without its guests
 * @member: guests: in the order of the configuration, then those that were added
 * @n_members: how many
 * @worker: workers
 * @n_workers: how many
 * @started_ms: when, by the monotonic clock
 * @started_us: and by the wall clock, since 1970
 * @watches: watchers of reloads
 * @saved_digest: of the file that server_saved() has seen; 0: none since the last reload
 * @metrics_problem: of server_set_metrics_problem(), or NULL
 */
struct server {
	struct loop *main_loop;
	char *config_path;
	struct config *cfg;
	struct member *member;
	size_t n_members;
	struct worker *worker;
	unsigned int n_workers;
	uint64_t started_ms, started_us;
	LIST_HEAD(, server_watch) watches;
	uint64_t saved_digest;
	char *metrics_problem;
};

/** server_find_member() - look a guest up by its name; Return: its member, or NULL */
struct member *server_find_member(const struct server *s, const char *name);

/**
 * server_add_workers() - start workers: one per guest, but no more than there are CPUs
 * @s: server
 * @n_guests: guests that there will be
 *
 * Return: 0 or -errno, with a log line; some may have been started.
 */
int server_add_workers(struct server *s, size_t n_guests);

/**
 * server_member_start() - make a guest
 * @s: server with workers
 * @m: out
 * @cfg: configuration; copied
 * @worker: index of its worker
 * @why: "": out: one of its problems, with which it is not made; SERVER_WHY_BYTES. NULL: it may have some
 *
 * Return: 0; -EIO: it has a problem; or another negated errno; with a log line.
 */
int server_member_start(struct server *s, struct member *m, const struct guest_config *cfg,
			unsigned int worker, char *why);

/**
 * server_member_stop() - end a guest
 * @s: server
 * @m: member; a member without a guest is allowed
 */
void server_member_stop(struct server *s, struct member *m);

/**
 * server_take_config() - keep a configuration, without its guests
 * @s: server
 * @cfg: configuration; owned from here on
 */
void server_take_config(struct server *s, struct config *cfg);

#endif
