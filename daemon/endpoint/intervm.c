// SPDX-License-Identifier: BSD-3-Clause
/*
 * intervm.c - the OKL4 example: send a file, wait for the other end, send it again
 *
 * A round is: open the writing end, send the file in pieces of 4096 bytes, close. The next round
 * begins when a reader in the guest has taken everything and has closed too. After `rounds` rounds
 * the endpoint says "Intervm test done" and stays closed; 0 rounds means for ever. The pieces are
 * read from the file into the ring itself.
 *
 * The reading end is open all the time, and what the guest writes is counted and dropped: the
 * original's channel carries bytes both ways, its example uses only one.
 *
 * Going on after a kill
 * ---------------------
 * The shared words hold the place, so a daemon goes on in the middle of a piece of its predecessor.
 * The phase p of the host's writing end says how many rounds have begun, (p + 1) / 2, and whether
 * the last one is going on (p is odd). All rounds are the whole file, so round r begins at byte
 * (r - 1) * size of the stream, and the present position in the file follows from bwd's head. If
 * that is not a position in the file (it has another size now), the torn round ends there, and the
 * next one begins with the file's first byte.
 *
 * The reader's state alone does not say that it has closed: `cat f; cat f` may close and open
 * again between two looks. So the guest's reader says which end-of-file it has used up (eof_seen in
 * abi.h). A reader that counts the bytes and closes without looking for the end is as good, if it
 * has taken all of them. One that leaves in the middle holds the round up until another one takes
 * the rest: the stream is the file, however many readers share it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <libfs/checked.h>

#include "channel/io.h"
#include "endpoint/endpoint.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/sandbox.h"

#define PIECE_BYTES 4096

struct intervm {
	struct endpoint ep;
	int fd; /* the file */
	uint64_t size; /* its bytes when the endpoint was made, which is what each round sends */
	uint64_t base; /* bwd's position at which the present round began */
	bool done; /* all rounds are over, and that was logged */
};

static const struct endpoint_config *intervm_cfg(const struct intervm *iv)
{
	return &iv->ep.ch->cfg->endpoint;
}

/* Whether a reader has taken all of the last round and has closed. Return: 1, 0, or an error */
static int reader_done(struct channel *ch)
{
	struct channel_peer reader;
	int64_t room;

	if (channel_eof_taken(ch))
		return 1;
	if (channel_guest_reader(ch, &reader))
		return -OKL4_CHANNEL_FAILED;
	room = channel_writable(ch);
	if (room < 0)
		return (int)room;
	return reader.state == OKL4_PIPE_CLOSED && (uint64_t)room == ch->sp.ring_bytes;
}

/* Return: 1 when the next round has begun, 0 to wait for the next wake-up, or an error */
static int between_rounds(struct intervm *iv)
{
	struct channel *ch = iv->ep.ch;
	uint64_t begun = channel_write_phase(ch) / 2;
	uint32_t rounds = intervm_cfg(iv)->rounds;
	int r;

	if (iv->done)
		return 0;
	if (begun) {
		r = reader_done(ch);
		if (r <= 0)
			return r;
	}
	if (rounds && begun >= rounds) {
		iv->done = true;
		channel_log(ch, LOG_LEVEL_INFO, "Intervm test done");
		return 0;
	}
	iv->base = channel_write_pos(ch);
	channel_set_open(ch, true, true);
	channel_log(ch, LOG_LEVEL_DEBUG, "round %" PRIu64 " begins", begun + 1);
	return 1;
}

static void end_round(struct intervm *iv)
{
	struct channel *ch = iv->ep.ch;

	channel_log(ch, LOG_LEVEL_DEBUG, "round %" PRIu64 " ends after %" PRIu64 " bytes",
		    (channel_write_phase(ch) + 1) / 2, channel_write_pos(ch) - iv->base);
	channel_set_open(ch, true, false);
}

/* Return: bytes read into the ring; 0 when the file, and so the round, ends; or -OKL4_MEMORY_LOST */
static int64_t read_file_piece(struct intervm *iv, const struct okl4_pipe_seg seg[2],
			       uint64_t bytes, uint64_t pos)
{
	struct channel *ch = iv->ep.ch;
	uint64_t first = okl4_min(bytes, seg[0].bytes);
	struct iovec iov[2] = {
		{ seg[0].base, first },
		{ seg[1].base, bytes - first },
	};
	ssize_t n;

	do
		n = preadv(iv->fd, iov, bytes > first ? 2 : 1, (off_t)pos);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && errno == EFAULT) {
		channel_fail(ch, OKL4_MEMORY_LOST);
		return -OKL4_MEMORY_LOST;
	}
	channel_log(ch, LOG_LEVEL_WARNING,
		    "%s: %s at byte %" PRIu64 " of %" PRIu64 "; the round ends here",
		    intervm_cfg(iv)->file, n ? strerror(errno) : "the file has become shorter", pos,
		    iv->size);
	return 0;
}

