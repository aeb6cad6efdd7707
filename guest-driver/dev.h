/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dev.h - the device: what its files share, from the lowest to the highest
 *
 * Lock order: see channel.h. Of the spinlocks here only slot_lock is taken inside another
 * one, that of an event queue.
 */
#ifndef OKL4FS_DEV_H
#define OKL4FS_DEV_H

#include <linux/completion.h>
#include <linux/scatterlist.h>
#include <linux/virtio.h>
#include <linux/workqueue.h>

#include "channel.h"

/* Event buffers that are posted on each event queue, if it is large enough */
#define OKL4_EVENT_BUFFERS 16

/*
 * The vendor "okl4" in the virtio_device_id of a file system device that is ours, so that our table
 * matches it and no other. Hosts give 0x1af4 (PCI) or "QEMU" (MMIO)
 */
#define OKL4_VENDOR_FS 0x346c6b6f

struct okl4_dev;
struct okl4_req;

/**
 * struct okl4_carrier - a virtio device type that can carry the protocol of libfs/abi.h
 * @name: its name in the log
 * @n_event_queues: how many event queues it has
 * @fragile: must not be set up again while its host may be away
 * @unproven: only its host's first answer tells whether the device is ours
 */
struct okl4_carrier {
	const char *name;
	unsigned int (*n_event_queues)(struct virtio_device *vdev);
	bool fragile;
	bool unproven;
};

/**
 * struct okl4_event_queue - queue 1 + @index
 * @dev: device
 * @index: the bell words w with w mod M = @index belong to it
 * @vq: queue; NULL while the device is reset
 * @lock: protects @vq's ring. Taken in interrupts
 * @buffer: event buffers
 * @n_buffers: how many
 */
struct okl4_event_queue {
	struct okl4_dev *dev;
	unsigned int index;
	struct virtqueue *vq;
	spinlock_t lock;
	struct okl4fs_event *buffer;
	unsigned int n_buffers;
};

/* What the device's work has to do about a slot */
#define OKL4_SLOT_CHANGED BIT(0) /* ask the host what the channel is now */
#define OKL4_SLOT_FAILED  BIT(1) /* the host no longer uses the channel's memory */
#define OKL4_SLOT_DRAINED BIT(2) /* the host moved bytes of a lingering channel */
#define OKL4_SLOT_IDLE    BIT(3) /* ask the host to release the channel's memory */
#define OKL4_SLOT_SESSION BIT(4) /* a session that waited is open, or refused */

/**
 * struct okl4_slot - an id of a device, for a channel or a session; protected by slot_lock
 * @dev: device, constant
 * @file: its file in debugfs, or NULL; under the device's mutex
 * @ch: channel with a reference, or NULL. Written by the holder of the device's mutex only
 * @generation: generation of the id, while @ch has it
 * @todo: OKL4_SLOT_*
 * @failed_status: for OKL4_SLOT_FAILED: the reason
 * @failed_instance: and the memory that has failed
 * @answer: for OKL4_SLOT_SESSION: what the event says (enum okl4_status)
 * @answer_instance: and of which memory
 */
struct okl4_slot {
	struct okl4_dev *dev;
	struct dentry *file;
	struct okl4_channel *ch;
	u32 generation;
	u16 todo;
	u16 failed_status;
	u64 failed_instance;
	u16 answer;
	u64 answer_instance;
};

