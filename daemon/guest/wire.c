/* SPDX-License-Identifier: BSD-3-Clause */
#include <libfs/checked.h>
#include <string.h>

#include "guest/wire.h"

#define LINUX_ENOTCONN 107 /* FUSE carries the guest kernel's numbers, whatever the host's are */

static int decode_hello(struct wire_request *req, const uint8_t *buf)
{
	struct okl4fs_hello_req w;

	memcpy(&w, buf, sizeof(w));
	req->hello.version = okl4_le32_to_cpu(w.version);
	req->hello.n_event_queues = okl4_le32_to_cpu(w.n_event_queues);
	req->hello.bell_gpa = okl4_le64_to_cpu(w.bell_gpa);
	req->hello.driver_instance = okl4_le64_to_cpu(w.driver_instance);
	return 0;
}

static int decode_info(struct wire_request *req, const uint8_t *buf)
{
	struct okl4fs_info_req w;

	memcpy(&w, buf, sizeof(w));
	req->info.first_id = okl4_le32_to_cpu(w.first_id);
	return w.reserved ? -OKL4_REQ_RESERVED : 0;
}

static int decode_detach(struct wire_request *req, const uint8_t *buf)
{
	struct okl4fs_detach_req w;

	memcpy(&w, buf, sizeof(w));
	req->detach.channel = okl4_le32_to_cpu(w.channel);
	req->detach.generation = okl4_le32_to_cpu(w.generation);
	return 0;
}

static int sec_check(const struct wire_sec *sec)
{
	if (!okl4_is_pow2(sec->bytes) || sec->bytes > OKL4FS_RING_BYTES_MAX)
		return -OKL4_SEC_BYTES;
	if (!okl4_is_pow2(sec->chunk_bytes) || sec->chunk_bytes < OKL4FS_PAGE_BYTES ||
	    sec->chunk_bytes > sec->bytes)
		return -OKL4_MEMSEC_CHUNK_BYTES;
	if (sec->n_chunks != sec->bytes / sec->chunk_bytes)
		return -OKL4_MEMSEC_CHUNK_COUNT;
	return 0;
}

#define OPEN_FLAGS (OKL4FS_OPEN_NOWAIT | OKL4FS_OPEN_RESUME)

static int decode_attach(struct wire_request *req, const uint8_t *buf, size_t bytes)
{
	struct wire_attach *a = &req->attach;
	struct okl4fs_attach_req w;

	memcpy(&w, buf, sizeof(w));
	a->channel = okl4_le32_to_cpu(w.channel);
	a->generation = okl4_le32_to_cpu(w.generation);
	a->instance = okl4_le64_to_cpu(w.instance);
	a->flags = okl4_le32_to_cpu(w.flags);
	if (w.reserved || a->flags & ~(req->type == OKL4FS_REQ_OPEN ? OPEN_FLAGS : 0U))
		return -OKL4_REQ_RESERVED;
	a->n_chunks = 0;
	a->chunks = buf + sizeof(w);
	for (int i = 0; i < OKL4FS_N_SECS; i++) {
		struct wire_sec *sec = &a->sec[i];
		int r;

		sec->bytes = okl4_le64_to_cpu(w.sec[i].bytes);
		sec->chunk_bytes = okl4_le32_to_cpu(w.sec[i].chunk_bytes);
		sec->n_chunks = okl4_le32_to_cpu(w.sec[i].n_chunks);
		r = sec_check(sec);
		if (r)
			return r;
		a->n_chunks += sec->n_chunks; /* at most 3 * 16384 */
	}
	if (bytes - sizeof(w) != a->n_chunks * sizeof(okl4_le64))
		return -OKL4_REQ_LENGTH;
	return 0;
}

static size_t request_bytes(uint16_t type)
{
	switch (type) {
	case OKL4FS_REQ_HELLO:
		return sizeof(struct okl4fs_hello_req);
	case OKL4FS_REQ_CHANNEL_INFO:
		return sizeof(struct okl4fs_info_req);
	case OKL4FS_REQ_ATTACH:
	case OKL4FS_REQ_OPEN:
		return sizeof(struct okl4fs_attach_req);
	case OKL4FS_REQ_DETACH:
	case OKL4FS_REQ_RELEASE:
	case OKL4FS_REQ_CLOSE:
		return sizeof(struct okl4fs_detach_req);
	case OKL4FS_REQ_PING:
	case OKL4FS_REQ_SETTLE:
		return sizeof(struct okl4fs_req_hdr);
	default:
		return 0;
	}
}

int wire_decode(struct wire_request *req, const void *buf, size_t bytes)
{
	struct okl4fs_req_hdr hdr;
	size_t fixed;

	memset(req, 0, sizeof(*req));
	memset(&hdr, 0, sizeof(hdr));
	memcpy(&hdr, buf, okl4_min(bytes, sizeof(hdr)));
	req->type = okl4_le16_to_cpu(hdr.type);
	req->cookie = okl4_le32_to_cpu(hdr.cookie);
	if (bytes < sizeof(hdr.magic))
		return -OKL4_REQ_LENGTH;
	if (okl4_le32_to_cpu(hdr.magic) != OKL4FS_MAGIC)
		return -OKL4_REQ_MAGIC;
	if (bytes < sizeof(hdr))
		return -OKL4_REQ_LENGTH;
	fixed = request_bytes(req->type);
	if (!fixed)
		return -OKL4_REQ_TYPE;
	if (hdr.reserved)
		return -OKL4_REQ_RESERVED;
	if (okl4_le32_to_cpu(hdr.bytes) != bytes || bytes < fixed ||
	    (bytes != fixed && fixed != sizeof(struct okl4fs_attach_req)))
		return -OKL4_REQ_LENGTH;
	switch (req->type) {
	case OKL4FS_REQ_HELLO:
		return decode_hello(req, buf);
	case OKL4FS_REQ_CHANNEL_INFO:
		return decode_info(req, buf);
	case OKL4FS_REQ_ATTACH:
	case OKL4FS_REQ_OPEN:
		return decode_attach(req, buf, bytes);
	case OKL4FS_REQ_DETACH:
	case OKL4FS_REQ_RELEASE:
	case OKL4FS_REQ_CLOSE:
		return decode_detach(req, buf);
	default:
		return 0;
	}
}

