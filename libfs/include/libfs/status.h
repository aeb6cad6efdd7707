/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * status.h - every reason for a refusal, one number each
 *
 * The same numbers are the (negated) error returns of libfs and the `status` of control replies and
 * events, so a refusal keeps its name from the place that found it to the log line that reports it.
 * The numbers are part of the ABI: never reuse one, and add new ones at the end of a group.
 */
#ifndef LIBFS_STATUS_H
#define LIBFS_STATUS_H

#include <libfs/platform.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, number, sentence) */
#define OKL4_STATUS_LIST(X)                                                                  \
	X(OK, 0, "done")                                                                     \
	/* outcomes a caller must handle; never on the wire */                               \
	X(AGAIN, 1, "nothing can be moved now")                                              \
	X(PIPE, 2, "the peer's last reader has closed")                                      \
	X(ARG, 3, "the caller's argument is out of range")                                   \
	/* memsections and the allocator */                                                  \
	X(MEMSEC_CHUNK_BYTES, 16, "chunk size is not a power of two of at least 4096 bytes") \
	X(MEMSEC_CHUNK_COUNT, 17, "number of chunks does not make up the memsection")        \
	X(HEAP_FULL, 19, "the heap has no room for a block that large")                      \
	X(HEAP_BOUNDS, 20, "the heap does not fit its memsection")                           \
	X(HEAP_CORRUPT, 21, "the heap's head is damaged")                                    \
	/* the header of a control memsection */                                             \
	X(CTL_MAGIC, 32, "control memsection: wrong magic")                                  \
	X(CTL_VERSION, 33, "control memsection: unknown version")                            \
	X(CTL_HEADER_BYTES, 34, "control memsection: wrong header size")                     \
	X(CTL_BYTES, 35, "control memsection: its size is not the attached one")             \
	X(CTL_RING_BYTES, 36, "control memsection: its ring size is not the attached one")   \
	X(CTL_INSTANCE, 37, "control memsection: its instance is not the attached one")      \
	X(CTL_HEAP, 38, "control memsection: the heap lies outside")                         \
	X(CTL_PIPE_OFFSET, 39,                                                               \
	  "control memsection: a pipe lies outside the heap or is misaligned")               \
	X(CTL_PIPE_OVERLAP, 40, "control memsection: the two pipes overlap")                 \
	/* a pipe's shared words */                                                          \
	X(HEAD_PAST_RING, 48, "head is more than the ring's size past tail")                 \
	X(HEAD_BACK, 49, "head moved back")                                                  \
	X(TAIL_PAST_HEAD, 50, "tail is past head")                                           \
	X(TAIL_BACK, 51, "tail moved back")                                                  \
	X(PHASE_BACK, 52, "phase moved back")                                                \
	X(RESUME_CURSORS, 53, "head and tail found at attach do not fit the ring")           \
	X(PACKET_LENGTH, 54, "a message's length does not fit what the ring holds")          \
	/* control requests */                                                               \
	X(REQ_CHAIN, 64, "descriptor chain is malformed")                                    \
	X(REQ_MAGIC, 65, "request: wrong magic")                                             \
	X(REQ_TYPE, 66, "request: unknown type")                                             \
	X(REQ_LENGTH, 67, "request: wrong length for its type")                              \
	X(REQ_REPLY_SPACE, 68, "request: no room for the reply")                             \
	X(REQ_VERSION, 69, "request: no common ABI version")                                 \
	X(REQ_NO_HELLO, 70, "request: HELLO must come first")                                \
	X(REQ_RESERVED, 71, "request: a reserved field is not zero")                         \
	X(BELL_ADDRESS, 72, "bell page is misaligned or not in guest memory")                \
	X(NO_CHANNEL, 73, "no such channel")                                                 \
	X(CHANNEL_FAILED, 74, "the channel failed; attach fresh memory")                     \
	X(SEC_BYTES, 75, "memsection size is not what the channel asks for")                 \
	X(CHUNK_ALIGN, 76, "chunk address is misaligned")                                    \
	X(CHUNK_UNMAPPED, 77, "chunk is not wholly inside one region of guest memory")       \
	X(CHUNK_OVERLAP, 78, "chunk overlaps another one, the bell page or a ring")          \
	X(NO_MEMORY, 79, "out of memory on the host")                                        \
	X(MEMORY_LOST, 80, "guest memory went away under the channel")                       \
	X(REQ_QUEUES, 81, "request: the number of event queues is not 1 to 16")              \
	X(CHANNEL_RESET, 82, "the host has reset the channel")                               \
	X(CHANNEL_IN_USE, 83, "the channel is in use on the host")                           \
	X(REQ_SESSION, 84,                                                                   \
	  "ATTACH is for channels without sessions, OPEN for those that have them")          \
	X(SESSIONS_FULL, 85, "all sessions of the channel are in use")                       \
	X(NO_CLIENT, 86, "no connection waits to be taken")                                  \
	X(CONNECTION_REFUSED, 87, "the other side refuses the connection")                   \
	X(CONNECTION_TIMEOUT, 88, "the other side does not answer in time")                  \
	X(CONNECTION_RESET, 89, "the connection was lost")

#define OKL4_STATUS_ENUM(name, number, sentence) OKL4_##name = (number),

/** enum okl4_status - see OKL4_STATUS_LIST; functions return the negated value */
enum okl4_status { OKL4_STATUS_LIST(OKL4_STATUS_ENUM) OKL4_STATUS_END = 90 };

#undef OKL4_STATUS_ENUM

/**
 * okl4_status_name() - the name of a status
 * @status: a status, or its negation
 *
 * Return: the name without its prefix ("CTL_MAGIC"), "?" for an unknown number. Static memory.
 */
const char *okl4_status_name(int status);

/**
 * okl4_status_text() - the sentence of a status
 * @status: a status, or its negation
 *
 * Return: a sentence for a log line, "unknown status" for an unknown number. Static memory.
 */
const char *okl4_status_text(int status);

#ifdef __cplusplus
}
#endif

#endif /* LIBFS_STATUS_H */
