// SPDX-License-Identifier: BSD-3-Clause
/*
 * A phase that has moved says that there was an opening, also one that came and went between two
 * looks. A guest can open and close as fast as it likes, so the number of events is limited, and the
 * next one counts those that were left out.
 */
#include "channel/opener.h"

#include <string.h>

#include "loop/events.h"
#include "util/clock.h"

/* Return: whether the end was opened since the last look */
static bool look_at_opener(struct channel_opener *o, const struct okl4_pipe *p, bool writer)
{
	uint64_t moved = p->peer_phase - o->phase;

	if (!moved)
		return false;
	o->phase = p->peer_phase;
	if (writer)
		okl4_pipe_consumer_opener(p, &o->program);
	else
		okl4_pipe_producer_opener(p, &o->program);
	/* An end that is closed from the start has no opener (OPEN in docs/ABI.md) */
	return o->phase & 1 || (moved >= 2 && o->program.pid);
}

static bool is_same_program(const struct channel *ch)
{
	return !memcmp(&ch->writer.program, &ch->reader.program, sizeof(ch->writer.program));
}

static void post_opened(struct channel *ch, const char *end, const struct okl4_opener *program)
{
	uint64_t unreported;

	if (!log_limit_take(ch->opener_limit, clock_ms(), &unreported))
		return;
	events_post(&(struct events_fact){
		.kind = EVENTS_CHANNEL_OPENED,
		.guest = ch->guest_name,
		.channel = ch->cfg->name,
		.text = end,
		.opener = *program,
		.number = unreported,
	});
}

void channel_look_openers(struct channel *ch)
{
	struct okl4_socketpair *end = channel_end(ch);
	enum okl4_pipe_state state;
	bool writes, reads;

	/* A phase that has moved back fails the end: the next call of channel_check() sees it */
	if (okl4_pipe_consumer_peer(&end->rx, &state) || okl4_pipe_producer_peer(&end->tx, &state))
		return;
	writes = look_at_opener(&ch->writer, &end->rx, true);
	reads = look_at_opener(&ch->reader, &end->tx, false);
	if (writes && reads && is_same_program(ch)) {
		post_opened(ch, "both", &ch->writer.program);
		return;
	}
	if (writes)
		post_opened(ch, "writer", &ch->writer.program);
	if (reads)
		post_opened(ch, "reader", &ch->reader.program);
}

const struct okl4_opener *channel_opener(struct channel *ch, const char **end)
{
	const struct okl4_opener *opener;
	bool writes, reads, is_writer;

	if (ch->state != CHANNEL_ATTACHED || channel_has_tail(ch))
		return NULL;
	channel_look_openers(ch);
	writes = ch->writer.phase & 1;
	reads = ch->reader.phase & 1;
	is_writer = writes || (!reads && ch->writer.program.pid);
	*end = is_writer ? "writer" : "reader";
	if (writes && reads && is_same_program(ch))
		*end = "both";
	opener = is_writer ? &ch->writer.program : &ch->reader.program;
	return opener->pid ? opener : NULL;
}
