/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * abi.h - ABI v1: all that guest and host share, and nothing else
 *
 * There are three kinds of structures: those in the control memsection of a channel (okl4_ctl_shm,
 * okl4_pipe_shm), the one in the bell page of a device (okl4_bell_shm), and those that travel over
 * the virtqueues (okl4fs_*). All numbers are little-endian (virtio 1.2, section 1.4). A field that
 * is called `reserved` is written as zero. docs/ABI.md draws these structures byte by byte.
 *
 * Each word in shared memory has exactly one writer, named beside it. Shared memory holds neither
 * locks nor pointers.
 */
#ifndef LIBFS_ABI_H
#define LIBFS_ABI_H

#include <libfs/platform.h>

#define OKL4FS_ABI_VERSION 1

/* "OKL4" as bytes in memory */
#define OKL4FS_MAGIC 0x344c4b4fU

/* The carrier `fs`: a device of virtio id 26 whose tag begins so (virtio 1.2, section 5.11) */
#define OKL4FS_TAG_PREFIX "okl4fs"

/* Queues: 0 is `control`, 1 + k is `event` k */
#define OKL4FS_QUEUE_CONTROL 0
#define OKL4FS_QUEUE_EVENT   1

#define OKL4FS_MAX_CHANNELS   1024 /* and sessions, together */
#define OKL4FS_NAME_MAX       63 /* bytes of a channel's name, without NUL */
#define OKL4FS_PAGE_BYTES     4096
#define OKL4FS_RING_BYTES_MIN 4096ULL
#define OKL4FS_RING_BYTES_MAX (64ULL << 20)
#define OKL4FS_CTL_BYTES_MIN  4096ULL
#define OKL4FS_CTL_BYTES_MAX  (1ULL << 20)

/* ------------------------------------------------------------------------------------------- */
/* The control memsection                                                                      */

/**
 * struct okl4_ctl_shm - head of a control memsection, at its offset 0
 * @magic: OKL4FS_MAGIC
 * @version: OKL4FS_ABI_VERSION
 * @header_bytes: sizeof(struct okl4_ctl_shm)
 * @ctl_bytes: bytes of this memsection
 * @ring_bytes: bytes of fwd, and of bwd: a power of two
 * @instance: random, not zero, new for each piece of memory. An ATTACH with the instance that the
 *	host attached last, and that was not detached since, goes on with its stream; any other begins
 *	a new one. In either case the host takes the words of its ends from the memory
 * @heap_offset: first byte of okl4_memsec_malloc's heap
 * @heap_bytes: its bytes
 * @pipe_offset: offset of the okl4_pipe_shm of fwd (0) and of bwd (1), both inside the heap
 * @reserved: zero
 *
 * The guest writes it before ATTACH, never after. The host reads it once each time it takes up the
 * memory: at ATTACH, and when the frontend has changed the table of guest memory.
 */
struct okl4_ctl_shm {
	okl4_le32 magic;
	okl4_le32 version;
	okl4_le32 header_bytes;
	okl4_le32 ctl_bytes;
	okl4_le64 ring_bytes;
	okl4_le64 instance;
	okl4_le32 heap_offset;
	okl4_le32 heap_bytes;
	okl4_le32 pipe_offset[2];
	uint8_t reserved[80];
};
OKL4_STATIC_ASSERT(sizeof(struct okl4_ctl_shm) == 128, "ABI v1");

#define OKL4FS_COMM_BYTES 16 /* of a program's name, padded with NUL (PR_SET_NAME in prctl(2)) */

/**
 * struct okl4_opener_shm - which program opened an end, in the numbers of the opener's own system
 * @uid: its effective user id
 * @gid: its effective group id
 * @pid: its process id; 0: not given
 * @reserved: zero
 * @comm: its name
 *
 * Written before the phase becomes odd, by the first opener of the end. It is what the peer says of
 * itself: it may be shown, and decides nothing.
 */
struct okl4_opener_shm {
	okl4_le32 uid;
	okl4_le32 gid;
	okl4_le32 pid;
	okl4_le32 reserved;
	uint8_t comm[OKL4FS_COMM_BYTES];
};
OKL4_STATIC_ASSERT(sizeof(struct okl4_opener_shm) == 32, "ABI v1");

