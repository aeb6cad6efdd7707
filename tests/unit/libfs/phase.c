// SPDX-License-Identifier: BSD-3-Clause
/*
 * phase.c - open, close and reopen of both ends in every order, against a model
 *
 * The model speaks of openers and bytes; it knows nothing of phases.
 */
#include <stdlib.h>

#include "rig.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEPTH 5
#else
#define DEPTH 7
#endif

enum action {
	TX_OPEN,
	TX_CLOSE,
	TX_WRITE,
	TX_RESTART,
	RX_OPEN,
	RX_CLOSE,
	RX_READ,
	RX_RESTART,
	N_ACTIONS,
};

static const char *const action_name[N_ACTIONS] = {
	"tx open", "tx close", "write", "tx restart", "rx open", "rx close", "read", "rx restart",
};

/* What the model knows of an end */
struct side {
	bool open;
	unsigned int closes;
};

/* The pipe and its model */
struct world {
	struct okl4_pipe_shm shm;
	struct okl4_pipe tx;
	struct okl4_pipe rx;
	struct side writer;
	struct side reader;
	unsigned int fill;
	unsigned int ends_taken; /* by earlier openings: the writer's closes up to that one */
	unsigned int end_reported; /* in this opening */
	unsigned int
		end_left; /* the next of the writer's closes, if the last opening left before it */
	uint8_t next_in;
	uint8_t next_out;
};

static struct rig_sec ring;
static enum action trail[DEPTH];
static unsigned int n_trail;
static uint64_t n_states;

static void fail_with_path(const char *what, int64_t got, int64_t want)
{
	char text[256] = "";
	unsigned int i;

	for (i = 0; i < n_trail; i++) {
		strcat(text, action_name[trail[i]]);
		strcat(text, ", ");
	}
	cr_assert_fail("after %s%s gives %lld, not %lld", text, what, (long long)got,
		       (long long)want);
}

static void expect(const char *what, int64_t got, int64_t want)
{
	if (got != want)
		fail_with_path(what, got, want);
}

static enum okl4_pipe_state side_state(const struct side *side)
{
	if (side->open)
		return OKL4_PIPE_OPEN;
	return side->closes ? OKL4_PIPE_CLOSED : OKL4_PIPE_NEVER_OPENED;
}

/* What a read must give, by the model */
static int64_t model_read(const struct world *w)
{
	if (w->fill)
		return 1;
	if (!w->writer.open && w->writer.closes > w->ends_taken)
		return 0;
	return -OKL4_AGAIN;
}

static void do_write(struct world *w)
{
	int64_t want = !w->reader.open && w->reader.closes ? -OKL4_PIPE : 1;
	struct okl4_pipe_seg seg[2];
	bool notify;

	expect("peek_write", okl4_pipe_peek_write(&w->tx, seg), want > 0 ? 4096 - w->fill : want);
	expect("write", okl4_pipe_write(&w->tx, &w->next_in, 1, &notify), want);
	if (want < 0)
		return;
	w->next_in++;
	w->fill++;
}

static void do_read(struct world *w)
{
	int64_t want = model_read(w);
	struct okl4_pipe_seg seg[2];
	uint8_t byte = 0;
	bool notify;

	expect("peek_read", okl4_pipe_peek_read(&w->rx, seg), want > 0 ? w->fill : want);
	expect("read", okl4_pipe_read(&w->rx, &byte, 1, &notify), want);
	if (want > 0) {
		expect("the byte", byte, w->next_out);
		w->next_out++;
		w->fill--;
	} else if (!want) {
		w->end_reported = w->writer.closes;
	}
}

static void side_set_open(struct side *side, bool open)
{
	side->closes += side->open && !open;
	side->open = open;
}

static void open_reader(struct world *w)
{
	bool theirs = w->end_left && w->end_left == w->writer.closes && !w->writer.open;

	if (!w->reader.open && theirs && !w->fill)
		w->ends_taken = w->end_left;
	side_set_open(&w->reader, true);
}