/**
 * struct okl4_dev - a device
 * @port: as channels see it
 * @vdev: as virtio sees it
 * @carrier: its virtio device type
 * @n_event: event queues; all are set up, as the host expects
 * @n_bells: M: the first so many of them are used; no more than there are bell words
 * @mutex: serialises control requests, setting up, and taking down
 * @up: the host has answered HELLO, and has not been found silent since. Written under @mutex
 * @stopped: the device goes away or sleeps: no request begins, and one that waits gives up. Written
 *	once or under @mutex
 * @fresh: the queues are set up, and no request was made over them yet; under @mutex
 * @greeted: the host has answered HELLO once, under @mutex
 * @lost: the log says that the host is away; under @mutex
 * @same_rings: another host has taken up our rings, so no reset is needed; under @mutex
 * @rejoins: it is being greeted: what it is given it has had before; under @mutex
 * @greeting: such a host has said so, with GREET
 * @n_failures: set-ups that failed in a row, under @mutex
 * @tried: completes when the host was greeted once, whether it answered or not
 * @more: takes the events that are left when an interrupt has taken its share
 * @manage: all that may wait for the host: setting up, PING, events that need requests
 * @let_go: unbinds the driver from a device that is not ours
 * @heard: when something last came from the host, in jiffies
 * @watched: when somebody began to wait, in jiffies
 * @ctl_vq: control queue; NULL while the device is reset. Changed under @mutex and @ctl_lock
 * @ctl_lock: protects @ctl_vq's ring and okl4_req.done. Taken in interrupts
 * @ctl_wait: the caller that waits for a reply
 * @ctl_abandoned: requests that were not answered in time; the host may still write to them. Under
 *	@mutex
 * @cookie: of the last request, under @mutex
 * @has_queues: virtio has set up our queues, under @mutex
 * @live: event queues can be kicked; read under RCU
 * @event: @n_event event queues
 * @bell: bell page
 * @slot_lock: protects @slot and @n_slots. Taken in interrupts
 * @slot: OKL4FS_MAX_CHANNELS slots
 * @n_slots: one more than the highest id that has had a channel
 * @waiter: the id on which somebody was found waiting last, under @mutex
 * @todo: ids whose slot has something to be done
 * @unanswered: a session whose OPEN was not answered, with a reference, or NULL: the host may have
 *	its memory. Under @mutex
 * @retired_lock: protects @retired
 * @retired: memory to be detached and freed
 * @set_ups: how often the host was greeted and answered. This and the next two are changed under
 *	@mutex, and read without it
 * @losses: how often the device had to be reset because the host was silent or answered wrongly
 * @pings: how often the host was asked whether it is alive
 * @dir: folder in debugfs
 * @channels_dir: folder of the channels in it
 */
struct okl4_dev {
	struct okl4_port port;
	struct virtio_device *vdev;
	const struct okl4_carrier *carrier;
	unsigned int n_event;
	unsigned int n_bells;

	struct mutex mutex;
	bool up;
	bool stopped;
	bool fresh;
	bool greeted;
	bool lost;
	bool same_rings;
	bool rejoins;
	atomic_t greeting;
	unsigned int n_failures;
	struct delayed_work manage;
	struct completion tried;
	struct work_struct more;
	struct work_struct let_go;
	unsigned long heard;
	unsigned long watched;

	struct virtqueue *ctl_vq;
	spinlock_t ctl_lock;
	wait_queue_head_t ctl_wait;
	struct list_head ctl_abandoned;
	u32 cookie;

	bool has_queues;
	bool live;
	struct okl4_event_queue *event;
	struct okl4_bell_shm *bell;

	spinlock_t slot_lock;
	struct okl4_slot *slot;
	u32 n_slots;
	u32 waiter;
	DECLARE_BITMAP(todo, OKL4FS_MAX_CHANNELS);

	struct okl4_channel *unanswered;

	spinlock_t retired_lock;
	struct list_head retired;

	atomic64_t set_ups;
	atomic64_t losses;
	atomic64_t pings;
	struct dentry *dir;
	struct dentry *channels_dir;
};

/**
 * okl4_dev_of() - the device of a port
 * @port: port
 *
 * Return: the device.
 */
static inline struct okl4_dev *okl4_dev_of(struct okl4_port *port)
{
	return container_of(port, struct okl4_dev, port);
}

/* dev_work.c */
extern unsigned int okl4_ping_ms; /* parameter of the module */
extern struct workqueue_struct *okl4_workqueue;
void okl4_dev_poke(struct okl4_dev *dev);
void okl4_dev_watch(struct okl4_port *port);
void okl4_dev_let_go(struct okl4_dev *dev);
void okl4_dev_let_go_work(struct work_struct *work);

