/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resolver.h - from a host's name to addresses, without waiting
 */
#ifndef OKL4FSD_ENDPOINT_STREAM_RESOLVER_H
#define OKL4FSD_ENDPOINT_STREAM_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>

#include "loop/loop.h"
#include "util/address.h"

struct event;
struct resolver_job;

/**
 * struct resolver - looks one host up, again and again
 * @loop: loop
 * @address: host and port; borrowed
 * @passive: for listening
 * @done: called on the loop's thread with the addresses (the callee's, freeaddrinfo(3)), or with
 *	NULL and why there are none
 * @arg: its argument
 * @wanted: a look-up is under way and its result is wanted
 * @job: what the thread works on; NULL: there is none
 * @ev: tells when it is done
 */
struct resolver {
	struct loop *loop;
	const struct address *address;
	bool passive;
	void (*done)(void *arg, struct addrinfo *list, const char *why);
	void *arg;
	bool wanted;
	struct resolver_job *job;
	struct event *ev;
};

/**
 * resolver_start() - look the host up now
 * @r: resolver, its first five fields filled in
 *
 * A numeric address needs no look-up: done() is called before this returns. The same happens when the
 * look-up cannot begin.
 */
void resolver_start(struct resolver *r);

/** resolver_stop() - done() is no longer called */
void resolver_stop(struct resolver *r);

/** resolver_deinit() - stop; a thread that still asks ends by itself */
void resolver_deinit(struct resolver *r);

#endif