static void model_close_reader(struct world *w)
{
	if (!w->reader.open)
		return;
	if (w->end_reported)
		w->ends_taken = w->end_reported;
	w->end_reported = 0;
	w->end_left = w->writer.open ? w->writer.closes + 1 : 0;
	side_set_open(&w->reader, false);
}

static void world_act(struct world *w, enum action action)
{
	switch (action) {
	case TX_OPEN:
		okl4_pipe_producer_open(&w->tx);
		side_set_open(&w->writer, true);
		break;
	case TX_CLOSE:
		okl4_pipe_producer_close(&w->tx);
		side_set_open(&w->writer, false);
		break;
	case TX_WRITE:
		do_write(w);
		break;
	case TX_RESTART:
		expect("restart", okl4_pipe_producer_init(&w->tx, &w->shm, &ring.sec), 0);
		break;
	case RX_OPEN:
		okl4_pipe_consumer_open(&w->rx);
		open_reader(w);
		break;
	case RX_CLOSE:
		okl4_pipe_consumer_close(&w->rx);
		model_close_reader(w);
		break;
	case RX_READ:
		do_read(w);
		break;
	default:
		/* A process that was killed cannot have published which end-of-file it reported */
		expect("restart", okl4_pipe_consumer_init(&w->rx, &w->shm, &ring.sec), 0);
		w->end_reported = 0;
		w->end_left = 0;
		break;
	}
}

/* All calls that change nothing */
static void ask_all(struct world *w)
{
	bool writable = !w->reader.open && w->reader.closes;
	enum okl4_pipe_state state;

	expect("is_open(tx)", okl4_pipe_is_open(&w->tx), w->writer.open);
	expect("is_open(rx)", okl4_pipe_is_open(&w->rx), w->reader.open);
	expect("peer(tx)", okl4_pipe_producer_peer(&w->tx, &state), 0);
	expect("the reader's state", state, side_state(&w->reader));
	expect("peer(rx)", okl4_pipe_consumer_peer(&w->rx, &state), 0);
	expect("the writer's state", state, side_state(&w->writer));
	expect("readable", okl4_pipe_readable(&w->rx), w->fill);
	expect("writable", okl4_pipe_writable(&w->tx), 4096 - w->fill);
	expect("arm_read", okl4_pipe_arm_read(&w->rx), model_read(w) != -OKL4_AGAIN);
	expect("arm_write(all)", okl4_pipe_arm_write(&w->tx, 4096), !w->fill || writable);
	expect("arm_write(1)", okl4_pipe_arm_write(&w->tx, 1), 1);
	n_states++;
}

static void explore_orders(const struct world *from)
{
	enum action action;

	if (n_trail == DEPTH)
		return;
	for (action = 0; action < N_ACTIONS; action++) {
		struct world w = *from;

		w.tx.shm = &w.shm;
		w.rx.shm = &w.shm;
		trail[n_trail] = action;
		world_act(&w, action);
		n_trail++;
		ask_all(&w);
		explore_orders(&w);
		n_trail--;
	}
}

Test(libfs_phase, every_order_of_open_close_write_read_and_restart, .timeout = 120)
{
	uint64_t want = 0, level = 1;
	struct world w;
	int i;

	rig_sec_plain(&ring, 4096);
	memset(&w, 0, sizeof(w));
	cr_assert_eq(okl4_pipe_producer_init(&w.tx, &w.shm, &ring.sec), 0);
	cr_assert_eq(okl4_pipe_consumer_init(&w.rx, &w.shm, &ring.sec), 0);
	ask_all(&w);
	explore_orders(&w);
	for (i = 0; i <= DEPTH; i++, level *= N_ACTIONS)
		want += level;
	cr_assert_eq(n_states, want);
	rig_sec_deinit(&ring);
}

static int64_t read_byte(struct rig_pipe *r)
{
	uint8_t byte;
	bool notify;

	return okl4_pipe_read(&r->rx, &byte, 1, &notify);
}

