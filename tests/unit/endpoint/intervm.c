// SPDX-License-Identifier: BSD-3-Clause
/*
 * intervm.c - the endpoint intervm: rounds of a file, whatever happens in between
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "../channel/rig.h"

#define FILE_BYTES 100001 /* no multiple of anything */

/**
 * struct sender - a rig with an intervm
 * @rig: rig
 * @path: of the file
 * @size: its bytes
 */
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

static void finish(struct sender *s)
{
	rig_deinit(&s->rig);
	unlink(s->path);
}

static void read_some(struct sender *s, uint64_t from, uint64_t bytes)
{
	uint8_t buf[5000];
	uint64_t done = 0;

	while (done < bytes) {
		uint64_t want = bytes - done < sizeof(buf) ? bytes - done : sizeof(buf);
		int64_t n = guest_read(&s->rig, buf, want);

		if (n == -OKL4_AGAIN) {
			rig_turns(&s->rig, 2);
			n = guest_read(&s->rig, buf, want);
		}
		cr_assert_gt(n, 0, "%s at byte %llu", okl4_status_name((int)n),
			     (unsigned long long)(from + done));
		pattern_check(buf, from + done, (uint64_t)n);
		done += (uint64_t)n;
	}
}

/* A read that must give no byte. Return: 0 (end-of-file) or -OKL4_AGAIN */
static int64_t next_read(struct sender *s)
{
	uint8_t byte;
	int64_t n;

	rig_turns(&s->rig, 2);
	n = guest_read(&s->rig, &byte, 1);
	cr_assert_leq(n, 0);
	return n;
}

static void cat(struct sender *s)
{
	guest_open_read(&s->rig);
	read_some(s, 0, s->size);
	cr_assert_eq(next_read(s), 0);
	guest_close_read(&s->rig);
}

static bool is_done(struct sender *s)
{
	struct endpoint_info info;

	rig_turns(&s->rig, 2);
	s->rig.ep->ops->info(s->rig.ep, &info);
	return !info.connected;
}

Test(intervm, the_example)
{
	struct sender s;

	sending(&s, 2, 1 << 20);
	cat(&s);
	cr_assert_not(is_done(&s));
	cat(&s);
	cr_assert(is_done(&s));
	cr_assert_eq(s.rig.ch.bwd.opens, 2);
	cr_assert_eq(s.rig.ch.bwd.bytes, 2 * FILE_BYTES);
	/* A third reader waits for a writer. */
	guest_open_read(&s.rig);
	cr_assert_eq(next_read(&s), -OKL4_AGAIN);
	finish(&s);
}

Test(intervm, through_a_ring_that_is_smaller_than_the_file)
{
	struct sender s;

	sending(&s, 2, 4096);
	cat(&s);
	cat(&s);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, the_pieces_are_the_examples)
{
	struct sender s;

	sending(&s, 1, 1 << 20);
	rig_turns(&s.rig, 3);
	cr_assert_eq(s.rig.ch.bwd.messages, (FILE_BYTES + 4095) / 4096);
	cat(&s);
	finish(&s);
}

Test(intervm, a_reader_that_is_quicker_than_the_host_looks)
{
	struct sender s;

	sending(&s, 2, 1 << 20);
	guest_open_read(&s.rig);
	read_some(&s, 0, FILE_BYTES);
	cr_assert_eq(next_read(&s), 0);
	/* cat f; cat f: closed and open again, and the host sees only that it is open */
	okl4_pipe_consumer_close(&s.rig.guest.rx);
	okl4_pipe_consumer_open(&s.rig.guest.rx);
	channel_rung(&s.rig.ch);
	read_some(&s, 0, FILE_BYTES);
	cr_assert_eq(next_read(&s), 0);
	cr_assert_not(is_done(&s), "the other end has not closed");
	guest_close_read(&s.rig);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, a_reader_that_counts_and_does_not_look_for_the_end)
{
	struct sender s;

	sending(&s, 2, 65536);
	for (int round = 0; round < 2; round++) {
		guest_open_read(&s.rig);
		read_some(&s, 0, FILE_BYTES);
		guest_close_read(&s.rig);
		rig_turns(&s.rig, 2);
	}
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, readers_that_take_a_part_each)
{
	static const uint64_t parts[] = { 1, 4095, 30000, 65904, 1 };
	struct sender s;
	uint64_t at = 0;

	sending(&s, 1, 16384);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		guest_open_read(&s.rig);
		read_some(&s, at, parts[i]);
		at += parts[i];
		cr_assert_not(is_done(&s));
		guest_close_read(&s.rig);
	}
	cr_assert_eq(at, FILE_BYTES);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, waits_for_a_reader_who_has_the_end_still_before_him)
{
	struct sender s;

	sending(&s, 2, 1 << 20);
	guest_open_read(&s.rig);
	read_some(&s, 0, 10);
	guest_close_read(&s.rig);
	rig_turns(&s.rig, 2);
	guest_open_read(&s.rig);
	read_some(&s, 10, FILE_BYTES - 10);
	rig_turns(&s.rig, 2);
	cr_assert_eq(s.rig.ch.bwd.opens, 1, "the next round would be glued to this one");
	cr_assert_eq(next_read(&s), 0);
	guest_close_read(&s.rig);
	cat(&s);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, for_ever)
{
	struct sender s;

	sending(&s, 0, 65536);
	for (int round = 0; round < 20; round++)
		cat(&s);
	cr_assert_not(is_done(&s));
	finish(&s);
}

Test(intervm, takes_what_the_guest_writes)
{
	static uint8_t buf[4096];
	struct sender s;

	sending(&s, 1, 4096);
	guest_open_write(&s.rig);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(guest_write(&s.rig, buf, sizeof(buf)), 4096);
		rig_turns(&s.rig, 1);
	}
	cr_assert_eq(s.rig.ch.fwd.bytes, 100 * 4096);
	guest_close_write(&s.rig);
	cat(&s);
	finish(&s);
}

