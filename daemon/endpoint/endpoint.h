/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * endpoint.h - what the host end of a channel is connected to, and what all endpoints share
 *
 * One file per type behind one table (types.h). An endpoint lives on the guest's worker and reaches
 * the ring only through channel/io.h: it moves bytes between the ring and its own side without a
 * copy in between (readv/writev on peeked segments) and holds no buffer of its own.
 */
#ifndef OKL4FSD_ENDPOINT_ENDPOINT_H
#define OKL4FSD_ENDPOINT_ENDPOINT_H

#include <sys/uio.h>

#include "channel/channel.h"
#include "loop/unix_place.h"

struct endpoint;

#define ENDPOINT_ERROR_BYTES 512 /* of a sentence, with its NUL */

/**
 * struct endpoint_info - for `status` and `channel.list`
 * @connected: a peer is connected (echo, discard: always; sockets: there is a connection)
 * @clients: clients served so far; *-connect: connections made
 * @refused: clients turned away because one was there already
 * @failed: (*-connect) attempts that failed, handshakes included
 * @handshakes_failed: (TLS) connections that could not be trusted, or not made in time
 * @torn: (TLS) connections that ended without a close_notify: what came may not be all
 * @path_lost: (unix-listen, mux-listen) the socket's file was removed or replaced
 * @error: what went wrong last; empty when nothing has since things went well
 */
struct endpoint_info {
	bool connected, path_lost;
	uint64_t clients, refused, failed, handshakes_failed, torn;
	char error[ENDPOINT_ERROR_BYTES];
};

/**
 * struct endpoint_ops - one type of endpoint
 * @type: type
 * @new: make one, bind it to @ch (channel_bind()); Return: 0 or -errno, with a log line that says
 *	what and where
 * @open: (channel with sessions) a session of @board begins: make its end, bind it to @ch, which has
 *	memory. @flags: OKL4FS_OPEN_*. Return: 0: it is open; 1: the other side has not answered, and
 *	opened() of the channel's guest or channel_refuse() follows; a negated okl4_status: it is
 *	refused, and there is no @ep
 * @info: fill @info
 * @resumes: (with @open) what a session needs outlives the process, so one with OKL4FS_OPEN_RESUME can
 *	be made anew
 * @settled: (with @open) the driver has resumed those sessions that it still has; NULL: there is nothing
 *	to do
 * @part: the daemon ends: let go of other endpoints without ending a stream. On the loop's thread.
 *	NULL: there is nothing to do
 * @reloaded: the configuration was read again and has this channel as it is: listen again where a
 *	socket's file was lost. NULL: there is nothing to do
 * @removed: the channel is no longer offered, free() follows; NULL: there is nothing to do
 * @close: the channel is no longer offered: serve only the client that gets its tail, if there is
 *	one, and let go of names in the file system and of addresses. NULL: it cannot do that
 * @is_busy: (with @close) whether a client is still there, or bytes are on their way
 * @free: end all streams, close all descriptors, remove what was created in the file system. The
 *	shared memory is not touched: a guest waits for the next daemon as if this one was killed
 */
struct endpoint_ops {
	enum endpoint_type type;
	int (*new)(struct endpoint **ep, const struct endpoint_config *cfg, struct channel *ch);
	int (*open)(struct endpoint *board, struct channel *ch, uint32_t flags,
		    struct endpoint **ep);
	bool resumes;
	void (*settled)(struct endpoint *board);
	void (*info)(const struct endpoint *ep, struct endpoint_info *info);
	void (*part)(struct endpoint *ep);
	void (*reloaded)(struct endpoint *ep);
	void (*removed)(struct endpoint *ep);
	void (*close)(struct endpoint *ep);
	bool (*is_busy)(const struct endpoint *ep);
	void (*free)(struct endpoint *ep);
};

/**
 * struct endpoint - first member of every type's own structure
 * @ops: its type
 * @ch: the channel that it is bound to; borrowed
 */
struct endpoint {
	const struct endpoint_ops *ops;
	struct channel *ch;
};

/* One per type, defined in the type's own file */
extern const struct endpoint_ops endpoint_intervm, endpoint_echo, endpoint_discard,
	endpoint_unix_listen, endpoint_unix_connect, endpoint_tcp_listen, endpoint_tcp_connect,
	endpoint_channel;

/* Likewise for channels with sessions, in sessions/. They have no channel memory of their own */
extern const struct endpoint_ops sessions_echo, sessions_discard, sessions_unix_listen,
	sessions_unix_connect, sessions_tcp_listen, sessions_tcp_connect, sessions_channel,
	sessions_mux_listen;

/**
 * endpoint_place() - where the clients of a channel's endpoint come: path, mode, group and kind of socket
 * @ch: channel; what it is called is borrowed
 * @cfg: its endpoint; borrowed
 * @come: called for each client
 * @arg: its argument
 *
 * Return: a place that does not listen yet.
 */
struct unix_place endpoint_place(const struct channel *ch, const struct endpoint_config *cfg,
				 void (*come)(void *arg, int fd), void *arg);

/** endpoint_free() - NULL is allowed; Return: NULL */
struct endpoint *endpoint_free(struct endpoint *ep);

/** endpoint_is_connected() - whether a peer is connected; NULL is allowed */
bool endpoint_is_connected(const struct endpoint *ep);

/**
 * endpoint_turn() - a turn's share of one direction (CHANNEL_TURN_BYTES, CHANNEL_TURN_MOVES)
 * @move: move one piece of at most @max bytes. Return: bytes moved; 0 when there is nothing to do before
 *	the next wake-up; -OKL4_AGAIN to look again; or another negated status when a channel has
 *	failed
 * @arg: its argument
 *
 * Return: 1 when the share is used up and there may be more (channel_again()), 0 when there is nothing
 * to do before the next wake-up, or an error after which the channel is not usable.
 */
int endpoint_turn(int64_t (*move)(void *arg, uint64_t max), void *arg);

/**
 * endpoint_keep_error() - keep what has gone wrong, for struct endpoint_info
 * @kept: what was kept before
 * @text: what it is now
 * @level: of its log line
 *
 * Return: @level; LOG_LEVEL_DEBUG: it is the same again.
 */
enum log_level endpoint_keep_error(char kept[ENDPOINT_ERROR_BYTES], const char *text,
				   enum log_level level);

/** endpoint_segs_to_iov() - the first @bytes of a peek, for readv(2) and its like; Return: entries of @iov */
int endpoint_segs_to_iov(const struct okl4_pipe_seg seg[2], uint64_t bytes, struct iovec iov[2]);

/** endpoint_copy() - copy from ring to ring; both have at least @bytes */
void endpoint_copy(const struct okl4_pipe_seg to[2], const struct okl4_pipe_seg from[2],
		   uint64_t bytes);

/**
 * endpoint_copy_message() - copy a message from ring to ring, with its head, but commit nothing
 * @to: usable channel; channel_message_room() has said that there is room
 * @from: usable channel; channel_next_message() has given the message
 * @bytes: its length
 */
void endpoint_copy_message(struct channel *to, const struct channel *from, uint64_t bytes);

/**
 * endpoint_drain() - take what the guest wrote and drop it, one turn's share
 * @ch: usable channel
 *
 * Sleeps (channel_wait_read()) when there is nothing more, or calls channel_again() for the rest.
 *
 * Return: 0, or an error after which the channel is not usable.
 */
int endpoint_drain(struct channel *ch);

#endif