uint64_t wire_chunk_gpa(const struct wire_attach *attach, uint32_t idx)
{
	okl4_le64 gpa;

	memcpy(&gpa, attach->chunks + (size_t)idx * sizeof(gpa), sizeof(gpa));
	return okl4_le64_to_cpu(gpa);
}

size_t wire_reply_bytes(uint16_t type)
{
	switch (type) {
	case OKL4FS_REQ_HELLO:
		return sizeof(struct okl4fs_hello_rep);
	case OKL4FS_REQ_CHANNEL_INFO:
		return sizeof(struct okl4fs_info_rep);
	case OKL4FS_REQ_OPEN:
		return sizeof(struct okl4fs_open_rep);
	default:
		return sizeof(struct okl4fs_rep_hdr);
	}
}

static size_t encode_hdr(union wire_reply *rep, const struct wire_request *req, unsigned int status,
			 size_t bytes)
{
	memset(rep, 0, sizeof(*rep));
	rep->hdr.magic = okl4_cpu_to_le32(OKL4FS_MAGIC);
	rep->hdr.type = okl4_cpu_to_le16(req->type);
	rep->hdr.status = okl4_cpu_to_le16(status);
	rep->hdr.bytes = okl4_cpu_to_le32(bytes);
	rep->hdr.cookie = okl4_cpu_to_le32(req->cookie);
	return bytes;
}

size_t wire_encode_status(union wire_reply *rep, const struct wire_request *req, int status)
{
	return encode_hdr(rep, req, (unsigned int)(status < 0 ? -status : status),
			  sizeof(rep->hdr));
}

size_t wire_encode_hello(union wire_reply *rep, const struct wire_request *req, uint32_t version,
			 uint32_t max_channels, uint64_t host_instance)
{
	size_t n = encode_hdr(rep, req, OKL4_OK, sizeof(rep->hello));

	rep->hello.version = okl4_cpu_to_le32(version);
	rep->hello.max_channels = okl4_cpu_to_le32(max_channels);
	rep->hello.host_instance = okl4_cpu_to_le64(host_instance);
	return n;
}

size_t wire_encode_info(union wire_reply *rep, const struct wire_request *req,
			const struct wire_channel *channel)
{
	size_t n = encode_hdr(rep, req, OKL4_OK, sizeof(rep->info));
	size_t name_bytes = strnlen(channel->name, OKL4FS_NAME_MAX);

	rep->info.id = okl4_cpu_to_le32(channel->id);
	rep->info.generation = okl4_cpu_to_le32(channel->generation);
	rep->info.flags = okl4_cpu_to_le32(channel->flags);
	rep->info.ring_bytes = okl4_cpu_to_le64(channel->ring_bytes);
	rep->info.name_bytes = okl4_cpu_to_le32(name_bytes);
	memcpy(rep->info.name, channel->name, name_bytes);
	rep->info.mode = okl4_cpu_to_le32(channel->mode);
	rep->info.uid = okl4_cpu_to_le32(channel->uid);
	rep->info.gid = okl4_cpu_to_le32(channel->gid);
	rep->info.max_sessions = okl4_cpu_to_le32(channel->max_sessions);
	return n;
}

size_t wire_encode_open(union wire_reply *rep, const struct wire_request *req, uint32_t id,
			uint32_t generation, bool is_waiting)
{
	size_t n = encode_hdr(rep, req, OKL4_OK, sizeof(rep->open));

	rep->open.channel = okl4_cpu_to_le32(id);
	rep->open.generation = okl4_cpu_to_le32(generation);
	rep->open.is_waiting = okl4_cpu_to_le32(is_waiting);
	return n;
}

void wire_encode_event(struct okl4fs_event *ev, enum okl4fs_event_type type, uint32_t channel,
		       enum okl4_status status, uint64_t arg)
{
	ev->type = okl4_cpu_to_le16(type);
	ev->status = okl4_cpu_to_le16(status);
	ev->channel = okl4_cpu_to_le32(channel);
	ev->arg = okl4_cpu_to_le64(arg);
}

bool wire_is_fuse(const struct wire_fuse_in *in, size_t copied, uint64_t bytes)
{
	return copied == sizeof(*in) && okl4_le32_to_cpu(in->len) == bytes &&
	       okl4_le32_to_cpu(in->len) != OKL4FS_MAGIC;
}

void wire_encode_fuse_refusal(struct wire_fuse_out *out, const struct wire_fuse_in *in)
{
	out->len = okl4_cpu_to_le32(sizeof(*out));
	out->error = okl4_cpu_to_le32((uint32_t)-LINUX_ENOTCONN);
	out->unique = in->unique;
}
