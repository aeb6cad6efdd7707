// SPDX-License-Identifier: GPL-2.0-only
/*
 * dev_offer.c - which channels the host offers: asking, checking, and putting them into slots
 *
 * What the host says is checked as a stranger's word: a name that is no file name, a ring size that
 * the ABI does not know, an id out of order is a protocol error.
 */
#include <linux/slab.h>

#include "dev.h"

/**
 * check_info() - whether what the host says of a channel makes sense
 * @info: what it says
 * @first_id: what it was asked for
 * @offer: out: the same, for channels; refers to @info
 *
 * Return: true when it does.
 */
static bool check_info(struct okl4fs_info_rep *info, u32 first_id, struct okl4_offer *offer)
{
	char *name = (char *)info->name;

	offer->id = le32_to_cpu(info->id);
	offer->generation = le32_to_cpu(info->generation);
	offer->exclusive = le32_to_cpu(info->flags) & OKL4FS_CHANNEL_EXCLUSIVE;
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
	if (!offer->name_bytes || offer->name_bytes > OKL4FS_NAME_MAX)
		return false;
	name[OKL4FS_NAME_MAX] = '\0';
	if (memchr(name, '/', offer->name_bytes) || strlen(name) != offer->name_bytes)
		return false;
	return strcmp(name, ".") && strcmp(name, "..");
}

/**
 * same_name() - whether an offer is for a channel
 * @ch: channel
 * @offer: offer
 *
 * Return: true when it is.
 */
static bool same_name(const struct okl4_channel *ch, const struct okl4_offer *offer)
{
	return ch->name_bytes == offer->name_bytes &&
	       !memcmp(ch->name, offer->name, offer->name_bytes);
}

/**
 * take_offer() - put a channel that the host offers into its slot
 * @dev: device
 * @offer: channel; its slot is empty or has this very channel
 *
 * Context: @dev->mutex held.
 * Return: 0, also when another device offers that name already, or -ENOMEM.
 */
static int take_offer(struct okl4_dev *dev, const struct okl4_offer *offer)
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

/**
 * ask() - ask the host for the first channel from an id on
 * @dev: device
 * @first_id: id
 * @info: out: what the host says
 * @offer: out: the same, checked; refers to @info
 *
 * Context: @dev->mutex held.
 * Return: 0; -ENOENT: there is none; -EPROTO or another negative errno, after which the device must
 * be reset.
 */
static int ask(struct okl4_dev *dev, u32 first_id, struct okl4fs_info_rep *info,
	       struct okl4_offer *offer)
{
	int r = okl4_ctl_info(dev, first_id, info);

	if (r == FS_NO_CHANNEL)
		return -ENOENT;
	if (r)
		return r > 0 ? -EPROTO : r;
	if (check_info(info, first_id, offer))
		return 0;
	dev_err_ratelimited(&dev->vdev->dev, "the host offers a malformed channel\n");
	return -EPROTO;
}

/**
 * ask_all() - ask the host for all channels
 * @dev: device
 * @info: out: what the host says, @max_channels entries
 * @max_channels: ids are below this
 *
 * Return: how many there are, or a negative errno.
 */
static int ask_all(struct okl4_dev *dev, struct okl4fs_info_rep *info, u32 max_channels)
{
	struct okl4_offer offer;
	u32 next = 0;
	int n = 0;

	while (next < max_channels) {
		int err = ask(dev, next, &info[n], &offer);

		if (err == -ENOENT)
			break;
		if (err)
			return err;
		next = offer.id + 1;
		n++;
	}
	return n;
}

/**
 * adopt() - have the slots hold what the host offers, and nothing else
 * @dev: device whose host has no memory of ours
 * @info: what the host offers, checked before
 * @n: how many
 *
 * A channel whose id has changed was never away for those who sleep on it.
 *
 * Context: @dev->mutex held.
 * Return: 0, or -ENOMEM with nothing changed.
 */
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
		if (check_info(&info[i], 0, &offer) && take_offer(dev, &offer))
			okl4_slot_changed(dev, offer.id); /* once more, when there is memory */
	}
	for (id = 0; id < n_old; id++) {
		if (!old[id])
			continue;
		if (dev->slot[old[id]->id].ch != old[id])
			okl4_channel_remove(old[id], &dev->port, old[id]->id);
		okl4_channel_put(old[id]);
	}
	kvfree(old);
	okl4_debugfs_sync(dev);
	return 0;
}

/**
 * okl4_offers_enumerate() - learn which channels a host offers that was just greeted
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
	n = ask_all(dev, info, max_channels);
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
 * One of the same name may be another, by its generation: the first was removed, the second added.
 *
 * Context: @dev->mutex held.
 * Return: 0 or a negative errno, after which the device must be reset.
 */
int okl4_offers_ask_again(struct okl4_dev *dev, u32 id)
{
	struct okl4_channel *old = dev->slot[id].ch;
	struct okl4fs_info_rep info;
	struct okl4_offer offer;
	int err = ask(dev, id, &info, &offer);
	bool there = !err && offer.id == id;

	if (err && err != -ENOENT)
		return err;
	if (old && !(there && dev->slot[id].generation == offer.generation)) {
		/* The host has let go of its memory before it said so */
		okl4_channel_returned(old, &dev->port);
		okl4_slot_vacate(dev, id, true);
	} else if (old && !same_name(old, &offer)) {
		return -EPROTO;
	}
	return there ? take_offer(dev, &offer) : 0;
}
