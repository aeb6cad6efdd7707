// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - endpoints that are unix sockets, their peers, and the steps that tests are made of
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

static void host_init(struct host *h, struct endpoint_config cfg, uint64_t ring_bytes)
{
	*h = (struct host){ .listener = -1, .fd = -1 };
	h->connects = cfg.type == ENDPOINT_UNIX_CONNECT;
	strcpy(h->dir, "okl4fs-stream-XXXXXX");
	cr_assert_not_null(mkdtemp(h->dir));
	snprintf(h->path, sizeof(h->path), "%s/s", h->dir);
	cfg.path = h->path;
	rig_init(&h->rig, &cfg, ring_bytes);
}

void host_listening(struct host *h, uint64_t ring_bytes)
{
	host_init(h, (struct endpoint_config){ .type = ENDPOINT_UNIX_LISTEN, .mode = 0640 },
		  ring_bytes);
}

void host_connecting(struct host *h, uint64_t ring_bytes)
{
	host_init(h, (struct endpoint_config){ .type = ENDPOINT_UNIX_CONNECT }, ring_bytes);
	cr_assert_eq(rig_attach(&h->rig), 0);
}

void host_attached(struct host *h, uint64_t ring_bytes)
{
	host_listening(h, ring_bytes);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_read(&h->rig);
	guest_open_write(&h->rig);
}

void host_finish(struct host *h)
{
	if (h->fd >= 0)
		close(h->fd);
	rig_deinit(&h->rig);
	if (h->listener >= 0) {
		close(h->listener);
		cr_assert_eq(unlink(h->path), 0);
	}
	cr_assert_neq(access(h->path, F_OK), 0, "the socket is removed");
	cr_assert_eq(rmdir(h->dir), 0);
}

int host_client(struct host *h)
{
	int fd = fd_connect_unix(h->path, FD_UNIX_STREAM);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	rig_turns(&h->rig, 3);
	return fd;
}

void client_gets(struct host *h, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);

	for (uint64_t end = h->got + bytes; h->got < end;) {
		ssize_t n = recv(h->fd, buf, end - h->got, 0);

		if (n < 0 && errno == EAGAIN) {
			rig_turns(&h->rig, 3);
			n = recv(h->fd, buf, end - h->got, 0);
		}
		cr_assert_gt(n, 0, "%s: %s, %llu bytes are missing", step_text,
			     n ? strerror(errno) : "end", (unsigned long long)(end - h->got));
		pattern_check(buf, h->got, (uint64_t)n);
		h->got += (uint64_t)n;
	}
	free(buf);
}

void client_sees(struct host *h, int fd, int want)
{
	ssize_t n;
	char c;

	rig_turns(&h->rig, 3);
	n = recv(fd, &c, 1, 0);
	if (want)
		cr_assert(n < 0 && errno == want, "%s: %zd, %s", step_text, n, strerror(errno));
	else
		cr_assert_eq(n, 0, "%s", step_text);
}

uint64_t client_sends(struct host *h, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);
	ssize_t n;

	pattern_fill(buf, h->sent, bytes);
	n = send(h->fd, buf, bytes, MSG_NOSIGNAL);
	free(buf);
	rig_turns(&h->rig, 3);
	if (n < 0)
		cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
	h->sent += n < 0 ? 0 : (uint64_t)n;
	return n < 0 ? 0 : (uint64_t)n;
}

static bool has_come(void *arg)
{
	struct host *h = arg;

	if (h->fd < 0)
		h->fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK);
	return h->fd >= 0;
}

static bool has_failed(void *arg)
{
	struct host *h = arg;

	return rig_info(&h->rig).failed > 0;
}

/* If there is a connection already, it stays open until the next one has come */
static void client_comes(struct host *h)
{
	int former = h->fd;

	if (h->connects) {
		h->fd = -1;
		rig_until(&h->rig, has_come, h, "a connection");
		rig_turns(&h->rig, 3);
		cr_assert(rig_info(&h->rig).connected);
	} else {
		h->fd = host_client(h);
	}
	if (former >= 0)
		close(former);
}

static void second_is_refused(struct host *h, uint64_t n)
{
	int second = host_client(h);

	client_sees(h, second, 0);
	close(second);
	cr_assert_eq(rig_info(&h->rig).refused, n);
}

static void nobody_waits(struct host *h)
{
	cr_assert_eq(accept4(h->listener, NULL, NULL, SOCK_NONBLOCK), -1);
	cr_assert_eq(errno, EAGAIN);
}

static void nobody_comes(struct host *h)
{
	cr_assert_leq(rig_cpu_ms(&h->rig, 100), SPIN_MS);
	nobody_waits(h);
	cr_assert_not(rig_info(&h->rig).connected);
}

static void server_listens(struct host *h)
{
	h->listener = fd_listen_unix(h->path, 0600, NULL, FD_UNIX_STREAM);
	cr_assert_geq(h->listener, 0, "%s", strerror(-h->listener));
}

/* @seen: the daemon sees it at once */
static void client_leaves(struct host *h, bool seen)
{
	close(h->fd);
	h->fd = -1;
	if (seen)
		rig_turns(&h->rig, 3);
}

