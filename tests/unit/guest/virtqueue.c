// SPDX-License-Identifier: BSD-3-Clause
/*
 * virtqueue.c - a split virtqueue against a driver that may lie
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/virtqueue.h"

#define SIZE  8
#define BASE  0x10000ULL
#define BYTES 0x10000ULL

/* Two regions that only the guest sees as adjacent; the ring is at the beginning of the first. */
struct driver {
	struct guest_memory mem;
	uint8_t *ram[2];
	struct virtqueue vq;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
};

static struct driver d;

static void set_up_queue(void)
{
	memset(&d, 0, sizeof(d));
	for (int i = 0; i < 2; i++) {
		d.ram[i] = aligned_alloc(4096, BYTES);
		memset(d.ram[i], 0, BYTES);
		d.mem.region[i].gpa = BASE + i * BYTES;
		d.mem.region[i].bytes = BYTES;
		d.mem.region[i].hva = d.ram[i];
	}
	d.mem.n_regions = 2;
	d.desc = (struct vring_desc *)d.ram[0];
	d.avail = (struct vring_avail *)(d.ram[0] + 0x1000);
	d.used = (struct vring_used *)(d.ram[0] + 0x2000);
	cr_assert_null(virtqueue_init(&d.vq, &d.mem, SIZE, d.desc, d.avail, d.used));
}

static void tear_down(void)
{
	free(d.ram[0]);
	free(d.ram[1]);
}

static void write_desc(unsigned int i, uint64_t gpa, uint32_t bytes, uint16_t flags, uint16_t next)
{
	d.desc[i] = (struct vring_desc){ gpa, bytes, flags, next };
}

static void offer_chain(uint16_t head)
{
	d.avail->ring[d.avail->idx % SIZE] = head;
	d.avail->idx++;
}

/* The next pop fails and says why, and so do all later ones. */
static void expect_error(const char *why)
{
	struct virtqueue_chain chain;

	cr_assert_eq(virtqueue_pop(&d.vq, &chain), -EPROTO);
	cr_assert(strstr(d.vq.error, why), "%s: %s", why, d.vq.error);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), -EPROTO);
	cr_assert_not(virtqueue_has_next(&d.vq));
}

TestSuite(daemon_virtqueue, .init = set_up_queue, .fini = tear_down);

Test(daemon_virtqueue, empty)
{
	struct virtqueue_chain chain;

	cr_assert_not(virtqueue_has_next(&d.vq));
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 0);
}

Test(daemon_virtqueue, chain_of_both_kinds)
{
	struct virtqueue_chain chain;
	char buf[16] = "";

	memcpy(d.ram[0] + 0x3000, "hello, ", 7);
	memcpy(d.ram[0] + 0x4000, "world", 5);
	write_desc(2, BASE + 0x3000, 7, VRING_DESC_F_NEXT, 5);
	write_desc(5, BASE + 0x4000, 5, VRING_DESC_F_NEXT, 7);
	write_desc(7, BASE + 0x5000, 3, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	write_desc(1, BASE + 0x6000, 64, VRING_DESC_F_WRITE, 0);
	offer_chain(2);
	cr_assert(virtqueue_has_next(&d.vq));
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	cr_assert_eq(chain.head, 2);
	cr_assert_eq(chain.n_out, 2);
	cr_assert_eq(chain.n_in, 2);
	cr_assert_eq(chain.out_bytes, 12);
	cr_assert_eq(chain.in_bytes, 67);
	cr_assert_eq(chain_read(&chain, 0, buf, sizeof(buf)), 12);
	cr_assert_str_eq(buf, "hello, world");
	memset(buf, 0, sizeof(buf));
	cr_assert_eq(chain_read(&chain, 5, buf, 4), 4);
	cr_assert_str_eq(buf, ", wo");
	cr_assert_eq(chain_read(&chain, 12, buf, 4), 0);
	cr_assert_eq(chain_write(&chain, "abcdef", 6), 6);
	cr_assert_eq(memcmp(d.ram[0] + 0x5000, "abc", 3), 0);
	cr_assert_eq(memcmp(d.ram[0] + 0x6000, "def", 3), 0);
	virtqueue_push(&d.vq, chain.head, 6);
	cr_assert_eq(d.used->idx, 1);
	cr_assert_eq(d.used->ring[0].id, 2);
	cr_assert_eq(d.used->ring[0].len, 6);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 0);
}

Test(daemon_virtqueue, write_stops_at_the_room)
{
	struct virtqueue_chain chain;

	write_desc(0, BASE + 0x3000, 4, VRING_DESC_F_WRITE, 0);
	offer_chain(0);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	cr_assert_eq(chain_write(&chain, "abcdef", 6), 4);
	cr_assert_eq(memcmp(d.ram[0] + 0x3000, "abcd\0", 5), 0);
}

