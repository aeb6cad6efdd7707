// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs_super.c - mounting
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "compat.h"
#include "fs.h"

enum { OPT_POPULATE, OPT_UID, OPT_GID, OPT_MODE };

static const struct fs_parameter_spec okl4fs_parameters[] = { fsparam_flag("populate",
									   OPT_POPULATE),
							      fsparam_u32("uid", OPT_UID),
							      fsparam_u32("gid", OPT_GID),
							      fsparam_u32oct("mode", OPT_MODE),
							      {} };

static int okl4fs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct okl4fs_options *opts = fc->s_fs_info;
	struct fs_parse_result result;
	int opt = fs_parse(fc, okl4fs_parameters, param, &result);

	switch (opt) {
	case OPT_POPULATE:
		opts->populate = true;
		return 0;
	case OPT_UID:
		opts->uid = make_kuid(fc->user_ns, result.uint_32);
		if (!uid_valid(opts->uid))
			return invalf(fc, "uid=%u is not mapped here", result.uint_32);
		return 0;
	case OPT_GID:
		opts->gid = make_kgid(fc->user_ns, result.uint_32);
		if (!gid_valid(opts->gid))
			return invalf(fc, "gid=%u is not mapped here", result.uint_32);
		return 0;
	case OPT_MODE:
		if (result.uint_32 & ~0777U)
			return invalf(fc, "mode=%o is more than permissions", result.uint_32);
		opts->mode = result.uint_32;
		return 0;
	default:
		return opt;
	}
}

static int okl4fs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct okl4fs_options *opts = sb->s_fs_info;

	sb->s_magic = OKL4FS_SUPER_MAGIC;
	sb->s_op = &okl4fs_super_ops;
	sb->s_iflags |= SB_I_NODEV | SB_I_NOEXEC;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_time_gran = 1;

	sb->s_root = d_make_root(okl4fs_root_inode(sb));
	if (!sb->s_root)
		return -ENOMEM;
	return opts->populate ? okl4fs_populate(sb) : 0;
}

/* A new superblock for each mount */
static int okl4fs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, okl4fs_fill_super);
}

/* Our options stay as they are; the kernel's own (ro, ...) may change */
static int okl4fs_reconfigure(struct fs_context *fc)
{
	const struct okl4fs_options *now = fc->root->d_sb->s_fs_info, *want = fc->s_fs_info;

	if (want->populate != now->populate)
		return invalf(fc, "populate is for a new mount");
	if (!uid_eq(want->uid, now->uid) || !gid_eq(want->gid, now->gid) || want->mode != now->mode)
		return invalf(fc, "uid, gid and mode cannot be changed: use chown and chmod");
	return 0;
}

/* The options are NULL when a superblock has taken them */
static void okl4fs_free_fc(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations okl4fs_context_ops = {
	.parse_param = okl4fs_parse_param,
	.get_tree = okl4fs_get_tree,
	.reconfigure = okl4fs_reconfigure,
	.free = okl4fs_free_fc,
};

static int okl4fs_init_fs_context(struct fs_context *fc)
{
	struct okl4fs_options *opts = kzalloc(sizeof(*opts), GFP_KERNEL);

	if (!opts)
		return -ENOMEM;
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		*opts = *(const struct okl4fs_options *)fc->root->d_sb->s_fs_info;
	} else {
		opts->uid = GLOBAL_ROOT_UID;
		opts->gid = GLOBAL_ROOT_GID;
		opts->mode = OKL4FS_MODE;
	}
	INIT_LIST_HEAD(&opts->link);
	fc->s_fs_info = opts;
	fc->ops = &okl4fs_context_ops;
	return 0;
}

static void okl4fs_kill_sb(struct super_block *sb)
{
	struct okl4fs_options *opts = sb->s_fs_info;

	okl4fs_unpopulate(opts);
	okl4_compat_kill_sb(sb);
	kfree(opts);
}

static struct file_system_type okl4fs_type = {
	.owner = THIS_MODULE,
	.name = "okl4fs",
	.init_fs_context = okl4fs_init_fs_context,
	.parameters = okl4fs_parameters,
	.kill_sb = okl4fs_kill_sb,
	.fs_flags = FS_ALLOW_IDMAP,
};
MODULE_ALIAS_FS("okl4fs");

/**
 * okl4fs_register() - register the file system
 *
 * Return: 0 or a negative errno.
 */
int okl4fs_register(void)
{
	okl4fs_populate_init();
	return register_filesystem(&okl4fs_type);
}

/**
 * okl4fs_unregister() - undo okl4fs_register()
 */
void okl4fs_unregister(void)
{
	unregister_filesystem(&okl4fs_type);
	okl4fs_populate_exit();
}