/* ------------------------------------------------------------------------------------------- */
/* Killed                                                                                      */

static void die(struct sender *s)
{
	rig_kill(&s->rig);
	rig_restart(&s->rig);
	cr_assert_eq(rig_attach(&s->rig), 0);
}

Test(intervm, killed_at_any_place_of_any_round)
{
	for (uint64_t at = 0; at <= FILE_BYTES; at += 7919) {
		struct sender s;

		sending(&s, 3, 8192);
		for (int round = 0; round < 3; round++) {
			die(&s);
			guest_open_read(&s.rig);
			read_some(&s, 0, at);
			die(&s);
			read_some(&s, at, FILE_BYTES - at);
			die(&s);
			cr_assert_eq(next_read(&s), 0);
			die(&s);
			guest_close_read(&s.rig);
		}
		cr_assert(is_done(&s));
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
	cat(&s);
	cr_assert(is_done(&s));
	die(&s);
	cr_assert(is_done(&s));
	dup2(saved, 2);
	close(saved);
	cr_assert_eq(s.rig.ch.bwd.opens, 0);
	cr_assert_eq(n_logged(log, "guest vm1: channel intervm_test: Intervm test done"), 1,
		     "it is said once");
	fclose(log);
	finish(&s);
}

Test(intervm, memory_that_goes_and_comes_back)
{
	struct sender s;

	sending(&s, 2, 8192);
	guest_open_read(&s.rig);
	read_some(&s, 0, 50000);
	channel_suspend(&s.rig.ch);
	cr_assert_eq(rig_attach(&s.rig), 0);
	read_some(&s, 50000, FILE_BYTES - 50000);
	cr_assert_eq(next_read(&s), 0);
	guest_close_read(&s.rig);
	/* A guest that starts again gets all rounds again. */
	rig_new_memory(&s.rig);
	cr_assert_eq(rig_attach(&s.rig), 0);
	cat(&s);
	cat(&s);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, killed_and_the_file_is_another_one_then)
{
	struct sender s;

	sending(&s, 2, 8192);
	guest_open_read(&s.rig);
	read_some(&s, 0, 50000);
	rig_kill(&s.rig);
	cr_assert_eq(truncate(s.path, 20000), 0);
	s.size = 20000;
	rig_restart(&s.rig);
	cr_assert_eq(rig_attach(&s.rig), 0);
	/* What lies in the ring is still of the old one; then the torn round is over. */
	read_some(&s, 50000, (uint64_t)okl4_pipe_readable(&s.rig.guest.rx));
	cr_assert_eq(next_read(&s), 0);
	guest_close_read(&s.rig);
	cat(&s);
	cr_assert(is_done(&s));
	finish(&s);
}

/* ------------------------------------------------------------------------------------------- */
/* The file                                                                                    */

Test(intervm, the_file_becomes_shorter)
{
	struct sender s;

	sending(&s, 2, 4096);
	guest_open_read(&s.rig);
	read_some(&s, 0, 10000);
	cr_assert_eq(truncate(s.path, 50000), 0);
	read_some(&s, 10000, 40000);
	cr_assert_eq(next_read(&s), 0);
	guest_close_read(&s.rig);
	s.size = 50000;
	cat(&s);
	cr_assert(is_done(&s));
	finish(&s);
}

Test(intervm, the_file_becomes_empty_and_the_rounds_have_no_end)
{
	struct sender s;

	sending(&s, 0, 4096);
	guest_open_read(&s.rig);
	read_some(&s, 0, 4096);
	cr_assert_eq(truncate(s.path, 0), 0);
	rig_turns(&s.rig, 2);
	read_some(&s, 4096, (uint64_t)okl4_pipe_readable(&s.rig.guest.rx));
	cr_assert_eq(next_read(&s), 0);
	guest_close_read(&s.rig);
	/* A guest that says of every end that it has taken it: turns end all the same. */
	s.rig.guest.rx.shm->consumer.eof_seen = UINT64_MAX;
	guest_open_read(&s.rig);
	rig_turns(&s.rig, 10);
	finish(&s);
}

Test(intervm, files_that_cannot_be_sent)
{
	static const struct {
		const char *path;
		int r;
	} files[] = {
		{ "/nonexistent", -ENOENT },
		{ "/tmp", -EINVAL },
		{ "/dev/null", -EINVAL },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct channel_config cfg = { .name = (char *)"c",
					      .ring_bytes = 4096,
					      .endpoint = { .type = ENDPOINT_INTERVM } };
		struct endpoint *ep;
		struct channel ch;
		struct rig rig;

		rig_init(&rig, NULL, 4096);
		cfg.endpoint.file = (char *)files[i].path;
		channel_init(&ch, &cfg, "vm1", 0, rig.loop, NULL, NULL);
		cr_assert_eq(endpoint_new(&ep, &ch), files[i].r, "%s", files[i].path);
		cr_assert_null(ep);
		rig_deinit(&rig);
	}
}

Test(intervm, an_empty_file)
{
	struct channel_config cfg = { .name = (char *)"c",
				      .ring_bytes = 4096,
				      .endpoint = { .type = ENDPOINT_INTERVM } };
	struct endpoint *ep;
	struct channel ch;
	struct sender s;

	make_file(&s, 0);
	rig_init(&s.rig, NULL, 4096);
	cfg.endpoint.file = s.path;
	channel_init(&ch, &cfg, "vm1", 0, s.rig.loop, NULL, NULL);
	cr_assert_eq(endpoint_new(&ep, &ch), -EINVAL);
	finish(&s);
}
