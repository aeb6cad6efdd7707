// SPDX-License-Identifier: BSD-3-Clause
/*
 * socketpair.c - creating a channel end, attaching to it, and every header that is refused
 */
#include <libfs/checked.h>
#include <libfs/socketpair.h>

#include "rig.h"

#define INSTANCE 0x1122334455667788ULL

/* Three memsections and both ends */
struct both_ends {
	struct rig_sec ctl;
	struct rig_sec fwd;
	struct rig_sec bwd;
	struct okl4_socketpair guest;
	struct okl4_socketpair host;
};

static void both_ends_init(struct both_ends *c, uint64_t ctl_bytes, uint64_t ring_bytes,
			   enum layout layout, struct rng *rng)
{
	rig_sec_init(&c->ctl, ctl_bytes, 4096, layout, rng);
	rig_sec_init(&c->fwd, ring_bytes, 4096, layout, rng);
	rig_sec_init(&c->bwd, ring_bytes, 4096, layout, rng);
}

static void both_ends_deinit(struct both_ends *c)
{
	rig_sec_deinit(&c->ctl);
	rig_sec_deinit(&c->fwd);
	rig_sec_deinit(&c->bwd);
}

static int create_guest(struct both_ends *c)
{
	return okl4_socketpair_create(&c->guest, &c->ctl.sec, &c->fwd.sec, &c->bwd.sec, INSTANCE);
}

static int attach_host(struct both_ends *c)
{
	return okl4_socketpair_attach(&c->host, &c->ctl.sec, &c->fwd.sec, &c->bwd.sec, INSTANCE);
}

/* Both ends in memory of their own: created by the guest, attached to by the host */
static void both_ends_meet(struct both_ends *c, uint64_t ring_bytes)
{
	struct rng rng = { 1 };

	both_ends_init(c, 4096, ring_bytes, LAYOUT_ADJACENT, &rng);
	require_status(create_guest(c), 0);
	require_status(attach_host(c), 0);
}

static struct okl4_ctl_shm *header(struct both_ends *c)
{
	return okl4_memsec_at(&c->ctl.sec, 0, sizeof(struct okl4_ctl_shm));
}

static void send(struct okl4_pipe *tx, struct okl4_pipe *rx, const char *text)
{
	char buf[64] = "";
	bool notify;

	require_eq(okl4_pipe_write(tx, text, strlen(text), &notify), strlen(text));
	require_eq(okl4_pipe_read(rx, buf, sizeof(buf), &notify), strlen(text));
	require(!strcmp(buf, text), "%s", buf);
}

Test(libfs_socketpair, two_crossed_pipes)
{
	static const uint64_t ctl_bytes[] = { 4096, 8192, 1 << 20 };
	enum layout layout;
	struct both_ends c;
	struct rng rng;
	size_t i;

	rng_init(&rng, "libfs_socketpair/two_crossed_pipes");
	for (layout = 0; layout < N_LAYOUTS; layout++) {
		for (i = 0; i < sizeof(ctl_bytes) / sizeof(ctl_bytes[0]); i++) {
			both_ends_init(&c, ctl_bytes[i], 65536, layout, &rng);
			/* Any content: what the memory held before must not matter */
			memset(c.ctl.chunk[0], 0xff, 4096);
			memset(c.ctl.chunk[c.ctl.sec.n_chunks - 1], 0xee, 4096);
			require_status(create_guest(&c), 0);
			require_status(attach_host(&c), 0);
			send(&c.guest.tx, &c.host.rx, "from the guest");
			send(&c.host.tx, &c.guest.rx, "from the host, a longer text");
			send(&c.guest.tx, &c.host.rx, "again");
			require_eq(c.guest.instance, INSTANCE);
			require_eq(c.host.instance, INSTANCE);
			require_eq(c.guest.ring_bytes, 65536);
			require_eq(c.host.ring_bytes, 65536);
			/* Each direction in its own memsection */
			require(!memcmp(c.fwd.chunk[0], "from the guestagain", 19));
			require(!memcmp(c.bwd.chunk[0], "from the host", 13));
			both_ends_deinit(&c);
		}
	}
}

