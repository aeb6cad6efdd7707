/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * channel.h - a channel: where the device that offers it and the files that use it meet
 *
 * A channel is identified by its name. It exists as long as a device offers it or a node of a
 * mounted okl4fs names it, so it outlives each of them. It owns the memsections and the guest's end
 * in them; a device (a "port" here) only borrows them, and gives them back when it is reset or goes
 * away.
 *
 * A channel with sessions has no memory of its own. Each open of its node makes a session
 * (channel_connect.c): an okl4_channel that has no name in the registry, belongs to the file that
 * was opened, and uses the device of the channel that it is a session of.
 *
 *	okl4_channel.setup_lock		one opener at a time makes memory and has it attached
 *	okl4_dev.mutex			the control queue of a device
 *	okl4_channel.lock		the device, the openers, the memory
 *	okl4_channel.rx_lock, tx_lock	the two pipes of the guest's end (never both)
 *	okl4_channel.sessions_lock	the sessions of a channel
 *	okl4_dev's spinlocks, the wait queues' locks
 * The registry's mutex is taken with none of these held but a device's mutex, and no other lock is
 * taken inside it.
 */
#ifndef OKL4FS_CHANNEL_H
#define OKL4FS_CHANNEL_H

#ifndef CONFIG_64BIT
#error "okl4fs needs a 64-bit kernel: guest and host read and write 64-bit words whole"
#endif

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "memory.h"

struct okl4_channel;
struct okl4_port;

/**
 * struct okl4_counts - counters of one direction; okl4_count() changes them under the direction's
 *	lock, and they are read without it
 * @bytes: bytes that the guest has written, or read
 * @messages: calls that moved at least one byte; if the rings hold messages, those that were moved
 * @stalls: sleeps of writers because the ring was too full, or of readers because it was empty
 * @wakes_sent: wake-ups of the host for what was written, or read
 */
struct okl4_counts {
	atomic64_t bytes;
	atomic64_t messages;
	atomic64_t stalls;
	atomic64_t wakes_sent;
};

/* Why an open can be refused */
enum okl4_refused {
	OKL4_REFUSED_NXIO,
	OKL4_REFUSED_BUSY,
	OKL4_REFUSED_NOMEM,
	OKL4_REFUSED_IO,
	OKL4_REFUSED_AGAIN,
	OKL4_REFUSED_CONNREFUSED,
	OKL4_REFUSED_TIMEDOUT,
	OKL4_N_REFUSALS,
};

/**
 * struct okl4_port_ops - what a device does for a channel
 * @ring: ring the host's bell for a channel. Inside an RCU read section, must not sleep
 * @watch: a caller waits for the host, or will: check that it is alive. Context: as for @ring
 * @attach: hand the channel's memory to the host, unless it has it. May sleep. Return: 0, also when
 *	the host does not answer (it gets the memory when it does); -ENOMEM or -ERESTARTSYS; or
 *	another negative errno when the host refuses, and the memory has failed
 * @open: have the host begin session @ch, unless it was asked already. May sleep. Return: 0, also
 *	when the host does not answer (it is asked again); -ENOMEM or -ERESTARTSYS
 * @is_up: whether the host was there a moment ago
 * @retire: take memory back from the host and free it. Under the channel's lock; must not wait
 * @release_idle: ask the host, later, to release the memory of channel @id, which nobody has open.
 *	Under the channel's lock; must not wait
 * @release: free the port: its last reference is gone
 */
struct okl4_port_ops {
	void (*ring)(struct okl4_port *port, u32 id);
	void (*watch)(struct okl4_port *port);
	int (*attach)(struct okl4_port *port, struct okl4_channel *ch);
	int (*open)(struct okl4_port *port, struct okl4_channel *ch);
	bool (*is_up)(struct okl4_port *port);
	void (*retire)(struct okl4_port *port, struct okl4_mem *mem);
	void (*release_idle)(struct okl4_port *port, u32 id);
	void (*release)(struct kref *ref);
};

/**
 * struct okl4_port - a device as channels see it; part of a larger structure
 * @ops: what it does
 * @ref: references; the memory is freed after an RCU grace period
 */