/**
 * struct okl4_pipe_producer_shm - what the writing end publishes; only the producer writes it
 * @head: bytes ever written, free-running
 * @space_event: wake me when @tail moves from at most this value to past it
 * @phase: 0 never opened, odd open, even closed; one more at each open and each close, so it is
 *	state and epoch in one word
 * @opener: which program opened it last when it was closed
 * @reserved: zero
 */
struct okl4_pipe_producer_shm {
	okl4_le64 head;
	okl4_le64 space_event;
	okl4_le64 phase;
	struct okl4_opener_shm opener;
	uint8_t reserved[72];
};

/**
 * struct okl4_pipe_consumer_shm - what the reading end publishes; only the consumer writes it
 * @tail: bytes ever read, free-running; 0 <= head - tail <= ring_bytes
 * @data_event: wake me when @head moves from at most this value to past it
 * @phase: as the producer's
 * @eof_seen: the phase of the producer whose end-of-file was for an earlier opening of this end:
 *	that opening saw it, or left before it came and nothing more was written. A later opening does
 *	not see it but waits for the next one
 * @opener: as the producer's
 * @reserved: zero
 */
struct okl4_pipe_consumer_shm {
	okl4_le64 tail;
	okl4_le64 data_event;
	okl4_le64 phase;
	okl4_le64 eof_seen;
	struct okl4_opener_shm opener;
	uint8_t reserved[64];
};

/**
 * struct okl4_pipe_shm - one direction; each end has its own 128 bytes (two cache lines, since CPUs
 *	fetch adjacent lines in pairs)
 * @producer: the writing end's words
 * @consumer: the reading end's words
 */
struct okl4_pipe_shm {
	struct okl4_pipe_producer_shm producer;
	struct okl4_pipe_consumer_shm consumer;
};
OKL4_STATIC_ASSERT(sizeof(struct okl4_pipe_producer_shm) == 128, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4_pipe_consumer_shm) == 128, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4_pipe_shm) == 256, "ABI v1");

#define OKL4FS_PIPE_ALIGN 128

/**
 * struct okl4_packet_shm - head of a message in the ring of a channel that has packets
 * @bytes: bytes of the message, which follow: 0 to OKL4FS_PACKET_MAX(ring_bytes)
 *
 * Heads lie at multiples of their size, so no head is split by the ring's end or a chunk's. The next
 * head follows the message at the next such multiple; the bytes between have no meaning. A producer
 * moves its cursor by whole messages only, and so does a consumer.
 */
struct okl4_packet_shm {
	okl4_le32 bytes;
};
OKL4_STATIC_ASSERT(sizeof(struct okl4_packet_shm) == 4, "ABI v1");

#define OKL4FS_PACKET_MAX(ring_bytes) ((ring_bytes) - sizeof(struct okl4_packet_shm))

/* ------------------------------------------------------------------------------------------- */
/* The bell page                                                                               */

#define OKL4FS_BELL_WORDS 16

/**
 * struct okl4_bell_shm - which channels want attention, one bit for each channel and direction; one
 *	page
 * @to_host: set by the guest, taken by the host
 * @to_guest: set by the host, taken by the guest
 * @reserved: zero
 * @reserved2: zero
 *
 * Channel c is bit c / 16 of word c % 16, and word w is announced over event queue w % M (M event
 * queues), so a word belongs to one queue. To ring: set the bit with an atomic OR; if the word was
 * zero before, notify (kick, or a WAKE event). To answer: exchange each word with zero *after* the
 * notification was taken (and, in the guest, after the event buffer was posted again), then look
 * after the channels whose bits were set. A peer that lies here can only lose its own wake-ups.
 */
struct okl4_bell_shm {
	okl4_le64 to_host[OKL4FS_BELL_WORDS];
	uint8_t reserved[1920];
	okl4_le64 to_guest[OKL4FS_BELL_WORDS];
	uint8_t reserved2[1920];
};
OKL4_STATIC_ASSERT(sizeof(struct okl4_bell_shm) == OKL4FS_PAGE_BYTES, "ABI v1");
OKL4_STATIC_ASSERT(OKL4FS_BELL_WORDS * 64 == OKL4FS_MAX_CHANNELS, "ABI v1");

