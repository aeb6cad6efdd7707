// SPDX-License-Identifier: BSD-3-Clause
/*
 * intervm.c - the endpoint intervm: rounds of a file, whatever happens in between
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../channel/steps.h"

#define FILE_BYTES 100001 /* no multiple of anything */

/* A rig with an intervm, and its file */
struct sender {
	struct rig rig;
	char path[32];
	uint64_t size;
};

static void make_file(struct sender *s, uint64_t size)
{
	uint8_t *buf = malloc(size + 1);
	int fd;

	strcpy(s->path, "okl4fs-intervm-XXXXXX");
	fd = mkstemp(s->path);
	cr_assert_geq(fd, 0);
	pattern_fill(buf, 0, size);
	cr_assert_eq(write(fd, buf, size), (ssize_t)size);
	close(fd);
	free(buf);
	s->size = size;
}

static void sending(struct sender *s, uint32_t rounds, uint64_t ring_bytes)
{
	struct endpoint_config cfg = { .type = ENDPOINT_INTERVM, .rounds = rounds };

	make_file(s, FILE_BYTES);
	cfg.file = s->path;
	rig_init(&s->rig, &cfg, ring_bytes);
	cr_assert_eq(rig_attach(&s->rig), 0);
}

static void shorten(struct sender *s, uint64_t size)
{
	cr_assert_eq(truncate(s->path, (off_t)size), 0);
	s->size = size;
}

static void finish(struct sender *s)
{
	rig_deinit(&s->rig);
	unlink(s->path);
}

static bool is_done(struct sender *s)
{
	rig_turns(&s->rig, 2);
	return !rig_info(&s->rig).connected;
}

static void sender_step(struct sender *s, const char *words, uint64_t n)
{
	struct rig *rig = &s->rig;

	STEP(words, "gets rest", guest_gets(rig, s->size - rig->in)); /* of the file */
	STEP(words, "gets what is there",
	     guest_gets(rig, (uint64_t)okl4_pipe_readable(&rig->guest.rx)));
	STEP(words, "new round", rig->in = 0);
	STEP(words, "is done", cr_assert(is_done(s)));
	STEP(words, "is not done", cr_assert_not(is_done(s), "%s", step_text));
	STEP(words, "opened", cr_assert_eq(rig->ch.bwd.opens, n));
	STEP(words, "moved", cr_assert_eq(rig->ch.bwd.bytes, n));
	STEP(words, "pieces",
	     cr_assert_eq(rig->ch.bwd.messages, n)); /* of 4096 bytes, the last less */
	STEP(words, "file has", shorten(s, n));
	rig_step(rig, words, n);
}

static void play(struct sender *s, const char *steps)
{
	struct steps at = { .rest = steps };

	while (step_next(&at))
		sender_step(s, at.words, at.n);
}

#define CAT "new round; opens read; gets rest; sees end; closes read;"
#define DIE "daemon dies; daemon starts; attaches;"

static void sends(uint32_t rounds, uint64_t ring_bytes, const char *steps)
{
	struct sender s;

	sending(&s, rounds, ring_bytes);
	play(&s, steps);
	finish(&s);
}

/* A test that is nothing but steps */
#define SENDS(name, rounds, ring_bytes, steps)    \
	Test(intervm, name)                       \
	{                                         \
		sends(rounds, ring_bytes, steps); \
	}

/* A third reader waits for a writer. */
SENDS(the_example, 2, 1 << 20,
      CAT "is not done;" CAT "is done; opened 2; moved 200002; opens read; sees nothing")

SENDS(through_a_ring_that_is_smaller_than_the_file, 2, 4096, CAT CAT "is done")

SENDS(the_pieces_are_the_examples, 1, 1 << 20, "turns; pieces 25;" CAT)

Test(intervm, a_reader_that_is_quicker_than_the_host_looks)
{
	struct sender s;

	sending(&s, 2, 1 << 20);
	play(&s, "opens read; gets rest; sees end");
	/* cat f; cat f: closed and open again, and the host sees only that it is open */
	okl4_pipe_consumer_close(&s.rig.guest.rx);
	/* "is not done": the other end has not closed */
	play(&s, "opens read unseen; rings; new round; gets rest; sees end; is not done;"
		 "closes read; is done");
	finish(&s);
}

SENDS(a_reader_that_counts_and_does_not_look_for_the_end, 2, 65536,
      "opens read; gets rest; closes read; turns;"
      "new round; opens read; gets rest; closes read; turns; is done")

