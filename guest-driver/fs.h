/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fs.h - the file system: what its files share
 *
 * A mount is a directory of fifos, each a channel by its name. Every mount has a superblock and
 * nodes of its own; the channels behind them are the same.
 */
#ifndef OKL4FS_FS_H
#define OKL4FS_FS_H

#include <linux/fs.h>

#include "channel.h"

/* "OKL4" in statfs's f_type */
#define OKL4FS_SUPER_MAGIC 0x4f4b4c34

/* The mode of a mount whose options name none */
#define OKL4FS_MODE 0600

/**
 * struct okl4fs_options - mount options; sb->s_fs_info
 * @uid: owner of the root directory, and of nodes that populate makes where the host names none
 * @gid: their group
 * @mode: their permissions: a node has no x; the directory has x for all, and w for its owner alone
 * @populate: have a node for every channel that is offered
 * @sb: the mount that they belong to, if it is populated
 * @link: in the list of such mounts, protected by its mutex
 */
struct okl4fs_options {
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	bool populate;
	struct super_block *sb;
	struct list_head link;
};

/* fs_inode.c */
extern const struct super_operations okl4fs_super_ops;
struct inode *okl4fs_root_inode(struct super_block *sb);
struct inode *okl4fs_new_node(struct super_block *sb, struct okl4_channel *ch, umode_t mode);

/* fs_populate.c */
int okl4fs_populate(struct super_block *sb);
void okl4fs_unpopulate(struct okl4fs_options *opts);
void okl4fs_populate_init(void);
void okl4fs_populate_exit(void);

/* fs_file.c */
extern const struct file_operations okl4fs_file_ops;

/* fs_rw.c */
extern unsigned int okl4_spin_us;
ssize_t okl4fs_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t okl4fs_write_iter(struct kiocb *iocb, struct iov_iter *from);

/* fs_poll.c */
__poll_t okl4fs_poll(struct file *file, struct poll_table_struct *table);
void okl4fs_rearm_read(struct okl4_channel *ch, bool short_of);
void okl4fs_rearm_write(struct okl4_channel *ch, bool short_of);

/* fs_super.c */
int okl4fs_register(void);
void okl4fs_unregister(void);

#endif /* OKL4FS_FS_H */
