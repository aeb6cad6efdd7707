// SPDX-License-Identifier: BSD-3-Clause
/*
 * link.c - an encrypted connection
 *
 *	peer -- TCP -- fd [ OpenSSL, 16 KiB each way ] pair == socketpair == fd of the stream -- ring
 *
 * The stream (stream.c) works on a unix socket, as it does with unix-listen: half-closes, hanging up
 * and back-pressure are the same. The price is a copy through the kernel, which is little beside the
 * encryption; and OpenSSL never works on memory that a guest can change meanwhile.
 *
 * This is not a bufferevent: libevent's (2.1.12) stops both directions when one has ended, cannot send
 * a close_notify, and once held up by its high-water mark does not go on with what OpenSSL has
 * decrypted already. pump.c moves the bytes.
 *
 * A close_notify ends a direction (RFC 8446, section 6.1); the other one goes on, in TLS 1.2 as
 * well. If the peer closes the TCP connection after it, it is gone. If the TCP connection ends without
 * a close_notify, an attacker may have cut off what was to come: the guest sees the same end-of-file,
 * since a fifo has no other, and torn() tells the operator. When the stream has closed both ways, what
 * it wrote is still sent, what the peer writes is dropped, for a limited time.
 *
 * A client of TLS 1.3 is done with the handshake before the server has looked at its certificate. If it
 * sent something before a refusal comes, that would be lost. So it waits for a sign: the first bytes,
 * or the ticket that servers send then. If neither comes, it trusts the server after a second.
 */
#include "endpoint/tls/link.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "endpoint/tls/pump.h"
#include "endpoint/tls/why.h"
#include "util/fd.h"

/* The connection failed or is torn. The link is gone afterwards. */
static void fail_link(struct tls_link *l)
{
	const struct tls *tls = l->tls;

	if (l->state == TLS_OPEN || l->state == TLS_LINGER)
		tls_link_note_loss(l, l->why);
	if (l->state == TLS_OPEN)
		tls->ops->torn(tls->arg, l, l->why);
	else if (l->state != TLS_LINGER)
		tls->ops->failed(tls->arg, l, l->why);
	tls_link_free(l);
}

static void fail_link_with(struct tls_link *l, int code)
{
	tls_why_error(l->tls, code, errno, l->why);
	fail_link(l);
}

/* Both ends trust one another. The link may be gone afterwards. */
static void open_link(struct tls_link *l)
{
	int fd = l->stream_fd;

	l->given_fd = fd;
	l->stream_fd = -1;
	l->state = TLS_OPEN;
	event_del(l->timer);
	event_add(l->hup, NULL);
	loop_schedule(l->tls->ch->loop, &l->again);
	l->tls->ops->opened(l->tls->arg, l, fd);
}

/* Whether the server accepts our certificate */
static void confirm_link(struct tls_link *l)
{
	int r, code;
	char c;

	ERR_clear_error();
	errno = 0;
	r = SSL_peek(l->ssl, &c, 1);
	code = r > 0 ? 0 : tls_pump_wait(l, r);
	if (r > 0 || l->confirmed || code == SSL_ERROR_ZERO_RETURN)
		open_link(l);
	else if (code)
		fail_link_with(l, code);
}

static void shake_hands(struct tls_link *l)
{
	int r, code;

	ERR_clear_error();
	errno = 0;
	r = SSL_do_handshake(l->ssl);
	if (r != 1) {
		code = tls_pump_wait(l, r);
		if (code)
			fail_link_with(l, code);
		return;
	}
	if (l->tls->server || SSL_version(l->ssl) < TLS1_3_VERSION) {
		open_link(l);
		return;
	}
	l->state = TLS_CONFIRM;
	loop_start_timer(l->timer, TLS_CONFIRM_MS);
	confirm_link(l);
}

/* The link may be gone afterwards. */
static void pump_link(struct tls_link *l)
{
	enum tls_verdict verdict = tls_pump(l);

	if (verdict == TLS_TORN) {
		fail_link(l);
		return;
	}
	if (verdict == TLS_OVER) {
		tls_link_free(l);
		return;
	}
	if (l->sent && l->state == TLS_LINGER)
		loop_start_timer(l->timer, TLS_LINGER_MS); /* again: the peer takes what is left */
	if (l->sent && l->state == TLS_OPEN && !event_pending(l->watch, EV_TIMEOUT, NULL))
		loop_start_timer(l->watch, l->tls->cfg->peer_timeout_s * 1000ULL);
	if (verdict == TLS_GOES_ON)
		loop_schedule(l->tls->ch->loop, &l->again);
}

static void link_step(void *arg)
{
	struct tls_link *l = arg;

	if (l->state == TLS_HANDSHAKE)
		shake_hands(l);
	else if (l->state == TLS_CONFIRM)
		confirm_link(l);
	else
		pump_link(l);
}

static void on_link_ready(evutil_socket_t fd, short what, void *arg)
{
	link_step(arg);
}

static void on_link_hup(evutil_socket_t fd, short what, void *arg)
{
	struct tls_link *l = arg;
	struct epoll_event ev[2];
	int n = epoll_wait(fd, ev, 2, 0);

	for (int i = 0; i < n; i++) {
		epoll_ctl(fd, EPOLL_CTL_DEL, ev[i].data.fd ? l->pair : l->fd, NULL);
		if (ev[i].data.fd) {
			l->state = TLS_LINGER;
			loop_start_timer(l->timer, TLS_LINGER_MS);
		} else {
			tls_pump_end_out(l);
		}
	}
	pump_link(l);
}

