/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace.h - tracepoints, in the group okl4fs; okl4fs-driver(4) describes them for users
 *
 * A tracepoint that is off costs a jump that is not taken. In a channel's name, spaces, backslashes
 * and bytes that are not printable are octal escapes, as in debugfs. A result is 0, a positive enum
 * okl4_status of libfs, or a negative errno.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM okl4fs

#if !defined(OKL4FS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OKL4FS_TRACE_H

#include <linux/tracepoint.h>

#include <linux/string_helpers.h>

#include "channel.h"
#include "compat.h"

#ifndef OKL4_TRACE_NAME_BYTES
#define OKL4_TRACE_NAME_BYTES (4 * OKL4FS_NAME_MAX + 1)

static inline void okl4_trace_name(char *to, const struct okl4_channel *ch)
{
	int n = string_escape_mem(ch->name, ch->name_bytes, to, OKL4_TRACE_NAME_BYTES - 1,
				  ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND, " \\");

	to[n] = '\0';
}
#endif

/* clang-format off */

/* The host was given a channel's memory, or refused it */
TRACE_EVENT(okl4fs_attach,
	TP_PROTO(const char *device, const struct okl4_channel *ch, u64 ring_bytes,
		 const struct okl4_chunks *fwd, int result),
	TP_ARGS(device, ch, ring_bytes, fwd, result),
	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, id)
		__array(char, name, OKL4_TRACE_NAME_BYTES)
		__field(u64, ring_bytes)
		__field(u32, chunk_bytes)
		__field(u32, n_chunks)
		__field(int, result)
	),
	TP_fast_assign(
		okl4_compat_assign_str(device, device);
		__entry->id = READ_ONCE(ch->id);
		okl4_trace_name(__entry->name, ch);
		__entry->ring_bytes = ring_bytes;
		__entry->chunk_bytes = fwd->chunk_bytes;
		__entry->n_chunks = fwd->n;
		__entry->result = result;
	),
	TP_printk("device=%s id=%u name=%s ring_bytes=%llu chunk_bytes=%u n_chunks=%u result=%d",
		  __get_str(device), __entry->id, __entry->name, __entry->ring_bytes,
		  __entry->chunk_bytes, __entry->n_chunks, __entry->result)
);

/* The host was asked to give a channel's memory back */
TRACE_EVENT(okl4fs_detach,
	TP_PROTO(const char *device, u32 id, int result),
	TP_ARGS(device, id, result),
	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, id)
		__field(int, result)
	),
	TP_fast_assign(
		okl4_compat_assign_str(device, device);
		__entry->id = id;
		__entry->result = result;
	),
	TP_printk("device=%s id=%u result=%d", __get_str(device), __entry->id, __entry->result)
);

/* An end was opened or closed; n_readers and n_writers count those that have it open afterwards */
DECLARE_EVENT_CLASS(okl4fs_opener,
	TP_PROTO(const struct okl4_channel *ch, bool reads, bool writes, int result),
	TP_ARGS(ch, reads, writes, result),
	TP_STRUCT__entry(
		__field(u32, id)
		__array(char, name, OKL4_TRACE_NAME_BYTES)
		__field(bool, reads)
		__field(bool, writes)
		__field(u32, n_readers)
		__field(u32, n_writers)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->id = READ_ONCE(ch->id);
		okl4_trace_name(__entry->name, ch);
		__entry->reads = reads;
		__entry->writes = writes;
		__entry->n_readers = READ_ONCE(ch->n_readers);
		__entry->n_writers = READ_ONCE(ch->n_writers);
		__entry->result = result;
	),
	TP_printk("id=%u name=%s reads=%d writes=%d n_readers=%u n_writers=%u result=%d",
		  __entry->id, __entry->name, __entry->reads, __entry->writes,
		  __entry->n_readers, __entry->n_writers, __entry->result)
);

DEFINE_EVENT(okl4fs_opener, okl4fs_open,
	TP_PROTO(const struct okl4_channel *ch, bool reads, bool writes, int result),
	TP_ARGS(ch, reads, writes, result));

DEFINE_EVENT(okl4fs_opener, okl4fs_close,
	TP_PROTO(const struct okl4_channel *ch, bool reads, bool writes, int result),
	TP_ARGS(ch, reads, writes, result));

/* A channel's bell: rung by us, or by the host */
DECLARE_EVENT_CLASS(okl4fs_wake,
	TP_PROTO(const struct okl4_channel *ch),
	TP_ARGS(ch),
	TP_STRUCT__entry(
		__field(u32, id)
		__array(char, name, OKL4_TRACE_NAME_BYTES)
	),
	TP_fast_assign(
		__entry->id = READ_ONCE(ch->id);
		okl4_trace_name(__entry->name, ch);
	),
	TP_printk("id=%u name=%s", __entry->id, __entry->name)
);

DEFINE_EVENT(okl4fs_wake, okl4fs_wake_sent,
	TP_PROTO(const struct okl4_channel *ch), TP_ARGS(ch));

DEFINE_EVENT(okl4fs_wake, okl4fs_wake_received,
	TP_PROTO(const struct okl4_channel *ch), TP_ARGS(ch));

/* A read goes to sleep because the ring is empty, or a write because it is too full */
TRACE_EVENT(okl4fs_stall,
	TP_PROTO(const struct okl4_channel *ch, bool writes),
	TP_ARGS(ch, writes),
	TP_STRUCT__entry(
		__field(u32, id)
		__array(char, name, OKL4_TRACE_NAME_BYTES)
		__field(bool, writes)
	),
	TP_fast_assign(
		__entry->id = READ_ONCE(ch->id);
		okl4_trace_name(__entry->name, ch);
		__entry->writes = writes;
	),
	TP_printk("id=%u name=%s %s", __entry->id, __entry->name,
		  __entry->writes ? "full" : "empty")
);

/* A channel's memory has failed */
TRACE_EVENT(okl4fs_fail,
	TP_PROTO(const struct okl4_channel *ch, int status),
	TP_ARGS(ch, status),
	TP_STRUCT__entry(
		__field(u32, id)
		__array(char, name, OKL4_TRACE_NAME_BYTES)
		__field(int, status)
	),
	TP_fast_assign(
		__entry->id = READ_ONCE(ch->id);
		okl4_trace_name(__entry->name, ch);
		__entry->status = status;
	),
	TP_printk("id=%u name=%s status=%d", __entry->id, __entry->name, __entry->status)
);

/* The host was lost (why: a negative errno); the device will be set up again */
TRACE_EVENT(okl4fs_reset,
	TP_PROTO(const char *device, int why),
	TP_ARGS(device, why),
	TP_STRUCT__entry(
		__string(device, device)
		__field(int, why)
	),
	TP_fast_assign(
		okl4_compat_assign_str(device, device);
		__entry->why = why;
	),
	TP_printk("device=%s why=%d", __get_str(device), __entry->why)
);

/* The host answers, for the first time or after n_failures set-ups that failed */
TRACE_EVENT(okl4fs_up,
	TP_PROTO(const char *device, unsigned int n_failures),
	TP_ARGS(device, n_failures),
	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, n_failures)
	),
	TP_fast_assign(
		okl4_compat_assign_str(device, device);
		__entry->n_failures = n_failures;
	),
	TP_printk("device=%s n_failures=%u", __get_str(device), __entry->n_failures)
);

/* clang-format on */

#endif /* OKL4FS_TRACE_H */

/* Kbuild has this folder in the include path of trace.c */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
