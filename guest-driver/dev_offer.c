// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_offer.c - which channels the host offers: asking, checking, and putting them into slots
 *
 * Nothing that the host says is trusted: a name that is not a file name, a ring size that the ABI
 * does not know, or an id out of order is a protocol error.
 */
#include <linux/slab.h>

#include "dev.h"

/* @offer refers to @info afterwards */
static bool check_info(struct okl4fs_info_rep *info, u32 first_id, struct okl4_offer *offer)
{
	char *name = (char *)info->name;

	offer->id = le32_to_cpu(info->id);
	offer->generation = le32_to_cpu(info->generation);
	offer->exclusive = le32_to_cpu(info->flags) & OKL4FS_CHANNEL_EXCLUSIVE;
	offer->packets = le32_to_cpu(info->flags) & OKL4FS_CHANNEL_PACKETS;
	offer->max_sessions = le32_to_cpu(info->flags) & OKL4FS_CHANNEL_SESSIONS ?
				      le32_to_cpu(info->max_sessions) :
				      0;
	offer->access.mode = le32_to_cpu(info->mode);
	offer->access.uid = le32_to_cpu(info->uid);
	offer->access.gid = le32_to_cpu(info->gid);
	offer->ring_bytes = le64_to_cpu(info->ring_bytes);
	offer->name = name;
	offer->name_bytes = le32_to_cpu(info->name_bytes);

	if (offer->id < first_id || offer->id >= OKL4FS_MAX_CHANNELS)
		return false;
	if (!is_power_of_2(offer->ring_bytes) || offer->ring_bytes < OKL4FS_RING_BYTES_MIN ||
	    offer->ring_bytes > OKL4FS_RING_BYTES_MAX)
		return false;
	if (le32_to_cpu(info->flags) & OKL4FS_CHANNEL_SESSIONS && !offer->max_sessions)
		return false;
	if (!offer->name_bytes || offer->name_bytes > OKL4FS_NAME_MAX)
		return false;
	name[OKL4FS_NAME_MAX] = '\0';
	if (memchr(name, '/', offer->name_bytes) || strlen(name) != offer->name_bytes)
		return false;
	return strcmp(name, ".") && strcmp(name, "..");
}

static bool same_name(const struct okl4_channel *ch, const struct okl4_offer *offer)
{
	return ch->name_bytes == offer->name_bytes &&
	       !memcmp(ch->name, offer->name, offer->name_bytes);
}

/* Return: 0 also when another device offers the name. The slot is empty or has this channel */
static int put_offer(struct okl4_dev *dev, const struct okl4_offer *offer)
{
	struct okl4_channel *ch = okl4_channel_offer(&dev->port, offer);

	if (ch == ERR_PTR(-ENOMEM))
		return -ENOMEM;
	if (IS_ERR(ch)) {
		dev_warn_ratelimited(&dev->vdev->dev,
				     "channel %*pE is left out: another device offers it\n",
				     (int)offer->name_bytes, offer->name);
		return 0;
	}
	ch = okl4_slot_set(dev, offer->id, ch);
	if (ch)
		okl4_channel_put(ch);
	return 0;
}

/* Return: -ENOENT: there is none. After another errno the device must be reset. @dev->mutex held */
static int ask_channel(struct okl4_dev *dev, u32 first_id, struct okl4fs_info_rep *info,
		       struct okl4_offer *offer)
{
	int r = okl4_ctl_info(dev, first_id, info);

	if (r == OKL4_NO_CHANNEL)
		return -ENOENT;
	if (r)
		return r > 0 ? -EPROTO : r;
	if (check_info(info, first_id, offer))
		return 0;
	dev_err_ratelimited(&dev->vdev->dev, "the host offers a malformed channel\n");
	return -EPROTO;
}

/* Return: how many there are, or a negative errno */
static int ask_all_channels(struct okl4_dev *dev, struct okl4fs_info_rep *info, u32 max_channels)
{
	struct okl4_offer offer;
	u32 next = 0;
	int n = 0;

	while (next < max_channels) {
		int err = ask_channel(dev, next, &info[n], &offer);

		if (err == -ENOENT)
			break;
		if (err)
			return err;
		next = offer.id + 1;
		n++;
	}
	return n;
}

/* Sleepers on a channel whose id changes notice nothing. On -ENOMEM nothing has changed */
static int adopt(struct okl4_dev *dev, struct okl4fs_info_rep *info, int n)
{
	u32 id, n_old = dev->n_slots;
	struct okl4_channel **old = kvcalloc(n_old + 1, sizeof(*old), GFP_KERNEL);
	struct okl4_offer offer;
	int i;

	if (!old)
		return -ENOMEM;
	for (id = 0; id < n_old; id++)
		old[id] = okl4_slot_set(dev, id, NULL);
	for (i = 0; i < n; i++) {
		if (check_info(&info[i], 0, &offer) && put_offer(dev, &offer))
			okl4_slot_changed(dev, offer.id); /* once more, when there is memory */
	}
	for (id = 0; id < n_old; id++) {
		if (!old[id])
			continue;
		/* The host is asked for a session again, which may then have another id */
		if (!old[id]->of && dev->slot[old[id]->id].ch != old[id])
			okl4_channel_remove(old[id], &dev->port, old[id]->id);
		okl4_channel_put(old[id]);
	}
	kvfree(old);
	okl4_debugfs_sync(dev);
	return 0;
}

/**
 * okl4_offers_enumerate() - learn which channels a host offers, after greeting it
 * @dev: device whose host has no memory of ours
 * @max_channels: ids are below this
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, with nothing changed.
 */
int okl4_offers_enumerate(struct okl4_dev *dev, u32 max_channels)
{
	struct okl4fs_info_rep *info = kvcalloc(max_channels + 1, sizeof(*info), GFP_KERNEL);
	int n;

	if (!info)
		return -ENOMEM;
	n = ask_all_channels(dev, info, max_channels);
	if (n >= 0)
		n = adopt(dev, info, n);
	kvfree(info);
	return n;
}

/**
 * okl4_offers_ask_again() - an event says that something about an id has changed
 * @dev: device
 * @id: id
 *
 * A channel of the same name but of another generation is another channel: the host has removed the
 * first and added the second.
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, after which the device must be reset.
 */
int okl4_offers_ask_again(struct okl4_dev *dev, u32 id)
{
	struct okl4_channel *old = dev->slot[id].ch;
	struct okl4fs_info_rep info;
	struct okl4_offer offer;
	int err = ask_channel(dev, id, &info, &offer);
	bool there = !err && offer.id == id;

	if (err && err != -ENOENT)
		return err;
	if (old && old->of)
		old = NULL; /* the news is older than the session, or that of its end has come before */
	if (old && !(there && dev->slot[id].generation == offer.generation)) {
		/* The host had released the channel's memory before it said so */
		okl4_channel_returned(old, &dev->port);
		okl4_slot_vacate(dev, id, true);
	} else if (old && !same_name(old, &offer)) {
		return -EPROTO;
	}
	return there ? put_offer(dev, &offer) : 0;
}
