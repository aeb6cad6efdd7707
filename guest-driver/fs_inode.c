// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_inode.c - the directory and its nodes
 *
 * The only thing that can be made here is a fifo whose name is that of a channel that a device
 * offers. Names and attributes live in the dcache, as on tmpfs.
 */
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "compat.h"
#include "fs.h"

/* No getattr: simple_getattr() ignores a mount's id map; what the VFS does without one does not */
static const struct inode_operations okl4fs_node_inode_ops = {
	.setattr = simple_setattr,
};

static struct inode *new_inode_of(struct super_block *sb, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = mode;
	okl4_compat_init_times(inode);
	return inode;
}

/**
 * okl4fs_new_node() - make the inode of a channel
 * @sb: superblock
 * @ch: channel; on success its reference passes to the inode
 * @mode: permissions
 *
 * Return: the inode, or NULL.
 */
struct inode *okl4fs_new_node(struct super_block *sb, struct okl4_channel *ch, umode_t mode)
{
	struct inode *inode = new_inode_of(sb, S_IFIFO | (mode & 07777));

	if (!inode)
		return NULL;
	inode->i_op = &okl4fs_node_inode_ops;
	/* Not init_special_inode(): that would make it a pipe of the kernel's own */
	inode->i_fop = &okl4fs_file_ops;
	inode->i_private = ch;
	okl4_channel_add_node(ch);
	return inode;
}

/* A name that exists would have been found in the dcache */
static struct dentry *okl4fs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	if (dentry->d_name.len > OKL4FS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	return simple_lookup(dir, dentry, flags);
}

static int okl4fs_mknod(okl4_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
			dev_t dev)
{
	struct okl4_channel *ch;
	struct inode *inode;

	if (!S_ISFIFO(mode))
		return -EPERM;
	ch = okl4_channel_find((const char *)dentry->d_name.name, dentry->d_name.len);
	if (!ch)
		return -ENXIO;
	inode = okl4fs_new_node(dir->i_sb, ch, mode);
	if (!inode) {
		okl4_channel_put(ch);
		return -ENOMEM;
	}
	inode_init_owner(idmap, inode, dir, inode->i_mode);
	okl4_compat_pin(dentry, inode);
	okl4_compat_dir_changed(dir);
	return 0;
}

/* mkdir, symlink, link and rename are EPERM because there is no operation for them */
static const struct inode_operations okl4fs_dir_inode_ops = {
	.lookup = okl4fs_lookup,
	.create = okl4_compat_create_eperm,
	.mknod = okl4fs_mknod,
	.unlink = simple_unlink,
	.setattr = simple_setattr,
};

/**
 * okl4fs_root_inode() - make the root directory
 * @sb: superblock with its options
 *
 * Return: the inode, or NULL.
 */
struct inode *okl4fs_root_inode(struct super_block *sb)
{
	const struct okl4fs_options *opts = sb->s_fs_info;
	struct inode *inode;

	/*
	 * Everyone may search it: each node's permissions say who may open the node. But the maker
	 * of a node chooses its permissions, so only the directory's owner may make nodes.
	 */
	inode = new_inode_of(sb, S_IFDIR | 0111 | (opts->mode & ~022) | (opts->mode & 0444) >> 2);
	if (!inode)
		return NULL;
	inode->i_uid = opts->uid;
	inode->i_gid = opts->gid;
	inode->i_op = &okl4fs_dir_inode_ops;
	inode->i_fop = &simple_dir_operations;
	inc_nlink(inode);
	return inode;
}

static void okl4fs_evict_inode(struct inode *inode)
{
	struct okl4_channel *ch = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (ch)
		okl4_channel_drop_node(ch);
}

static int okl4fs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	int err = simple_statfs(dentry, buf);

	buf->f_namelen = OKL4FS_NAME_MAX;
	return err;
}

static int okl4fs_show_options(struct seq_file *seq, struct dentry *root)
{
	const struct okl4fs_options *opts = root->d_sb->s_fs_info;
	struct user_namespace *reader = seq_user_ns(seq);

	if (opts->populate)
		seq_puts(seq, ",populate");
	if (!uid_eq(opts->uid, GLOBAL_ROOT_UID))
		seq_printf(seq, ",uid=%u", from_kuid_munged(reader, opts->uid));
	if (!gid_eq(opts->gid, GLOBAL_ROOT_GID))
		seq_printf(seq, ",gid=%u", from_kgid_munged(reader, opts->gid));
	if (opts->mode != OKL4FS_MODE)
		seq_printf(seq, ",mode=%03o", opts->mode);
	return 0;
}

const struct super_operations okl4fs_super_ops = {
	.statfs = okl4fs_statfs,
	.drop_inode = okl4_compat_drop_inode,
	.evict_inode = okl4fs_evict_inode,
	.show_options = okl4fs_show_options,
};