Test(daemon_virtqueue, popping_again_gives_the_same)
{
	struct virtqueue_chain chain;

	write_desc(3, BASE + 0x3000, 4, 0, 0);
	offer_chain(3);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
		cr_assert_eq(chain.head, 3);
	}
}

Test(daemon_virtqueue, buffer_over_two_regions)
{
	struct virtqueue_chain chain;
	uint8_t buf[8];

	memcpy(d.ram[0] + BYTES - 3, "abc", 3);
	memcpy(d.ram[1], "defgh", 5);
	write_desc(0, BASE + BYTES - 3, 8, 0, 0);
	offer_chain(0);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	cr_assert_eq(chain.n_out, 2);
	cr_assert_eq(chain_read(&chain, 0, buf, 8), 8);
	cr_assert_eq(memcmp(buf, "abcdefgh", 8), 0);
	cr_assert_eq(chain_read(&chain, 2, buf, 3), 3);
	cr_assert_eq(memcmp(buf, "cde", 3), 0);
}

Test(daemon_virtqueue, indices_run_freely)
{
	struct virtqueue_chain chain;

	write_desc(0, BASE + 0x3000, 4, 0, 0);
	for (unsigned int i = 0; i < 70000; i++) {
		offer_chain(0);
		cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
		virtqueue_push(&d.vq, chain.head, 0);
	}
	cr_assert_eq(d.used->idx, (uint16_t)70000);
}

Test(daemon_virtqueue, resumes_at_used)
{
	struct virtqueue_chain chain;
	struct virtqueue again;

	for (uint16_t i = 0; i < 3; i++) {
		write_desc(i, BASE + 0x3000 + i, 1, 0, 0);
		offer_chain(i);
	}
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	virtqueue_push(&d.vq, chain.head, 0);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	/* The daemon is killed here: the second chain was popped, not pushed. */
	cr_assert_null(virtqueue_init(&again, &d.mem, SIZE, d.desc, d.avail, d.used));
	cr_assert_eq(virtqueue_pop(&again, &chain), 1);
	cr_assert_eq(chain.head, 1);
}

Test(daemon_virtqueue, mark_tells_a_pause_from_a_reset)
{
	struct virtqueue_mark mark, none = { 0 };
	struct virtqueue_chain chain;
	struct virtqueue again;

	write_desc(5, BASE + 0x3000, 1, 0, 0);
	offer_chain(5);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	virtqueue_push(&d.vq, chain.head, 16);
	virtqueue_get_mark(&d.vq, &mark);
	cr_assert(mark.valid);
	cr_assert_eq(mark.desc_gpa, BASE);

	cr_assert_null(virtqueue_init(&again, &d.mem, SIZE, d.desc, d.avail, d.used));
	cr_assert(virtqueue_is_marked(&again, &mark));
	cr_assert_not(virtqueue_is_marked(&again, &none));

	/* the same memory mapped elsewhere is the same ring */
	d.mem.region[0].hva = aligned_alloc(4096, BYTES);
	memcpy(d.mem.region[0].hva, d.ram[0], BYTES);
	cr_assert_null(virtqueue_init(&again, &d.mem, SIZE, d.mem.region[0].hva,
				      d.mem.region[0].hva + 0x1000, d.mem.region[0].hva + 0x2000));
	cr_assert(virtqueue_is_marked(&again, &mark));
	free(d.mem.region[0].hva);
	d.mem.region[0].hva = d.ram[0];

	/* a driver that begins anew has zeroed it, even if the index has become the same */
	memset(d.used, 0, 4 + 8 * SIZE);
	cr_assert_null(virtqueue_init(&again, &d.mem, SIZE, d.desc, d.avail, d.used));
	cr_assert_not(virtqueue_is_marked(&again, &mark));
	d.used->idx = 1;
	cr_assert_null(virtqueue_init(&again, &d.mem, SIZE, d.desc, d.avail, d.used));
	cr_assert_not(virtqueue_is_marked(&again, &mark));
}

Test(daemon_virtqueue, ring_shapes)
{
	uint8_t *at = d.ram[0], *end = at + BYTES;
	const struct {
		void *desc, *avail, *used;
		bool good;
	} shapes[] = {
		{ at + 8, d.avail, d.used, false },   { d.desc, at + 1, d.used, false },
		{ d.desc, d.avail, at + 2, false },   { end - 112, d.avail, d.used, false },
		{ end - 128, d.avail, d.used, true }, { d.desc, end - 18, d.used, false },
		{ d.desc, end - 20, d.used, true },   { d.desc, d.avail, end - 64, false },
		{ d.desc, d.avail, end - 68, true },  { &d.vq, d.avail, d.used, false },
		{ NULL, d.avail, d.used, false },
	};
	struct virtqueue vq;

	cr_assert_null(virtqueue_init(&vq, &d.mem, 1, d.desc, d.avail, d.used));
	for (unsigned int n = 0; n < 70000; n++) {
		bool good = n && !(n & (n - 1)) && n <= 4096;

		cr_assert_eq(!virtqueue_init(&vq, &d.mem, n, d.ram[1], d.avail, d.used + 0),
			     good && 16ULL * n <= BYTES, "%u", n);
	}
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		cr_assert_eq(!virtqueue_init(&vq, &d.mem, SIZE, shapes[i].desc, shapes[i].avail,
					     shapes[i].used),
			     shapes[i].good, "shape %zu", i);
}