Test(libfs_socketpair, the_header_says_what_the_abi_says)
{
	struct rng rng = { 1 };
	struct both_ends c;
	struct okl4_ctl_shm *h;
	uint32_t offset;
	size_t i;

	both_ends_init(&c, 8192, 16384, LAYOUT_REVERSED, &rng);
	memset(c.ctl.chunk[0], 0xff, 4096);
	require_status(create_guest(&c), 0);
	h = header(&c);
	require(!memcmp(h, "OKL4", 4));
	require_eq(okl4_le32_to_cpu(h->version), 1);
	require_eq(okl4_le32_to_cpu(h->header_bytes), 128);
	require_eq(okl4_le32_to_cpu(h->ctl_bytes), 8192);
	require_eq(okl4_le64_to_cpu(h->ring_bytes), 16384);
	require_eq(okl4_le64_to_cpu(h->instance), INSTANCE);
	require_eq(okl4_le32_to_cpu(h->heap_offset), 128);
	require_eq(okl4_le32_to_cpu(h->heap_bytes), 8192 - 128);
	for (i = 0; i < sizeof(h->reserved); i++)
		require_eq(h->reserved[i], 0);
	/* The heap is one that okl4_memsec_malloc can go on with */
	require_status(okl4_memsec_malloc(&c.guest.heap, 128, &offset), 0);
	require_eq(offset, okl4_le32_to_cpu(h->pipe_offset[1]) + sizeof(struct okl4_pipe_shm));
	both_ends_deinit(&c);
}

static int try_sizes(uint64_t ctl_bytes, uint64_t fwd_bytes, uint64_t bwd_bytes, uint64_t instance,
		     bool host)
{
	struct okl4_socketpair s;
	struct both_ends c;
	int r;

	rig_sec_plain(&c.ctl, ctl_bytes);
	rig_sec_plain(&c.fwd, fwd_bytes);
	rig_sec_plain(&c.bwd, bwd_bytes);
	r = (host ? okl4_socketpair_attach : okl4_socketpair_create)(&s, &c.ctl.sec, &c.fwd.sec,
								     &c.bwd.sec, instance);
	both_ends_deinit(&c);
	return r;
}

Test(libfs_socketpair, refuses_memsections_of_other_sizes)
{
	int host;

	for (host = 0; host < 2; host++) {
		require_status(try_sizes(2 << 20, 4096, 4096, 1, host), -OKL4_ARG);
		require_status(try_sizes(4096, 4096, 8192, 1, host), -OKL4_ARG);
		require_status(try_sizes(4096, 8192, 4096, 1, host), -OKL4_ARG);
		require_status(try_sizes(4096, 12288, 12288, 1, host), -OKL4_ARG);
		require_status(try_sizes(4096, 128 << 20, 128 << 20, 1, host), -OKL4_ARG);
		require_status(try_sizes(4096, 4096, 4096, 0, host), -OKL4_ARG);
		require_status(try_sizes(4096, 4096, 4096, 1, host), host ? -OKL4_CTL_MAGIC : 0);
		require_status(try_sizes(1 << 20, 64 << 20, 64 << 20, 1, host),
			       host ? -OKL4_CTL_MAGIC : 0);
	}
}

/* One field is changed: which one, to what, and what attach must return */
struct hostile_header {
	size_t offset;
	size_t bytes;
	uint64_t value;
	int want;
};

#define FIELD(name)      offsetof(struct okl4_ctl_shm, name), sizeof(((struct okl4_ctl_shm *)NULL)->name)
#define PIPE_OFFSET(way) (offsetof(struct okl4_ctl_shm, pipe_offset) + 4 * (way)), 4

