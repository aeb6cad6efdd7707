/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - a rig with an endpoint that is a socket, its peer on the host, and the steps of both
 */
#ifndef TESTS_UNIT_ENDPOINT_STREAM_RIG_H
#define TESTS_UNIT_ENDPOINT_STREAM_RIG_H

#include "../../channel/steps.h"

/**
 * struct host - a rig, and what is on the host's side of it
 * @rig: rig
 * @dir: where the socket lies
 * @path: of the socket
 * @connects: the endpoint calls, its peer listens
 * @listener: where the peer listens, or -1
 * @fd: the connection that the steps speak of: of a client, or of the server that was called
 * @sent: bytes of its stream that the peer has sent
 * @got: bytes of the guest's stream that it has read
 */
struct host {
	struct rig rig;
	char dir[32], path[64];
	bool connects;
	int listener, fd;
	uint64_t sent, got;
};

/** host_play() - take these steps, separated by ";"; rig.c and steps.c have the lists */
void host_play(struct host *h, const char *steps);

/** host_connecting() - a rig with a unix-connect, attached, nothing opened by the guest */
void host_connecting(struct host *h, uint64_t ring_bytes);

/** host_listening() - a rig with a unix-listen, not attached */
void host_listening(struct host *h, uint64_t ring_bytes);

/** host_attached() - the same, attached, with the guest's ends open */
void host_attached(struct host *h, uint64_t ring_bytes);

/** host_finish() - let it go */
void host_finish(struct host *h);

/** host_test() - begin, take these steps, finish */
void host_test(void (*begin)(struct host *h, uint64_t ring_bytes), uint64_t ring_bytes,
	       const char *steps);

/* A test that is nothing but steps; @begin: connecting, listening or attached */
#define HOST_TEST(suite, name, begin, ring_bytes, steps)    \
	Test(suite, name)                                   \
	{                                                   \
		host_test(host_##begin, ring_bytes, steps); \
	}

/** host_client() - connect, and let the daemon see it */
int host_client(struct host *h);

/** client_gets() - the client must read so much of the guest's stream */
void client_gets(struct host *h, uint64_t bytes);

/** client_sees() - a read of a client's must give no byte, but this: 0 or an errno */
void client_sees(struct host *h, int fd, int want);

/** client_sends() - the client writes so much of its stream; Return: what was taken */
uint64_t client_sends(struct host *h, uint64_t bytes);

#endif