struct okl4_port {
	const struct okl4_port_ops *ops;
	struct kref ref;
};

/**
 * struct okl4_access - owner and permissions that the host asks for a channel's nodes; each may be
 *	any number, or OKL4FS_NOT_GIVEN
 * @mode: permission bits
 * @uid: owner, in the guest's numbers
 * @gid: group
 */
struct okl4_access {
	u32 mode;
	u32 uid;
	u32 gid;
};

/**
 * struct okl4_offer - what a device says of a channel
 * @id: its number on that device
 * @generation: tells it from others that have this number at other times
 * @exclusive: only one opener per direction at a time
 * @packets: its rings, or those of its sessions, hold messages
 * @max_sessions: how many sessions it can have at once; 0: it is a plain channel
 * @access: what the host asks for its nodes, not checked
 * @ring_bytes: bytes of each ring, checked
 * @name: name, checked; ends with NUL
 * @name_bytes: its length
 */
struct okl4_offer {
	u32 id;
	u32 generation;
	bool exclusive;
	bool packets;
	u32 max_sessions;
	struct okl4_access access;
	u64 ring_bytes;
	const char *name;
	unsigned int name_bytes;
};

/** enum okl4_session_stage - how far the opening of a session has come */
enum okl4_session_stage {
	OKL4_SESSION_ASKS, /* the host has not answered OPEN */
	OKL4_SESSION_WAITS, /* the other side has not answered yet */
	OKL4_SESSION_OPEN,
	OKL4_SESSION_REFUSED,
};

/* The id of a session whose OPEN was not answered */
#define OKL4_NO_ID OKL4FS_MAX_CHANNELS

/**
 * struct okl4_channel - a channel, or a session of one
 * @ref: references: the device's table, each node, and each caller that looked it up
 * @link: in the registry, protected by its mutex
 * @name: name, constant; ends with NUL
 * @name_bytes: its length, constant
 * @setup_lock: see the lock order above
 * @lock: protects the fields from here to @attaches
 * @port: the device that offers the channel, or NULL; read under RCU
 * @id: its number on @port; also read without the lock
 * @generation: generation of @id
 * @exclusive: only one opener per direction at a time
 * @packets: as in okl4_offer
 * @max_sessions: as in okl4_offer; also read without the lock
 * @access: what the host asks for its nodes, not checked
 * @access_serial: changes when @access does, and when the channel was removed and is added again.
 *	Never 0 for a channel that was offered; also read without the lock
 * @removed: the host has removed it; its memory goes at the last close. Also read without the lock
 * @news: the mounts have not been told yet that it came or went; also changed without the lock
 * @lingering: nobody has the channel open, but its memory is still needed; also read without the
 *	lock
 * @ring_bytes: bytes that each ring must have
 * @mem: memory, or NULL; does not change while the channel is not idle
 * @n_nodes: inodes that name the channel; an open file is held by its inode
 * @n_readers: open files that read
 * @n_writers: open files that write
 * @n_pins: calls in progress that need @mem, whether or not the channel is open
 * @reader_opens: how often it was opened for reading
 * @writer_opens: and for writing
 * @attaches: how often its memory was handed to the host
 * @rx_lock: protects @mem->pair.rx
 * @tx_lock: protects @mem->pair.tx
 * @missed: poll() found a direction locked, and could not arm it; the holder of the lock wakes the
 *	sleepers when it unlocks
 * @rx_wait: callers that wait for bytes
 * @tx_wait: callers that wait for room
 * @rx_async: files that want a SIGIO when there are bytes
 * @tx_async: files that want one when there is room
 * @wakes: counts the wake-ups, so that a sleeper sees that one came before it slept
 * @rx_counts: counters of the direction that @rx_lock protects
 * @tx_counts: and of that which @tx_lock protects
 * @wakes_received: how often the host rang for it; changed under the slot_lock of the device
 * @refused: opens that were refused, by enum okl4_refused
 * @failures: failures of its memory, by enum okl4_status. Those of its sessions are among them
 * @sessions_lock: (a channel with sessions) protects the next four fields
 * @sessions: its sessions, with a reference each
 * @n_sessions: how many of them have a place on the host
 * @peak_sessions: how many had one at once, at most
 * @place_wait: openers that wait for a place, exclusively
 * @of: (a session) the channel that it is a session of, with a reference; else NULL. Constant. Its
 *	port is the session's, whose own is NULL
 * @sibling: in its list of sessions
 * @has_place: counts in its n_sessions; under its sessions_lock, as @to_open
 * @to_open: OPEN has to be sent
 * @nowait: it is not to wait for a call from the other side, constant
 * @stage: how far the opening has come; under @lock, also read without it
 * @answer: why the host has refused it (enum okl4_status), once @stage says so
 */
