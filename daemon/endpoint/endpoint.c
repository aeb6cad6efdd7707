// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/endpoint.h"

#include <stdio.h>
#include <string.h>

#include <libfs/checked.h>

#include "channel/io.h"

struct unix_place endpoint_place(const struct channel *ch, const struct endpoint_config *cfg,
				 void (*come)(void *arg, int fd), void *arg)
{
	return (struct unix_place){
		.loop = ch->loop,
		.about = *LOG_CHANNEL(ch->guest_name, ch->cfg->name),
		.what = endpoint_type_name(cfg->type),
		.path = cfg->path,
		.mode = cfg->mode,
		.group = cfg->group,
		.kind = ch->cfg->packets ? FD_UNIX_PACKETS : FD_UNIX_STREAM,
		.come = come,
		.arg = arg,
	};
}

struct endpoint *endpoint_free(struct endpoint *ep)
{
	if (ep) {
		channel_bind(ep->ch, NULL, NULL);
		ep->ops->free(ep);
	}
	return NULL;
}

bool endpoint_is_connected(const struct endpoint *ep)
{
	struct endpoint_info info = { 0 };

	if (ep)
		ep->ops->info(ep, &info);
	return info.connected;
}

int endpoint_turn(int64_t (*move)(void *arg, uint64_t max), void *arg)
{
	uint64_t moved = 0;

	for (unsigned int moves = 0; moves < CHANNEL_TURN_MOVES && moved < CHANNEL_TURN_BYTES;
	     moves++) {
		int64_t n = move(arg, CHANNEL_TURN_BYTES - moved);

		if (n > 0)
			moved += (uint64_t)n;
		else if (n != -OKL4_AGAIN)
			return (int)n;
	}
	return 1;
}

enum log_level endpoint_keep_error(char kept[ENDPOINT_ERROR_BYTES], const char *text,
				   enum log_level level)
{
	if (!strcmp(text, kept))
		return LOG_LEVEL_DEBUG;
	snprintf(kept, ENDPOINT_ERROR_BYTES, "%s", text);
	return level;
}

int endpoint_segs_to_iov(const struct okl4_pipe_seg seg[2], uint64_t bytes, struct iovec iov[2])
{
	uint64_t first = okl4_min(bytes, seg[0].bytes);

	iov[0] = (struct iovec){ seg[0].base, first };
	iov[1] = (struct iovec){ seg[1].base, bytes - first };
	return bytes > first ? 2 : 1;
}

void endpoint_copy(const struct okl4_pipe_seg to[2], const struct okl4_pipe_seg from[2],
		   uint64_t bytes)
{
	uint64_t done = 0;

	while (done < bytes) {
		const struct okl4_pipe_seg *t = &to[done >= to[0].bytes];
		const struct okl4_pipe_seg *f = &from[done >= from[0].bytes];
		uint64_t t_at = t == to ? done : done - to[0].bytes;
		uint64_t f_at = f == from ? done : done - from[0].bytes;
		uint64_t n = okl4_min(okl4_min(t->bytes - t_at, f->bytes - f_at), bytes - done);

		memcpy(t->base + t_at, f->base + f_at, n);
		done += n;
	}
}

void endpoint_copy_message(struct channel *to, const struct channel *from, uint64_t bytes)
{
	struct okl4_pipe_seg src, dst;

	for (uint64_t done = 0; done < bytes; done += dst.bytes) {
		src = okl4_packet_seg(&from->sp.rx, done, bytes - done);
		dst = okl4_packet_seg(&to->sp.tx, done, src.bytes);
		memcpy(dst.base, src.base, dst.bytes);
	}
	okl4_packet_head(&to->sp.tx, bytes);
}

static int64_t drop_message(void *arg, uint64_t max)
{
	struct channel *ch = arg;
	uint64_t bytes;
	int r = channel_next_message(ch, &bytes);

	if (r == -OKL4_AGAIN) {
		r = channel_wait_read(ch);
		return r == 1 ? -OKL4_AGAIN : r;
	}
	if (r <= 0)
		return r; /* 0 is end-of-file: a new writer wakes us */
	channel_take_message(ch, bytes);
	return channel_usable(ch) ? (int64_t)okl4_packet_ring_bytes(bytes) : -OKL4_CHANNEL_FAILED;
}

static int64_t drop_piece(void *arg, uint64_t max)
{
	struct channel *ch = arg;
	struct okl4_pipe_seg seg[2];
	int64_t n = channel_peek_read(ch, seg);

	if (n > 0) {
		n = (int64_t)okl4_min((uint64_t)n, max);
		channel_commit_read(ch, (uint64_t)n);
		return channel_usable(ch) ? n : -OKL4_CHANNEL_FAILED;
	}
	if (n == -OKL4_AGAIN) {
		n = channel_wait_read(ch);
		return n == 1 ? -OKL4_AGAIN : n;
	}
	return n; /* 0 is end-of-file: a new writer wakes us */
}

int endpoint_drain(struct channel *ch)
{
	int r = endpoint_turn(ch->cfg->packets ? drop_message : drop_piece, ch);

	if (r == 1)
		channel_again(ch);
	return r < 0 ? r : 0;
}
