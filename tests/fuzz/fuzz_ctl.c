// SPDX-License-Identifier: BSD-3-Clause
/*
 * fuzz_ctl.c - a guest that writes anything into its control memsection
 *
 * The input lays out the header (each field is valid or comes from the input). The rest is a list
 * of steps: calls of the host's end, and between them stores into any 64-bit word of the control
 * memsection, as a guest may make while the host works. Every result must be in its range;
 * AddressSanitizer watches the memory beside a chunk.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <libfs/socketpair.h>

#define CTL_BYTES  8192
#define RING_BYTES 8192
#define CHUNK      4096
#define INSTANCE   1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rest of the input */
struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > in->left)
		bytes = in->left;
	memcpy(&value, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return value;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* A memsection of two chunks, each an allocation of its own */
static void make(struct okl4_memsec *m, void *chunk[2])
{
	int i;

	for (i = 0; i < 2; i++) {
		chunk[i] = aligned_alloc(CHUNK, CHUNK);
		must(chunk[i]);
		memset(chunk[i], 0, CHUNK);
	}
	must(!okl4_memsec_init(m, chunk, 2, CHUNK));
}

/* Overwrite fields of the header that a mask names */
static void spoil_header(const struct okl4_memsec *ctl, struct input *in)
{
	static const struct {
		size_t offset, bytes;
	} field[] = { { offsetof(struct okl4_ctl_shm, magic), 4 },
		      { offsetof(struct okl4_ctl_shm, version), 4 },
		      { offsetof(struct okl4_ctl_shm, header_bytes), 4 },
		      { offsetof(struct okl4_ctl_shm, ctl_bytes), 4 },
		      { offsetof(struct okl4_ctl_shm, ring_bytes), 8 },
		      { offsetof(struct okl4_ctl_shm, instance), 8 },
		      { offsetof(struct okl4_ctl_shm, heap_offset), 4 },
		      { offsetof(struct okl4_ctl_shm, heap_bytes), 4 },
		      { offsetof(struct okl4_ctl_shm, pipe_offset), 4 },
		      { offsetof(struct okl4_ctl_shm, pipe_offset) + 4, 4 } };
	uint16_t mask = (uint16_t)take(in, 2);
	size_t i;

	for (i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		if (mask & 1U << i) {
			uint64_t value = take(in, field[i].bytes);

			memcpy(okl4_memsec_at(ctl, field[i].offset, field[i].bytes), &value,
			       field[i].bytes);
		}
	}
}

static void scribble(const struct okl4_memsec *ctl, struct input *in)
{
	uint64_t offset = take(in, 2) % (CTL_BYTES / 8) * 8;
	uint64_t *word = okl4_memsec_at(ctl, offset, 8);
	uint64_t value = take(in, 8);

	/* Mostly near the current value, where the checks are */
	*word = value & 1 ? *word + (uint64_t)((int64_t)value >> 48) : value;
}

static void check(int64_t r, int64_t most)
{
	must(r <= most);
	must(r >= 0 || strcmp(okl4_status_name((int)r), "?") != 0);
}

static void check_segs(int64_t r, const struct okl4_pipe_seg seg[2])
{
	int i;

	check(r, RING_BYTES);
	for (i = 0; i < 2 && r > 0; i++) {
		if (seg[i].bytes)
			memset(seg[i].base, 0x5a, seg[i].bytes);
	}
	must(r <= 0 || seg[0].bytes + seg[1].bytes == (uint64_t)r);
}

static void use(struct okl4_socketpair *s, struct input *in)
{
	static uint8_t buf[RING_BYTES];
	uint64_t bytes = take(in, 2) % (RING_BYTES + 1);
	struct okl4_pipe_seg seg[2];
	enum okl4_pipe_state state;
	bool notify;

	switch (take(in, 1) % 14) {
	case 0:
		check(okl4_pipe_write(&s->tx, buf, bytes, &notify), (int64_t)bytes);
		break;
	case 1:
		check(okl4_pipe_read(&s->rx, buf, bytes, &notify), (int64_t)bytes);
		break;
	case 2:
		check_segs(okl4_pipe_peek_write(&s->tx, seg), seg);
		break;
	case 3:
		check_segs(okl4_pipe_peek_read(&s->rx, seg), seg);
		break;
	case 4:
		okl4_pipe_commit_write(&s->tx, bytes);
		break;
	case 5:
		okl4_pipe_commit_read(&s->rx, bytes);
		break;
	case 6:
		check(okl4_pipe_arm_read(&s->rx), 1);
		break;
	case 7:
		check(okl4_pipe_arm_write(&s->tx, bytes), 1);
		okl4_pipe_take_overdue(&s->tx);
		break;
	case 8:
		check(okl4_pipe_writable(&s->tx), RING_BYTES);
		check(okl4_pipe_readable(&s->rx), RING_BYTES);
		break;
	case 9:
		check(okl4_pipe_producer_peer(&s->tx, &state), 0);
		check(okl4_pipe_consumer_peer(&s->rx, &state), 0);
		break;
	case 10:
		okl4_pipe_producer_open(&s->tx);
		okl4_pipe_consumer_open(&s->rx);
		break;
	case 11:
		okl4_pipe_producer_close(&s->tx);
		break;
	case 12:
		okl4_pipe_consumer_close(&s->rx);
		break;
	default:
		check(okl4_socketpair_attach(s, s->ctl, s->rx.ring, s->tx.ring, INSTANCE), 0);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct okl4_socketpair guest, host;
	struct okl4_memsec ctl, fwd, bwd;
	void *chunk[3][2];
	int r, i;

	make(&ctl, chunk[0]);
	make(&fwd, chunk[1]);
	make(&bwd, chunk[2]);
	must(!okl4_socketpair_create(&guest, &ctl, &fwd, &bwd, INSTANCE));
	spoil_header(&ctl, &in);
	r = okl4_socketpair_attach(&host, &ctl, &fwd, &bwd, INSTANCE);
	check(r, 0);
	while (!r && in.left) {
		if (take(&in, 1) & 1)
			scribble(&ctl, &in);
		use(&host, &in);
		if (!host.rx.shm || !host.tx.shm)
			break;
	}
	for (i = 0; i < 6; i++)
		free(chunk[i / 2][i % 2]);
	return 0;
}
