// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the module: a file system, and a driver for the devices behind it
 */
#include <linux/module.h>

#include "okl4fs.h"
#include "virtio_okl4.h"

/**
 * okl4_init() - load the module
 *
 * Return: 0 or a negative errno.
 */
static int __init okl4_init(void)
{
	int err = okl4fs_register();

	if (err)
		return err;
	err = okl4_virtio_register();
	if (err)
		okl4fs_unregister();
	return err;
}

/**
 * okl4_exit() - unload the module: nothing is mounted or open
 */
static void __exit okl4_exit(void)
{
	okl4_virtio_unregister();
	okl4fs_unregister();
}

module_init(okl4_init);
module_exit(okl4_exit);

MODULE_DESCRIPTION("okl4fs: fifo-like channels to the host, as files");
MODULE_AUTHOR("The okl4fs authors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
