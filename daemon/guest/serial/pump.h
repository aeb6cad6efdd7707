/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pump.h - the bytes of a port: from its socket to fwd, and from bwd to its socket
 *
 * The pump is what a program in the guest is to a channel with the driver. The rings are its only
 * buffer. virtio-serial says neither that a program in the guest has opened or closed the port, nor
 * that a stream has ended. So the pump holds both ends open while the port is there, and when the
 * host's end closes, it opens its own again, as the next program would.
 *
 * Where the host's end makes a connection (unix-connect, tcp-connect), that would call a server again
 * and again, so the pump opens its ends for the bytes that the guest writes, not earlier.
 */
#ifndef OKL4FSD_GUEST_SERIAL_PUMP_H
#define OKL4FSD_GUEST_SERIAL_PUMP_H

#include "guest/serial/memory.h"

struct event;

/**
 * struct serial_pump - all zero: none
 * @ch: the channel; borrowed
 * @memory: what it is attached to
 * @fd: the port's socket; owned
 * @read_ev: on while there is room in fwd
 * @write_ev: on while bytes wait for room in the socket
 * @ready: called by these events; @arg: its argument
 * @refused_phase: phase of the host's reader for which the writer was opened again
 * @on_demand: open the ends only when the guest writes
 * @deaf: the socket takes no more bytes
 */
struct serial_pump {
	struct channel *ch;
	struct serial_memory memory;
	int fd;
	struct event *read_ev, *write_ev;
	void (*ready)(void *arg);
	void *arg;
	uint64_t refused_phase;
	bool on_demand, deaf;
};

/** enum serial_pump_result - what serial_pump_turn() has found */
enum serial_pump_result {
	SERIAL_PUMP_SLEEPS, /* nothing to do before the next event, or before the channel rings */
	SERIAL_PUMP_AGAIN, /* this turn's share is used up */
	SERIAL_PUMP_ENDED, /* the socket has ended, and all that came from it is in fwd */
};

/**
 * serial_pump_start() - attach the channel, and let bytes move
 * @p: to be filled
 * @ch: channel without memory; borrowed
 * @fd: connected, non-blocking; owned, also after an error
 * @ready: call serial_pump_turn() soon
 * @arg: its argument
 *
 * Return: 0, -ENOMEM, or a negated okl4_status; then @p is none.
 */
int serial_pump_start(struct serial_pump *p, struct channel *ch, int fd, void (*ready)(void *arg),
		      void *arg);

/** serial_pump_restart() - the channel has failed: attach new memory, with the same socket */
int serial_pump_restart(struct serial_pump *p);

/** serial_pump_turn() - move a turn's share in each direction */
enum serial_pump_result serial_pump_turn(struct serial_pump *p);

/** serial_pump_is_read() - whether somebody at the host's end may still take what the guest wrote */
bool serial_pump_is_read(struct serial_pump *p);

/** serial_pump_left() - bytes that lie in the socket */
uint64_t serial_pump_left(const struct serial_pump *p);

/** serial_pump_stop() - close the socket, and the channel's guest is gone; none is allowed */
void serial_pump_stop(struct serial_pump *p);

#endif
