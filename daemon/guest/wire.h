/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - control requests and events as bytes (libfs/abi.h), and as structures
 *
 * Pure: no I/O, no state. Requests are decoded from a copy of what the guest wrote, so nothing
 * changes meanwhile.
 */
#ifndef OKL4FSD_GUEST_WIRE_H
#define OKL4FSD_GUEST_WIRE_H

#include <assert.h>
#include <libfs/abi.h>
#include <libfs/status.h>

/**
 * struct wire_sec - shape of a memsection
 * @bytes: its size
 * @chunk_bytes: bytes of a chunk, a power of two, 4096 to @bytes
 * @n_chunks: @bytes / @chunk_bytes
 */
struct wire_sec {
	uint64_t bytes;
	uint32_t chunk_bytes, n_chunks;
};

/**
 * struct wire_attach - an ATTACH or OPEN request
 * @channel: channel id
 * @generation: the channel's generation
 * @instance: as in okl4_ctl_shm
 * @flags: OKL4FS_OPEN_*, of those that are known
 * @sec: the shapes; sound in themselves
 * @n_chunks: chunks of all three
 * @chunks: their addresses, little-endian and unaligned; use wire_chunk_gpa()
 */
struct wire_attach {
	uint32_t channel, generation;
	uint64_t instance;
	uint32_t flags;
	struct wire_sec sec[OKL4FS_N_SECS];
	uint32_t n_chunks;
	const uint8_t *chunks;
};

/**
 * struct wire_request - a request
 * @type: enum okl4fs_req_type; any number when the request is refused
 * @cookie: the guest's own
 * @hello: HELLO
 * @info: CHANNEL_INFO
 * @attach: ATTACH, OPEN; points into the decoded bytes
 * @detach: DETACH, RELEASE, CLOSE
 */
struct wire_request {
	uint16_t type;
	uint32_t cookie;
	union {
		struct {
			uint32_t version, n_event_queues;
			uint64_t bell_gpa, driver_instance;
		} hello;
		struct {
			uint32_t first_id;
		} info;
		struct wire_attach attach;
		struct {
			uint32_t channel, generation;
		} detach;
	};
};

/** union wire_reply - room for any reply */
union wire_reply {
	struct okl4fs_rep_hdr hdr;
	struct okl4fs_hello_rep hello;
	struct okl4fs_info_rep info;
	struct okl4fs_open_rep open;
};

/**
 * struct wire_channel - what CHANNEL_INFO tells
 * @id: channel id
 * @generation: its generation
 * @flags: OKL4FS_CHANNEL_*
 * @ring_bytes: bytes of each ring
 * @name: at most OKL4FS_NAME_MAX bytes
 * @mode: permission bits of the guest's node, or OKL4FS_NOT_GIVEN
 * @uid: its owner, or OKL4FS_NOT_GIVEN
 * @gid: its group, or OKL4FS_NOT_GIVEN
 * @max_sessions: 0: it has no sessions
 */
struct wire_channel {
	uint32_t id, generation, flags;
	uint64_t ring_bytes;
	const char *name;
	uint32_t mode, uid, gid, max_sessions;
};

/**
 * wire_decode() - make a structure from the bytes of a request
 * @req: out; @type and @cookie are filled as far as the bytes go, for the reply
 * @buf: all readable bytes of the chain
 * @bytes: how many
 *
 * Checks all that can be checked without knowing the guest: magic, type, lengths, reserved fields,
 * shapes of memsections.
 *
 * Return: 0, -OKL4_REQ_LENGTH, -OKL4_REQ_MAGIC, -OKL4_REQ_TYPE, -OKL4_REQ_RESERVED,
 * -OKL4_SEC_BYTES, -OKL4_MEMSEC_CHUNK_BYTES or -OKL4_MEMSEC_CHUNK_COUNT.
 */
int wire_decode(struct wire_request *req, const void *buf, size_t bytes);

/** wire_chunk_gpa() - address of the @idx-th chunk of an ATTACH or OPEN; @idx < @n_chunks */
uint64_t wire_chunk_gpa(const struct wire_attach *attach, uint32_t idx);

/** wire_reply_bytes() - bytes of the good reply to a type; that of the header for unknown types */
size_t wire_reply_bytes(uint16_t type);

/** wire_encode_status() - a reply that is a header; @status > 0 or negated; Return: its bytes */
size_t wire_encode_status(union wire_reply *rep, const struct wire_request *req, int status);

/** wire_encode_hello() - the good reply to HELLO; Return: its bytes */
size_t wire_encode_hello(union wire_reply *rep, const struct wire_request *req, uint32_t version,
			 uint32_t max_channels, uint64_t host_instance);

/** wire_encode_info() - the good reply to CHANNEL_INFO; Return: its bytes */
size_t wire_encode_info(union wire_reply *rep, const struct wire_request *req,
			const struct wire_channel *channel);

/** wire_encode_open() - the good reply to OPEN: a session's id; Return: its bytes */
size_t wire_encode_open(union wire_reply *rep, const struct wire_request *req, uint32_t id,
			uint32_t generation, bool is_waiting);

/** wire_encode_event() - an event */
void wire_encode_event(struct okl4fs_event *ev, enum okl4fs_event_type type, uint32_t channel,
		       enum okl4_status status, uint64_t arg);

/**
 * struct wire_fuse_in - head of a FUSE request (Linux' include/uapi/linux/fuse.h)
 * @len: bytes of the whole request with this header
 * @opcode: what is asked
 * @unique: the asker's own, returned in the answer
 * @rest: node, user, group, process; of no interest here
 */
struct wire_fuse_in {
	okl4_le32 len;
	okl4_le32 opcode;
	okl4_le64 unique;
	uint8_t rest[24];
};
static_assert(sizeof(struct wire_fuse_in) == 40, "FUSE ABI");

/**
 * struct wire_fuse_out - head of a FUSE answer
 * @len: bytes of the whole answer
 * @error: 0 or a negated errno of Linux
 * @unique: the request's
 */
struct wire_fuse_out {
	okl4_le32 len;
	okl4_le32 error;
	okl4_le64 unique;
};
static_assert(sizeof(struct wire_fuse_out) == 16, "FUSE ABI");

/**
 * wire_is_fuse() - whether bytes are a FUSE request, of a firmware or of a virtiofs mount
 * @in: first bytes of the chain
 * @copied: how many of them there are
 * @bytes: readable bytes of the whole chain
 *
 * Requests of our driver begin with a magic number, which is larger than the length of any FUSE
 * request.
 *
 * Return: true when they are a FUSE request.
 */
bool wire_is_fuse(const struct wire_fuse_in *in, size_t copied, uint64_t bytes);

/** wire_encode_fuse_refusal() - "not connected", the answer that ends a mount */
void wire_encode_fuse_refusal(struct wire_fuse_out *out, const struct wire_fuse_in *in);

#endif