SENDS(readers_that_take_a_part_each, 1, 16384,
      "opens read; gets 1; is not done; closes read; opens read; gets 4095; is not done;"
      "closes read; opens read; gets 30000; is not done; closes read; opens read; gets 65904;"
      "is not done; closes read; opens read; gets 1; is not done; closes read; is done")

/* "opened 1": else the next round would be glued to this one */
SENDS(waits_for_a_reader_that_has_the_end_still_before_it, 2, 1 << 20,
      "opens read; gets 10; closes read; turns; opens read; gets rest; turns; opened 1;"
      "sees end; closes read;" CAT "is done")

Test(intervm, for_ever)
{
	struct sender s;

	sending(&s, 0, 65536);
	for (int round = 0; round < 20; round++)
		play(&s, CAT);
	play(&s, "is not done");
	finish(&s);
}

Test(intervm, takes_what_the_guest_writes)
{
	struct sender s;

	sending(&s, 1, 4096);
	guest_open_write(&s.rig);
	for (int i = 0; i < 100; i++)
		play(&s, "sends 4096; turns");
	cr_assert_eq(s.rig.ch.fwd.bytes, 100 * 4096);
	play(&s, "closes write;" CAT);
	finish(&s);
}

Test(intervm, killed_at_any_place_of_any_round)
{
	for (uint64_t at = 0; at <= FILE_BYTES; at += 7919) {
		struct sender s;

		sending(&s, 3, 8192);
		for (int round = 0; round < 3; round++) {
			play(&s, DIE "new round; opens read");
			guest_gets(&s.rig, at);
			play(&s, DIE "gets rest;" DIE "sees end;" DIE "closes read");
		}
		play(&s, "is done");
		finish(&s);
	}
}

static int n_logged(FILE *log, const char *text)
{
	char line[512];
	int n = 0;

	rewind(log);
	while (fgets(line, sizeof(line), log))
		n += strstr(line, text) != NULL;
	return n;
}

Test(intervm, killed_when_it_was_done)
{
	FILE *log = tmpfile();
	int saved = dup(2);
	struct sender s;

	cr_assert(log && saved >= 0);
	dup2(fileno(log), 2);
	sending(&s, 1, 1 << 20);
	play(&s, CAT "is done;" DIE "is done; opened 0");
	dup2(saved, 2);
	close(saved);
	cr_assert_eq(n_logged(log, "guest vm1: channel intervm_test: Intervm test done"), 1,
		     "it is said once");
	fclose(log);
	finish(&s);
}

/* A guest that starts again gets all rounds again. */
SENDS(memory_that_goes_and_comes_back, 2, 8192,
      "opens read; gets 50000; loses memory; attaches; gets rest; sees end; closes read;"
      "has fresh memory; attaches;" CAT CAT "is done")

/* What lies in the ring is still of the old file; then the torn round is over. */
SENDS(killed_and_the_file_is_another_one_then, 2, 8192,
      "opens read; gets 50000; daemon dies; file has 20000; daemon starts; attaches;"
      "gets what is there; sees end; closes read;" CAT "is done")

SENDS(the_file_becomes_shorter, 2, 4096,
      "opens read; gets 10000; file has 50000; gets 40000; sees end; closes read;" CAT "is done")

Test(intervm, the_file_becomes_empty_and_the_rounds_have_no_end)
{
	struct sender s;

	sending(&s, 0, 4096);
	play(&s, "opens read; gets 4096; file has 0; turns; gets what is there; sees end;"
		 "closes read");
	/* A guest that says of every end that it has taken it: turns end all the same. */
	s.rig.guest.rx.shm->consumer.eof_seen = UINT64_MAX;
	play(&s, "opens read; turns; turns; turns");
	finish(&s);
}

Test(intervm, files_that_cannot_be_sent)
{
	struct endpoint_config cfg = { .type = ENDPOINT_INTERVM };
	struct sender empty;
	const struct {
		const char *path;
		int r;
	} files[] = { { "/nonexistent", -ENOENT },
		      { "/tmp", -EINVAL },
		      { "/dev/null", -EINVAL },
		      { empty.path, -EINVAL } };

	make_file(&empty, 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		cfg.file = (char *)files[i].path;
		rig_refuses(&cfg, files[i].r);
	}
	unlink(empty.path);
}
