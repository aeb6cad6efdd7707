// SPDX-License-Identifier: BSD-3-Clause
/*
 * steps.c - a test as a line of steps
 */
#include "steps.h"

#include <criterion/criterion.h>
#include <stdlib.h>

char step_text[64];

bool step_next(struct steps *s)
{
	size_t bytes, words;

	s->rest += strspn(s->rest, "; ");
	if (!*s->rest)
		return false;
	bytes = strcspn(s->rest, ";");
	cr_assert_lt(bytes, sizeof(step_text), "a step is too long: %s", s->rest);
	memcpy(step_text, s->rest, bytes);
	step_text[bytes] = 0;
	s->rest += bytes;

	words = bytes;
	while (words && strchr("0123456789", step_text[words - 1]))
		words--;
	s->n = words < bytes ? strtoull(step_text + words, NULL, 10) : 0;
	while (words && step_text[words - 1] == ' ')
		words--;
	memcpy(s->words, step_text, words);
	s->words[words] = 0;
	return true;
}

static void has_tail(const struct rig *rig, uint64_t n)
{
	cr_assert_eq(channel_tail_bytes(&rig->ch), n, "%s", step_text);
	if (!n)
		cr_assert_eq(rig->budget.used_bytes, 0);
}

void rig_step(struct rig *rig, const char *words, uint64_t n)
{
	/* the guest; "unseen": the daemon's bell does not ring */
	STEP(words, "opens read", guest_open_read(rig));
	STEP(words, "opens write", guest_open_write(rig));
	STEP(words, "closes read", guest_close_read(rig));
	STEP(words, "closes write", guest_close_write(rig));
	STEP(words, "opens read unseen", okl4_pipe_consumer_open(&rig->guest.rx));
	STEP(words, "opens write unseen", okl4_pipe_producer_open(&rig->guest.tx));
	STEP(words, "closes write unseen", okl4_pipe_producer_close(&rig->guest.tx));
	STEP(words, "rings", channel_rung(&rig->ch));
	STEP(words, "sends", guest_sends(rig, n));
	STEP(words, "gets", guest_gets(rig, n));
	STEP(words, "sees nothing", guest_sees(rig, -OKL4_AGAIN));
	STEP(words, "sees end", guest_sees(rig, 0));
	STEP(words, "has EPIPE", cr_assert_eq(guest_write(rig, "", 1), -OKL4_PIPE));
	STEP(words, "is held up", cr_assert_eq(guest_write(rig, "", 1), -OKL4_AGAIN));
	/* its memory */
	STEP(words, "loses memory", channel_suspend(&rig->ch));
	STEP(words, "has fresh memory", rig_new_memory(rig));
	STEP(words, "attaches", cr_assert_eq(rig_attach(rig), 0));
	STEP(words, "detaches", channel_detach(&rig->ch));
	STEP(words, "is gone", channel_guest_gone(&rig->ch));
	/* the daemon */
	STEP(words, "connected", cr_assert(rig_info(rig).connected));
	STEP(words, "disconnected", cr_assert_not(rig_info(rig).connected));
	STEP(words, "tail", has_tail(rig, n));
	STEP(words, "lost", cr_assert_eq(rig->ch.lost_bytes, n, "%s", step_text));
	STEP(words, "turns", rig_turns(rig, 3));
	STEP(words, "idles", cr_assert_leq(rig_cpu_ms(rig, 100), SPIN_MS));
	STEP(words, "daemon dies", rig_kill(rig));
	STEP(words, "daemon starts", rig_restart(rig)); /* not attached */
	cr_assert_fail("no step is called \"%s\"", step_text);
}

void rig_play(struct rig *rig, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s))
		rig_step(rig, s.words, s.n);
}
