// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_debugfs.c - states and counters, for people and scripts: okl4fs/DEVICE/device and
 * okl4fs/DEVICE/channels/ID
 *
 * Each line of a file is a key, a space and a value; okl4fs-driver(4) says what they mean. Nothing
 * here holds up a transfer: counters are read without their locks, cursors and phases from the
 * shared memory. A file belongs to a slot of the device and looks up the slot's channel when it is
 * read. debugfs waits for a file's readers when it removes the file, so they never see a device
 * that has gone.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include "dev.h"

static struct dentry *top;

/* A direction of a channel, as it is shown */
struct side {
	const char *key; /* what its keys begin with */
	struct okl4_counts counts; /* with those of the channel's sessions */
	const struct okl4_pipe *pipe; /* the guest's end of it, or NULL when there is no memory */
	u64 opens;
	unsigned int n_open;
	bool guest_writes; /* else the host does */
};

/* A phase says whether an end is open, and how often it was opened */
static void show_phase(struct seq_file *m, const char *key, const char *who, const okl4_le64 *word)
{
	u64 phase = le64_to_cpu(okl4_load(word));

	seq_printf(m, "%s.%s_state %s\n%s.%s_epoch %llu\n", key, who,
		   phase & 1 ? "open" :
		   phase     ? "closed" :
			       "never_opened",
		   key, who, phase / 2 + (phase & 1));
}

static void show_side(struct seq_file *m, const struct side *side)
{
	const struct okl4_counts *c = &side->counts;
	const struct okl4_pipe_shm *shm;

	seq_printf(m, "%s.bytes %lld\n", side->key, atomic64_read(&c->bytes));
	seq_printf(m, "%s.messages %lld\n", side->key, atomic64_read(&c->messages));
	seq_printf(m, "%s.stalls_%s %lld\n", side->key, side->guest_writes ? "full" : "empty",
		   atomic64_read(&c->stalls));
	seq_printf(m, "%s.wakes_sent %lld\n", side->key, atomic64_read(&c->wakes_sent));
	seq_printf(m, "%s.opens %llu\n", side->key, side->opens);
	seq_printf(m, "%s.n_open %u\n", side->key, side->n_open);
	if (!side->pipe)
		return;
	shm = side->pipe->shm;
	/* A snapshot: both words may move meanwhile, and one of them is the host's */
	seq_printf(m, "%s.ring_fill_bytes %lld\n", side->key,
		   (s64)(le64_to_cpu(okl4_load(&shm->producer.head)) -
			 le64_to_cpu(okl4_load(&shm->consumer.tail))));
	show_phase(m, side->key, side->guest_writes ? "guest" : "host", &shm->producer.phase);
	show_phase(m, side->key, side->guest_writes ? "host" : "guest", &shm->consumer.phase);
}

static void show_memory(struct seq_file *m, const struct okl4_mem *mem)
{
	static const char *const key[OKL4FS_N_SECS] = {
		[OKL4FS_SEC_CTL] = "ctl",
		[OKL4FS_SEC_FWD] = "fwd",
		[OKL4FS_SEC_BWD] = "bwd",
	};
	int i, failed;

	seq_printf(m, "memory %s\n",
		   !mem                   ? "none" :
		   READ_ONCE(mem->failed) ? "failed" :
		   mem->holder            ? "attached" :
					    "not_attached");
	if (!mem)
		return;
	failed = READ_ONCE(mem->failed);
	if (failed)
		seq_printf(m, "failure %s\n", okl4_status_name(failed));
	for (i = 0; i < OKL4FS_N_SECS; i++)
		seq_printf(m, "%s.n_chunks %u\n%s.chunk_bytes %u\n", key[i], mem->chunks[i].n,
			   key[i], mem->chunks[i].chunk_bytes);
}

/* What never went wrong is left out */
static void show_errors(struct seq_file *m, const struct okl4_channel *ch)
{
	static const char *const key[OKL4_N_REFUSALS] = {
		[OKL4_REFUSED_NXIO] = "ENXIO",         [OKL4_REFUSED_BUSY] = "EBUSY",
		[OKL4_REFUSED_NOMEM] = "ENOMEM",       [OKL4_REFUSED_IO] = "EIO",
		[OKL4_REFUSED_AGAIN] = "EAGAIN",       [OKL4_REFUSED_CONNREFUSED] = "ECONNREFUSED",
		[OKL4_REFUSED_TIMEDOUT] = "ETIMEDOUT",
	};
	int i, n;

	for (i = 0; i < OKL4_N_REFUSALS; i++) {
		n = atomic_read(&ch->refused[i]);
		if (n)
			seq_printf(m, "errors.open_%s %d\n", key[i], n);
	}
	for (i = 0; i < OKL4_STATUS_END; i++) {
		n = atomic_read(&ch->failures[i]);
		if (n)
			seq_printf(m, "errors.%s %d\n", okl4_status_name(i), n);
	}
}

static void add_side(struct side *side, const struct okl4_channel *ch)
{
	const struct okl4_counts *from = side->guest_writes ? &ch->tx_counts : &ch->rx_counts;
	struct okl4_counts *to = &side->counts;

	okl4_count(&to->bytes, atomic64_read(&from->bytes));
	okl4_count(&to->messages, atomic64_read(&from->messages));
	okl4_count(&to->stalls, atomic64_read(&from->stalls));
	okl4_count(&to->wakes_sent, atomic64_read(&from->wakes_sent));
}

