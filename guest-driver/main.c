// SPDX-License-Identifier: GPL-2.0-only
/*
 * main.c - the module: a file system, a driver for the devices behind it, and its parameters
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include <libfs/version.h>

#include "fs.h"
#include "dev.h"

/* 0 is allowed only where @zero says what it means */
static int set_number(const char *text, const struct kernel_param *kp, const char *unit,
		      unsigned int least, unsigned int most, const char *zero)
{
	unsigned int n;

	if (!kstrtouint(text, 10, &n) && ((zero && !n) || (n >= least && n <= most))) {
		WRITE_ONCE(*(unsigned int *)kp->arg, n);
		return 0;
	}
	pr_err("%s=%.*s: must be %u to %u (%s)%s%s\n", kp->name, (int)strcspn(text, "\n"), text,
	       least, most, unit, zero ? ", or 0: " : "", zero ? zero : "");
	return -EINVAL;
}

static int set_ping_ms(const char *text, const struct kernel_param *kp)
{
	return set_number(text, kp, "ms", 10, 3600000, "never");
}

static int set_request_ms(const char *text, const struct kernel_param *kp)
{
	return set_number(text, kp, "ms", 100, 600000, NULL);
}

static int set_spin_us(const char *text, const struct kernel_param *kp)
{
	return set_number(text, kp, "us", 1, 1000, "sleep at once");
}

static int set_drain_ms(const char *text, const struct kernel_param *kp)
{
	return set_number(text, kp, "ms", 1, 600000, "do not wait");
}

static int set_rings_mib(const char *text, const struct kernel_param *kp)
{
	return set_number(text, kp, "MiB", 1, 1 << 20, "half of the machine's memory");
}

static const struct kernel_param_ops rings_mib_ops = { .set = set_rings_mib,
						       .get = param_get_uint };
static const struct kernel_param_ops drain_ms_ops = { .set = set_drain_ms, .get = param_get_uint };
static const struct kernel_param_ops ping_ms_ops = { .set = set_ping_ms, .get = param_get_uint };
static const struct kernel_param_ops request_ms_ops = { .set = set_request_ms,
							.get = param_get_uint };
static const struct kernel_param_ops spin_us_ops = { .set = set_spin_us, .get = param_get_uint };

module_param_cb(ping_ms, &ping_ms_ops, &okl4_ping_ms, 0644);
__MODULE_PARM_TYPE(ping_ms, "uint");
MODULE_PARM_DESC(ping_ms,
		 "while a program waits, ask whether the host is alive when nothing has come from "
		 "it for this long, in ms: 10 to 3600000, or 0: never (default 1000)");

module_param_cb(request_ms, &request_ms_ops, &okl4_request_ms, 0644);
__MODULE_PARM_TYPE(request_ms, "uint");
MODULE_PARM_DESC(request_ms, "treat the host as dead when it has not answered a request for this "
			     "long, in ms: 100 to 600000 (default 3000)");

module_param_cb(spin_us, &spin_us_ops, &okl4_spin_us, 0644);
__MODULE_PARM_TYPE(spin_us, "uint");
MODULE_PARM_DESC(spin_us, "how long a read looks for bytes before it sleeps, in us: 1 to 1000, or "
			  "0: sleep at once (default 0)");

module_param_cb(drain_ms, &drain_ms_ops, &okl4_drain_ms, 0644);
__MODULE_PARM_TYPE(drain_ms, "uint");
MODULE_PARM_DESC(drain_ms, "how long shutdown, reboot and kexec wait at most for readers on the "
			   "host to take what was written, in ms: 1 to 600000, or 0: do not wait "
			   "(default 2000)");

module_param_cb(rings_mib, &rings_mib_ops, &okl4_rings_mib, 0644);
__MODULE_PARM_TYPE(rings_mib, "uint");
MODULE_PARM_DESC(rings_mib,
		 "how much memory the rings of all channels may have together (an open that needs "
		 "more fails with ENOSPC), in MiB: 1 to 1048576, or 0: half of the machine's "
		 "memory (default 0)");

static int __init okl4_init(void)
{
	int err = okl4fs_register();

	if (err)
		return err;
	err = okl4_drain_init();
	if (err) {
		okl4fs_unregister();
		return err;
	}
	okl4_debugfs_init();
	err = okl4_virtio_register();
	if (err) {
		okl4_drain_exit();
		okl4_debugfs_exit();
		okl4fs_unregister();
	}
	return err;
}

static void __exit okl4_exit(void)
{
	okl4_drain_exit();
	okl4_virtio_unregister();
	okl4_debugfs_exit();
	okl4fs_unregister();
	okl4_mem_empty_cache();
}

module_init(okl4_init);
module_exit(okl4_exit);

MODULE_DESCRIPTION("okl4fs: fifo-like channels to the host, as files");
MODULE_AUTHOR("The okl4fs authors");
MODULE_LICENSE("GPL");
MODULE_VERSION(OKL4FS_VERSION);