/* ------------------------------------------------------------------------------------------- */
/* The control queue: chains of readable (request) and then writable (reply) descriptors         */

/**
 * enum okl4fs_req_type - requests; others before HELLO: OKL4_REQ_NO_HELLO
 *
 * All are idempotent. OPEN is so by its instance: an OPEN with the instance of a session that is
 * there is that session's.
 */
enum okl4fs_req_type {
	OKL4FS_REQ_HELLO = 1, /* okl4fs_hello_req -> okl4fs_hello_rep */
	OKL4FS_REQ_CHANNEL_INFO = 2, /* okl4fs_info_req -> okl4fs_info_rep */
	OKL4FS_REQ_ATTACH = 3, /* okl4fs_attach_req -> okl4fs_rep_hdr */
	OKL4FS_REQ_DETACH = 4, /* okl4fs_detach_req -> okl4fs_rep_hdr */
	OKL4FS_REQ_PING = 5, /* okl4fs_req_hdr -> okl4fs_rep_hdr; rings all attached channels */
	OKL4FS_REQ_RELEASE =
		6, /* okl4fs_detach_req -> okl4fs_rep_hdr; DETACH if nobody would notice */
	OKL4FS_REQ_OPEN = 7, /* okl4fs_attach_req -> okl4fs_open_rep; a session begins */
	OKL4FS_REQ_CLOSE = 8, /* okl4fs_detach_req -> okl4fs_rep_hdr; a session ends */
	OKL4FS_REQ_SETTLE =
		9, /* okl4fs_req_hdr -> okl4fs_rep_hdr; sessions that were not resumed end */
};

/**
 * struct okl4fs_req_hdr - head of every request
 * @magic: OKL4FS_MAGIC; no FUSE request begins so, since its first word is its length
 * @type: enum okl4fs_req_type
 * @reserved: zero
 * @bytes: bytes of the whole request with this header: all readable bytes of the chain
 * @cookie: the guest's own, returned in the reply
 */
struct okl4fs_req_hdr {
	okl4_le32 magic;
	okl4_le16 type;
	okl4_le16 reserved;
	okl4_le32 bytes;
	okl4_le32 cookie;
};

/**
 * struct okl4fs_rep_hdr - head of every reply
 * @magic: OKL4FS_MAGIC
 * @type: the request's type
 * @status: enum okl4_status; unless it is OKL4_OK, the reply ends with this header
 * @bytes: bytes of the whole reply with this header
 * @cookie: the request's
 */
struct okl4fs_rep_hdr {
	okl4_le32 magic;
	okl4_le16 type;
	okl4_le16 status;
	okl4_le32 bytes;
	okl4_le32 cookie;
};

/**
 * struct okl4fs_hello_req - the driver introduces itself; the host suspends what was attached
 * @hdr: header
 * @version: highest ABI version that the driver speaks
 * @n_event_queues: M, 1 to OKL4FS_BELL_WORDS; at most one less than the queues that were set up
 * @bell_gpa: address of the bell page, a multiple of 4096
 * @driver_instance: random, not zero, new at each load of the driver. Memory that was attached
 *	with another driver_instance is gone for good, and the streams in it end. With the same one,
 *	they wait, and go on when the same memory is attached again
 */
struct okl4fs_hello_req {
	struct okl4fs_req_hdr hdr;
	okl4_le32 version;
	okl4_le32 n_event_queues;
	okl4_le64 bell_gpa;
	okl4_le64 driver_instance;
};

/**
 * struct okl4fs_hello_rep - the host introduces itself
 * @hdr: header
 * @version: the version that both sides use from then on
 * @max_channels: ids of the channels that are offered now are below this; at most
 *	OKL4FS_MAX_CHANNELS. Events announce later channels
 * @host_instance: random, new at each start of the daemon; nothing depends on it
 */
struct okl4fs_hello_rep {
	struct okl4fs_rep_hdr hdr;
	okl4_le32 version;
	okl4_le32 max_channels;
	okl4_le64 host_instance;
};