/* Return: wakes that it and its sessions have received */
static s64 add_sessions(struct okl4_channel *ch, struct side *tx, struct side *rx)
{
	struct okl4_channel *session;
	s64 wakes;

	spin_lock(&ch->sessions_lock);
	wakes = atomic64_read(&ch->wakes_received);
	add_side(tx, ch);
	add_side(rx, ch);
	list_for_each_entry(session, &ch->sessions, sibling) {
		wakes += atomic64_read(&session->wakes_received);
		add_side(tx, session);
		add_side(rx, session);
		tx->n_open += READ_ONCE(session->n_writers);
		rx->n_open += READ_ONCE(session->n_readers);
	}
	spin_unlock(&ch->sessions_lock);
	return wakes;
}

static void show_sessions(struct seq_file *m, struct okl4_channel *ch)
{
	unsigned int n, peak;

	if (!ch->max_sessions)
		return;
	spin_lock(&ch->sessions_lock);
	n = ch->n_sessions;
	peak = ch->peak_sessions;
	spin_unlock(&ch->sessions_lock);
	seq_printf(m, "max_sessions %u\nsessions %u\npeak_sessions %u\n", ch->max_sessions, n,
		   peak);
}

static int show_channel(struct seq_file *m, struct okl4_channel *ch)
{
	struct side tx = { .key = "tx", .guest_writes = true }, rx = { .key = "rx" };
	struct okl4_mem *mem;
	s64 wakes;

	if (mutex_lock_interruptible(&ch->lock))
		return -EINTR;
	mem = ch->mem;
	seq_puts(m, "name ");
	seq_escape_mem(m, ch->name, ch->name_bytes, ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND,
		       " \\");
	seq_printf(m, "\nid %u\nring_bytes %llu\nexclusive %d\npackets %d\nnodes %u\n", ch->id,
		   ch->ring_bytes, ch->exclusive, ch->packets, ch->n_nodes);
	show_sessions(m, ch);
	wakes = add_sessions(ch, &tx, &rx);
	seq_printf(m, "attaches %llu\nwakes_received %lld\n", ch->attaches, wakes);
	show_memory(m, mem);

	tx.pipe = mem ? &mem->pair.tx : NULL;
	tx.opens = ch->writer_opens;
	tx.n_open += ch->n_writers;
	show_side(m, &tx);
	rx.pipe = mem ? &mem->pair.rx : NULL;
	rx.opens = ch->reader_opens;
	rx.n_open += ch->n_readers;
	show_side(m, &rx);
	show_errors(m, ch);
	mutex_unlock(&ch->lock);
	return 0;
}

static int channel_show(struct seq_file *m, void *unused)
{
	struct okl4_slot *slot = m->private;
	struct okl4_dev *dev = slot->dev;
	struct okl4_channel *ch;
	int err;

	spin_lock_irq(&dev->slot_lock);
	ch = slot->ch;
	if (ch)
		kref_get(&ch->ref);
	spin_unlock_irq(&dev->slot_lock);
	if (!ch)
		return -ENXIO;
	err = show_channel(m, ch);
	okl4_channel_put(ch);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(channel);

static int device_show(struct seq_file *m, void *unused)
{
	struct okl4_dev *dev = m->private;
	unsigned int n, n_sessions;

	spin_lock_irq(&dev->slot_lock);
	n = okl4_slots_count(dev, false);
	n_sessions = okl4_slots_count(dev, true);
	spin_unlock_irq(&dev->slot_lock);
	seq_printf(m, "carrier %s\n", dev->carrier->name);
	seq_printf(m, "host %s\n", READ_ONCE(dev->up) ? "there" : "silent");
	seq_printf(m, "event_queues %u\n", dev->n_event);
	seq_printf(m, "channels %u\n", n);
	seq_printf(m, "sessions %u\n", n_sessions);
	seq_printf(m, "set_ups %lld\n", atomic64_read(&dev->set_ups));
	seq_printf(m, "losses %lld\n", atomic64_read(&dev->losses));
	seq_printf(m, "pings %lld\n", atomic64_read(&dev->pings));
	seq_printf(m, "heard_ms_ago %u\n", jiffies_to_msecs(jiffies - READ_ONCE(dev->heard)));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(device);

/**
 * okl4_debugfs_sync() - have a file for each channel of a device, and for nothing else
 * @dev: device
 *
 * Context: @dev->mutex held; waits for readers, which never wait for that mutex.
 */
void okl4_debugfs_sync(struct okl4_dev *dev)
{
	char name[12];
	u32 id;

	for (id = 0; id < dev->n_slots; id++) {
		struct okl4_slot *slot = &dev->slot[id];

		if (slot->ch && !slot->ch->of && !slot->file) {
			snprintf(name, sizeof(name), "%u", id);
			slot->file = debugfs_create_file(name, 0400, dev->channels_dir, slot,
							 &channel_fops);
		} else if ((!slot->ch || slot->ch->of) && slot->file) {
			debugfs_remove(slot->file);
			slot->file = NULL;
		}
	}
}

/**
 * okl4_debugfs_add() - show a device
 * @dev: device; its name is that of the virtio device
 */
void okl4_debugfs_add(struct okl4_dev *dev)
{
	dev->dir = debugfs_create_dir(dev_name(&dev->vdev->dev), top);
	dev->channels_dir = debugfs_create_dir("channels", dev->dir);
	debugfs_create_file("device", 0400, dev->dir, dev, &device_fops);
}

/**
 * okl4_debugfs_remove() - undo okl4_debugfs_add()
 * @dev: device without channels
 */
void okl4_debugfs_remove(struct okl4_dev *dev)
{
	debugfs_remove(dev->dir);
}

/**
 * okl4_debugfs_init() - make the folder for all devices
 */
void okl4_debugfs_init(void)
{
	top = debugfs_create_dir("okl4fs", NULL);
}

/**
 * okl4_debugfs_exit() - undo okl4_debugfs_init()
 */
void okl4_debugfs_exit(void)
{
	debugfs_remove(top);
}
