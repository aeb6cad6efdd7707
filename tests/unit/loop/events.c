// SPDX-License-Identifier: BSD-3-Clause
/*
 * events.c - events: nothing is lost in silence, the order is kept, nobody waits
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../channel/rig.h"
#include "loop/events.h"

/* The daemon's calls of pthread_mutex_lock(3) come here (ld's --wrap) */
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);

static _Thread_local unsigned int n_locks;

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	n_locks++;
	return __real_pthread_mutex_lock(mutex);
}

#define POSTERS 3
#define EACH    20000

static struct loop *loop;

/* What main was told: events, the last number of each poster, the place in the order of all */
static struct heard {
	uint64_t n, last[POSTERS], seq, dropped;
	uint64_t stop_at; /* end the loop when as many were heard or dropped; 0: never */
} heard;

static void on_event(void *arg, const struct events_record *record)
{
	unsigned int poster = (unsigned int)(record->guest[0] - 'a');

	cr_assert_eq(arg, &heard);
	cr_assert_lt(poster, POSTERS);
	cr_assert_eq(record->kind, EVENTS_CHANNEL_ADDED);
	cr_assert_gt(record->number, heard.last[poster], "out of order");
	cr_assert_eq(record->seq, heard.seq + 1);
	cr_assert_eq(record->seq, events_seq());
	heard.last[poster] = record->number;
	heard.seq = record->seq;
	if (++heard.n + heard.dropped == heard.stop_at)
		loop_stop(loop);
}

static void on_dropped(void *arg, uint64_t n)
{
	heard.dropped += n;
	if (heard.n + heard.dropped == heard.stop_at)
		loop_stop(loop);
}

static void start(void)
{
	memset(&heard, 0, sizeof(heard));
	cr_assert_eq(loop_new(&loop, "main"), 0);
	cr_assert_eq(events_open(loop), 0);
	heard.seq = events_seq();
}

static void stop(void)
{
	events_close();
	loop = loop_free(loop);
}

TestSuite(events, .init = start, .fini = stop, .timeout = 60);

static void post(const char *guest, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++)
		events_post(&(struct events_fact){
			.kind = EVENTS_CHANNEL_ADDED, .guest = guest, .channel = "c", .number = i });
}

static void *poster(void *name)
{
	post(name, EACH);
	return NULL;
}

Test(events, each_is_heard_or_counted_and_in_order)
{
	static char name[POSTERS][2] = { "a", "b", "c" };
	pthread_t thread[POSTERS];

	events_take(on_event, on_dropped, &heard);
	heard.stop_at = POSTERS * EACH;
	for (int i = 0; i < POSTERS; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, poster, name[i]), 0);
	cr_assert_eq(loop_run(loop), 0);
	for (int i = 0; i < POSTERS; i++)
		pthread_join(thread[i], NULL);
	cr_assert_eq(heard.n + heard.dropped, POSTERS * EACH);
	cr_assert_gt(heard.n, 0);
}

Test(events, what_nobody_takes_is_bounded)
{
	events_take(on_event, on_dropped, &heard);
	post("a", 10000);
	heard.stop_at = 10000;
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(heard.n, 4096);
	cr_assert_eq(heard.dropped, 10000 - 4096);
	/* And there is room again. */
	heard.stop_at = 10001;
	events_post(&(struct events_fact){
		.kind = EVENTS_CHANNEL_ADDED, .guest = "a", .number = 10001 });
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(heard.last[0], 10001);
}

Test(events, nobody_wants_any)
{
	post("a", 10);
	events_take(on_event, on_dropped, &heard);
	post("b", 2);
	heard.stop_at = 2;
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(heard.last[0], 0);
	cr_assert_eq(heard.last[1], 2);
	post("b", 5); /* left to events_close() */
}

static unsigned int n_happened;

static void happened(void *arg)
{
	cr_assert_eq(arg, &n_happened);
	n_happened++;
	if (!heard.stop_at)
		loop_stop(loop);
}

static void *post_without_a_lock(void *arg)
{
	post("a", 1);
	n_locks = 0;
	post("a", 100);
	*(unsigned int *)arg = n_locks;
	return NULL;
}

Test(events, who_posts_takes_no_lock)
{
	unsigned int taken = 1;
	pthread_t thread;

	events_take(on_event, on_dropped, &heard);
	events_watch(happened, &n_happened);
	cr_assert_eq(pthread_create(&thread, NULL, post_without_a_lock, &taken), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(taken, 0);
}

Test(events, that_something_has_happened_is_told_once_a_turn)
{
	events_watch(happened, &n_happened);
	post("a", 100);
	cr_assert_eq(n_happened, 0, "posting does not call");
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(n_happened, 1);
	post("a", 1);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(n_happened, 2);
	/* Beside those who want to know what it was */
	events_take(on_event, on_dropped, &heard);
	heard.stop_at = 3;
	post("b", 3);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(n_happened, 3);
	cr_assert_eq(heard.n, 3);
	/* An event for a subscriber that has gone is dropped */
	post("c", 1);
	events_watch(NULL, NULL);
	heard.stop_at = 4;
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(n_happened, 3);
	cr_assert_eq(heard.n, 4);
}

static char story[4096];

static void tell(void *arg, const struct events_record *r)
{
	size_t at = strlen(story);

	snprintf(story + at, sizeof(story) - at, "%s %s/%s%s%s%s%s%s%s\n",
		 events_kind_name(r->kind), r->guest, r->channel, r->text[0] ? " " : "", r->text,
		 r->more[0] ? ": " : "", r->more, r->instance ? " instance" : "",
		 r->again ? " again" : "");
	cr_assert_gt(r->realtime_us, 1600000000ULL * 1000000);
	cr_assert_gt(r->monotonic_us, 0);
	if (strstr(story, "log.changed"))
		loop_stop(loop);
}

Test(events, the_life_of_a_channel)
{
	struct rig rig;

	events_take(tell, on_dropped, NULL);
	rig_init(&rig, NULL, 4096);
	cr_assert_eq(rig_attach(&rig), 0);
	channel_suspend(&rig.ch);
	channel_suspend(&rig.ch); /* nothing new */
	cr_assert_eq(rig_attach(&rig), 0);
	channel_fail(&rig.ch, OKL4_HEAD_BACK);
	channel_guest_gone(&rig.ch);
	events_post(&(struct events_fact){ .kind = EVENTS_LOG_CHANGED, .text = "debug" });
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_str_eq(story, "channel.attached vm1/intervm_test instance\n"
				"channel.suspended vm1/intervm_test\n"
				"channel.attached vm1/intervm_test instance again\n"
				"channel.failed vm1/intervm_test HEAD_BACK: head moved back\n"
				"channel.detached vm1/intervm_test\n"
				"log.changed / debug\n");
	rig_deinit(&rig);
}