Test(daemon_virtqueue, loop_of_all)
{
	for (uint16_t i = 0; i < SIZE; i++)
		write_desc(i, BASE, 1, VRING_DESC_F_NEXT, (i + 1) % SIZE);
	offer_chain(3);
	expect_error("loop");
}

Test(daemon_virtqueue, longest_chain_is_no_loop)
{
	struct virtqueue_chain chain;

	for (uint16_t i = 0; i < SIZE; i++)
		write_desc(i, BASE, 1, i + 1 < SIZE ? VRING_DESC_F_NEXT : 0, i + 1);
	offer_chain(0);
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	cr_assert_eq(chain.n_out, SIZE);
}

#define NEXT  VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

/* One chain from descriptor 0 on, or @idx of the available ring */
Test(daemon_virtqueue, lies)
{
	static const struct {
		struct vring_desc desc[2];
		uint16_t head, idx;
		const char *why;
	} lies[] = {
		{ { { BASE, 1, NEXT, 0 } }, 0, 1, "loop" },
		{ { { BASE, 1, 0, 0 } }, SIZE, 1, "available entry" },
		{ { { BASE, 1, NEXT, SIZE } }, 0, 1, "goes on outside" },
		{ { { 0 } }, 0, SIZE + 1, "available index" },
		{ { { 0 } }, 0, (uint16_t)-1, "available index" },
		{ { { BASE, 0, 0, 0 } }, 0, 1, "length zero" },
		{ { { BASE, 16, VRING_DESC_F_INDIRECT, 0 } }, 0, 1, "indirect" },
		{ { { BASE, 1, WRITE | NEXT, 1 }, { BASE, 1, 0, 0 } }, 0, 1, "follows a writable" },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		memcpy(d.desc, lies[i].desc, sizeof(lies[i].desc));
		d.avail->ring[0] = lies[i].head;
		d.avail->idx = lies[i].idx;
		cr_assert_null(virtqueue_init(&d.vq, &d.mem, SIZE, d.desc, d.avail, d.used));
		expect_error(lies[i].why);
	}
}

Test(daemon_virtqueue, buffers_outside)
{
	static const struct {
		uint64_t gpa;
		uint32_t bytes;
		const char *why;
	} bad[] = {
		{ 0, 1, "not in guest memory" },
		{ BASE - 1, 2, "not in guest memory" },
		{ BASE + 2 * BYTES, 1, "not in guest memory" },
		{ BASE + 2 * BYTES - 4, 5, "not in guest memory" },
		{ BASE, UINT32_MAX, "not in guest memory" },
		{ UINT64_MAX, 1, "not in guest memory" },
		{ UINT64_MAX, 2, "wraps" },
		{ UINT64_MAX - 0xfffffffe + 1, UINT32_MAX, "wraps" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_desc(0, bad[i].gpa, bad[i].bytes, 0, 0);
		d.avail->idx = 1;
		cr_assert_null(virtqueue_init(&d.vq, &d.mem, SIZE, d.desc, d.avail, d.used));
		expect_error(bad[i].why);
	}
}

Test(daemon_virtqueue, too_many_pieces)
{
	enum { LARGE = 512 };
	struct vring_desc *desc = (struct vring_desc *)d.ram[1];
	struct vring_avail *avail = (struct vring_avail *)(d.ram[1] + 0x4000);
	struct virtqueue_chain chain;

	for (int i = 0; i < LARGE; i++)
		desc[i] = (struct vring_desc){ BASE, 1, VRING_DESC_F_NEXT, i + 1 };
	avail->idx = 1;
	cr_assert_null(virtqueue_init(&d.vq, &d.mem, LARGE, desc, avail, d.ram[1] + 0x8000));
	expect_error("more pieces");
	desc[VIRTQUEUE_MAX_PIECES - 1].flags = 0;
	cr_assert_null(virtqueue_init(&d.vq, &d.mem, LARGE, desc, avail, d.ram[1] + 0x8000));
	cr_assert_eq(virtqueue_pop(&d.vq, &chain), 1);
	cr_assert_eq(chain.n_out, VIRTQUEUE_MAX_PIECES);
}
