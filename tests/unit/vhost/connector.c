// SPDX-License-Identifier: BSD-3-Clause
/*
 * connector.c - when a frontend that does not answer is called again
 *
 * Attempts and timers are counted, so no test waits for one.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fd.h"
#include "vhost/connector.h"

static char dir[] = "okl4fs-connector-XXXXXX";
static char path[64];
static struct loop *loop;
static struct vhost_connector connector;
static unsigned int n_attempts;
static uint64_t planned_ms; /* by the last timer that was started */
static int answered_fd;

int __wrap_fd_connect_unix(const char *where, enum fd_unix kind);
int __real_fd_connect_unix(const char *where, enum fd_unix kind);
int __wrap_event_add(struct event *ev, const struct timeval *tv);
int __real_event_add(struct event *ev, const struct timeval *tv);

int __wrap_fd_connect_unix(const char *where, enum fd_unix kind)
{
	n_attempts++;
	return __real_fd_connect_unix(where, kind);
}

int __wrap_event_add(struct event *ev, const struct timeval *tv)
{
	if (tv)
		planned_ms = (uint64_t)tv->tv_sec * 1000 + (uint64_t)tv->tv_usec / 1000;
	return __real_event_add(ev, tv);
}

static void on_answer(void *arg, int fd)
{
	answered_fd = fd;
}

static void set_up(const char *name)
{
	static const struct log_about about = { .guest = "vm1" };

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	cr_assert_eq(loop_new(&loop, "test"), 0);
	cr_assert_eq(vhost_connector_init(&connector, loop, path, &about, on_answer, NULL), 0);
	answered_fd = -1;
}

static void tear_down(void)
{
	vhost_connector_deinit(&connector);
	loop_free(loop);
	unlink(path);
	rmdir(dir);
}

/* What the loop has to do now */
static void turn(void)
{
	event_base_loop(loop_base(loop), EVLOOP_NONBLOCK);
}

TestSuite(connector, .fini = tear_down);

Test(connector, backs_off_to_a_minute)
{
	static const uint64_t want_ms[] = { 50, 200, 800, 3200, 12800, 51200, 60000, 60000 };

	set_up("s");
	for (size_t i = 0; i < sizeof(want_ms) / sizeof(want_ms[0]); i++) {
		vhost_connector_try(&connector);
		cr_assert_eq(planned_ms, want_ms[i], "%zu: %lu", i, (unsigned long)planned_ms);
		cr_assert_eq(connector.why_not, ENOENT);
	}
}

Test(connector, backs_off_less_where_it_cannot_watch)
{
	set_up("no-folder/s");
	for (int i = 0; i < 8; i++)
		vhost_connector_try(&connector);
	cr_assert_eq(planned_ms, 5000);
}

Test(connector, comes_when_the_socket_appears)
{
	_cleanup_fd_ int listener = -1;

	set_up("s");
	for (int i = 0; i < 8; i++)
		vhost_connector_try(&connector);
	turn();
	cr_assert_eq(n_attempts, 8);
	listener = fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert_geq(listener, 0);
	while (answered_fd < 0)
		event_base_loop(loop_base(loop), EVLOOP_ONCE);
	cr_assert_eq(connector.why_not, 0);
	cr_assert_null(connector.watch.event);
	close(answered_fd);
}

Test(connector, is_not_kept_busy_by_changes)
{
	uint64_t start_ms;

	set_up("s");
	close(fd_listen_unix(path, 0600, NULL, FD_UNIX_STREAM));
	vhost_connector_try(&connector);
	cr_assert_eq(connector.why_not, ECONNREFUSED);
	start_ms = clock_ms();
	for (int i = 0; i < 20000; i++) {
		cr_assert_eq(chmod(path, 0600), 0);
		turn();
	}
	cr_assert_leq(n_attempts, 2 + (clock_ms() - start_ms) / 10);
}
