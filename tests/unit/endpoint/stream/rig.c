// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - a rig with the endpoint unix-listen, and clients of it
 */
#include "rig.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/fd.h"

/**
 * host_listening() - a rig with a unix-listen, not attached
 * @h: host
 * @ring_bytes: ring
 */
void host_listening(struct host *h, uint64_t ring_bytes)
{
	struct endpoint_config cfg = { .type = ENDPOINT_UNIX_LISTEN, .mode = 0640 };

	strcpy(h->dir, "okl4fs-stream-XXXXXX");
	cr_assert_not_null(mkdtemp(h->dir));
	snprintf(h->path, sizeof(h->path), "%s/s", h->dir);
	cfg.path = h->path;
	rig_init(&h->rig, &cfg, ring_bytes);
}

/**
 * host_attached() - the same, attached, with the guest's ends open
 * @h: host
 * @ring_bytes: ring
 */
void host_attached(struct host *h, uint64_t ring_bytes)
{
	host_listening(h, ring_bytes);
	cr_assert_eq(rig_attach(&h->rig), 0);
	guest_open_read(&h->rig);
	guest_open_write(&h->rig);
}

/**
 * host_finish() - let it go
 * @h: host
 */
void host_finish(struct host *h)
{
	rig_deinit(&h->rig);
	cr_assert_neq(access(h->path, F_OK), 0, "the socket is removed");
	cr_assert_eq(rmdir(h->dir), 0);
}

/**
 * host_client() - connect, and let the daemon see it
 * @h: host
 *
 * Return: a non-blocking connection.
 */
int host_client(struct host *h)
{
	int fd = fd_connect_unix(h->path);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	rig_turns(&h->rig, 3);
	return fd;
}

/**
 * host_leave() - close a connection, and let the daemon see it
 * @h: host
 * @fd: connection
 */
void host_leave(struct host *h, int fd)
{
	close(fd);
	rig_turns(&h->rig, 3);
}

/**
 * host_info() - what the endpoint says of itself
 * @h: host
 *
 * Return: that.
 */
struct endpoint_info host_info(struct host *h)
{
	struct endpoint_info i;

	h->rig.ep->ops->info(h->rig.ep, &i);
	return i;
}

/**
 * guest_gets() - the guest must read a part of the stream, and no more
 * @h: host
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
void guest_gets(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes + 1);
	uint64_t done = 0;

	while (done < bytes) {
		int64_t n = guest_read(&h->rig, buf, bytes - done);

		if (n == -FS_AGAIN) {
			rig_turns(&h->rig, 3);
			n = guest_read(&h->rig, buf, bytes - done);
		}
		cr_assert_gt(n, 0, "%s", fs_status_name((int)n));
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
	}
	free(buf);
}

/**
 * guest_sees() - a read in the guest must give no byte, but this
 * @h: host
 * @want: 0 (end-of-file) or -FS_AGAIN
 */
void guest_sees(struct host *h, int64_t want)
{
	uint8_t byte;

	rig_turns(&h->rig, 3);
	cr_assert_eq(guest_read(&h->rig, &byte, 1), want);
}

/**
 * guest_sends() - the guest writes a part of the stream, all of it
 * @h: host
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
void guest_sends(struct host *h, uint64_t *pos, uint64_t bytes)
{
	uint8_t *buf = malloc(bytes);

	pattern_fill(buf, *pos, bytes);
	cr_assert_eq(guest_write(&h->rig, buf, bytes), (int64_t)bytes);
	*pos += bytes;
	free(buf);
	rig_turns(&h->rig, 2);
}

/**
 * client_gets() - a client must read a part of the stream
 * @h: host
 * @fd: client
 * @pos: position in the stream; moved on
 * @bytes: how many
 */
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
		cr_assert_gt(n, 0, "%s after %llu bytes", n ? strerror(errno) : "end",
			     (unsigned long long)done);
		pattern_check(buf, *pos, (uint64_t)n);
		*pos += (uint64_t)n;
		done += (uint64_t)n;
	}
	free(buf);
}

/**
 * client_sees() - a read of the client's must give no byte, but this
 * @h: host
 * @fd: client
 * @want: 0 (end-of-file), or an errno
 */
void client_sees(struct host *h, int fd, int want)
{
	ssize_t n;
	char c;

	rig_turns(&h->rig, 3);
	n = recv(fd, &c, 1, 0);
	if (want)
		cr_assert(n < 0 && errno == want, "%zd, %s", n, strerror(errno));
	else
		cr_assert_eq(n, 0);
}

/**
 * client_sends() - a client writes a part of the stream
 * @h: host
 * @fd: client
 * @pos: position in the stream; moved on
 * @bytes: how many at most
 *
 * Return: how many its socket took.
 */
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