/**
 * struct okl4fs_info_req - asks for the first channel whose id is @first_id or more
 * @hdr: header
 * @first_id: 0 to begin
 * @reserved: zero
 */
struct okl4fs_info_req {
	struct okl4fs_req_hdr hdr;
	okl4_le32 first_id;
	okl4_le32 reserved;
};

#define OKL4FS_CHANNEL_EXCLUSIVE 1U /* one opener per end in the guest */
#define OKL4FS_CHANNEL_SESSIONS  2U /* it has no memory of its own: OPEN begins a session */
#define OKL4FS_CHANNEL_PACKETS   4U /* its rings, or its sessions', hold messages (okl4_packet_shm) */
#define OKL4FS_NOT_GIVEN         0xffffffffU /* as mode, uid or gid: the guest decides */

/**
 * struct okl4fs_info_rep - describes one channel; OKL4_NO_CHANNEL when no more follow
 * @hdr: header
 * @id: the channel's id; stays the same while the channel is offered, and another may get it later
 * @flags: OKL4FS_CHANNEL_*
 * @ring_bytes: bytes that fwd and bwd must have, also those of a session
 * @name_bytes: 1 to OKL4FS_NAME_MAX
 * @generation: distinguishes this channel from others that have the same id at other times
 * @name: any byte but '/' and NUL; padded with NUL
 * @mode: permission bits that the guest's node is to have, at most 0777; or OKL4FS_NOT_GIVEN
 * @uid: the node's owner, a number of the guest's; or OKL4FS_NOT_GIVEN
 * @gid: the node's group, likewise
 * @max_sessions: (SESSIONS) how many there can be at once, those that wait included; else zero
 */
struct okl4fs_info_rep {
	struct okl4fs_rep_hdr hdr;
	okl4_le32 id;
	okl4_le32 flags;
	okl4_le64 ring_bytes;
	okl4_le32 name_bytes;
	okl4_le32 generation;
	uint8_t name[OKL4FS_NAME_MAX + 1];
	okl4_le32 mode;
	okl4_le32 uid;
	okl4_le32 gid;
	okl4_le32 max_sessions;
};

/** enum okl4fs_sec - the memsections of a channel, in the order of okl4fs_attach_req.sec */
enum okl4fs_sec {
	OKL4FS_SEC_CTL,
	OKL4FS_SEC_FWD, /* guest to host */
	OKL4FS_SEC_BWD, /* host to guest */
	OKL4FS_N_SECS,
};

/**
 * struct okl4fs_sec_geometry - the shape of one memsection
 * @bytes: its size, a power of two
 * @chunk_bytes: size of each of its chunks, a power of two, 4096 to @bytes
 * @n_chunks: @bytes / @chunk_bytes
 */
struct okl4fs_sec_geometry {
	okl4_le64 bytes;
	okl4_le32 chunk_bytes;
	okl4_le32 n_chunks;
};

#define OKL4FS_OPEN_NOWAIT 1U /* refuse with NO_CLIENT rather than wait for the other side's call */
#define OKL4FS_OPEN_RESUME 2U /* go on with the session that had this memory before HELLO */

/**
 * struct okl4fs_attach_req - hands the memsections of a channel, or of a new session, to the host
 * @hdr: header
 * @channel: the channel's id; for OPEN, that of the channel that has the sessions
 * @generation: its generation, as CHANNEL_INFO gave it; with another one, OKL4_NO_CHANNEL
 * @instance: as in okl4_ctl_shm, not zero
 * @flags: OKL4FS_OPEN_*; zero for ATTACH
 * @reserved: zero
 * @sec: the three shapes
 * @chunk_gpa: address of each chunk, a multiple of 4096: first those of ctl, then fwd, then bwd
 *
 * Attaching again replaces the earlier attachment. The host may use the memory until it has
 * answered DETACH, CLOSE or a new HELLO, CHANNEL_FAILED, SESSION (with a refusal) or CHANNEL_INFO
 * says that it has released the memory, or the device is reset.
 */
