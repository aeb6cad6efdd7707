// SPDX-License-Identifier: BSD-3-Clause
#include "endpoint/stream/unix_attempt.h"

#include <errno.h>
#include <string.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/sandbox.h"

int unix_attempt_check(const struct log_about *about, const char *what, const char *path)
{
	/* What listens there is never seen */
	if (!sandbox_hides(path))
		return 0;
	log_about(LOG_LEVEL_ERR, about, "%s: %s: %s%s", what, path, strerror(EPERM),
		  sandbox_path_hint(path, SANDBOX_CONNECT));
	return -EPERM;
}

int unix_attempt(const char *path, bool packets)
{
	return fd_connect_unix(path, packets ? FD_UNIX_PACKETS : FD_UNIX_STREAM);
}

const char *unix_attempt_why(int error, bool packets)
{
	switch (-error) {
	case ECONNREFUSED:
		return "nobody listens";
	case EPROTOTYPE:
		return packets ? "it is not a SOCK_SEQPACKET socket" :
				 "it is not a SOCK_STREAM socket";
	case EAGAIN:
		return "too many are waiting there already";
	default:
		return strerror(-error);
	}
}