static int64_t send_round_piece(struct intervm *iv, uint64_t max)
{
	struct channel *ch = iv->ep.ch;
	uint64_t pos = channel_write_pos(ch) - iv->base;
	struct okl4_pipe_seg seg[2];
	int64_t n;
	int r;

	if (pos >= iv->size) {
		end_round(iv);
		return -OKL4_AGAIN;
	}
	n = channel_peek_write(ch, seg);
	if (n == -OKL4_PIPE)
		return 0; /* a new reader wakes us */
	if (n == -OKL4_AGAIN) {
		r = channel_wait_write(ch, ch->sp.ring_bytes / 2);
		return r == 1 ? -OKL4_AGAIN : r;
	}
	if (n < 0)
		return n;

	max = okl4_min(okl4_min(max, PIECE_BYTES), okl4_min((uint64_t)n, iv->size - pos));
	n = read_file_piece(iv, seg, max, pos);
	if (n > 0) {
		channel_commit_write(ch, (uint64_t)n);
	} else if (!n) {
		end_round(iv);
		n = -OKL4_AGAIN;
	}
	return channel_usable(ch) ? n : -OKL4_CHANNEL_FAILED;
}

static int64_t move_round(void *arg, uint64_t max)
{
	struct intervm *iv = arg;

	if (!(channel_write_phase(iv->ep.ch) & 1)) {
		int r = between_rounds(iv);

		if (r <= 0)
			return r;
	}
	return send_round_piece(iv, max);
}

static void intervm_woken(void *arg)
{
	struct intervm *iv = arg;

	if (!endpoint_drain(iv->ep.ch) && endpoint_turn(move_round, iv) == 1)
		channel_again(iv->ep.ch);
}

/* From the shared words: where in the stream the present round began */
static void find_base(struct intervm *iv)
{
	struct channel *ch = iv->ep.ch;
	uint64_t phase = channel_write_phase(ch);
	uint64_t head = channel_write_pos(ch);

	if (!(phase & 1))
		return; /* between rounds: the next one begins at head */
	iv->base = phase / 2 * iv->size;
	if (head - iv->base <= iv->size) {
		channel_log(ch, LOG_LEVEL_INFO, "going on at byte %" PRIu64 " of round %" PRIu64,
			    head - iv->base, phase / 2 + 1);
		return;
	}
	channel_log(ch, LOG_LEVEL_WARNING,
		    "%" PRIu64 " bytes were sent by round %" PRIu64
		    ", which does not fit a file of %" PRIu64 " bytes; the round ends here",
		    head, phase / 2 + 1, iv->size);
	channel_set_open(ch, true, false);
}

/* Whether all rounds were over before this daemon came; errors are for the first turn to find */
static bool find_done(struct intervm *iv)
{
	uint64_t phase = channel_write_phase(iv->ep.ch);
	uint32_t rounds = intervm_cfg(iv)->rounds;

	return rounds && phase / 2 >= rounds && !(phase & 1) && channel_eof_taken(iv->ep.ch);
}

static void intervm_up(void *arg, bool fresh)
{
	struct intervm *iv = arg;
	struct channel *ch = iv->ep.ch;

	channel_set_open(ch, true, channel_write_phase(ch) & 1);
	if (fresh) {
		find_base(iv);
		iv->done = find_done(iv);
	}
	intervm_woken(iv);
}

static void intervm_down(void *arg, bool gone)
{
}

static const struct channel_endpoint_ops intervm_channel_ops = {
	.up = intervm_up,
	.down = intervm_down,
	.woken = intervm_woken,
};

/* Return: the descriptor or -errno, with a log line */
static int open_round_file(const struct channel *ch, const char *path, uint64_t *size)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why = NULL;
	struct stat st = { 0 };
	int r = 0;

	if (fd < 0 || fstat(fd, &st)) {
		r = -errno;
		why = strerror(errno);
	} else if (!S_ISREG(st.st_mode)) {
		r = -EINVAL;
		why = "not a regular file";
	} else if (!st.st_size) {
		r = -EINVAL;
		why = "the file is empty, there is nothing to send";
	}
	if (r) {
		log_channel(LOG_LEVEL_ERR, ch->guest_name, ch->cfg->name, "intervm: %s: %s%s", path,
			    why, sandbox_path_hint(path, SANDBOX_FILE));
		return r;
	}
	*size = (uint64_t)st.st_size;
	r = fd;
	fd = -1;
	return r;
}

static int intervm_new(struct endpoint **out, const struct endpoint_config *cfg, struct channel *ch)
{
	struct intervm *iv = calloc(1, sizeof(*iv));

	if (!iv)
		return -ENOMEM;
	iv->ep.ops = &endpoint_intervm;
	iv->ep.ch = ch;
	iv->fd = open_round_file(ch, cfg->file, &iv->size);
	if (iv->fd < 0) {
		int r = iv->fd;

		free(iv);
		return r;
	}
	channel_bind(ch, &intervm_channel_ops, iv);
	*out = &iv->ep;
	return 0;
}

static void intervm_info(const struct endpoint *ep, struct endpoint_info *info)
{
	const struct intervm *iv = (const struct intervm *)ep;

	*info = (struct endpoint_info){ .connected = !iv->done };
}

static void intervm_free(struct endpoint *ep)
{
	struct intervm *iv = (struct intervm *)ep;

	fd_close(iv->fd);
	free(iv);
}

const struct endpoint_ops endpoint_intervm = {
	.type = ENDPOINT_INTERVM,
	.new = intervm_new,
	.info = intervm_info,
	.free = intervm_free,
};
