/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - a rig with the endpoint unix-listen or unix-connect, its peer on the host, and a player of
 * steps for both
 */
#ifndef TESTS_UNIT_ENDPOINT_STREAM_RIG_H
#define TESTS_UNIT_ENDPOINT_STREAM_RIG_H

#include "../../channel/rig.h"

#define SPIN_MS 30 /* of 100: more is a loop that does not sleep */

/**
 * struct host - a rig, and what is on the host's side of it
 * @rig: rig
 * @dir: where the socket lies
 * @path: of the socket
 * @connects: the endpoint is a unix-connect
 * @listener: (unix-connect) where the peer listens, or -1
 * @fd: the connection that host_play() speaks of: of a client, or of the server that was called
 * @in: bytes of the stream to the guest that were sent
 * @seen: of these, bytes that the guest has read
 * @out: bytes of the stream from the guest that were sent
 * @got: of these, bytes that the peer has read
 * @step: what host_play() is doing, for messages
 */
struct host {
	struct rig rig;
	char dir[32], path[64];
	bool connects;
	int listener, fd;
	uint64_t in, seen, out, got;
	const char *step;
};

/**
 * host_play() - take these steps, one after the other
 * @h: host
 * @steps: separated by ";". A number may follow a step: bytes, or how many. rig.c has the list
 */
void host_play(struct host *h, const char *steps);

/** host_connecting() - a rig with a unix-connect, attached, nothing opened by the guest */
void host_connecting(struct host *h, uint64_t ring_bytes);

/** host_listening() - a rig with a unix-listen, not attached */
void host_listening(struct host *h, uint64_t ring_bytes);

/** host_attached() - the same, attached, with the guest's ends open */
void host_attached(struct host *h, uint64_t ring_bytes);

/** attached_plays() - host_attached(), these steps, host_finish() */
void attached_plays(uint64_t ring_bytes, const char *steps);

/** listening_plays() - the same with host_listening() */
void listening_plays(uint64_t ring_bytes, const char *steps);

/** connecting_plays() - the same with host_connecting() */
void connecting_plays(uint64_t ring_bytes, const char *steps);

/** host_finish() - let it go */
void host_finish(struct host *h);

/** host_client() - connect, and let the daemon see it */
int host_client(struct host *h);

/** host_leave() - close a connection, and let the daemon see it */
void host_leave(struct host *h, int fd);

/** host_info() - what the endpoint says of itself */
struct endpoint_info host_info(struct host *h);

/** guest_gets() - the guest must read a part of the stream, and no more */
void guest_gets(struct host *h, uint64_t *pos, uint64_t bytes);

/** guest_sees() - a read in the guest must give no byte, but this */
void guest_sees(struct host *h, int64_t want);

/** guest_sends() - the guest writes a part of the stream, all of it */
void guest_sends(struct host *h, uint64_t *pos, uint64_t bytes);

/** client_gets() - a client must read a part of the stream */
void client_gets(struct host *h, int fd, uint64_t *pos, uint64_t bytes);

/** client_sees() - a read of the client's must give no byte, but this */
void client_sees(struct host *h, int fd, int want);

/** client_sends() - a client writes a part of the stream */
uint64_t client_sends(struct host *h, int fd, uint64_t *pos, uint64_t bytes);

#endif
