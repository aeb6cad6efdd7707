// SPDX-License-Identifier: BSD-3-Clause
#include "server/try_value.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "endpoint/tls/tls.h"
#include "server/try_running.h"
#include "util/account.h"
#include "util/address.h"
#include "util/fd.h"
#include "util/folder.h"
#include "util/sandbox.h"
#include "util/socket_file.h"

/* A start makes its own folder, below one that is there */
static const char *made_by_a_start(const char *folder)
{
	static _Thread_local char above[256];
	const char *own = config_runtime_dir(), *slash = strrchr(own, '/');

	if (strcmp(folder, own) != 0 || !access(folder, F_OK))
		return folder;
	snprintf(above, sizeof(above), "%.*s", (int)(slash - own), own);
	return above;
}

/* Return: whether files may be made in the folder of a path */
static bool try_folder(struct trial *t, const struct conf_node *node, const char *path)
{
	_cleanup_free_ char *folder = folder_of(path);
	const char *user = account_name();
	enum sandbox_view view = sandbox_view(path);
	struct stat st;

	if (!folder)
		return false;
	if (view != SANDBOX_AS_ALL) {
		conf_error(&t->errors, node, "%s: %s%s", path,
			   strerror(view == SANDBOX_READ_ONLY ? EROFS : EPERM),
			   sandbox_path_hint(path, SANDBOX_SOCKET));
		return false;
	}
	if (!strcmp(folder, t->manager_makes) && access(folder, F_OK))
		conf_error(
			&t->untried, node,
			"well-formed, not tried: the service manager makes %s when it starts the "
			"service",
			folder);
	else if (stat(made_by_a_start(folder), &st))
		conf_error(&t->errors, node, "%s: the folder %s: %s%s", path, folder,
			   strerror(errno),
			   errno == ENOENT ? " (make it first, or choose another path)" : "");
	else if (faccessat(AT_FDCWD, made_by_a_start(folder), W_OK | X_OK, AT_EACCESS))
		conf_error(&t->errors, node,
			   "%s: user %s may not make files in %s: %s (change the folder's owner or "
			   "permissions, or choose another path)",
			   path, user, folder, strerror(errno));
	else
		return true;
	return false;
}

static void try_group(struct trial *t, const struct conf_node *node, const char *group)
{
	gid_t gid;

	/* Unknown groups were reported when the file was read */
	if (group && !account_gid(group, &gid) && !account_is_member(gid))
		conf_error(
			&t->errors, node,
			"user %s is not a member of the group \"%s\", so the socket cannot be given "
			"to it (adduser %s %s, then restart the daemon)",
			account_name(), group, account_name(), group);
}

void try_listen(struct trial *t, const struct conf_node *node, const char *path,
		const struct conf_node *group_node, const char *group)
{
	int holder;
	struct stat st;

	try_group(t, group_node, group);
	if (!try_folder(t, node, path))
		return;
	holder = try_lock_holder(path);
	if (holder && holder == t->running)
		return;
	if (holder > 0)
		conf_error(
			&t->errors, node,
			"%s: another okl4fsd, process %d, listens there (end it, or choose another "
			"path)",
			path, holder);
	else if (holder)
		conf_error(&t->untried, node, "well-formed, not tried: an okl4fsd listens at %s",
			   path);
	else if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
		conf_error(&t->errors, node, "%s: %s%s", path, strerror(ENOTSOCK),
			   socket_file_way_out(ENOTSOCK, path));
	else if (socket_file_find_listener(path) == -EADDRINUSE)
		conf_error(&t->errors, node, "%s: %s%s", path, strerror(EADDRINUSE),
			   socket_file_way_out(EADDRINUSE, path));
}

