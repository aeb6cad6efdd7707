// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - two rigs whose channels are joined to each other, and their streams
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

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
	p->rig[1].out = p->rig[0].in = STREAM_APART;
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

void pair_attached(struct pair *p, uint64_t ring_bytes)
{
	pair_init(p, ring_bytes, false);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(rig_attach(&p->rig[i]), 0);
}

void pair_open(struct pair *p, uint64_t ring_bytes)
{
	pair_attached(p, ring_bytes);
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

void pair_turns(struct pair *p)
{
	rig_turns(&p->rig[0], 2);
}

int64_t pair_write_one(struct pair *p, unsigned int w)
{
	uint8_t byte = pattern(p->rig[w].out);
	int64_t n = guest_write(&p->rig[w], &byte, 1);

	p->rig[w].out += n == 1;
	return n;
}

/* The old one was killed; nobody has attached */
static void new_daemon(struct pair *p)
{
	rig_kill(&p->rig[0]);
	rig_kill(&p->rig[1]);
	rig_restart(&p->rig[0]);
	rig_restart(&p->rig[1]);
}

void pair_play(struct pair *p, unsigned int w, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s)) {
		bool is_writer = !strncmp(s.words, "writer ", 7);
		struct rig *rig = &p->rig[is_writer ? w : !w];

		cr_assert(is_writer || !strncmp(s.words, "reader ", 7), "no side: %s", step_text);
		if (!strcmp(s.words + 7, "parts")) /* the daemon ends in order */
			rig->ep->ops->part(rig->ep);
		else if (!strcmp(s.words + 7, "sees a new daemon"))
			new_daemon(p);
		else
			rig_step(rig, s.words + 7, s.n);
	}
}

void pair_test(void (*begin)(struct pair *p, uint64_t ring_bytes), unsigned int n,
	       const char *steps)
{
	struct pair p;

	begin(&p, 4096);
	for (unsigned int w = 0; w < n; w++)
		pair_play(&p, w, steps);
	pair_deinit(&p);
}
