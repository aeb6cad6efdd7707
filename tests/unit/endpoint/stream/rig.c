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

#include "../../channel/steps.h"
#include "util/fd.h"

static void host_init(struct host *h, struct endpoint_config cfg, uint64_t ring_bytes)
{
	*h = (struct host){
		.listener = -1,
		.fd = -1,
		.step = "",
	};
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
	int fd = fd_connect_unix(h->path, false);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	rig_turns(&h->rig, 3);
	return fd;
}

void host_leave(struct host *h, int fd)
{
	close(fd);
	rig_turns(&h->rig, 3);
}

struct endpoint_info host_info(struct host *h)
{
	struct endpoint_info i;

	h->rig.ep->ops->info(h->rig.ep, &i);
	return i;
}

void guest_gets(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(&h->rig, buf, bytes - done);

		if (n == -OKL4_AGAIN) {
			rig_turns(&h->rig, 3);
			n = guest_read(&h->rig, buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%s: %s", h->step, okl4_status_name((int)n));
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
	}
	free(buf);
}

void guest_sees(struct host *h, int64_t want)
{
	uint8_t byte;

	rig_turns(&h->rig, 3);
	cr_assert_eq(guest_read(&h->rig, &byte, 1), want, "%s", h->step);
}

void guest_sends(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, *pos, bytes);
	cr_assert_eq(guest_write(&h->rig, buf, bytes), (int64_t)bytes, "%s", h->step);
	*pos += bytes;
	free(buf);
	rig_turns(&h->rig, 2);
}

void client_gets(struct host *h, int fd, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);
	uint64_t done = 0;

	while (done < bytes) {
		ssize_t n = recv(fd, buf, bytes - done, 0);

		if (n < 0 && errno == EAGAIN) {
			rig_turns(&h->rig, 3);
			n = recv(fd, buf, bytes - done, 0);
		}
		cr_assert_gt(n, 0, "%s: %s after %llu bytes", h->step, n ? strerror(errno) : "end",
			     (unsigned long long)done);
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
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
		cr_assert(n < 0 && errno == want, "%s: %zd, %s", h->step, n, strerror(errno));
	else
		cr_assert_eq(n, 0, "%s", h->step);
}

uint64_t client_sends(struct host *h, int fd, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);
	ssize_t n;

	pattern_fill(buf, *pos, bytes);
	n = send(fd, buf, bytes, MSG_NOSIGNAL);
	free(buf);
	rig_turns(&h->rig, 3);
	if (n < 0) {
		cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
		return 0;
	}
	*pos += (uint64_t)n;
	return (uint64_t)n;
}

/* ------------------------------------------------------------------------------------------- */
/* Steps                                                                                       */

static bool has_come(void *arg)
{
	struct host *h = arg;

	if (h->fd < 0)
		h->fd = accept4(h->listener, NULL, NULL, SOCK_NONBLOCK);
	return h->fd >= 0;
}

static bool has_failed(void *arg)
{
	return host_info(arg).failed > 0;
}

static void client_comes(struct host *h, uint64_t n)
{
	if (h->connects) {
		h->fd = -1;
		rig_until(&h->rig, has_come, h, "a connection");
		rig_turns(&h->rig, 3);
		cr_assert(host_info(h).connected);
	} else {
		h->fd = host_client(h);
	}
}