/* Pieces of many sizes both ways */
static void both_talk(struct host *h, uint64_t times)
{
	for (uint64_t n = 1; times--; n += 160) {
		cr_assert_eq(client_sends(h, n), n);
		guest_gets(&h->rig, n);
		guest_sends(&h->rig, n);
		client_gets(h, n);
	}
}

static void client_floods(struct host *h)
{
	while (client_sends(h, 65536))
		;
}

/* A unix socket can tell its client of an error only when something of the client's lies unread. */
static void client_is_torn(struct host *h)
{
	client_sees(h, h->fd, EAGAIN);
	cr_assert_eq(send(h->fd, "x", 1, MSG_NOSIGNAL), 1);
	client_sees(h, h->fd, ECONNRESET);
	client_leaves(h, false);
}

/* The machine is switched off: the device is stopped, then the frontend leaves. */
static void machine_goes(struct host *h)
{
	channel_suspend(&h->rig.ch);
	channel_guest_gone(&h->rig.ch);
	/* What comes now must not come from there. */
	memset(h->rig.page, 0xdd, 4096 + 2 * h->rig.cfg.ring_bytes);
}

/* Another machine, or the same one booted anew */
static void machine_comes(struct host *h)
{
	rig_new_memory(&h->rig);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_write(&h->rig);
}

static void guest_fills_ring(struct host *h)
{
	uint64_t ring = h->rig.cfg.ring_bytes;

	while (channel_readable(&h->rig.ch) < (int64_t)ring) {
		guest_sends(&h->rig, ring - (uint64_t)channel_readable(&h->rig.ch));
		rig_turns(&h->rig, 2);
	}
}

/* What its peer on the host does: a client, or a server that the endpoint has called */
static void client_step(struct host *h, const char *words, uint64_t n)
{
	STEP(words, "comes", client_comes(h));
	STEP(words, "sends", cr_assert_eq(client_sends(h, n), n));
	STEP(words, "floods", client_floods(h)); /* until nobody takes more */
	STEP(words, "cannot send", cr_assert_eq(send(h->fd, "", 1, MSG_NOSIGNAL), -1));
	STEP(words, "gets", client_gets(h, n));
	STEP(words, "gets all", client_gets(h, h->rig.out - h->got)); /* that the guest sent */
	STEP(words, "sees end", client_sees(h, h->fd, 0));
	STEP(words, "sees nothing", client_sees(h, h->fd, EAGAIN));
	STEP(words, "sees reset", client_sees(h, h->fd, ECONNRESET));
	STEP(words, "is torn", client_is_torn(h));
	STEP(words, "ends", shutdown(h->fd, SHUT_WR));
	STEP(words, "ends reading", shutdown(h->fd, SHUT_RD));
	STEP(words, "closes", client_leaves(h, false)); /* the daemon has not looked yet */
	STEP(words, "leaves", client_leaves(h, true));
	cr_assert_fail("no step is called \"%s\"", step_text);
}

static void host_step(struct host *h, const char *words, uint64_t n)
{
	struct rig *rig = &h->rig;

	if (!strncmp(words, "client ", 7)) {
		client_step(h, words + 7, n);
		return;
	}
	STEP(words, "second is refused", second_is_refused(h, n));
	STEP(words, "server listens", server_listens(h));
	STEP(words, "nobody waits", nobody_waits(h));
	STEP(words, "nobody comes", nobody_comes(h));
	STEP(words, "attempt fails", rig_until(rig, has_failed, h, "an attempt"));
	STEP(words, "both talk", both_talk(h, n));
	STEP(words, "guest fills ring", guest_fills_ring(h)); /* the peer's socket is full, too */
	STEP(words, "guest gets all", guest_gets(rig, h->sent - rig->in)); /* that was sent */
	STEP(words, "guest sends", guest_sends(rig, n), rig_turns(rig, 2));
	STEP(words, "machine goes", machine_goes(h));
	STEP(words, "machine comes", machine_comes(h));
	STEP(words, "moved is gone", h->got = rig->ch.fwd.bytes); /* nobody has read it */
	STEP(words, "the rest is gone", h->got = rig->out);
	STEP(words, "moved to guest", cr_assert_eq(rig->ch.bwd.bytes, n));
	STEP(words, "host has phase", cr_assert_eq(channel_write_phase(&rig->ch), n));
	STEP(words, "may keep", rig->budget.limit_bytes = n);
	STEP(words, "keeps", cr_assert_eq(rig->budget.used_bytes, n)); /* in whole pages */
	STEP(words, "clients", cr_assert_eq(rig_info(rig).clients, n));
	STEP(words, "refused", cr_assert_eq(rig_info(rig).refused, n));
	STEP(words, "failed", cr_assert_eq(rig_info(rig).failed, n));
	rig_step(rig, strncmp(words, "guest ", 6) ? words : words + 6, n);
}

void host_play(struct host *h, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s))
		host_step(h, s.words, s.n);
}

void host_test(void (*begin)(struct host *h, uint64_t ring_bytes), uint64_t ring_bytes,
	       const char *steps)
{
	struct host h;

	begin(&h, ring_bytes);
	host_play(&h, steps);
	host_finish(&h);
}
