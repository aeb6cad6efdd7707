// SPDX-License-Identifier: BSD-3-Clause
/*
 * socket.c - the control socket itself, and clients that misbehave
 *
 * The daemon's loop runs in a thread of its own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"
#include "rig.h"
#include "control/socket.h"

TestSuite(control_socket, .init = control_start, .fini = control_stop, .timeout = 60);

static void is_served(int fd)
{
	say(fd, CALL("version", "") "\n");
	cr_assert_gt(recv(fd, (char[1024]){ 0 }, 1024, 0), 0);
}

#define REPLY RESULT("1", VERSION) "\n"

Test(control_socket, mode)
{
	struct stat st;

	cr_assert_eq(stat(control_path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0620);
}

Test(control_socket, lines_in_any_pieces)
{
	const char *text = CALL("version", "") "\n";
	FILE *f = client();
	int fd = fileno(f);

	for (size_t i = 0; text[i]; i++)
		cr_assert_eq(send(fd, text + i, 1, 0), 1);
	hear(f, REPLY);
	say(fd, "\n  \r\n" CALL("version", "") "\r\n" CALL("version", "") "\n" CALL("x", ""));
	hear(f, REPLY);
	hear(f, REPLY);
	shutdown(fd, SHUT_WR); /* the last line has no newline */
	hear(f, ERROR("1", -32601, "there is no method \\\"x\\\""));
	hear(f, NULL);
	fclose(f);
}

Test(control_socket, a_line_may_be_long_but_not_longer)
{
	char *text = malloc(65536 + 3);
	FILE *f = client();

	snprintf(text, 65536, "%-65535s", CALL("version", ""));
	text[65535] = ' ';
	strcpy(text + 65536, "\n");
	say(fileno(f), text);
	hear(f, REPLY);
	strcpy(text + 65536, " \n");
	say(fileno(f), text);
	hear(f, ERROR("null", -32600, "a line has at most 65536 bytes"));
	hear(f, NULL);
	fclose(f);
	free(text);
}

Test(control_socket, a_client_that_asks_and_asks_and_does_not_listen)
{
	const char *text = CALL("channel.list", "") "\n";
	const size_t length = strlen(text);
	struct timespec pause = { .tv_nsec = 20000000 };
	size_t sent = 0, heard = 0, size = 0;
	int fd = connection(), idle = 0;
	char *line = NULL;
	FILE *f;

	/* Until the daemon takes no more: it holds one reply, not thousands. */
	while (idle < 10) {
		ssize_t n = send(fd, text + sent % length, length - sent % length,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0) {
			cr_assert_eq(errno, EAGAIN);
			idle++;
			nanosleep(&pause, NULL);
		} else {
			sent += (size_t)n;
			idle = 0;
		}
	}
	cr_assert_lt(sent, 4 << 20);
	shutdown(fd, SHUT_WR);
	/* Then all requests are answered, in order. */
	f = fdopen(fd, "r");
	while (getline(&line, &size, f) > 0) {
		bool whole = heard < sent / length;

		cr_assert_eq(strncmp(line,
				     whole ? "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\"" :
					     "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\"",
				     30),
			     0);
		heard++;
	}
	cr_assert_eq(heard, (sent + length - 1) / length);
	free(line);
	fclose(f);
}

Test(control_socket, a_client_that_does_not_listen_is_dropped)
{
	const char *text = CALL("channel.list", "") "\n";
	struct timespec pause = { .tv_nsec = 50000000 };
	int fd = connection(), tries = 0;

	while (tries++ < 1000) {
		if (send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			continue;
		if (errno == EPIPE || errno == ECONNRESET)
			break;
		nanosleep(&pause, NULL);
	}
	cr_assert_leq(tries, 1000, "it is still there");
	close(fd);
	fd = connection(); /* other clients are served */
	is_served(fd);
	close(fd);
}

#define LEAVES                                                                     \
	ERROR("null", -32003,                                                      \
	      "another client needed a place, and this one had been idle for the " \
	      "longest time")

/* Clients that have asked something, the first one the longest ago */
static void served_clients(FILE **f, int n)
{
	for (int i = 0; i < n; i++) {
		f[i] = client();
		is_served(fileno(f[i]));
	}
}

Test(control_socket, sixty_four_clients)
{
	FILE *f[64], *more;

	served_clients(f, 64);
	is_served(fileno(f[0])); /* now the second client has asked nothing for the longest time */
	served_clients(&more, 1);
	hear(f[1], LEAVES);
	hear(f[1], NULL);
	is_served(fileno(f[0]));
	is_served(fileno(f[2]));
	/* One leaves: there is room again, and no other must leave. */
	shutdown(fileno(f[3]), SHUT_WR);
	hear(f[3], NULL);
	fclose(f[1]);
	served_clients(&f[1], 1);
	is_served(fileno(f[4]));
	for (int i = 0; i < 64; i++)
		fclose(f[i]);
	fclose(more);
}

Test(control_socket, a_client_that_is_told_of_events_keeps_its_place)
{
	FILE *f[64], *told = client();

	say(fileno(told), CALL("events.subscribe", "") "\n");
	hear(told, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"seq\":");
	served_clients(f, 64);
	hear(f[0], LEAVES);
	is_served(fileno(told));
	for (int i = 0; i < 64; i++)
		fclose(f[i]);
	fclose(told);
}

static char *many(const char *method, int n)
{
	char *line = NULL;
	size_t bytes;
	FILE *f = open_memstream(&line, &bytes);

	for (int i = 0; i < n; i++)
		fprintf(f, "%s" CALL("%s", ""), i ? "," : "[", method);
	fputs("]\n", f);
	fclose(f);
	return line;
}

Test(control_socket, a_batch_is_answered_in_one_line)
{
	char *line = many("channel.list", 16), *got = NULL, *at;
	FILE *f = client();
	size_t size;
	int n = 0;

	say(fileno(f), line);
	say(fileno(f), CALL("version", "") "\n");
	cr_assert_gt(getline(&got, &size, f), 0);
	cr_assert_eq(got[0], '[');
	cr_assert_str_eq(got + strlen(got) - 3, "}]\n");
	for (at = got;
	     (at = strstr(at, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"channels\":[")); at++)
		n++;
	cr_assert_eq(n, 16);
	hear(f, REPLY);
	free(got);
	free(line);
	fclose(f);
}

Test(control_socket, a_socket_that_is_in_use)
{
	struct control_socket other;

	cr_assert_eq(control_socket_open(&other, server_config(NULL), -1), -EADDRINUSE);
	control_socket_close(&other);
}