static void nobody_comes(struct host *h, uint64_t n)
{
	cr_assert_leq(rig_cpu_ms(&h->rig, 100), SPIN_MS);
	cr_assert_eq(accept4(h->listener, NULL, NULL, SOCK_NONBLOCK), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_not(host_info(h).connected);
}

static void server_listens(struct host *h, uint64_t n)
{
	h->listener = fd_listen_unix(h->path, 0600, NULL, false);
	cr_assert_geq(h->listener, 0, "%s", strerror(-h->listener));
}

static void client_closes(struct host *h, uint64_t n)
{
	close(h->fd);
	h->fd = -1;
}

static void client_leaves(struct host *h, uint64_t n)
{
	host_leave(h, h->fd);
	h->fd = -1;
}

/* The machine is switched off: the device is stopped, then the frontend leaves. */
static void machine_goes(struct host *h, uint64_t n)
{
	channel_suspend(&h->rig.ch);
	channel_guest_gone(&h->rig.ch);
	/* What comes now must not come from there. */
	memset(h->rig.page, 0xdd, 4096 + 2 * h->rig.cfg.ring_bytes);
}

/* Another machine, or the same one booted anew */
static void machine_comes(struct host *h, uint64_t n)
{
	rig_new_memory(&h->rig);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_write(&h->rig);
}

static void guest_fills_ring(struct host *h, uint64_t n)
{
	uint64_t ring = h->rig.cfg.ring_bytes;

	while (channel_readable(&h->rig.ch) < (int64_t)ring)
		guest_sends(h, &h->out, ring - (uint64_t)channel_readable(&h->rig.ch));
}

static void has_tail(struct host *h, uint64_t n)
{
	cr_assert_eq(channel_tail_bytes(&h->rig.ch), n, "%s", h->step);
	if (!n)
		cr_assert_eq(h->rig.budget.used_bytes, 0);
}

static void host_step(struct host *h, const struct steps *s)
{
	uint64_t n = s->n;

	/* the guest's program */
	STEP(s->words, "guest sends", guest_sends(h, &h->out, n));
	STEP(s->words, "guest fills ring",
	     guest_fills_ring(h, n)); /* the peer's socket is full, too */
	STEP(s->words, "guest gets", guest_gets(h, &h->seen, n));
	STEP(s->words, "guest sees end", guest_sees(h, 0));
	STEP(s->words, "guest sees nothing", guest_sees(h, -OKL4_AGAIN));
	STEP(s->words, "guest has EPIPE", cr_assert_eq(guest_write(&h->rig, "", 1), -OKL4_PIPE));
	STEP(s->words, "ring is full", cr_assert_eq(guest_write(&h->rig, "", 1), -OKL4_AGAIN));
	/* its peer on the host: a client, or a server that the endpoint has called */
	STEP(s->words, "server listens", server_listens(h, n));
	STEP(s->words, "client comes", client_comes(h, n));
	STEP(s->words, "nobody comes", nobody_comes(h, n));
	STEP(s->words, "attempt fails", rig_until(&h->rig, has_failed, h, "an attempt"));
	STEP(s->words, "client sends", cr_assert_eq(client_sends(h, h->fd, &h->in, n), n));
	STEP(s->words, "client gets", client_gets(h, h->fd, &h->got, n));
	STEP(s->words, "client sees end", client_sees(h, h->fd, 0));
	STEP(s->words, "client sees nothing", client_sees(h, h->fd, EAGAIN));
	STEP(s->words, "client sees reset", client_sees(h, h->fd, ECONNRESET));
	STEP(s->words, "client ends", shutdown(h->fd, SHUT_WR));
	STEP(s->words, "client closes", client_closes(h, n)); /* the daemon has not looked yet */
	STEP(s->words, "client leaves", client_leaves(h, n)); /* and the daemon has seen it */
	/* the guest's memory, and the daemon */
	STEP(s->words, "memory goes", channel_suspend(&h->rig.ch));
	STEP(s->words, "memory comes", cr_assert_eq(rig_attach(&h->rig), 0));
	STEP(s->words, "guest dies", channel_guest_gone(&h->rig.ch));
	STEP(s->words, "guest detaches", channel_detach(&h->rig.ch));
	STEP(s->words, "machine goes", machine_goes(h, n));
	STEP(s->words, "machine comes", machine_comes(h, n));
	STEP(s->words, "tail", has_tail(h, n));
	STEP(s->words, "lost", cr_assert_eq(h->rig.ch.lost_bytes, n));
	STEP(s->words, "daemon dies", rig_kill(&h->rig));
	STEP(s->words, "daemon starts", rig_restart(&h->rig));
	STEP(s->words, "guest rings", channel_rung(&h->rig.ch));
	STEP(s->words, "turns", rig_turns(&h->rig, 3));
	/* what the endpoint says of itself */
	STEP(s->words, "idle", cr_assert_leq(rig_cpu_ms(&h->rig, 100), SPIN_MS));
	STEP(s->words, "connected", cr_assert(host_info(h).connected));
	STEP(s->words, "disconnected", cr_assert_not(host_info(h).connected));
	STEP(s->words, "clients", cr_assert_eq(host_info(h).clients, n));
	STEP(s->words, "refused", cr_assert_eq(host_info(h).refused, n));
	STEP(s->words, "failed", cr_assert_eq(host_info(h).failed, n));
	cr_assert(step_of_guest(&h->rig, s->words), "no step is called \"%s\"", s->words);
}

void host_play(struct host *h, const char *steps)
{
	struct steps s = { .rest = steps };

	while (step_next(&s)) {
		h->step = s.step;
		host_step(h, &s);
	}
	h->step = "";
}

/* A whole test; @begin makes the host */
static void test_plays(void (*begin)(struct host *h, uint64_t ring_bytes), uint64_t ring_bytes,
		       const char *steps)
{
	struct host h;

	begin(&h, ring_bytes);
	host_play(&h, steps);
	host_finish(&h);
}

void attached_plays(uint64_t ring_bytes, const char *steps)
{
	test_plays(host_attached, ring_bytes, steps);
}

void listening_plays(uint64_t ring_bytes, const char *steps)
{
	test_plays(host_listening, ring_bytes, steps);
}

void connecting_plays(uint64_t ring_bytes, const char *steps)
{
	test_plays(host_connecting, ring_bytes, steps);
}