struct okl4_channel {
	struct kref ref;
	struct hlist_node link;
	char name[OKL4FS_NAME_MAX + 1];
	unsigned int name_bytes;

	struct mutex setup_lock;
	struct mutex lock;
	struct okl4_port __rcu *port;
	u32 id;
	u32 generation;
	bool exclusive;
	bool packets;
	u32 max_sessions;
	struct okl4_access access;
	u32 access_serial;
	bool removed;
	atomic_t news;
	bool lingering;
	u64 ring_bytes;
	struct okl4_mem *mem;
	unsigned int n_nodes;
	unsigned int n_readers;
	unsigned int n_writers;
	unsigned int n_pins;
	u64 reader_opens;
	u64 writer_opens;
	u64 attaches;

	struct mutex rx_lock;
	struct mutex tx_lock;
	atomic_t missed;
	wait_queue_head_t rx_wait;
	wait_queue_head_t tx_wait;
	struct fasync_struct *rx_async;
	struct fasync_struct *tx_async;
	atomic_t wakes;

	struct okl4_counts rx_counts;
	struct okl4_counts tx_counts;
	atomic64_t wakes_received;
	atomic_t refused[OKL4_N_REFUSALS];
	atomic_t failures[OKL4_STATUS_END];

	spinlock_t sessions_lock;
	struct list_head sessions;
	unsigned int n_sessions;
	unsigned int peak_sessions;
	wait_queue_head_t place_wait;

	struct okl4_channel *of;
	struct list_head sibling;
	bool has_place;
	bool to_open;
	bool nowait;
	enum okl4_session_stage stage;
	int answer;
};

/**
 * okl4_count() - add to a counter
 * @counter: counter; a caller that adds holds its lock, a reader needs none
 * @n: how many
 */
static inline void okl4_count(atomic64_t *counter, u64 n)
{
	atomic64_set(counter, atomic64_read(counter) + n);
}

/* The registry (channel_registry.c) */
struct okl4_channel *okl4_channel_find(const char *name, unsigned int name_bytes);
struct okl4_channel *okl4_channel_get(const char *name, unsigned int name_bytes);
struct okl4_channel *okl4_channel_new_session(struct okl4_channel *of);
int okl4_channel_list(struct okl4_channel ***list, unsigned int *n);
int okl4_channel_list_news(struct okl4_channel ***list, unsigned int *n);
void okl4_channel_put(struct okl4_channel *ch);

/* Sleepers, the bell, the locks of the two directions (channel_wake.c) */
void okl4_channel_nudge(struct okl4_channel *ch);
void okl4_channel_wake(struct okl4_channel *ch);
bool okl4_channel_woken(struct okl4_channel *ch, int wakes);
bool okl4_channel_waited_for(struct okl4_channel *ch);
bool okl4_channel_trylock(struct okl4_channel *ch, struct mutex *lock);
void okl4_channel_unlock(struct okl4_channel *ch, struct mutex *lock);
int okl4_channel_arm_write(struct okl4_channel *ch, u64 bytes);
void okl4_channel_break(struct okl4_channel *ch, struct okl4_mem *mem, int status);
void okl4_channel_ring(struct okl4_channel *ch);
void okl4_channel_watch(struct okl4_channel *ch);

