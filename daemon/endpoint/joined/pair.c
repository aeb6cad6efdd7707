// SPDX-License-Identifier: BSD-3-Clause
/*
 * pair.c - what goes from one guest to the other
 *
 * As if the two guests had the ends of one fifo pair: what one writes the other reads, a writer that
 * closes is an end-of-file behind its bytes, a reader that closes is EPIPE, and both can open again.
 * There is no buffer but the two rings of a direction, so a guest that does not read holds up the
 * one that writes.
 *
 * Killed at any instant
 * ---------------------
 * The host's cursors and phases lie in memory of the guests, two for each direction, and no two of
 * them can be stored at once. So they do not decide. What decides is one word in a file
 * (file.c), and the cursors follow from it:
 *
 *	tail of the source's fwd = tail_base + moved
 *	head of the target's bwd = head_base + moved
 *
 * A piece goes over in four steps: copy; commit moved; publish head; publish tail. A daemon that
 * dies before the commit has changed nothing that counts, and the bytes are copied again to the same
 * place. One that dies after it leaves the bytes in the target's ring, and the next daemon publishes
 * both cursors. Nothing is lost and nothing doubled, and nothing depends on what a guest may have
 * written over the host's words meanwhile: they are written again, from the file.
 *
 * Phases go the same way: decide, commit, publish.
 *
 *	the host's end of	stands for		so that
 *	the target's bwd	the source's writer	its reader gets end-of-file
 *	the source's fwd	the target's reader	its writer gets EPIPE
 *
 * The host counts its own phases (follow_phase()): a guest that makes its phase jump cannot make the
 * phase jump that the other guest sees.
 *
 * Memory that comes and goes
 * --------------------------
 * Memory is known by its instance. Memory of the instance that the file has goes on where the file
 * says. Other memory is a new stream: the former one has ended, in whatever way, and the other side
 * sees that as when a peer dies: end-of-file behind what had come over, and EPIPE until a reader
 * opens again. Bytes that the dead guest had written and that had not gone over follow as its tail
 * (channel/tails.c), which has the instance of its memory; if some are lost, the reader's channel
 * fails, so that the reader does not take a part for the whole. What the living guest wrote waits in
 * its ring for the next reader. The memory of a guest says where its new stream begins, and a guest
 * that lies there deceives only itself.
 */
#include "endpoint/joined/pair.h"

#include <errno.h>
#include <stdlib.h>

#include <libfs/checked.h>

#include "channel/io.h"
#include "endpoint/endpoint.h"

/* A reader's phase that was not looked at since a writer's stream began: a reader that closed before
 * that read another stream, so its close is not EPIPE for this one */
#define FORMER UINT64_MAX

/* Open and closed as the guest is; two phases more when the guest has opened and closed unseen */
static uint64_t follow_phase(uint64_t mine, uint64_t seen, uint64_t now)
{
	if (now & 1)
		return mine | 1;
	if (!now)
		return mine;
	if (mine & 1)
		return mine + 1;
	return now != seen ? mine + 2 : mine;
}

/* @p is committed. A side that is not up is left for joined_pair_up() */
static void show_phases(struct joined_pair *p, unsigned int side)
{
	const struct joined_state *st = &p->file.state;
	struct channel *ch = p->ch[side];

	if (!p->up[side])
		return;
	while (channel_read_phase(ch) < st->way[side].reader_phase)
		channel_set_open(ch, !(channel_read_phase(ch) & 1), channel_write_phase(ch) & 1);
	while (channel_write_phase(ch) < st->way[!side].writer_phase)
		channel_set_open(ch, channel_read_phase(ch) & 1, !(channel_write_phase(ch) & 1));
}

static int carry_reader(struct joined_pair *p, unsigned int w)
{
	struct joined_way *way = &p->file.state.way[w];
	struct channel_peer reader;
	uint64_t phase, seen = way->reader_seen;
	int r = channel_guest_reader(p->ch[!w], &reader);

	if (r)
		return r;
	if (way->reader_seen == FORMER)
		way->reader_seen = reader.phase;
	phase = follow_phase(way->reader_phase, way->reader_seen, reader.phase);
	if (phase == way->reader_phase && reader.phase == seen)
		return 0;
	way->reader_phase = phase;
	way->reader_seen = reader.phase;
	joined_file_commit(&p->file);
	show_phases(p, w);
	return 0;
}

