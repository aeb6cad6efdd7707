/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guest.h - one guest: its device, its queues and its channels
 *
 * A guest belongs to one worker loop for all its life. vhost_backend brings it vrings and memory
 * (from DPDK's vhost thread, by loop_call()). The guest serves the control queue, rings bells, and
 * hands memory to channels.
 */
#ifndef OKL4FSD_GUEST_GUEST_H
#define OKL4FSD_GUEST_GUEST_H

#include "config/config.h"
#include "guest/channels.h"
#include "guest/snapshot.h"
#include "loop/loop.h"

struct guest;

/**
 * guest_new() - make a guest, its channels and endpoints, and its vhost-user socket
 * @guest: out
 * @cfg: copied
 * @main_loop: loop of the calling thread
 * @worker: the loop that it belongs to
 *
 * A socket or an endpoint that cannot be made is one of its problems, with a log line;
 * guest_become() tries again.
 *
 * Main thread. Return: 0 or -errno: there is no memory for it.
 */
int guest_new(struct guest **guest, const struct guest_config *cfg, struct loop *main_loop,
	      struct loop *worker);

/**
 * guest_free() - disconnect the frontend, end the streams, remove the sockets; main thread; Return:
 * NULL
 */
struct guest *guest_free(struct guest *guest);

/**
 * guest_part() - the daemon ends: let go of the guests that this one is joined to
 * @guest: guest
 *
 * From here on, the end of this guest does not end a stream for them: they wait for the next
 * daemon.
 *
 * Main thread.
 */
void guest_part(struct guest *guest);

/** guest_serial() - its number in the order in which this process made guests, from 1 on */
uint64_t guest_serial(const struct guest *guest);

/** guest_config() - its configuration, without channels; main changes only tail_bytes of it */
const struct guest_config *guest_config(const struct guest *guest);

/** guest_error() - why its vhost-user socket cannot be made; "": it can; main */
const char *guest_error(const struct guest *guest);

/**
 * guest_problems() - what of it cannot be served: its socket, and endpoints that cannot listen or start
 * @guest: guest
 * @tell: called with a sentence for each, without the guest's name
 * @arg: its argument
 *
 * Main thread.
 */
void guest_problems(struct guest *guest, void (*tell)(void *arg, const char *sentence), void *arg);

/** guest_path_is_lost() - whether the vhost-user socket's file was removed or replaced; main */
bool guest_path_is_lost(const struct guest *guest);

#endif