static const struct hostile_header hostile_header[] = {
	{ FIELD(magic), 0, -OKL4_CTL_MAGIC },
	{ FIELD(magic), 0x344c4b4e, -OKL4_CTL_MAGIC },
	{ FIELD(magic), 0x4f4b4c34, -OKL4_CTL_MAGIC },
	{ FIELD(version), 0, -OKL4_CTL_VERSION },
	{ FIELD(version), 2, -OKL4_CTL_VERSION },
	{ FIELD(version), 0x01000000, -OKL4_CTL_VERSION },
	{ FIELD(header_bytes), 0, -OKL4_CTL_HEADER_BYTES },
	{ FIELD(header_bytes), 127, -OKL4_CTL_HEADER_BYTES },
	{ FIELD(header_bytes), 256, -OKL4_CTL_HEADER_BYTES },
	{ FIELD(ctl_bytes), 0, -OKL4_CTL_BYTES },
	{ FIELD(ctl_bytes), 4096, -OKL4_CTL_BYTES },
	{ FIELD(ctl_bytes), 0xffffffff, -OKL4_CTL_BYTES },
	{ FIELD(ring_bytes), 0, -OKL4_CTL_RING_BYTES },
	{ FIELD(ring_bytes), 8192, -OKL4_CTL_RING_BYTES },
	{ FIELD(ring_bytes), 16384 | 1ULL << 32, -OKL4_CTL_RING_BYTES },
	{ FIELD(ring_bytes), UINT64_MAX, -OKL4_CTL_RING_BYTES },
	{ FIELD(instance), 0, -OKL4_CTL_INSTANCE },
	{ FIELD(instance), INSTANCE + 1, -OKL4_CTL_INSTANCE },
	{ FIELD(instance), INSTANCE & 0xffffffff, -OKL4_CTL_INSTANCE },
	{ FIELD(heap_offset), 0, -OKL4_CTL_HEAP },
	{ FIELD(heap_offset), 127, -OKL4_CTL_HEAP },
	{ FIELD(heap_offset), 129, -OKL4_CTL_HEAP },
	{ FIELD(heap_offset), 256, -OKL4_CTL_HEAP },
	{ FIELD(heap_offset), 8192, -OKL4_CTL_HEAP },
	{ FIELD(heap_offset), 0xffffff80, -OKL4_CTL_HEAP },
	{ FIELD(heap_bytes), 8192, -OKL4_CTL_HEAP },
	{ FIELD(heap_bytes), 8192 - 127, -OKL4_CTL_HEAP },
	{ FIELD(heap_bytes), 0xffffff80, -OKL4_CTL_HEAP },
	{ FIELD(heap_bytes), 0xffffffff, -OKL4_CTL_HEAP },
	{ FIELD(heap_bytes), 0, -OKL4_CTL_PIPE_OFFSET },
	{ FIELD(heap_bytes), 256, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 0, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 257, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 320, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 3968, -OKL4_CTL_PIPE_OFFSET }, /* crosses the chunk's end */
	{ PIPE_OFFSET(0), 8192 - 128, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 8192, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 0xffffff80, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(0), 0xffffffff, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(1), 0, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(1), 513, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(1), 3968, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(1), 0x80000000, -OKL4_CTL_PIPE_OFFSET },
	{ PIPE_OFFSET(1), 256, -OKL4_CTL_PIPE_OVERLAP },
	{ PIPE_OFFSET(1), 384, -OKL4_CTL_PIPE_OVERLAP },
	{ PIPE_OFFSET(1), 128, -OKL4_CTL_PIPE_OVERLAP },
	{ PIPE_OFFSET(0), 384, -OKL4_CTL_PIPE_OVERLAP },
	{ PIPE_OFFSET(0), 640, -OKL4_CTL_PIPE_OVERLAP },
	{ PIPE_OFFSET(0), 128,
	  -OKL4_RESUME_CURSORS }, /* apart and inside, but on the heap's head */
	{ PIPE_OFFSET(1), 8192 - 256, 0 },
};

Test(libfs_socketpair, every_hostile_header)
{
	struct rng rng = { 1 };
	struct both_ends c;
	size_t i;

	both_ends_init(&c, 8192, 16384, LAYOUT_SCATTERED, &rng);
	for (i = 0; i < sizeof(hostile_header) / sizeof(hostile_header[0]); i++) {
		const struct hostile_header *hh = &hostile_header[i];
		okl4_le64 wide = okl4_cpu_to_le64(hh->value);
		okl4_le32 narrow = okl4_cpu_to_le32((uint32_t)hh->value);

		require_status(create_guest(&c), 0);
		require_eq(okl4_le32_to_cpu(header(&c)->pipe_offset[0]), 256);
		require_eq(okl4_le32_to_cpu(header(&c)->pipe_offset[1]), 512);
		memcpy((uint8_t *)header(&c) + hh->offset,
		       hh->bytes == 8 ? (const void *)&wide : (const void *)&narrow, hh->bytes);
		require(attach_host(&c) == hh->want, "case %zu: %s, not %s", i,
			okl4_status_name(attach_host(&c)), okl4_status_name(hh->want));
	}
	both_ends_deinit(&c);
}

/* Inside the memsection, but where no heap can begin, or too small */
Test(libfs_socketpair, hostile_heaps)
{
	static const struct {
		uint32_t offset, bytes;
		int want;
	} c[] = { { 128, 640, 0 },
		  { 256, 512, 0 },
		  { 192, 4096, -OKL4_CTL_HEAP },
		  { 129, 4096, -OKL4_CTL_HEAP },
		  { 64, 4096, -OKL4_CTL_HEAP },
		  { 384, 4096, -OKL4_CTL_PIPE_OFFSET },
		  { 128, 639, -OKL4_CTL_PIPE_OFFSET } };
	struct rng rng = { 1 };
	struct both_ends ch;
	size_t i;

	both_ends_init(&ch, 8192, 16384, LAYOUT_SCATTERED, &rng);
	require_status(create_guest(&ch), 0);
	for (i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		header(&ch)->heap_offset = okl4_cpu_to_le32(c[i].offset);
		header(&ch)->heap_bytes = okl4_cpu_to_le32(c[i].bytes);
		require_status(attach_host(&ch), c[i].want);
	}
	both_ends_deinit(&ch);
}