void tls_link_note_loss(const struct tls_link *l, const char *why)
{
	int in_pair = 0;

	if (l->pair >= 0)
		ioctl(l->pair, FIONREAD, &in_pair);
	channel_note_loss(l->tls->ch, l->out.to - l->out.from + (uint64_t)in_pair, why);
}

static void on_link_time(evutil_socket_t fd, short what, void *arg)
{
	struct tls_link *l = arg;

	if (l->state == TLS_CONFIRM) {
		open_link(l);
		return;
	}
	if (l->state == TLS_LINGER) {
		tls_link_note_loss(l, "the TLS peer does not take what is left");
		tls_link_free(l);
		return;
	}
	snprintf(l->why, sizeof(l->why), "the handshake has taken longer than %u s",
		 TLS_HANDSHAKE_MS / 1000);
	fail_link(l);
}

static void on_link_watch(evutil_socket_t fd, short what, void *arg)
{
	struct tls_link *l = arg;
	unsigned int timeout_s = l->tls->cfg->peer_timeout_s;
	int next_ms = l->state == TLS_OPEN ? tcp_look(l->fd, timeout_s) : -1;

	if (next_ms > 0)
		loop_start_timer(l->watch, (uint64_t)next_ms);
	if (next_ms)
		return;
	snprintf(l->why, sizeof(l->why), "the peer's machine has not answered for %u s", timeout_s);
	fail_link(l);
}

/* Return: 0 or -errno */
static int make_link_pair(struct tls_link *l)
{
	struct epoll_event on_fd = { .data.fd = 0 }, on_pair = { .data.fd = 1 };
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv))
		return -errno;
	l->pair = sv[0];
	l->stream_fd = sv[1];
	l->hup_fd = epoll_create1(EPOLL_CLOEXEC);
	/* No event is asked for: only hang-up and errors are reported (epoll_ctl(2)) */
	if (l->hup_fd < 0 || epoll_ctl(l->hup_fd, EPOLL_CTL_ADD, l->fd, &on_fd) ||
	    epoll_ctl(l->hup_fd, EPOLL_CTL_ADD, l->pair, &on_pair))
		return -errno;
	return 0;
}

/* Return: 0 or -ENOMEM */
static int make_link_events(struct tls_link *l)
{
	struct event_base *base = loop_base(l->tls->ch->loop);

	l->fd_read = event_new(base, l->fd, EV_READ, on_link_ready, l);
	l->fd_write = event_new(base, l->fd, EV_WRITE, on_link_ready, l);
	l->pair_read = event_new(base, l->pair, EV_READ, on_link_ready, l);
	l->pair_write = event_new(base, l->pair, EV_WRITE, on_link_ready, l);
	l->hup = event_new(base, l->hup_fd, EV_READ | EV_PERSIST, on_link_hup, l);
	l->timer = event_new(base, -1, 0, on_link_time, l);
	l->watch = event_new(base, -1, 0, on_link_watch, l);
	return l->fd_read && l->fd_write && l->pair_read && l->pair_write && l->hup && l->timer &&
			       l->watch ?
		       0 :
		       -ENOMEM;
}

/* Return: 0 or -ENOMEM */
static int make_link_ssl(struct tls_link *l)
{
	const char *name = l->tls->peer_name;
	X509_VERIFY_PARAM *param;

	l->ssl = SSL_new(l->tls->ctx);
	if (!l->ssl || SSL_set_fd(l->ssl, l->fd) != 1)
		return -ENOMEM;
	SSL_set_app_data(l->ssl, l);
	param = SSL_get0_param(l->ssl);
	if (name && X509_VERIFY_PARAM_set1_ip_asc(param, name) != 1) {
		X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		if (X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
			return -ENOMEM;
		if (!l->tls->server)
			SSL_set_tlsext_host_name(l->ssl, name);
	}
	ERR_clear_error();
	if (l->tls->server)
		SSL_set_accept_state(l->ssl);
	else
		SSL_set_connect_state(l->ssl);
	return 0;
}

int tls_link_new(struct tls_link **out, struct tls *tls, int fd)
{
	struct tls_link *l = calloc(1, sizeof(*l));
	int r;

	if (!l) {
		close(fd);
		return -ENOMEM;
	}
	l->tls = tls;
	l->fd = fd;
	l->pair = l->stream_fd = l->hup_fd = -1;
	l->again = (struct loop_task){ .fn = link_step, .arg = l };
	LIST_INSERT_HEAD(&tls->links, l, next);
	tcp_peer_name(fd, l->peer);
	r = make_link_pair(l);
	if (!r)
		r = make_link_events(l);
	if (!r)
		r = make_link_ssl(l);
	if (r) {
		tls_link_free(l);
		return r;
	}
	loop_start_timer(l->timer, TLS_HANDSHAKE_MS);
	loop_schedule(tls->ch->loop, &l->again);
	*out = l;
	return 0;
}

const char *tls_link_peer(const struct tls_link *l)
{
	return l->peer;
}

void tls_link_free(struct tls_link *l)
{
	struct event *const ev[] = { l->fd_read, l->fd_write, l->pair_read, l->pair_write,
				     l->hup,     l->timer,    l->watch };

	for (size_t i = 0; i < sizeof(ev) / sizeof(ev[0]); i++) {
		if (ev[i])
			event_free(ev[i]);
	}
	loop_cancel(l->tls->ch->loop, &l->again);
	LIST_REMOVE(l, next);
	if (l->tls->ch->ending)
		loop_schedule(l->tls->ch->loop, l->tls->ch->ending);
	SSL_free(l->ssl);
	fd_close(l->hup_fd);
	fd_close(l->pair);
	fd_close(l->stream_fd);
	fd_close(l->fd);
	free(l);
}