/* @empty was looked up after @phase. A closed writer whose bytes have still to go over counts as open */
static void carry_writer(struct joined_pair *p, unsigned int w, uint64_t phase, bool empty)
{
	struct joined_way *way = &p->file.state.way[w];
	uint64_t now = empty ? phase : phase | 1;
	uint64_t next = follow_phase(way->writer_phase, way->writer_seen, now);
	uint64_t seen = now == phase ? phase : way->writer_seen;

	if (next == way->writer_phase && seen == way->writer_seen)
		return;
	way->writer_phase = next;
	way->writer_seen = seen;
	joined_file_commit(&p->file);
	show_phases(p, !w);
}

static int64_t wait_for_source(struct channel *ch, uint64_t phase)
{
	int r;

	/* A closed writer wakes us when it opens; a wait for its bytes would find its end again. */
	if (phase && !(phase & 1))
		return 0;
	r = channel_wait_read(ch);
	return r == 1 ? -OKL4_AGAIN : r;
}

/* Copy, commit, publish */
static int64_t move_piece(struct joined_pair *p, unsigned int w, uint64_t max)
{
	struct channel *from = p->ch[w], *to = p->ch[!w];
	struct okl4_pipe_seg src[2], dst[2];
	int64_t room = channel_peek_write(to, dst), filled;
	int r;

	if (room == -OKL4_PIPE)
		return 0; /* a new reader wakes us */
	if (room == -OKL4_AGAIN) {
		r = channel_wait_write(to, to->sp.ring_bytes / 2);
		return r == 1 ? -OKL4_AGAIN : r;
	}
	if (room < 0)
		return room;
	filled = channel_peek_read(from, src);
	if (filled <= 0)
		return filled;

	max = okl4_min(max, okl4_min((uint64_t)filled, (uint64_t)room));
	endpoint_copy(dst, src, max);
	joined_file_moved(&p->file, w, max);
	channel_commit_write(to, max);
	/* That may have failed the target, and so changed the source's phases, but not its cursors */
	if (p->up[w])
		channel_commit_read(from, max);
	return p->up[0] && p->up[1] ? (int64_t)max : -OKL4_CHANNEL_FAILED;
}

/* The same with a message, which goes over whole. Both rings have one size, so each takes any message */
static int64_t move_message(struct joined_pair *p, unsigned int w)
{
	struct channel *from = p->ch[w], *to = p->ch[!w];
	uint64_t bytes, takes;
	int r = channel_next_message(from, &bytes);

	if (r <= 0)
		return r;
	takes = okl4_packet_ring_bytes(bytes);
	r = channel_message_room(to, bytes);
	if (r == -OKL4_PIPE)
		return 0;
	if (r == -OKL4_AGAIN) {
		r = channel_wait_write(to, takes);
		return r == 1 ? -OKL4_AGAIN : r;
	}
	if (r)
		return r;
	endpoint_copy_message(to, from, bytes);
	joined_file_moved(&p->file, w, takes);
	channel_put_message(to, bytes);
	if (p->up[w])
		channel_take_message(from, bytes);
	return p->up[0] && p->up[1] ? (int64_t)takes : -OKL4_CHANNEL_FAILED;
}

/* Way @way of @pair, for endpoint_turn() */
struct direction {
	struct joined_pair *pair;
	unsigned int way;
};