Test(libfs_socketpair, hostile_cursors_at_attach)
{
	struct rng rng = { 1 };
	struct both_ends c;
	int way;

	both_ends_init(&c, 4096, 4096, LAYOUT_ADJACENT, &rng);
	for (way = 0; way < 2; way++) {
		struct okl4_pipe_shm *shm;

		require_status(create_guest(&c), 0);
		shm = way ? c.guest.rx.shm : c.guest.tx.shm;
		shm->producer.head = okl4_cpu_to_le64(4097);
		require_status(attach_host(&c), -OKL4_RESUME_CURSORS);
		shm->producer.head = 0;
		require_status(attach_host(&c), 0);
		shm->consumer.tail = okl4_cpu_to_le64(1);
		require_status(attach_host(&c), -OKL4_RESUME_CURSORS);
	}
	both_ends_deinit(&c);
}

/* The geometry is private after attach: writing over the header changes nothing */
Test(libfs_socketpair, the_header_is_read_once)
{
	struct both_ends c;

	both_ends_meet(&c, 8192);
	memset(header(&c), 0xff, sizeof(struct okl4_ctl_shm));
	send(&c.guest.tx, &c.host.rx, "still here");
	send(&c.host.tx, &c.guest.rx, "here too");
	require_eq(okl4_pipe_writable(&c.host.tx), 8192);
	require_status(attach_host(&c), -OKL4_CTL_MAGIC);
	both_ends_deinit(&c);
}

/* A direction that failed leaves the other one alone */
Test(libfs_socketpair, one_direction_fails_alone)
{
	struct both_ends c;
	uint8_t byte;
	bool notify;

	both_ends_meet(&c, 4096);
	c.guest.tx.shm->producer.head = okl4_cpu_to_le64(99999);
	require_status(okl4_pipe_read(&c.host.rx, &byte, 1, &notify), -OKL4_HEAD_PAST_RING);
	require_status(okl4_pipe_read(&c.host.rx, &byte, 1, &notify), -OKL4_HEAD_PAST_RING);
	send(&c.host.tx, &c.guest.rx, "unharmed");
	both_ends_deinit(&c);
}

Test(libfs_socketpair, half_close_each_way)
{
	struct both_ends c;
	uint8_t byte;
	bool notify;

	both_ends_meet(&c, 4096);
	okl4_pipe_producer_open(&c.guest.tx);
	okl4_pipe_consumer_open(&c.guest.rx);
	okl4_pipe_producer_open(&c.host.tx);
	okl4_pipe_consumer_open(&c.host.rx);
	send(&c.guest.tx, &c.host.rx, "a request");
	okl4_pipe_producer_close(&c.guest.tx);
	require_status(okl4_pipe_read(&c.host.rx, &byte, 1, &notify), 0);
	send(&c.host.tx, &c.guest.rx, "and its answer");
	okl4_pipe_consumer_close(&c.guest.rx);
	require_status(okl4_pipe_write(&c.host.tx, "x", 1, &notify), -OKL4_PIPE);
	both_ends_deinit(&c);
}

/* The host dies and comes back: cursors, phases and the end-of-file that it took are unchanged */
Test(libfs_socketpair, attached_again)
{
	struct both_ends c;
	char buf[16];
	bool notify;

	both_ends_meet(&c, 4096);
	okl4_pipe_consumer_open(&c.host.rx);
	okl4_pipe_producer_open(&c.guest.tx);
	require_eq(okl4_pipe_write(&c.guest.tx, "0123456789", 10, &notify), 10);
	require_eq(okl4_pipe_read(&c.host.rx, buf, 4, &notify), 4);
	require_eq(okl4_pipe_write(&c.host.tx, "abc", 3, &notify), 3);
	memset(&c.host, 0xff, sizeof(c.host));

	require_status(attach_host(&c), 0);
	require(okl4_pipe_is_open(&c.host.rx));
	require(!okl4_pipe_is_open(&c.host.tx));
	require_eq(okl4_pipe_read(&c.host.rx, buf, sizeof(buf), &notify), 6);
	require(!memcmp(buf, "456789", 6));
	require_eq(okl4_pipe_write(&c.host.tx, "def", 3, &notify), 3);
	require_eq(okl4_pipe_read(&c.guest.rx, buf, sizeof(buf), &notify), 6);
	require(!memcmp(buf, "abcdef", 6));
	okl4_pipe_producer_close(&c.guest.tx);
	require_status(okl4_pipe_read(&c.host.rx, buf, 1, &notify), 0);
	okl4_pipe_consumer_close(&c.host.rx);
	require_status(attach_host(&c), 0);
	okl4_pipe_consumer_open(&c.host.rx);
	require_status(okl4_pipe_read(&c.host.rx, buf, 1, &notify), -OKL4_AGAIN);
	both_ends_deinit(&c);
}
