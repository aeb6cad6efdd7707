// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the module: a file system, a driver for the devices behind it, and its parameters
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include <libfs/version.h>

#include "okl4fs.h"
#include "virtio_okl4.h"

/**
 * set_ms() - set a parameter that is a time
 * @text: what the user wrote
 * @kp: parameter; its arg is an unsigned int
 * @min_ms: least value; 0 is allowed, too, where it has a meaning
 * @max_ms: largest value
 * @zero: what 0 means, or NULL: it is not allowed
 *
 * Return: 0, or a negative errno with a message.
 */
static int set_ms(const char *text, const struct kernel_param *kp, unsigned int min_ms,
		  unsigned int max_ms, const char *zero)
{
	unsigned int ms;

	if (!kstrtouint(text, 10, &ms) && ((zero && !ms) || (ms >= min_ms && ms <= max_ms))) {
		WRITE_ONCE(*(unsigned int *)kp->arg, ms);
		return 0;
	}
	pr_err("%s=%.*s: must be %u to %u (ms)%s%s\n", kp->name, (int)strcspn(text, "\n"), text,
	       min_ms, max_ms, zero ? ", or 0: " : "", zero ? zero : "");
	return -EINVAL;
}

/**
 * set_ping_ms() - set ping_ms
 * @text: what the user wrote
 * @kp: parameter
 *
 * Return: 0 or -EINVAL.
 */
static int set_ping_ms(const char *text, const struct kernel_param *kp)
{
	return set_ms(text, kp, 10, 3600000, "never");
}

/**
 * set_request_ms() - set request_ms
 * @text: what the user wrote
 * @kp: parameter
 *
 * Return: 0 or -EINVAL.
 */
static int set_request_ms(const char *text, const struct kernel_param *kp)
{
	return set_ms(text, kp, 100, 600000, NULL);
}

static const struct kernel_param_ops ping_ms_ops = { .set = set_ping_ms, .get = param_get_uint };
static const struct kernel_param_ops request_ms_ops = { .set = set_request_ms,
							.get = param_get_uint };

unsigned int okl4_ping_ms = 1000;
module_param_cb(ping_ms, &ping_ms_ops, &okl4_ping_ms, 0644);
__MODULE_PARM_TYPE(ping_ms, "uint");
MODULE_PARM_DESC(ping_ms, "ask the host whether it is alive when somebody waits and nothing came "
			  "for so long, in ms: 10 to 3600000, or 0: never (default 1000)");

unsigned int okl4_request_ms = 3000;
module_param_cb(request_ms, &request_ms_ops, &okl4_request_ms, 0644);
__MODULE_PARM_TYPE(request_ms, "uint");
MODULE_PARM_DESC(request_ms, "take the host for dead when it does not answer a request for so "
			     "long, in ms: 100 to 600000 (default 3000)");

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
	okl4_debugfs_init();
	err = okl4_virtio_register();
	if (err) {
		okl4_debugfs_exit();
		okl4fs_unregister();
	}
	return err;
}

/**
 * okl4_exit() - unload the module: nothing is mounted or open
 */
static void __exit okl4_exit(void)
{
	okl4_virtio_unregister();
	okl4_debugfs_exit();
	okl4fs_unregister();
}

module_init(okl4_init);
module_exit(okl4_exit);

MODULE_DESCRIPTION("okl4fs: fifo-like channels to the host, as files");
MODULE_AUTHOR("The okl4fs authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(OKL4FS_VERSION);