/* Phases, and a piece */
static int64_t carry_piece(void *arg, uint64_t max)
{
	const struct direction *d = arg;
	struct joined_pair *p = d->pair;
	unsigned int w = d->way;
	struct channel *from = p->ch[w];
	struct channel_peer writer;
	int64_t filled;
	int r;

	if (!p->up[0] || !p->up[1])
		return 0;
	r = carry_reader(p, w);
	if (!r)
		r = channel_guest_writer(from, &writer);
	if (r)
		return r;
	/* Loaded after the phase, which the writer stored after its bytes (pipe.c, D) */
	filled = channel_readable(from);
	if (filled < 0)
		return filled;
	carry_writer(p, w, writer.phase, !filled);
	if (!filled)
		return wait_for_source(from, writer.phase);
	return from->cfg->packets ? move_message(p, w) : move_piece(p, w, max);
}

static bool carry_share(struct joined_pair *p, unsigned int w)
{
	struct direction d = { p, w };

	return endpoint_turn(carry_piece, &d) == 1;
}

void joined_pair_woken(struct joined_pair *p, unsigned int side)
{
	bool more = carry_share(p, side);

	more |= carry_share(p, !side);
	if (more && p->up[side])
		channel_again(p->ch[side]);
}

/* End-of-file and EPIPE for the other side; the ends of @side are not touched */
void joined_pair_end_side(struct joined_pair *p, unsigned int side)
{
	struct joined_way *out = &p->file.state.way[side], *in = &p->file.state.way[!side];

	if (!(out->writer_phase & 1) && !(in->reader_phase & 1))
		return;
	out->writer_phase += out->writer_phase & 1;
	in->reader_phase += in->reader_phase & 1;
	joined_file_commit(&p->file);
	show_phases(p, !side);
}

static void begin_side_stream(struct joined_pair *p, unsigned int side)
{
	struct joined_way *out = &p->file.state.way[side], *in = &p->file.state.way[!side];
	struct channel *ch = p->ch[side];

	joined_pair_end_side(p, side);
	out->tail_base = channel_read_pos(ch) - out->moved;
	out->reader_phase = channel_read_phase(ch);
	out->writer_seen = 0;
	out->reader_seen = p->is_session ? 0 : FORMER;
	in->head_base = channel_write_pos(ch) - in->moved;
	in->writer_phase = channel_write_phase(ch);
	in->reader_seen = 0;
	p->file.state.instance[side] = ch->sp.instance;
	joined_file_commit(&p->file);
}

void joined_pair_up(struct joined_pair *p, unsigned int side)
{
	const struct joined_state *st = &p->file.state;
	const struct joined_way *out = &st->way[side], *in = &st->way[!side];
	struct channel_place place;

	if (st->instance[side] != p->ch[side]->sp.instance)
		begin_side_stream(p, side);
	place = (struct channel_place){
		.read_pos = out->tail_base + out->moved,
		.read_phase = out->reader_phase,
		.write_pos = in->head_base + in->moved,
		.write_phase = in->writer_phase,
	};
	if (channel_resume(p->ch[side], &place))
		return;
	p->up[side] = true;
	joined_pair_woken(p, side);
}

void joined_pair_down(struct joined_pair *p, unsigned int side, bool gone)
{
	p->up[side] = false;
	if (!gone)
		return;
	/* A fifo has no reset: the reader of a stream that is not complete sees its channel fail */
	if (channel_is_torn(p->ch[side]) && p->file.state.way[side].writer_phase & 1) {
		if (!p->is_session)
			channel_fail(p->ch[!side], OKL4_CHANNEL_RESET);
		else if (p->ch[!side])
			channel_refuse(p->ch[!side], OKL4_CONNECTION_RESET);
	}
	joined_pair_end_side(p, side);
}

int joined_pair_new(struct joined_pair **out, struct channel *const ch[2],
		    const struct joined_name name[2], uint64_t session)
{
	struct joined_pair *p = calloc(1, sizeof(*p));
	int r = p ? joined_file_open(&p->file, name, session) : -ENOMEM;

	if (r) {
		free(p);
		return r;
	}
	p->is_session = session;
	p->ch[0] = ch[0];
	p->ch[1] = ch[1];
	*out = p;
	return 0;
}

struct joined_pair *joined_pair_free(struct joined_pair *p)
{
	if (p)
		joined_file_close(&p->file);
	free(p);
	return NULL;
}
