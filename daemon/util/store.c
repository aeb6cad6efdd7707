// SPDX-License-Identifier: BSD-3-Clause
#include "util/store.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/fd.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/stranger.h"

#define NAME_BYTES 128 /* a guest's name has at most 63 bytes */
#define SHARED     "memory/" /* no guest's name has a slash */

/* What the former daemon has stored, and nobody has taken yet; main's */
struct inherited {
	char *name;
	int fd;
	LIST_ENTRY(inherited) entry;
};

/* A file that is stored once and used @n_users times */
struct shared {
	uint32_t number;
	unsigned int n_users;
	int fd;
	struct stat st;
	LIST_ENTRY(shared) entry;
};

static LIST_HEAD(, inherited) inheritance = LIST_HEAD_INITIALIZER(inheritance);

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER; /* protects what follows */
static LIST_HEAD(, shared) shared_files = LIST_HEAD_INITIALIZER(shared_files);
static uint32_t last_shared;

void store_put(int fd, const char *fmt, ...)
{
	char name[NAME_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	/* Without FDPOLL=0 it would close a connection whose other side has left. */
	notify_with_fd(fd, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
}

void store_remove(const char *fmt, ...)
{
	char name[NAME_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	notify("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

bool store_same_file(int a, int b)
{
	pid_t pid = getpid();

	return !syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b);
}

/* --- What the former daemon has left ------------------------------------------------------------- */

/* Return: the number after the last '.' or after SHARED; 0: there is none */
static uint32_t number_of(const char *name, size_t prefix_bytes)
{
	char *end;
	unsigned long n;

	if (name[prefix_bytes] < '1' || name[prefix_bytes] > '9')
		return 0;
	n = strtoul(name + prefix_bytes, &end, 10);
	return *end || n > UINT32_MAX ? 0 : (uint32_t)n;
}

static void inherit_shared(uint32_t number, int fd)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (!s || fstat(fd, &s->st)) {
		free(s);
		fd_close(fd);
		store_remove(SHARED "%u", number);
		return;
	}
	s->number = number;
	s->fd = fd;
	pthread_mutex_lock(&shared_lock);
	LIST_INSERT_HEAD(&shared_files, s, entry);
	if (number > last_shared)
		last_shared = number;
	pthread_mutex_unlock(&shared_lock);
}

void store_inherit(const char *name, int fd)
{
	struct inherited *i;
	uint32_t number = 0;

	if (!strncmp(name, SHARED, strlen(SHARED)))
		number = number_of(name, strlen(SHARED));
	if (number) {
		inherit_shared(number, fd);
		return;
	}
	i = calloc(1, sizeof(*i));
	if (i)
		i->name = strdup(name);
	if (!i || !i->name) {
		free(i);
		fd_close(fd);
		return;
	}
	i->fd = fd;
	LIST_INSERT_HEAD(&inheritance, i, entry);
}

static int take_out(struct inherited *i)
{
	int fd = i->fd;

	LIST_REMOVE(i, entry);
	free(i->name);
	free(i);
	return fd;
}

int store_take(const char *fmt, ...)
{
	char name[NAME_BYTES];
	struct inherited *i;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	LIST_FOREACH(i, &inheritance, entry)
	{
		if (!strcmp(i->name, name))
			return take_out(i);
	}
	return -1;
}

int store_take_numbered(const char *of, uint32_t *number)
{
	size_t bytes = strlen(of);
	struct inherited *i;

	LIST_FOREACH(i, &inheritance, entry)
	{
		if (strncmp(i->name, of, bytes) != 0 || i->name[bytes] != '.')
			continue;
		*number = number_of(i->name, bytes + 1);
		if (*number)
			return take_out(i);
	}
	return -1;
}

static void sweep_shared(void)
{
	struct shared *s, *next;

	pthread_mutex_lock(&shared_lock);
	for (s = LIST_FIRST(&shared_files); s; s = next) {
		next = LIST_NEXT(s, entry);
		if (s->n_users)
			continue;
		store_remove(SHARED "%u", s->number);
		LIST_REMOVE(s, entry);
		fd_close(s->fd);
		free(s);
	}
	pthread_mutex_unlock(&shared_lock);
}

void store_sweep(void)
{
	struct inherited *i;

	while ((i = LIST_FIRST(&inheritance))) {
		const char *what = strrchr(i->name, '.');

		if (what && !strcmp(what, ".socket")) {
			log_notice("guest %.*s is not in the configuration; its frontend is let go",
				   (int)(what - i->name), i->name);
			shutdown(i->fd, SHUT_RDWR);
		}
		store_remove("%s", i->name);
		stranger_give_stored(take_out(i));
	}
	sweep_shared();
}

/* --- Files that several guests' devices have --------------------------------------------------- */

static struct shared *find_shared(uint32_t number)
{
	struct shared *s;

	LIST_FOREACH(s, &shared_files, entry)
	{
		if (s->number == number)
			return s;
	}
	return NULL;
}

static struct shared *find_same(int fd, const struct stat *st)
{
	struct shared *s;

	LIST_FOREACH(s, &shared_files, entry)
	{
		if (s->st.st_ino == st->st_ino && s->st.st_dev == st->st_dev &&
		    store_same_file(s->fd, fd))
			return s;
	}
	return NULL;
}

static struct shared *new_shared(int fd, const struct stat *st)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0) {
		free(s);
		return NULL;
	}
	s->st = *st;
	s->number = ++last_shared;
	store_put(s->fd, SHARED "%u", s->number);
	LIST_INSERT_HEAD(&shared_files, s, entry);
	return s;
}

uint32_t store_share(int fd)
{
	struct shared *s;
	struct stat st;
	uint32_t number = 0;

	if (fstat(fd, &st))
		return 0;
	pthread_mutex_lock(&shared_lock);
	s = find_same(fd, &st);
	if (!s)
		s = new_shared(fd, &st);
	if (s) {
		s->n_users++;
		number = s->number;
	}
	pthread_mutex_unlock(&shared_lock);
	return number;
}

int store_share_again(uint32_t number)
{
	struct shared *s;
	int fd = -1;

	pthread_mutex_lock(&shared_lock);
	s = find_shared(number);
	if (s) {
		s->n_users++;
		fd = s->fd;
	}
	pthread_mutex_unlock(&shared_lock);
	return fd;
}

void store_unshare(uint32_t number)
{
	struct shared *s;

	pthread_mutex_lock(&shared_lock);
	s = number ? find_shared(number) : NULL;
	if (s && s->n_users && !--s->n_users) {
		store_remove(SHARED "%u", number);
		LIST_REMOVE(s, entry);
		close(s->fd); /* a file that the kernel serves by itself: it does not block */
		free(s);
	}
	pthread_mutex_unlock(&shared_lock);
}
