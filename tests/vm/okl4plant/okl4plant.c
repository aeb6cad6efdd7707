// SPDX-License-Identifier: GPL-2.0-only
/*
 * okl4plant.c - faults on request, to see that a debug kernel finds them
 *
 * For tests only. `echo NAME > /sys/module/okl4plant/parameters/fault` commits the fault NAME; what
 * the kernel must report then is in tests/detectors/test_detectors.py. The kernel survives each fault.
 * A detector that misses its fault here would miss it in okl4fs.ko too.
 */
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

#define LEAK_BYTES 1234
#define N_LEAKS    8
/* Rounds of a race: KCSAN looks at one access in several thousand. */
#define RACE_ROUNDS 20000000

struct plant {
	const char *name;
	int (*commit)(void);
};

/* An access that the compiler neither leaves out nor sees through */
static void access_byte(const u8 *byte)
{
	OPTIMIZER_HIDE_VAR(byte);
	(void)READ_ONCE(*byte);
}

/* --- memory ---------------------------------------------------------------------------------- */

static int use_after_free(void)
{
	u8 *p = kmalloc(64, GFP_KERNEL);
	const u8 *stale = p;

	if (!p)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(stale);
	kfree(p);
	access_byte(stale);
	return 0;
}

static int out_of_bounds(void)
{
	u8 *p = kmalloc(13, GFP_KERNEL);

	if (!p)
		return -ENOMEM;
	access_byte(p + 13);
	kfree(p);
	return 0;
}

static int vmalloc_out_of_bounds(void)
{
	u8 *p = vmalloc(100);

	if (!p)
		return -ENOMEM;
	access_byte(p + 104);
	vfree(p);
	return 0;
}

/*
 * Several, and none holds a pointer to another: kmemleak takes anything on a stack that looks like
 * an address for a pointer.
 */
static int leak(void)
{
	for (int i = 0; i < N_LEAKS; i++) {
		void *p = kzalloc(LEAK_BYTES, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(p);
		if (!p)
			return -ENOMEM;
	}
	return 0;
}

static int shift_too_far(void)
{
	unsigned int by = 32;
	u32 value = 1;

	OPTIMIZER_HIDE_VAR(by);
	value <<= by;
	OPTIMIZER_HIDE_VAR(value);
	return 0;
}

static void timer_expired(struct timer_list *timer)
{
}

static int free_armed_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	if (!timer)
		return -ENOMEM;
	timer_setup(timer, timer_expired, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer); /* the detector's report disarms it */
	return 0;
}

static int corrupt_list(void)
{
	struct list_head a, b;
	LIST_HEAD(head);

	list_add(&a, &head);
	list_add(&b, &head);
	b.next = &head; /* was &a */
	list_del(&a);
	return 0;
}

/* --- locks ----------------------------------------------------------------------------------- */

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static DEFINE_SPINLOCK(spinning);

static int lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

static int sleep_in_atomic(void)
{
	void *p;

	spin_lock(&spinning);
	p = kmalloc(64, GFP_KERNEL);
	spin_unlock(&spinning);
	kfree(p);
	return 0;
}

static int *unprotected;

static int rcu_without_lock(void)
{
	(void)rcu_dereference(unprotected);
	return 0;
}

/* --- races ----------------------------------------------------------------------------------- */

static u64 word, flag;
static struct task_struct *runners[2];

/* Two threads that race with each other; stop_runners() waits for both */
static int start_runners(int (*one)(void *), int (*other)(void *))
{
	int (*const fn[2])(void *) = { one, other };

	for (int i = 0; i < 2; i++) {
		struct task_struct *task = kthread_run(fn[i], NULL, "okl4plant/%d", i);

		if (IS_ERR(task))
			return PTR_ERR(task);
		runners[i] = task;
	}
	return 0;
}

static void stop_runners(void)
{
	for (int i = 0; i < 2; i++) {
		if (runners[i])
			kthread_stop(runners[i]);
		runners[i] = NULL;
	}
}

/* After the last round it waits for stop_runners() */
static bool another_round(unsigned int *n)
{
	cond_resched();
	if (++*n < RACE_ROUNDS && !kthread_should_stop())
		return true;
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 100);
	return false;
}

static int count_plainly(void *unused)
{
	unsigned int n = 0;

	while (another_round(&n))
		word++;
	return 0;
}

/* By an access that the compiler does not instrument, as the host's are not */
static int count_as_the_host(void *unused)
{
	unsigned int n = 0;

	while (another_round(&n))
		asm volatile("incq %0" : "+m"(word));
	return 0;
}

static int read_plainly(void *unused)
{
	unsigned int n = 0;
	u64 seen = 0;

	while (another_round(&n)) {
		seen += word;
		OPTIMIZER_HIDE_VAR(seen);
	}
	return 0;
}

/* The word is complete before the flag says so, but nothing orders the two for the other CPU */
static int publish_unordered(void *unused)
{
	unsigned int n = 0;

	while (another_round(&n)) {
		if (smp_load_acquire(&flag) & 1)
			continue;
		word = n;
		WRITE_ONCE(flag, flag + 1); /* should be a release */
	}
	return 0;
}

static int take_published(void *unused)
{
	unsigned int n = 0;
	u64 seen = 0;

	while (another_round(&n)) {
		if (!(smp_load_acquire(&flag) & 1))
			continue;
		seen += word;
		OPTIMIZER_HIDE_VAR(seen);
		smp_store_release(&flag, flag + 1);
	}
	return 0;
}

static int data_race_plain(void)
{
	return start_runners(count_plainly, count_plainly);
}

static int data_race_with_host(void)
{
	return start_runners(count_as_the_host, read_plainly);
}

static int missing_release(void)
{
	return start_runners(publish_unordered, take_published);
}

/* --------------------------------------------------------------------------------------------- */

static const struct plant plants[] = {
	{ "use_after_free", use_after_free },
	{ "out_of_bounds", out_of_bounds },
	{ "vmalloc_out_of_bounds", vmalloc_out_of_bounds },
	{ "leak", leak },
	{ "shift_too_far", shift_too_far },
	{ "free_armed_timer", free_armed_timer },
	{ "corrupt_list", corrupt_list },
	{ "lock_order", lock_order },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "rcu_without_lock", rcu_without_lock },
	{ "data_race_plain", data_race_plain },
	{ "data_race_with_host", data_race_with_host },
	{ "missing_release", missing_release },
};

static int set_fault(const char *name, const struct kernel_param *kp)
{
	stop_runners();
	for (size_t i = 0; i < ARRAY_SIZE(plants); i++) {
		if (sysfs_streq(name, plants[i].name))
			return plants[i].commit();
	}
	return sysfs_streq(name, "none") ? 0 : -EINVAL;
}

static const struct kernel_param_ops fault_ops = { .set = set_fault };

module_param_cb(fault, &fault_ops, NULL, 0200);
MODULE_PARM_DESC(fault, "commit this fault now; none ends those that go on");

static int __init plant_init(void)
{
	return 0;
}

static void __exit plant_exit(void)
{
	stop_runners();
}

module_init(plant_init);
module_exit(plant_exit);

MODULE_DESCRIPTION("Faults that a debug kernel must find (for tests)");
MODULE_AUTHOR("okl4fs");
MODULE_LICENSE("GPL");
