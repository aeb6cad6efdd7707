// SPDX-License-Identifier: BSD-3-Clause
/*
 * rights.c - the control socket: which client may do what, and which one is dismissed
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"
#include "rig.h"
#include "control/rights.h"

/* Other users than root and the one that runs the test, which are admins in any case */
enum { STRANGER = 4242, READER, ADMIN, FRIEND };

static void may(const struct control_rights *rights, uid_t uid, gid_t group,
		enum control_right want)
{
	struct control_peer peer = { .uid = uid, .groups = (gid_t[]){ 999, group }, .n_groups = 2 };

	cr_assert_eq(control_rights_of(rights, &peer), want, "uid %u, group %u", uid, group);
}

Test(control_rights, users_and_groups)
{
	struct control_ids none = { .given = false }, empty = { .given = true };
	struct control_ids readers = { true, (uid_t[]){ READER }, 1, (gid_t[]){ 50, 60 }, 2 };
	struct control_ids admins = { true, (uid_t[]){ FRIEND, ADMIN }, 2, (gid_t[]){ 70 }, 1 };
	struct control_rights rights = { none, none };

	may(&rights, STRANGER, 1, CONTROL_ADMIN);

	rights = (struct control_rights){ readers, admins };
	may(&rights, 0, 1, CONTROL_ADMIN);
	may(&rights, geteuid(), 1, CONTROL_ADMIN);
	may(&rights, STRANGER, 1, CONTROL_NOBODY);
	may(&rights, READER, 1, CONTROL_READER);
	may(&rights, STRANGER, 60, CONTROL_READER);
	may(&rights, ADMIN, 1, CONTROL_ADMIN);
	may(&rights, READER, 70, CONTROL_ADMIN);

	rights = (struct control_rights){ none, admins };
	may(&rights, STRANGER, 60, CONTROL_READER);
	may(&rights, FRIEND, 1, CONTROL_ADMIN);

	rights = (struct control_rights){ readers, none };
	may(&rights, STRANGER, 1, CONTROL_NOBODY);
	may(&rights, STRANGER, 50, CONTROL_READER);
	may(&rights, 0, 1, CONTROL_ADMIN);

	rights = (struct control_rights){ none, empty };
	may(&rights, STRANGER, 1, CONTROL_READER);
	rights = (struct control_rights){ empty, none };
	may(&rights, STRANGER, 1, CONTROL_NOBODY);
	may(&rights, 0, 1, CONTROL_ADMIN);
}

Test(control_rights, names_become_numbers)
{
	char *users[] = { (char *)"no such user", (char *)"root", (char *)"daemon" };
	char *groups[] = { (char *)"adm", (char *)"no such group" };
	struct config cfg = { .control_readers = { true, users, 3, groups, 2 } };
	struct control_rights rights;

	control_rights_init(&rights, &cfg);
	cr_assert(rights.readers.given);
	cr_assert_not(rights.admins.given);
	cr_assert_eq(rights.readers.n_users, 2);
	cr_assert_eq(rights.readers.users[0], 0);
	cr_assert_eq(rights.readers.users[1], 1);
	cr_assert_eq(rights.readers.n_groups, 1);
	cr_assert_eq(rights.readers.groups[0], 4);
	control_rights_deinit(&rights);
}

Test(control_rights, the_other_end_of_a_socket)
{
	struct control_peer peer;
	gid_t groups[256];
	int fd[2], n = getgroups(256, groups);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	cr_assert_eq(control_peer_init(&peer, fd[0]), 0);
	cr_assert_eq(peer.pid, getpid());
	cr_assert_eq(peer.uid, geteuid());
	cr_assert_eq(peer.groups[0], getegid());
	cr_assert_eq(peer.n_groups, (size_t)n + 1);
	for (int i = 0; i < n; i++)
		cr_assert_eq(peer.groups[i + 1], groups[i]);
	control_peer_deinit(&peer);
	close(fd[0]);
	close(fd[1]);
}

Test(control_rights, a_refusal_says_which_right_is_missing)
{
	control_caller.right = CONTROL_READER;
	gives("version", NULL, VERSION);
	refuses("config.reload", NULL, -32002,
		"uid 77 may not call config.reload: "
		"it is not in control.admins of the configuration");
	refuses("channel.add", "\"nonsense\":1", -32002,
		"uid 77 may not call channel.add: "
		"it is not in control.admins of the configuration");
	control_caller.right = CONTROL_NOBODY;
	refuses("version", NULL, -32002,
		"uid 77 has no rights: it is neither in control.readers nor in "
		"control.admins of the configuration");
	refuses("no.such", NULL, -32601, "there is no method \\\"no.such\\\"");
	cr_assert_str_eq(control_changed, "");
}

TestSuite(control_idle, .init = control_start, .fini = control_stop, .timeout = 60);

static void one_second(void *arg)
{
	control_config.control_idle_seconds = 1;
}

Test(control_idle, a_client_that_asks_nothing_is_dismissed)
{
	FILE *idle = client(), *trickles, *told = client(), *quiet;

	say(fileno(told), CALL("events.subscribe", "") "\n");
	hear(told, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\"");
	control_reload(one_second);
	/* Clients that were connected before, too */
	hear(idle, ERROR("null", -32003, "no request came for 1 s"));
	hear(idle, NULL);

	/* Bytes without a newline are not a question. */
	trickles = client();
	quiet = client();
	say(fileno(trickles), "{");
	hear(quiet, ERROR("null", -32003, "no request came for 1 s"));
	hear(trickles, ERROR("null", -32003, "no request came for 1 s"));
	hear(trickles, NULL);

	/* A subscriber may be silent. */
	say(fileno(told), CALL("version", "") "\n");
	hear(told, RESULT("1", VERSION));
	fclose(idle);
	fclose(trickles);
	fclose(told);
	fclose(quiet);
}
