/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * inbox.h - one message of a frontend, which stays in the socket until it was carried out
 *
 * It is looked at with MSG_PEEK. So a daemon that is killed has lost nothing: the next one, which
 * gets the same socket, finds the message. How far was looked (SO_PEEK_OFF) is kept by the kernel,
 * with the socket, and taking bytes out moves it back. So after a kill it says how much of a message
 * that was carried out is still in the socket.
 */
#ifndef OKL4FSD_VHOST_INBOX_H
#define OKL4FSD_VHOST_INBOX_H

#include "vhost/message.h"

/**
 * struct inbox - the message
 * @msg: message, as far as it has come
 * @n_bytes: how much has come
 * @fds: what came with it
 * @n_fds: how many
 * @n_fds_came: how many came in all; those beyond VHOST_MAX_FDS, more than any message has, were closed
 * @no_room: for some there was no room in this process
 */
struct inbox {
	struct vhost_message msg;
	unsigned int n_bytes;
	int fds[VHOST_MAX_FDS];
	unsigned int n_fds, n_fds_came;
	bool no_room;
};

/** enum inbox_look - what is in the socket */
enum inbox_look {
	INBOX_NOTHING,
	INBOX_PART, /* a message whose end has not come */
	INBOX_WHOLE,
	INBOX_BAD, /* a header that no message has */
	INBOX_NO_FDS, /* a message whose descriptors find no room in this process */
	INBOX_END, /* the frontend has left; @n_bytes is not 0: within a message */
};

/**
 * inbox_look() - look at the next message; an earlier one is forgotten
 * @in: out; has no descriptors
 * @fd: the socket
 * @why: out: what is wrong with a header that is INBOX_BAD; static memory
 *
 * The descriptors come only with a whole message, and are the caller's then.
 */
enum inbox_look inbox_look(struct inbox *in, int fd, const char **why);

/** inbox_give_fds() - have the descriptors closed by another thread (stranger.h) */
void inbox_give_fds(struct inbox *in);

/** inbox_left() - how much of what was looked at last is still in the socket */
uint32_t inbox_left(int fd);

/**
 * inbox_drop() - take bytes, and the descriptors with them, out of the socket
 * @fd: the socket
 * @bytes: how many
 * @strange: the descriptors were not judged, so another thread has to close them
 */
void inbox_drop(int fd, uint32_t bytes, bool strange);

#endif
