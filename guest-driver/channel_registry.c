// SPDX-License-Identifier: GPL-2.0-only
/*
 * channel_registry.c - all channels, by their names
 */
#include <linux/hashtable.h>
#include <linux/slab.h>
#include <linux/stringhash.h>

#include "channel.h"

#define REGISTRY_BITS 8

static DEFINE_HASHTABLE(registry, REGISTRY_BITS); /* protected by registry_lock */
static DEFINE_MUTEX(registry_lock);

static u32 bucket_of(const char *name, unsigned int name_bytes)
{
	return full_name_hash(NULL, name, name_bytes);
}

/* Return: a channel without a reference for the caller, or NULL. registry_lock held */
static struct okl4_channel *find_channel(const char *name, unsigned int name_bytes)
{
	struct okl4_channel *ch;

	hash_for_each_possible(registry, ch, link, bucket_of(name, name_bytes))
	{
		if (ch->name_bytes == name_bytes && !memcmp(ch->name, name, name_bytes))
			return ch;
	}
	return NULL;
}

/**
 * okl4_channel_find() - look up a channel that a device offers
 * @name: name
 * @name_bytes: its length
 *
 * Return: the channel with a reference for the caller, or NULL.
 */
struct okl4_channel *okl4_channel_find(const char *name, unsigned int name_bytes)
{
	struct okl4_channel *ch;

	mutex_lock(&registry_lock);
	ch = find_channel(name, name_bytes);
	if (ch && okl4_channel_offered(ch))
		kref_get(&ch->ref);
	else
		ch = NULL;
	mutex_unlock(&registry_lock);
	return ch;
}

/* The caller frees @list with kvfree(); each channel in it has a reference */
static int list_those(struct okl4_channel ***list, unsigned int *n,
		      bool (*wanted)(struct okl4_channel *ch))
{
	struct okl4_channel *ch;
	unsigned int all = 0;
	int i;

	*n = 0;
	mutex_lock(&registry_lock);
	hash_for_each(registry, i, ch, link) all++;
	*list = kvcalloc(all ? all : 1, sizeof(**list), GFP_KERNEL);
	if (*list) {
		hash_for_each(registry, i, ch, link)
		{
			if (!wanted(ch))
				continue;
			kref_get(&ch->ref);
			(*list)[(*n)++] = ch;
		}
	}
	mutex_unlock(&registry_lock);
	return *list ? 0 : -ENOMEM;
}

static bool is_offered(struct okl4_channel *ch)
{
	return okl4_channel_offered(ch);
}

/**
 * okl4_channel_list() - all channels that are offered
 * @list: out: the channels, with a reference each; to be freed by kvfree()
 * @n: out: how many
 *
 * Return: 0 or -ENOMEM.
 */
int okl4_channel_list(struct okl4_channel ***list, unsigned int *n)
{
	return list_those(list, n, is_offered);
}

/* Whether there is news of a channel; asking clears it */
static bool take_news(struct okl4_channel *ch)
{
	return atomic_xchg(&ch->news, false);
}

/**
 * okl4_channel_list_news() - the channels that came or went since the last call
 * @list: out: the channels, with a reference each; to be freed by kvfree()
 * @n: out: how many
 *
 * Return: 0, or -ENOMEM; then the news is kept for the next call.
 */
int okl4_channel_list_news(struct okl4_channel ***list, unsigned int *n)
{
	return list_those(list, n, take_news);
}

/* registry_lock held on entry, released on return */
static void free_channel(struct kref *ref)
{
	struct okl4_channel *ch = container_of(ref, struct okl4_channel, ref);

	struct okl4_channel *of = ch->of;

	hash_del(&ch->link);
	mutex_unlock(&registry_lock);

	WARN_ON(ch->mem && ch->mem->holder);
	okl4_mem_free(ch->mem);
	kfree(ch);
	if (of)
		okl4_channel_put(of);
}

/**
 * okl4_channel_put() - give a reference back
 * @ch: channel
 *
 * Context: may sleep.
 */
void okl4_channel_put(struct okl4_channel *ch)
{
	kref_put_mutex(&ch->ref, free_channel, &registry_lock);
}

/* Return: a channel with one reference, or NULL */
static struct okl4_channel *make_channel(const char *name, unsigned int name_bytes, gfp_t gfp)
{
	struct okl4_channel *ch = kzalloc(sizeof(*ch), gfp);

	if (!ch)
		return NULL;
	kref_init(&ch->ref);
	memcpy(ch->name, name, name_bytes);
	ch->name_bytes = name_bytes;
	mutex_init(&ch->setup_lock);
	mutex_init(&ch->lock);
	mutex_init(&ch->rx_lock);
	mutex_init(&ch->tx_lock);
	init_waitqueue_head(&ch->rx_wait);
	init_waitqueue_head(&ch->tx_wait);
	spin_lock_init(&ch->sessions_lock);
	INIT_LIST_HEAD(&ch->sessions);
	init_waitqueue_head(&ch->place_wait);
	INIT_LIST_HEAD(&ch->sibling);
	return ch;
}

/**
 * okl4_channel_get() - the channel of a name, made if there is none
 * @name: name
 * @name_bytes: its length
 *
 * Context: may sleep.
 * Return: the channel with a reference for the caller, or NULL when out of memory.
 */
struct okl4_channel *okl4_channel_get(const char *name, unsigned int name_bytes)
{
	struct okl4_channel *ch;

	mutex_lock(&registry_lock);
	ch = find_channel(name, name_bytes);
	if (ch)
		kref_get(&ch->ref);
	else
		ch = make_channel(name, name_bytes, GFP_KERNEL);
	if (ch && hlist_unhashed(&ch->link))
		hash_add(registry, &ch->link, bucket_of(name, name_bytes));
	mutex_unlock(&registry_lock);
	return ch;
}

/**
 * okl4_channel_new_session() - make a session, which is not in the registry
 * @of: the channel that it is a session of
 *
 * Context: may sleep.
 * Return: the session with a reference for the caller, or NULL when out of memory.
 */
struct okl4_channel *okl4_channel_new_session(struct okl4_channel *of)
{
	struct okl4_channel *ch = make_channel(of->name, of->name_bytes, GFP_KERNEL_ACCOUNT);

	if (!ch)
		return NULL;
	kref_get(&of->ref);
	ch->of = of;
	ch->id = OKL4_NO_ID;
	return ch;
}