/* The sessions of a channel (channel_session.c) */
int okl4_session_take_place(struct okl4_channel *of, bool nowait);
void okl4_session_return_place(struct okl4_channel *of);
int okl4_session_await_end(struct okl4_channel *of, int ended);
int okl4_sessions_ended(void);
void okl4_session_join(struct okl4_channel *ch);
void okl4_session_leave(struct okl4_channel *ch);
void okl4_session_finish(struct okl4_channel *ch);
void okl4_session_ask(struct okl4_channel *ch);
bool okl4_session_take_ask(struct okl4_channel *ch);
struct okl4_channel *okl4_session_next_ask(struct okl4_channel *of);
struct okl4_channel *okl4_session_next_lingering(struct okl4_channel *of);
void okl4_sessions_wake(struct okl4_channel *of);
int okl4_sessions_list(struct okl4_channel *of, struct okl4_channel ***list, unsigned int *n);

/* When the memory is given back (channel_idle.c) */
bool okl4_channel_idle(const struct okl4_channel *ch);
void okl4_channel_drop_mem(struct okl4_channel *ch);
u64 okl4_channel_to_release(struct okl4_channel *ch, struct okl4_port *port);
void okl4_channel_released(struct okl4_channel *ch, u64 instance);
void okl4_channel_unpin(struct okl4_channel *ch);
void okl4_channel_settle(struct okl4_channel *ch);
void okl4_sessions_settle(struct okl4_channel *of);
void okl4_channel_add_node(struct okl4_channel *ch);
void okl4_channel_drop_node(struct okl4_channel *ch);

/* For the device (channel_offer.c) */
extern void (*okl4_channel_has_news)(void);
struct okl4_channel *okl4_channel_offer(struct okl4_port *port, const struct okl4_offer *offer);
void okl4_channel_withdraw(struct okl4_channel *ch, struct okl4_port *port, u32 id);
void okl4_channel_remove(struct okl4_channel *ch, struct okl4_port *port, u32 id);
void okl4_channel_returned(struct okl4_channel *ch, struct okl4_port *port);
bool okl4_channel_fail(struct okl4_channel *ch, u64 instance, int status);
bool okl4_session_answered(struct okl4_channel *ch, u64 instance, int status);

/* For files (channel_open.c, channel_connect.c) */
void okl4_opener_current(struct okl4_opener *opener);
int okl4_refused_errno(int status);
void okl4_channel_count_refusal(struct okl4_channel *ch, int err);
int okl4_channel_open(struct okl4_channel *ch, bool reads, bool writes);
void okl4_channel_close(struct okl4_channel *ch, bool reads, bool writes);
int okl4_session_open(struct okl4_channel *of, bool reads, bool writes, bool nowait,
		      struct okl4_channel **session);
void okl4_session_close(struct okl4_channel *ch, bool reads, bool writes);
int okl4_session_shutdown(struct okl4_channel *ch, unsigned long how);

/* Waiting until the host has taken what was written (channel_drain.c) */
extern unsigned int okl4_drain_ms;
int okl4_channel_sync(struct okl4_channel *ch);
int okl4_drain_init(void);
void okl4_drain_exit(void);

/**
 * okl4_channel_port() - where the device is that a channel, or a session's channel, has
 * @ch: channel or session
 *
 * Return: its port, to be read under RCU.
 */
static inline struct okl4_port __rcu *const *okl4_channel_port(const struct okl4_channel *ch)
{
	return ch->of ? &ch->of->port : &ch->port;
}

/**
 * okl4_channel_offered() - whether a device offers a channel
 * @ch: channel
 *
 * Return: true when one does. The device may have lost contact with the host, and be setting up
 * again.
 */
static inline bool okl4_channel_offered(const struct okl4_channel *ch)
{
	return rcu_access_pointer(*okl4_channel_port(ch));
}

/**
 * okl4_channel_error() - whether files can use a channel
 * @ch: channel
 * @mem: its memory
 *
 * Return: 0; -ECONNRESET: a session's connection was lost; -EIO: the memory has failed, or no
 * device offers the channel.
 */
static inline int okl4_channel_error(const struct okl4_channel *ch, const struct okl4_mem *mem)
{
	int failed = READ_ONCE(mem->failed);

	if (failed == OKL4_CONNECTION_RESET)
		return -ECONNRESET;
	return failed || !okl4_channel_offered(ch) ? -EIO : 0;
}

#endif /* OKL4FS_CHANNEL_H */
