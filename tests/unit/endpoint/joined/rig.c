// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - two rigs whose channels are joined to each other, and their streams
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../channel/steps.h"

#define STREAM_APART (1ULL << 40) /* positions of one stream from those of the other */

void pair_init(struct pair *p, uint64_t ring_bytes, bool shared)
{
	struct endpoint_config to[2] = {
		{ .type = ENDPOINT_CHANNEL, .guest = (char *)"vm2", .channel = (char *)"b" },
		{ .type = ENDPOINT_CHANNEL, .guest = (char *)"vm1", .channel = (char *)"a" },
	};
	struct rig_options options = { .shared = shared };
	struct dirent *entry;
	char path[64];
	DIR *dir;

	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "okl4fs-joined-XXXXXX");
	cr_assert_not_null(mkdtemp(p->dir));
	snprintf(path, sizeof(path), "%s/control.sock", p->dir);
	cr_assert_eq(joined_set_dir(path), 0);
	cr_assert_eq(loop_new(&p->loop, "pair"), 0);
	options.loop = p->loop;
	for (int i = 0; i < 2; i++) {
		options.guest = i ? "vm2" : "vm1";
		options.channel = i ? "b" : "a";
		rig_init_as(&p->rig[i], &options, &to[i], ring_bytes);
	}
	p->rig[1].instance += 0x1000; /* not that of the other side */
	rig_new_memory(&p->rig[1]);

	snprintf(path, sizeof(path), "%s/joined", p->dir);
	dir = opendir(path);
	cr_assert_not_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] != '.')
			snprintf(p->file, sizeof(p->file), "%s/%.60s", path, entry->d_name);
	}
	closedir(dir);
	cr_assert(*p->file, "the pair has a file");
}

void pair_attach(struct pair *p)
{
	for (int i = 0; i < 2; i++)
		cr_assert_eq(rig_attach(&p->rig[i]), 0);
}

void pair_open(struct pair *p, uint64_t ring_bytes)
{
	pair_init(p, ring_bytes, false);
	pair_attach(p);
	for (int i = 0; i < 2; i++) {
		guest_open_write(&p->rig[i]);
		guest_open_read(&p->rig[i]);
	}
}

void pair_deinit(struct pair *p)
{
	char path[64];

	rig_deinit(&p->rig[0]);
	rig_deinit(&p->rig[1]);
	p->loop = loop_free(p->loop);
	unlink(p->file);
	snprintf(path, sizeof(path), "%s/joined", p->dir);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(rmdir(p->dir), 0);
}

void pair_killed(struct pair *p)
{
	rig_kill(&p->rig[0]);
	rig_kill(&p->rig[1]);
	rig_restart(&p->rig[0]);
	rig_restart(&p->rig[1]);
}

void pair_turns(struct pair *p)
{
	rig_turns(&p->rig[0], 2);
}

void stream_fill(unsigned int w, uint8_t *buf, uint64_t pos, uint64_t bytes)
{
	pattern_fill(buf, pos + w * STREAM_APART, bytes);
}

void stream_check(unsigned int w, const uint8_t *buf, uint64_t pos, uint64_t bytes)
{
	pattern_check(buf, pos + w * STREAM_APART, bytes);
}

void pair_send(struct pair *p, unsigned int w, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	stream_fill(w, buf, p->out[w], bytes);
	cr_assert_eq(guest_write(&p->rig[w], buf, bytes), (int64_t)bytes);
	p->out[w] += bytes;
	free(buf);
}

void pair_receive(struct pair *p, unsigned int w, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(&p->rig[!w], buf, bytes - done);

		if (n == -OKL4_AGAIN) {
			pair_turns(p);
			n = guest_read(&p->rig[!w], buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%lld after %llu of %llu bytes", (long long)n,
			     (unsigned long long)done, (unsigned long long)bytes);
		stream_check(w, buf, p->in[w], (uint64_t)n);
		done += (uint64_t)n;
		p->in[w] += (uint64_t)n;
	}
	free(buf);
}

void pair_nothing(struct pair *p, unsigned int w, int64_t want)
{
	int64_t n;
	uint8_t byte;

	pair_turns(p);
	n = guest_read(&p->rig[!w], &byte, 1);
	cr_assert_eq(n, want, "%lld, not %lld", (long long)n, (long long)want);
}

int64_t pair_write_one(struct pair *p, unsigned int w)
{
	uint8_t byte;
	int64_t n;

	stream_fill(w, &byte, p->out[w], 1);
	n = guest_write(&p->rig[w], &byte, 1);
	p->out[w] += n == 1;
	return n;
}

bool pair_is_joined(struct pair *p, unsigned int side)
{
	struct endpoint_info info;

	p->rig[side].ep->ops->info(p->rig[side].ep, &info);
	return info.connected;
}

/* ------------------------------------------------------------------------------------------- */
/* Steps of a side, with the stream that it writes                                             */

/* Each with "writer" or "reader" before it */
static void pair_step(struct pair *p, unsigned int side, const struct steps *s)
{
	uint64_t n = s->n;
	struct rig *rig = &p->rig[side];
	const char *words = s->words + strlen("writer ");

	STEP(words, "opens read unseen",
	     okl4_pipe_consumer_open(&rig->guest.rx)); /* the daemon's bell does not ring */
	STEP(words, "opens write unseen", okl4_pipe_producer_open(&rig->guest.tx));
	STEP(words, "sends", pair_send(p, side, n));
	STEP(words, "gets", pair_receive(p, !side, n));
	STEP(words, "sees nothing", pair_nothing(p, !side, -OKL4_AGAIN));
	STEP(words, "sees end", pair_nothing(p, !side, 0));
	STEP(words, "has EPIPE", cr_assert_eq(pair_write_one(p, side), -OKL4_PIPE));
	STEP(words, "is held up",
	     cr_assert_eq(pair_write_one(p, side), -OKL4_AGAIN)); /* the rings are full */
	STEP(words, "is joined", cr_assert(pair_is_joined(p, side)));
	STEP(words, "is not joined", cr_assert_not(pair_is_joined(p, side)));
	STEP(words, "loses memory", channel_suspend(&rig->ch));
	STEP(words, "is gone", channel_guest_gone(&rig->ch));
	STEP(words, "has fresh memory", rig_new_memory(rig));
	STEP(words, "attaches", cr_assert_eq(rig_attach(rig), 0));
	STEP(words, "detaches", channel_detach(&rig->ch));
	STEP(words, "parts", rig->ep->ops->part(rig->ep)); /* the daemon ends in order */
	STEP(words, "has a tail of", cr_assert_eq(channel_tail_bytes(&rig->ch), n));
	STEP(words, "waits", pair_turns(p)); /* for what the daemon does next */
	STEP(words, "idles", cr_assert_leq(rig_cpu_ms(rig, 100), 30)); /* as the loop does */
	STEP(words, "sees a new daemon",
	     pair_killed(p)); /* the old one was killed; nobody has attached */
	cr_assert(step_of_guest(rig, words), "no step is called \"%s\"", s->words);
}

void pair_play(struct pair *p, unsigned int w, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s)) {
		bool is_writer = !strncmp(s.words, "writer ", 7);

		cr_assert(is_writer || !strncmp(s.words, "reader ", 7), "no side: %s", s.words);
		pair_step(p, is_writer ? w : !w, &s);
	}
}
