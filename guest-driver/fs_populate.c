// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_populate.c - mounts that have a node for every channel that is offered
 *
 * Such a mount follows the host: a node appears with its channel, and goes when the host removes
 * the channel. It stays when the device goes (unplugged, unbound), since a device may come back.
 * Nodes that somebody else made are left alone, and one that somebody unlinked comes back only with
 * its channel.
 *
 * The host may name a node's owner and permissions; the mount's options say the rest. A node gets
 * both when it is made, and again when the host says something else or adds the channel again, so
 * what chmod and chown change stays until then.
 *
 * Channels come and go under a device's mutex, and nodes under the lock of their directory, so
 * a work item stands between the two.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/mm.h>
#include <linux/stringhash.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "fs.h"

static LIST_HEAD(mounts); /* protected by mounts_lock */
/* Outside the lock of any directory; taken under s_umount */
static DEFINE_MUTEX(mounts_lock);

/* i_generation of a node that was made here is the access_serial that it got, so not 0 */

/* Return: a dentry with a reference for the caller, or NULL */
static struct dentry *find_node(struct super_block *sb, const struct okl4_channel *ch)
{
	struct qstr name = QSTR_INIT(ch->name, ch->name_bytes);

	name.hash = full_name_hash(sb->s_root, ch->name, ch->name_bytes);
	return d_lookup(sb->s_root, &name);
}

/* The mount's options replace what the host does not name, or names wrongly */
static void set_access(struct inode *inode, struct okl4_channel *ch)
{
	const struct okl4fs_options *opts = inode->i_sb->s_fs_info;
	struct okl4_access said;
	bool mode_ok;
	kuid_t uid;
	kgid_t gid;

	mutex_lock(&ch->lock);
	said = ch->access;
	inode->i_generation = ch->access_serial;
	mutex_unlock(&ch->lock);

	mode_ok = !(said.mode & ~0777U);
	uid = make_kuid(inode->i_sb->s_user_ns, said.uid);
	gid = make_kgid(inode->i_sb->s_user_ns, said.gid);
	inode->i_uid = uid_valid(uid) ? uid : opts->uid;
	inode->i_gid = gid_valid(gid) ? gid : opts->gid;
	inode->i_mode = S_IFIFO | (mode_ok ? said.mode : opts->mode & 0666);
	okl4_compat_init_times(inode);
	if ((!mode_ok && said.mode != OKL4FS_NOT_GIVEN) ||
	    (!uid_valid(uid) && said.uid != OKL4FS_NOT_GIVEN) ||
	    (!gid_valid(gid) && said.gid != OKL4FS_NOT_GIVEN))
		pr_warn_ratelimited(
			"channel %*pE: the host asks for mode %#o, owner %u:%u; the mount's options replace what is not valid\n",
			(int)ch->name_bytes, ch->name, said.mode, said.uid, said.gid);
}

static struct inode *make_node(struct super_block *sb, struct okl4_channel *ch)
{
	struct inode *inode;

	kref_get(&ch->ref);
	inode = okl4fs_new_node(sb, ch, 0);
	if (inode)
		set_access(inode, ch);
	else
		okl4_channel_put(ch);
	return inode;
}

/* Only a node that was made here. Its directory's lock held */
static void renew_node(struct dentry *dentry, struct okl4_channel *ch)
{
	struct inode *inode = d_inode(dentry);

	if (!inode->i_generation || inode->i_generation == READ_ONCE(ch->access_serial))
		return;
	inode_lock_nested(inode, I_MUTEX_CHILD);
	set_access(inode, ch);
	inode_unlock(inode);
	fsnotify_dentry(dentry, FS_ATTRIB);
}

/* Unless there is something of that name. mounts_lock held */
static int add_channel_node(struct super_block *sb, struct okl4_channel *ch)
{
	struct inode *dir = d_inode(sb->s_root), *inode;
	struct dentry *dentry;
	int err = 0;

	inode_lock(dir);
	dentry = find_node(sb, ch);
	if (!dentry)
		dentry = d_alloc_name(sb->s_root, ch->name);
	if (!dentry) {
		err = -ENOMEM;
	} else if (d_really_is_positive(dentry)) {
		renew_node(dentry, ch);
	} else {
		inode = make_node(sb, ch);
		if (inode) {
			okl4_compat_pin(dentry, inode);
			okl4_compat_dir_changed(dir);
			fsnotify_create(dir, dentry);
		} else {
			err = -ENOMEM;
		}
	}
	dput(dentry);
	inode_unlock(dir);
	return err;
}

/* Only a node that was made here. mounts_lock held */
static void drop_channel_node(struct super_block *sb, const struct okl4_channel *ch)
{
	struct dentry *dentry = find_node(sb, ch);

	if (dentry && d_really_is_positive(dentry) && d_inode(dentry)->i_generation)
		simple_recursive_removal(dentry, NULL);
	dput(dentry);
}

static void put_list(struct okl4_channel **list, unsigned int n)
{
	while (n--)
		okl4_channel_put(list[n]);
	kvfree(list);
}

static void follow_channels(struct work_struct *work)
{
	struct okl4fs_options *opts;
	struct okl4_channel **list;
	unsigned int i, n;
	int err;

	mutex_lock(&mounts_lock);
	err = okl4_channel_list_news(&list, &n);
	for (i = 0; i < n; i++) {
		list_for_each_entry(opts, &mounts, link) {
			if (okl4_channel_offered(list[i]))
				err = add_channel_node(opts->sb, list[i]) ?: err;
			else if (READ_ONCE(list[i]->removed))
				drop_channel_node(opts->sb, list[i]);
		}
	}
	mutex_unlock(&mounts_lock);
	if (err)
		pr_warn_ratelimited("out of memory: the node of a new channel is missing\n");
	put_list(list, n);
}

static DECLARE_WORK(follow_work, follow_channels);

/* Any context */
static void has_news(void)
{
	schedule_work(&follow_work);
}

/**
 * okl4fs_populate() - have a mount follow what is offered, beginning now
 * @sb: superblock with its root, not mounted yet
 *
 * Return: 0 or -ENOMEM.
 */
int okl4fs_populate(struct super_block *sb)
{
	struct okl4fs_options *opts = sb->s_fs_info;
	struct okl4_channel **list;
	unsigned int i, n;
	int err;

	mutex_lock(&mounts_lock);
	opts->sb = sb;
	list_add(&opts->link, &mounts);
	err = okl4_channel_list(&list, &n);
	for (i = 0; i < n && !err; i++)
		err = add_channel_node(sb, list[i]);
	mutex_unlock(&mounts_lock);
	put_list(list, n);
	return err;
}

/**
 * okl4fs_unpopulate() - a mount goes
 * @opts: its options; the mount need not be one that follows
 *
 * Context: s_umount held.
 */
void okl4fs_unpopulate(struct okl4fs_options *opts)
{
	mutex_lock(&mounts_lock);
	list_del_init(&opts->link);
	mutex_unlock(&mounts_lock);
}

/**
 * okl4fs_populate_init() - begin to listen for channels; none can come yet
 */
void okl4fs_populate_init(void)
{
	okl4_channel_has_news = has_news;
}

/**
 * okl4fs_populate_exit() - undo okl4fs_populate_init(); no channel can come or go
 */
void okl4fs_populate_exit(void)
{
	cancel_work_sync(&follow_work);
}