static int64_t write_byte(struct rig_pipe *r)
{
	bool notify;

	return okl4_pipe_write(&r->tx, "x", 1, &notify);
}

static int64_t arm_read(struct rig_pipe *r)
{
	return okl4_pipe_arm_read(&r->rx);
}

static int64_t restart_reader(struct rig_pipe *r)
{
	return okl4_pipe_consumer_init(&r->rx, r->shm, &r->ring.sec);
}

static int64_t open_or_close(struct rig_pipe *r, const char *word)
{
	if (word[0] == 'W')
		(word[1] == '+' ? okl4_pipe_producer_open : okl4_pipe_producer_close)(&r->tx);
	else
		(word[1] == '+' ? okl4_pipe_consumer_open : okl4_pipe_consumer_close)(&r->rx);
	return 0;
}

/* What a word of a scene does, and what must come of it; W+ W- R+ R- open and close the ends */
static const struct {
	const char *word;
	int64_t (*call)(struct rig_pipe *r);
	int64_t want;
} word_list[] = {
	{ "write", write_byte, 1 },
	{ "full", write_byte, -OKL4_AGAIN },
	{ "epipe", write_byte, -OKL4_PIPE },
	{ "read", read_byte, 1 },
	{ "end", read_byte, 0 },
	{ "nothing", read_byte, -OKL4_AGAIN },
	{ "restart", restart_reader, 0 }, /* of the reader */
	{ "armed", arm_read, 0 },
	{ "awake", arm_read, 1 },
};
#define N_WORDS (sizeof(word_list) / sizeof(word_list[0]))

static void play_word(struct rig_pipe *r, const char *word)
{
	size_t i;

	if (word[1] == '+' || word[1] == '-') {
		open_or_close(r, word);
		return;
	}
	for (i = 0; i < N_WORDS && strcmp(word, word_list[i].word) != 0; i++)
		;
	require(i < N_WORDS, "no word %s", word);
	require_status(word_list[i].call(r), word_list[i].want);
}

/* Words in fresh memory; one that ends with "*N" is played N times */
static void play_scene(const char *scene)
{
	char copy[256], *word, *at;
	struct rig_pipe r;

	rig_pipe_plain(&r, 0);
	require(strlen(scene) < sizeof(copy));
	strcpy(copy, scene);
	for (word = strtok_r(copy, " ", &at); word; word = strtok_r(NULL, " ", &at)) {
		char *times = strchr(word, '*');
		unsigned long n = times ? strtoul(times + 1, NULL, 10) : 1;

		if (times)
			*times = 0;
		while (n--)
			play_word(&r, word);
	}
	rig_pipe_deinit(&r);
}

Test(libfs_phase, the_peer_closes_with_bytes_unread)
{
	/* End-of-file stays for as long as this end is open */
	play_scene("W+ R+ write*3 W- read*3 end*3 W+ nothing write read W- end");
}

Test(libfs_phase, the_reader_closes_with_bytes_unread)
{
	/* EPIPE though there is room; the next reader finds what is left */
	play_scene("W+ write*4096 full R+ read R- epipe R+ write read*4096 nothing");
}

/* An end-of-file is reported to one opening, also across a restart */
Test(libfs_phase, a_later_opening_waits_for_the_next_end_of_file)
{
	play_scene("W+ W- R+ end R- R+ nothing armed R- restart R+ nothing"
		   /* An end-of-file that was not read yet is still there for the next opening */
		   " W+ W- awake R- R+ end");
}

/* A reader that leaves before the writer leaves no end-of-file behind, unless bytes follow */
Test(libfs_phase, an_end_of_file_belongs_to_the_opening_that_left_before_it)
{
	play_scene(
		"W+ R+ R- W- R+ nothing armed W+ R- W-"
		/* No reader was there with the next writer: its end-of-file is for the next opening */
		" W+ W- R+ end R-"
		" W+ R+ R- W-"
		/* EPIPE: nobody reads. What was written before comes, and then the end-of-file */
		" R+ W+ write R- W- R+ read end");
}
