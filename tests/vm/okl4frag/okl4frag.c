// SPDX-License-Identifier: GPL-2.0-only
/*
 * okl4frag.c - while this module is loaded, memory is scarce, and only single pages are free
 *
 * For tests only. It takes nearly all memory page by page, and gives back every other page until
 * keep_mib MiB are free. The pages between them stay taken, and the kernel cannot move them, so no
 * two free pages ever merge. Unloading the module gives everything back.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

/* What the rest of the system has while all else is taken */
#define RESERVE_PAGES ((24UL << 20) >> PAGE_SHIFT)

static unsigned int keep_mib = 64;
module_param(keep_mib, uint, 0444);
MODULE_PARM_DESC(keep_mib, "how much stays free, in single pages");

static LIST_HEAD(taken);

/* Stops before the OOM killer would kill a process */
static void take_pages(void)
{
	while (nr_free_pages() > RESERVE_PAGES) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);

		if (!page)
			return;
		list_add(&page->lru, &taken);
		cond_resched();
	}
}

/* Frees pages none of which is another's buddy. Return: how many it was short of */
static unsigned long give_pages_back(unsigned long pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &taken, lru) {
		if (!pages)
			break;
		if (!(page_to_pfn(page) & 1))
			continue;
		list_del(&page->lru);
		__free_page(page);
		pages--;
	}
	return pages;
}

static void free_taken(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &taken, lru) {
		list_del(&page->lru);
		__free_page(page);
		cond_resched();
	}
}

static int __init frag_init(void)
{
	take_pages();
	if (!give_pages_back(((unsigned long)keep_mib << 20) >> PAGE_SHIFT))
		return 0;
	free_taken();
	return -ENOMEM;
}

static void __exit frag_exit(void)
{
	free_taken();
}

module_init(frag_init);
module_exit(frag_exit);

MODULE_DESCRIPTION("Takes memory away and leaves the rest in single pages");
MODULE_LICENSE("GPL");
