// SPDX-License-Identifier: BSD-3-Clause
/*
 * phase.c - open, close and reopen of both ends in every order, against a model
 *
 * The model speaks of openers and bytes; it knows nothing of phases.
 */
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

/* struct side - what the model knows of an end */
struct side {
	bool open;
	unsigned int closes;
};

/* struct world - the pipe and its model */
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
	struct rng rng = { 1 };
	struct world w;
	int i;

	rig_sec_init(&ring, 4096, 4096, LAYOUT_ADJACENT, &rng);
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

static int64_t read_byte(struct okl4_pipe *p)
{
	uint8_t byte;
	bool notify;

	return okl4_pipe_read(p, &byte, 1, &notify);
}

static int64_t write_byte(struct okl4_pipe *p)
{
	uint8_t byte = 1;
	bool notify;

	return okl4_pipe_write(p, &byte, 1, &notify);
}

Test(libfs_phase, the_peer_closes_with_bytes_unread)
{
	struct rng rng = { 1 };
	struct rig_pipe r;
	int i;

	rig_pipe_init(&r, 4096, 4096, LAYOUT_ADJACENT, 0, &rng);
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	for (i = 0; i < 3; i++)
		require_status(write_byte(&r.tx), 1);
	okl4_pipe_producer_close(&r.tx);
	for (i = 0; i < 3; i++)
		require_status(read_byte(&r.rx), 1);
	/* End-of-file stays for as long as this end is open */
	for (i = 0; i < 3; i++)
		require_status(read_byte(&r.rx), 0);
	okl4_pipe_producer_open(&r.tx);
	require_status(read_byte(&r.rx), -OKL4_AGAIN);
	require_status(write_byte(&r.tx), 1);
	require_status(read_byte(&r.rx), 1);
	okl4_pipe_producer_close(&r.tx);
	require_status(read_byte(&r.rx), 0);
	rig_pipe_deinit(&r);
}

Test(libfs_phase, the_reader_closes_with_bytes_unread)
{
	struct rng rng = { 1 };
	struct rig_pipe r;
	int i;

	rig_pipe_init(&r, 4096, 4096, LAYOUT_ADJACENT, 0, &rng);
	okl4_pipe_producer_open(&r.tx);
	for (i = 0; i < 4096; i++)
		require_status(write_byte(&r.tx), 1);
	require_status(write_byte(&r.tx), -OKL4_AGAIN);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), 1);
	okl4_pipe_consumer_close(&r.rx);
	/* EPIPE though there is room; the next reader finds what is left */
	require_status(write_byte(&r.tx), -OKL4_PIPE);
	okl4_pipe_consumer_open(&r.rx);
	require_status(write_byte(&r.tx), 1);
	for (i = 0; i < 4096; i++)
		require_status(read_byte(&r.rx), 1);
	require_status(read_byte(&r.rx), -OKL4_AGAIN);
	rig_pipe_deinit(&r);
}

/* An end-of-file is reported to one opening, also across a restart */
Test(libfs_phase, a_later_opening_waits_for_the_next_end_of_file)
{
	struct rng rng = { 1 };
	struct rig_pipe r;

	rig_pipe_init(&r, 4096, 4096, LAYOUT_ADJACENT, 0, &rng);
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_producer_close(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), 0);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), -OKL4_AGAIN);
	require_status(okl4_pipe_arm_read(&r.rx), 0);
	okl4_pipe_consumer_close(&r.rx);
	require_status(okl4_pipe_consumer_init(&r.rx, r.shm, &r.ring.sec), 0);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), -OKL4_AGAIN);
	/* An end-of-file that was not read yet is still there for the next opening */
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_producer_close(&r.tx);
	require_status(okl4_pipe_arm_read(&r.rx), 1);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), 0);
	rig_pipe_deinit(&r);
}

/* A reader that leaves before the writer leaves no end-of-file behind, unless bytes follow */
Test(libfs_phase, an_end_of_file_belongs_to_the_opening_that_left_before_it)
{
	struct rng rng = { 1 };
	struct rig_pipe r;

	rig_pipe_init(&r, 4096, 4096, LAYOUT_ADJACENT, 0, &rng);
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_producer_close(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), -OKL4_AGAIN);
	require_status(okl4_pipe_arm_read(&r.rx), 0);
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_producer_close(&r.tx);
	/* No reader was there with the next writer, so its end-of-file is for the next opening */
	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_producer_close(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), 0);
	okl4_pipe_consumer_close(&r.rx);

	okl4_pipe_producer_open(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_producer_close(&r.tx);
	/* EPIPE: nobody reads. What was written before is delivered, and then the end-of-file */
	okl4_pipe_consumer_open(&r.rx);
	okl4_pipe_producer_open(&r.tx);
	require_status(write_byte(&r.tx), 1);
	okl4_pipe_consumer_close(&r.rx);
	okl4_pipe_producer_close(&r.tx);
	okl4_pipe_consumer_open(&r.rx);
	require_status(read_byte(&r.rx), 1);
	require_status(read_byte(&r.rx), 0);
	rig_pipe_deinit(&r);
}
