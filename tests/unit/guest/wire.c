// SPDX-License-Identifier: BSD-3-Clause
/*
 * wire.c - requests, replies and events as bytes
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "guest/wire.h"

static void put_hdr(void *buf, uint16_t type, uint32_t bytes)
{
	struct okl4fs_req_hdr hdr = {
		.magic = okl4_cpu_to_le32(OKL4FS_MAGIC),
		.type = okl4_cpu_to_le16(type),
		.bytes = okl4_cpu_to_le32(bytes),
		.cookie = okl4_cpu_to_le32(0xc00c1e),
	};

	memcpy(buf, &hdr, sizeof(hdr));
}

/* The memory ends where the request does, so that a sanitizer sees a read past it. */
static int decode_bytes(struct wire_request *req, const void *buf, size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	int r;

	memcpy(copy, buf, bytes);
	r = wire_decode(req, copy, bytes);
	free(copy);
	return r;
}

Test(daemon_wire, hello)
{
	struct okl4fs_hello_req w = { .version = okl4_cpu_to_le32(3),
				      .n_event_queues = okl4_cpu_to_le32(2),
				      .bell_gpa = okl4_cpu_to_le64(0x123456789000),
				      .driver_instance = okl4_cpu_to_le64(42) };
	struct wire_request req;

	put_hdr(&w, OKL4FS_REQ_HELLO, sizeof(w));
	cr_assert_eq(decode_bytes(&req, &w, sizeof(w)), 0);
	cr_assert_eq(req.type, OKL4FS_REQ_HELLO);
	cr_assert_eq(req.cookie, 0xc00c1e);
	cr_assert_eq(req.hello.version, 3);
	cr_assert_eq(req.hello.n_event_queues, 2);
	cr_assert_eq(req.hello.bell_gpa, 0x123456789000);
	cr_assert_eq(req.hello.driver_instance, 42);
}

Test(daemon_wire, info_and_detach)
{
	struct okl4fs_info_req info = { .first_id = okl4_cpu_to_le32(7) };
	struct okl4fs_detach_req detach = { .channel = okl4_cpu_to_le32(9) };
	struct wire_request req;

	put_hdr(&info, OKL4FS_REQ_CHANNEL_INFO, sizeof(info));
	cr_assert_eq(decode_bytes(&req, &info, sizeof(info)), 0);
	cr_assert_eq(req.info.first_id, 7);
	info.reserved = okl4_cpu_to_le32(1);
	cr_assert_eq(decode_bytes(&req, &info, sizeof(info)), -OKL4_REQ_RESERVED);
	put_hdr(&detach, OKL4FS_REQ_DETACH, sizeof(detach));
	cr_assert_eq(decode_bytes(&req, &detach, sizeof(detach)), 0);
	cr_assert_eq(req.detach.channel, 9);
	detach.generation = okl4_cpu_to_le32(5);
	cr_assert_eq(decode_bytes(&req, &detach, sizeof(detach)), 0);
	cr_assert_eq(req.detach.generation, 5);
}

Test(daemon_wire, every_length)
{
	static const size_t fixed[] = {
		[OKL4FS_REQ_HELLO] = 40,  [OKL4FS_REQ_CHANNEL_INFO] = 24, [OKL4FS_REQ_ATTACH] = 88,
		[OKL4FS_REQ_DETACH] = 24, [OKL4FS_REQ_PING] = 16,         [OKL4FS_REQ_RELEASE] = 24,
		[OKL4FS_REQ_OPEN] = 88,   [OKL4FS_REQ_CLOSE] = 24,        [OKL4FS_REQ_SETTLE] = 16,
	};
	struct wire_request req;
	uint8_t buf[128] = { 0 };

	for (unsigned int type = 1; type <= OKL4FS_REQ_SETTLE; type++) {
		for (size_t n = 0; n < sizeof(buf); n++) {
			bool long_enough = n >= fixed[type];
			bool attach = type == OKL4FS_REQ_ATTACH || type == OKL4FS_REQ_OPEN;
			int r;

			put_hdr(buf, (uint16_t)type, (uint32_t)n);
			r = decode_bytes(&req, buf, n);
			if (!long_enough || (n != fixed[type] && !attach))
				cr_assert_eq(r, -OKL4_REQ_LENGTH, "%u %zu", type, n);
			else if (attach)
				cr_assert_eq(r, -OKL4_SEC_BYTES, "%zu", n);
			else
				cr_assert_eq(r, 0, "%u", type);
			if (n < 16)
				continue;
			put_hdr(buf, (uint16_t)type, (uint32_t)n + 1);
			cr_assert_eq(decode_bytes(&req, buf, n), -OKL4_REQ_LENGTH);
			cr_assert_eq(req.cookie, 0xc00c1e);
		}
	}
}