struct okl4fs_attach_req {
	struct okl4fs_req_hdr hdr;
	okl4_le32 channel;
	okl4_le32 generation;
	okl4_le64 instance;
	okl4_le32 flags;
	okl4_le32 reserved;
	struct okl4fs_sec_geometry sec[OKL4FS_N_SECS];
	__extension__ okl4_le64 chunk_gpa[];
};

/**
 * struct okl4fs_open_rep - the session that an OPEN has begun
 * @hdr: header; a refusal leaves no session and no use of the memory
 * @channel: the session's id, which bells, events and CLOSE use; free again after CLOSE, after
 *	CHANNEL_FAILED, and after SESSION with a refusal
 * @generation: of that id
 * @is_waiting: 1: the other side has not answered yet, and the event SESSION will tell; 0: it is open
 * @reserved: zero
 */
struct okl4fs_open_rep {
	struct okl4fs_rep_hdr hdr;
	okl4_le32 channel;
	okl4_le32 generation;
	okl4_le32 is_waiting;
	okl4_le32 reserved;
};

/* The largest ATTACH: 64 MiB in each direction and 1 MiB of ctl, all in pages */
#define OKL4FS_MAX_ATTACHED (2 * OKL4FS_RING_BYTES_MAX + OKL4FS_CTL_BYTES_MAX)
#define OKL4FS_MAX_CHUNKS   (OKL4FS_MAX_ATTACHED / OKL4FS_PAGE_BYTES)
#define OKL4FS_MAX_REQ_BYTES \
	(sizeof(struct okl4fs_attach_req) + OKL4FS_MAX_CHUNKS * sizeof(okl4_le64))

/**
 * struct okl4fs_detach_req - takes the memory back; it is the guest's again when the reply comes
 * @hdr: header
 * @channel: the channel's id; it is not an error if the channel is not attached
 * @generation: as in okl4fs_attach_req
 *
 * This ends the stream: if the same memory is attached again, a new stream begins.
 *
 * CLOSE has the same form, for a session: after it the id is free.
 *
 * RELEASE has the same form. The host refuses it with OKL4_CHANNEL_IN_USE while one of its own ends
 * is open or a ring is not empty: only the host knows whether a client has just come.
 */
struct okl4fs_detach_req {
	struct okl4fs_req_hdr hdr;
	okl4_le32 channel;
	okl4_le32 generation;
};

OKL4_STATIC_ASSERT(sizeof(struct okl4fs_req_hdr) == 16, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_rep_hdr) == 16, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_hello_req) == 40, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_hello_rep) == 32, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_info_req) == 24, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_info_rep) == 120, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_sec_geometry) == 16, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_attach_req) == 88, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_open_rep) == 32, "ABI v1");
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_detach_req) == 24, "ABI v1");

/* ------------------------------------------------------------------------------------------- */
/* Event queues: the driver posts buffers of one writable okl4fs_event; the host fills one and  */
/* returns it. A kick of the same queue is the guest's doorbell.                                */

/** enum okl4fs_event_type - what the host reports without being asked */
enum okl4fs_event_type {
	OKL4FS_EVENT_WAKE = 1, /* look into okl4_bell_shm.to_guest; channel is 0 */
	OKL4FS_EVENT_CHANNEL_ADDED = 2, /* a channel is offered from now on */
	OKL4FS_EVENT_CHANNEL_REMOVED = 3, /* a channel is no longer offered */
	OKL4FS_EVENT_CHANNEL_FAILED = 4, /* its memory is no longer used; status says why */
	OKL4FS_EVENT_GREET = 5, /* the host is another process, with the same rings: say HELLO */
	OKL4FS_EVENT_SESSION = 6, /* a session that waited is open, or was refused */
};

/**
 * struct okl4fs_event - one event
 * @type: enum okl4fs_event_type
 * @status: enum okl4_status, for CHANNEL_FAILED and SESSION
 * @channel: the channel's id, or the session's
 * @arg: for CHANNEL_FAILED and SESSION, the instance; else zero
 */
struct okl4fs_event {
	okl4_le16 type;
	okl4_le16 status;
	okl4_le32 channel;
	okl4_le64 arg;
};
OKL4_STATIC_ASSERT(sizeof(struct okl4fs_event) == 16, "ABI v1");

#endif /* LIBFS_ABI_H */