void try_connect(struct trial *t, const struct conf_node *node, const char *path)
{
	const char *user = account_name();
	struct stat st;

	if (sandbox_hides(path))
		conf_error(&t->errors, node, "%s: %s%s", path, strerror(EPERM),
			   sandbox_path_hint(path, SANDBOX_CONNECT));
	else if (stat(path, &st) && errno == ENOENT)
		conf_error(
			&t->untried, node,
			"well-formed, not tried: %s does not exist yet; the daemon connects when it "
			"does",
			path);
	else if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
		conf_error(
			&t->errors, node,
			"%s: %s (user %s needs write permission for the socket, and must be able to "
			"look into its folder)",
			path, strerror(errno), user);
	else if (!S_ISSOCK(st.st_mode))
		conf_error(&t->errors, node, "%s: %s", path, strerror(ENOTSOCK));
}

void try_round_file(struct trial *t, const struct conf_node *node, const char *path)
{
	const char *user = account_name();
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		int error = errno;

		conf_error(&t->errors, node, "user %s cannot read %s: %s%s", user, path,
			   strerror(error), sandbox_path_hint(path, SANDBOX_FILE));
		return;
	}
	if (!S_ISREG(st.st_mode))
		conf_error(&t->errors, node, "%s is not a regular file", path);
	else if (!st.st_size)
		conf_error(&t->errors, node, "%s is empty, there is nothing to send", path);
}

void try_tls(struct trial *t, struct conf_node *node, const struct endpoint_config *cfg,
	     bool listens)
{
	static const struct tls_ops none;
	char why[ENDPOINT_ERROR_BYTES];
	struct conf_node *at = NULL;
	struct tls *tls;

	if (tls_new(&tls, NULL, cfg, NULL, listens, &none, NULL))
		return;
	if (tls_check(tls, why)) {
		/* It begins with the word for the file */
		if (node)
			at = conf_member(node, *why == 'c' ? "cert" : *why == 'k' ? "key" : "ca");
		conf_error(&t->errors, at ? at : node, "%s (tried as user %s)", why,
			   account_name());
	}
	tls_free(tls);
}

/* As in try_listen() */
static void port_in_use(struct trial *t, const struct conf_node *node, const char *address,
			uint16_t port)
{
	int holds = t->running > 0 ? try_port_holder(t->running, port) : 0;

	if (holds < 0)
		conf_error(
			&t->untried, node,
			"well-formed, not tried: a program listens at %s, perhaps the daemon that runs",
			address);
	else if (!holds)
		conf_error(&t->errors, node,
			   "%s: %s (end the program that listens there, or choose another port)",
			   address, strerror(EADDRINUSE));
}

static int bind_port(const struct addrinfo *at)
{
	_cleanup_fd_ int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (at->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return bind(fd, at->ai_addr, at->ai_addrlen) ? errno : 0;
}

void try_tcp_listen(struct trial *t, const struct conf_node *node, const char *text)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST | AI_PASSIVE,
					.ai_socktype = SOCK_STREAM };
	struct address address;
	struct addrinfo *list;
	char port[8];
	int error;

	if (address_parse(&address, text))
		return;
	snprintf(port, sizeof(port), "%u", address.port);
	if (getaddrinfo(address_is_loopback(&address) && !address.is_numeric ? "127.0.0.1" :
									       address.host,
			port, &hints, &list)) {
		conf_error(&t->untried, node,
			   "well-formed, not tried: the address of %s is looked up at the start%s",
			   address.host, sandbox_network_hint(0));
		return;
	}
	error = bind_port(list);
	freeaddrinfo(list);
	if (error == EADDRINUSE)
		port_in_use(t, node, text, address.port);
	else if (error)
		conf_error(&t->errors, node, "%s: %s%s", text, strerror(error),
			   error == EACCES ? " (ports below 1024 are only for root)" :
					     sandbox_network_hint(error));
}

void try_tcp_connect(struct trial *t, const struct conf_node *node, const char *text)
{
	const char *hint = sandbox_network_hint(0);

	if (*hint)
		conf_error(&t->errors, node, "%s: %s%s", text, strerror(EAFNOSUPPORT), hint);
	else
		conf_error(
			&t->untried, node,
			"well-formed, not tried: the daemon connects to %s when the guest opens the "
			"channel",
			text);
}