/* dev_call.c */
extern unsigned int okl4_request_ms; /* parameter of the module */
struct okl4_req *okl4_req_new(u16 type, u32 bytes, u32 rep_bytes);
void *okl4_req_at(struct okl4_req *req, u32 offset);
int okl4_call(struct okl4_dev *dev, struct okl4_req *req, unsigned int limit_ms, void *reply);
void okl4_ctl_done(struct virtqueue *vq);
int okl4_ctl_overdue(struct okl4_dev *dev);
void okl4_ctl_reclaim(struct okl4_dev *dev);

/* dev_ctl.c */
extern u64 okl4_driver_instance;
int okl4_ctl_hello(struct okl4_dev *dev, unsigned int limit_ms, u32 *max_channels);
int okl4_ctl_info(struct okl4_dev *dev, u32 first_id, struct okl4fs_info_rep *info);
int okl4_ctl_ping(struct okl4_dev *dev);

/* dev_memory.c */
struct okl4_req *okl4_attach_req(u16 type, u32 id, u32 generation, const struct okl4_mem *mem,
				 u32 rep_bytes);
int okl4_ctl_attach(struct okl4_dev *dev, struct okl4_channel *ch);
int okl4_ctl_release(struct okl4_dev *dev, u32 id, u32 generation);
void okl4_dev_retire(struct okl4_port *port, struct okl4_mem *mem);
int okl4_retired_take_back(struct okl4_dev *dev);
void okl4_retired_free(struct okl4_dev *dev);

/* dev_session.c */
int okl4_ctl_open(struct okl4_dev *dev, struct okl4_channel *ch);
int okl4_sessions_resume(struct okl4_dev *dev, struct okl4_channel *of);
int okl4_sessions_settled(struct okl4_dev *dev);

/* dev_slot.c */
struct okl4_channel *okl4_slot_set(struct okl4_dev *dev, u32 id, struct okl4_channel *ch);
void okl4_slot_vacate(struct okl4_dev *dev, u32 id, bool removed);
void okl4_slot_leave(struct okl4_dev *dev, struct okl4_channel *ch);
void okl4_slot_drained(struct okl4_dev *dev, u32 id);
void okl4_slot_changed(struct okl4_dev *dev, u32 id);
void okl4_slot_release_idle(struct okl4_port *port, u32 id);
void okl4_slots_returned(struct okl4_dev *dev);
void okl4_slots_withdraw(struct okl4_dev *dev);
void okl4_slots_clear(struct okl4_dev *dev);
unsigned int okl4_slots_count(struct okl4_dev *dev, bool sessions);
bool okl4_slots_waited_for(struct okl4_dev *dev);
void okl4_slot_event(struct okl4_dev *dev, const struct okl4fs_event *event);
void okl4_slots_wake(struct okl4_dev *dev, unsigned int word, u64 bits, bool rung);

/* dev_debugfs.c */
void okl4_debugfs_init(void);
void okl4_debugfs_exit(void);
void okl4_debugfs_add(struct okl4_dev *dev);
void okl4_debugfs_remove(struct okl4_dev *dev);
void okl4_debugfs_sync(struct okl4_dev *dev);

/* dev_queue.c */
int okl4_queues_start(struct okl4_dev *dev);
void okl4_queues_stop(struct okl4_dev *dev);
void okl4_queues_take_more(struct work_struct *work);
void okl4_queues_kick(struct okl4_dev *dev);
void okl4_queues_look(struct okl4_dev *dev);
int okl4_queues_renew(struct okl4_dev *dev);
bool okl4_bell_unanswered(struct okl4_dev *dev);
void okl4_dev_ring(struct okl4_port *port, u32 id);

/* dev_offer.c */
int okl4_offers_enumerate(struct okl4_dev *dev, u32 max_channels);
int okl4_offers_ask_again(struct okl4_dev *dev, u32 id);

/* dev_manage.c */
int okl4_dev_attach(struct okl4_port *port, struct okl4_channel *ch);
int okl4_dev_open(struct okl4_port *port, struct okl4_channel *ch);
bool okl4_dev_is_up(struct okl4_port *port);
void okl4_dev_manage(struct work_struct *work);

/* dev_claim.c */
int okl4_claim_start(struct device_driver *driver);
void okl4_claim_stop(void);

/* dev_driver.c */
int okl4_virtio_register(void);
void okl4_virtio_unregister(void);

#endif /* OKL4FS_DEV_H */