Test(daemon_wire, heads)
{
	struct wire_request req;
	uint8_t buf[16] = { 0 };

	for (unsigned int type = 0; type < 65536; type++) {
		put_hdr(buf, (uint16_t)type, 16);
		if (type == 0 || type > OKL4FS_REQ_SETTLE)
			cr_assert_eq(decode_bytes(&req, buf, 16), -OKL4_REQ_TYPE);
	}
	put_hdr(buf, OKL4FS_REQ_PING, 16);
	buf[6] = 1;
	cr_assert_eq(decode_bytes(&req, buf, 16), -OKL4_REQ_RESERVED);
	buf[6] = 0;
	for (int bit = 0; bit < 32; bit++) {
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(decode_bytes(&req, buf, 16), -OKL4_REQ_MAGIC);
		cr_assert_eq(req.cookie, 0xc00c1e, "for the reply");
		buf[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* The chunks are 0x1000, 0x2000, ... */
static int attach_request(struct wire_request *req, const struct wire_sec sec[3], uint32_t n_chunks)
{
	size_t bytes = sizeof(struct okl4fs_attach_req) + n_chunks * sizeof(okl4_le64);
	struct okl4fs_attach_req *w = calloc(1, bytes);
	int r;

	put_hdr(w, OKL4FS_REQ_ATTACH, (uint32_t)bytes);
	w->channel = okl4_cpu_to_le32(5);
	w->instance = okl4_cpu_to_le64(77);
	for (int s = 0; s < 3; s++) {
		w->sec[s].bytes = okl4_cpu_to_le64(sec[s].bytes);
		w->sec[s].chunk_bytes = okl4_cpu_to_le32(sec[s].chunk_bytes);
		w->sec[s].n_chunks = okl4_cpu_to_le32(sec[s].n_chunks);
	}
	for (uint32_t i = 0; i < n_chunks; i++)
		w->chunk_gpa[i] = okl4_cpu_to_le64((i + 1) * 4096ULL);
	r = wire_decode(req, w, bytes);
	if (!r) {
		cr_assert_eq(req->attach.n_chunks, n_chunks);
		for (uint32_t i = 0; i < n_chunks; i++)
			cr_assert_eq(wire_chunk_gpa(&req->attach, i), (i + 1) * 4096ULL);
	}
	free(w);
	return r;
}

Test(daemon_wire, open)
{
	struct okl4fs_attach_req w = { .instance = okl4_cpu_to_le64(77) };
	union wire_reply rep;
	struct wire_request req;

	for (int s = 0; s < 3; s++)
		w.sec[s] = (struct okl4fs_sec_geometry){ okl4_cpu_to_le64(4096),
							 okl4_cpu_to_le32(4096),
							 okl4_cpu_to_le32(1) };
	put_hdr(&w, OKL4FS_REQ_OPEN, sizeof(w));
	for (uint32_t flags = 0; flags < 8; flags++) {
		w.flags = okl4_cpu_to_le32(flags);
		cr_assert_eq(wire_decode(&req, &w, sizeof(w)),
			     flags < 4 ? -OKL4_REQ_LENGTH : -OKL4_REQ_RESERVED, "no chunks");
		cr_assert_eq(req.attach.flags, flags);
	}
	put_hdr(&w, OKL4FS_REQ_ATTACH, sizeof(w));
	w.flags = okl4_cpu_to_le32(OKL4FS_OPEN_RESUME);
	cr_assert_eq(wire_decode(&req, &w, sizeof(w)), -OKL4_REQ_RESERVED);
	w.flags = 0;
	w.reserved = okl4_cpu_to_le32(1);
	cr_assert_eq(wire_decode(&req, &w, sizeof(w)), -OKL4_REQ_RESERVED);

	req.type = OKL4FS_REQ_OPEN;
	cr_assert_eq(wire_encode_open(&rep, &req, 3, 8, true), wire_reply_bytes(OKL4FS_REQ_OPEN));
	cr_assert_eq(rep.open.channel, okl4_cpu_to_le32(3));
	cr_assert_eq(rep.open.generation, okl4_cpu_to_le32(8));
	cr_assert_eq(rep.open.is_waiting, okl4_cpu_to_le32(1));
	cr_assert_eq(rep.open.reserved, 0);
}

Test(daemon_wire, attach)
{
	struct wire_sec sec[3] = { { 4096, 4096, 1 }, { 65536, 16384, 4 }, { 65536, 4096, 16 } };
	struct wire_request req;

	cr_assert_eq(attach_request(&req, sec, 21), 0);
	cr_assert_eq(req.attach.channel, 5);
	cr_assert_eq(req.attach.instance, 77);
	cr_assert_eq(memcmp(req.attach.sec, sec, sizeof(sec)), 0);
	cr_assert_eq(attach_request(&req, sec, 20), -OKL4_REQ_LENGTH);
	cr_assert_eq(attach_request(&req, sec, 22), -OKL4_REQ_LENGTH);
}

Test(daemon_wire, largest_attach)
{
	struct wire_sec sec[3] = { { OKL4FS_CTL_BYTES_MAX, 4096, 256 },
				   { OKL4FS_RING_BYTES_MAX, 4096, 16384 },
				   { OKL4FS_RING_BYTES_MAX, 4096, 16384 } };
	struct wire_request req;

	cr_assert_eq(attach_request(&req, sec, OKL4FS_MAX_CHUNKS), 0);
}

Test(daemon_wire, attach_shapes)
{
	static const struct {
		struct wire_sec sec;
		int status;
	} bad[] = {
		{ { 0, 4096, 0 }, OKL4_SEC_BYTES },
		{ { 12288, 4096, 3 }, OKL4_SEC_BYTES },
		{ { 128ULL << 20, 4096, 32768 }, OKL4_SEC_BYTES },
		{ { 1ULL << 63, 1U << 31, 0 }, OKL4_SEC_BYTES },
		{ { UINT64_MAX, 4096, 1 }, OKL4_SEC_BYTES },
		{ { 65536, 0, 16 }, OKL4_MEMSEC_CHUNK_BYTES },
		{ { 65536, 2048, 32 }, OKL4_MEMSEC_CHUNK_BYTES },
		{ { 65536, 12288, 5 }, OKL4_MEMSEC_CHUNK_BYTES },
		{ { 65536, 131072, 1 }, OKL4_MEMSEC_CHUNK_BYTES },
		{ { 65536, 4096, 15 }, OKL4_MEMSEC_CHUNK_COUNT },
		{ { 65536, 4096, 17 }, OKL4_MEMSEC_CHUNK_COUNT },
		{ { 65536, 4096, UINT32_MAX }, OKL4_MEMSEC_CHUNK_COUNT },
		{ { 65536, 4096, 0 }, OKL4_MEMSEC_CHUNK_COUNT },
	};
	struct wire_request req;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (int s = 0; s < 3; s++) {
			struct wire_sec sec[3] = { { 4096, 4096, 1 },
						   { 65536, 65536, 1 },
						   { 65536, 65536, 1 } };

			sec[s] = bad[i].sec;
			cr_assert_eq(attach_request(&req, sec, 3), -bad[i].status, "%zu %d", i, s);
		}
	}
}

Test(daemon_wire, replies)
{
	struct wire_request req = { .type = OKL4FS_REQ_ATTACH, .cookie = 99 };
	struct wire_channel ch = { .id = 3,
				   .generation = 8,
				   .flags = 1,
				   .ring_bytes = 4096,
				   .name = "intervm_test",
				   .mode = 0640,
				   .uid = 1000,
				   .gid = OKL4FS_NOT_GIVEN };
	char long_name[100];
	union wire_reply rep;

	memset(&rep, 0xff, sizeof(rep));
	cr_assert_eq(wire_encode_status(&rep, &req, -OKL4_CHUNK_ALIGN), 16);
	cr_assert_eq(rep.hdr.magic, okl4_cpu_to_le32(OKL4FS_MAGIC));
	cr_assert_eq(rep.hdr.type, okl4_cpu_to_le16(OKL4FS_REQ_ATTACH));
	cr_assert_eq(rep.hdr.status, okl4_cpu_to_le16(OKL4_CHUNK_ALIGN));
	cr_assert_eq(rep.hdr.bytes, okl4_cpu_to_le32(16));
	cr_assert_eq(rep.hdr.cookie, okl4_cpu_to_le32(99));

	memset(&rep, 0xff, sizeof(rep));
	cr_assert_eq(wire_encode_hello(&rep, &req, 1, 40, 0x55),
		     wire_reply_bytes(OKL4FS_REQ_HELLO));
	cr_assert_eq(rep.hello.version, okl4_cpu_to_le32(1));
	cr_assert_eq(rep.hello.max_channels, okl4_cpu_to_le32(40));
	cr_assert_eq(rep.hello.host_instance, okl4_cpu_to_le64(0x55));

	memset(&rep, 0xff, sizeof(rep));
	cr_assert_eq(wire_encode_info(&rep, &req, &ch), wire_reply_bytes(OKL4FS_REQ_CHANNEL_INFO));
	cr_assert_eq(rep.info.id, okl4_cpu_to_le32(3));
	cr_assert_eq(rep.info.flags, okl4_cpu_to_le32(1));
	cr_assert_eq(rep.info.ring_bytes, okl4_cpu_to_le64(4096));
	cr_assert_eq(rep.info.name_bytes, okl4_cpu_to_le32(12));
	cr_assert_eq(rep.info.generation, okl4_cpu_to_le32(8));
	cr_assert_str_eq((char *)rep.info.name, "intervm_test");
	cr_assert_eq(rep.info.name[63], 0, "no byte of ours leaks");
	cr_assert_eq(rep.info.mode, okl4_cpu_to_le32(0640));
	cr_assert_eq(rep.info.uid, okl4_cpu_to_le32(1000));
	cr_assert_eq(rep.info.gid, okl4_cpu_to_le32(OKL4FS_NOT_GIVEN));
	cr_assert_eq(rep.info.max_sessions, 0);

	memset(long_name, 'x', sizeof(long_name));
	long_name[99] = 0;
	ch.name = long_name;
	wire_encode_info(&rep, &req, &ch);
	cr_assert_eq(rep.info.name_bytes, okl4_cpu_to_le32(OKL4FS_NAME_MAX));
	cr_assert_eq(rep.info.name[63], 0);
}

Test(daemon_wire, events)
{
	struct okl4fs_event ev;

	wire_encode_event(&ev, OKL4FS_EVENT_CHANNEL_FAILED, 12, OKL4_TAIL_BACK, 0xabcdef);
	cr_assert_eq(ev.type, okl4_cpu_to_le16(OKL4FS_EVENT_CHANNEL_FAILED));
	cr_assert_eq(ev.status, okl4_cpu_to_le16(OKL4_TAIL_BACK));
	cr_assert_eq(ev.channel, okl4_cpu_to_le32(12));
	cr_assert_eq(ev.arg, okl4_cpu_to_le64(0xabcdef));
}

Test(daemon_wire, fuse)
{
	struct wire_fuse_in in = { .len = okl4_cpu_to_le32(104),
				   .opcode = okl4_cpu_to_le32(26),
				   .unique = okl4_cpu_to_le64(0x1122334455667788) };
	struct wire_fuse_out out;

	cr_assert(wire_is_fuse(&in, sizeof(in), 104));
	cr_assert_not(wire_is_fuse(&in, sizeof(in), 103));
	cr_assert_not(wire_is_fuse(&in, sizeof(in) - 1, 104));
	in.len = okl4_cpu_to_le32(OKL4FS_MAGIC);
	cr_assert_not(wire_is_fuse(&in, sizeof(in), OKL4FS_MAGIC), "ours");
	wire_encode_fuse_refusal(&out, &in);
	cr_assert_eq(out.len, okl4_cpu_to_le32(16));
	cr_assert_eq((int32_t)okl4_le32_to_cpu(out.error), -107);
	cr_assert_eq(out.unique, in.unique);
}

Test(daemon_wire, random_bytes)
{
	unsigned int seed = (unsigned int)(uintptr_t)&seed ^ 0x5eed;
	struct wire_request req;
	uint8_t buf[160];

	cr_log_info("seed %u", seed);
	for (int round = 0; round < 200000; round++) {
		size_t n = (size_t)rand_r(&seed) % sizeof(buf);

		for (size_t i = 0; i < n; i++)
			buf[i] = (uint8_t)rand_r(&seed);
		if (n >= 16 && round % 4)
			put_hdr(buf, (uint16_t)(rand_r(&seed) % 10), (uint32_t)n);
		if (decode_bytes(&req, buf, n) == 0)
			cr_assert((req.type != OKL4FS_REQ_ATTACH && req.type != OKL4FS_REQ_OPEN) ||
				  n == 88 + 8 * (size_t)req.attach.n_chunks);
	}
}
