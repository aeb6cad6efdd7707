// SPDX-License-Identifier: BSD-3-Clause
/*
 * Correctness depends only on the order of the stores. A killed process has made each store up to some
 * instruction and none after it, and what it stored into a shared mapping stays in the page cache,
 * which the next process maps. So only the compiler must keep the order, for which release stores
 * are enough; they pair with joined_file_open() of the next process, and with nothing that runs at the
 * same time.
 *
 * A channel's name may hold almost any byte and be long, so the name of a file has a hash of it; the
 * file itself has the names in full.
 *
 * Space is allocated up front: a store into a hole of a full tmpfs would be SIGBUS.
 */
#include "endpoint/joined/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <libfs/platform.h>

#include "util/fd.h"
#include "util/log.h"

#define JOINED_MAGIC   0x67647262344c4b4fULL /* "OKL4brdg" */
#define JOINED_VERSION 1
#define JOINED_SESSION 2 /* version of the file of a session */
#define HASH_DIGITS    16

struct joined_slot {
	struct joined_state state;
	uint64_t sum;
};

/* The file; it never leaves the machine, so it is in the machine's byte order */
struct joined_disk {
	uint64_t magic; /* stored last when the file is made */
	uint32_t version, bytes;
	struct joined_name name[2];
	uint64_t turn; /* as in struct joined_file */
	struct joined_slot slot[2];
};
_Static_assert(sizeof(struct joined_disk) == 16 + 256 + 8 + 2 * 136, "version 1");

static char *joined_dir;

int joined_set_dir(const char *control_path)
{
	const char *slash = strrchr(control_path, '/');
	int n = slash ? (int)(slash - control_path) + 1 : 0;

	free(joined_dir);
	joined_dir = NULL;
	if (asprintf(&joined_dir, "%.*sjoined", n, control_path) < 0)
		joined_dir = NULL;
	return joined_dir ? 0 : -ENOMEM;
}

int joined_name_compare(const struct joined_name *a, const struct joined_name *b)
{
	int r = strcmp(a->guest, b->guest);

	return r ? r : strcmp(a->channel, b->channel);
}

static uint64_t fnv1a(uint64_t h, const void *p, size_t bytes)
{
	const uint8_t *at = p;

	while (bytes--)
		h = (h ^ *at++) * 0x100000001b3ULL;
	return h;
}

#define HASH_START 0xcbf29ce484222325ULL

/* Of all but what joined_file_moved() changes */
static uint64_t state_sum(const struct joined_state *state)
{
	struct joined_state s = *state;

	s.way[0].moved = s.way[1].moved = 0;
	return fnv1a(HASH_START, &s, sizeof(s));
}

/* Return: the path, to be freed, or NULL */
static char *file_path(const struct joined_name name[2], uint64_t session)
{
	uint64_t h = HASH_START;
	char *path, number[1 + HASH_DIGITS + 1] = "";

	if (session)
		snprintf(number, sizeof(number), ".%0*llx", HASH_DIGITS,
			 (unsigned long long)session);

	for (int i = 0; i < 2; i++) {
		h = fnv1a(h, name[i].guest, strlen(name[i].guest) + 1);
		h = fnv1a(h, name[i].channel, strlen(name[i].channel) + 1);
	}
	if (asprintf(&path, "%s/%s.%s.%0*llx%s", joined_dir, name[0].guest, name[1].guest,
		     HASH_DIGITS, (unsigned long long)h, number) < 0)
		return NULL;
	return path;
}

static bool is_ours_alone(const struct stat *st)
{
	return st->st_uid == geteuid() && !(st->st_mode & 0077);
}

/* Return: 0, -EPERM: others could write there; or another negated errno; with a log line */
static int make_joined_dir(void)
{
	struct stat st;
	int r = 0;

	if (!joined_dir)
		return -ENOTDIR;
	if ((mkdir(joined_dir, 0700) && errno != EEXIST) || lstat(joined_dir, &st))
		r = -errno;
	else if (!S_ISDIR(st.st_mode))
		r = -ENOTDIR;
	else if (!is_ours_alone(&st))
		r = -EPERM;
	if (r)
		log_err("directory %s, for the state of endpoints `channel`: %s", joined_dir,
			r == -EPERM ? "other users can use it (it must be ours, with mode 0700)" :
				      strerror(-r));
	return r;
}

/* Return: what is wrong with a file's content, or NULL */
static const char *whats_wrong(const struct joined_disk *d, const struct joined_name name[2],
			       uint32_t version)
{
	const struct joined_slot *slot = &d->slot[d->turn % 2];

	if (d->magic != JOINED_MAGIC)
		return "it is not the state of an endpoint `channel`";
	if (d->version != version)
		return "its version is not supported";
	if (d->bytes != sizeof(*d))
		return "its size is not the one that its header names";
	if (memcmp(d->name, name, sizeof(d->name)) != 0)
		return "it belongs to other channels";
	if (slot->sum != state_sum(&slot->state))
		return "it is damaged";
	return NULL;
}

static void begin_state(struct joined_file *f, const struct joined_name name[2], uint32_t version)
{
	struct joined_disk *d = f->disk;

	memset(d, 0, sizeof(*d));
	memcpy(d->name, name, sizeof(d->name));
	d->version = version;
	d->bytes = sizeof(*d);
	d->slot[0].sum = state_sum(&d->slot[0].state);
	/* pairs with whats_wrong() of the next process: a magic, and all of the above */
	okl4_store_release(&d->magic, JOINED_MAGIC);
}

/* Lock the file, allocate all of it, map it; @size: out: its size before. Return: 0 or -errno */
static int map_file(struct joined_file *f, off_t *size)
{
	struct stat st;
	void *at;
	int r;

	if (flock(f->fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(f->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return -EPERM;
	*size = st.st_size;
	if (ftruncate(f->fd, sizeof(*f->disk)))
		return -errno;
	r = posix_fallocate(f->fd, 0, sizeof(*f->disk));
	if (r)
		return -r;
	at = mmap(NULL, sizeof(*f->disk), PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	f->disk = at;
	return 0;
}

static void take_up(struct joined_file *f, const struct joined_name name[2], uint32_t version,
		    off_t size)
{
	const char *wrong = whats_wrong(f->disk, name, version);
	bool unfinished = !size || (size == (off_t)sizeof(*f->disk) && !f->disk->magic);

	if (size != (off_t)sizeof(*f->disk))
		wrong = "it has another size";
	/* Without a magic the process that made it was killed, and nothing had moved. */
	if (wrong && !unfinished)
		log_warning("%s: %s; it is refused, and the streams of %s/%s and %s/%s start again",
			    f->path, wrong, name[0].guest, name[0].channel, name[1].guest,
			    name[1].channel);
	if (wrong)
		begin_state(f, name, version);
	f->turn = f->disk->turn;
	f->state = f->disk->slot[f->turn % 2].state;
}

int joined_file_open(struct joined_file *f, const struct joined_name name[2], uint64_t session)
{
	off_t size = 0;
	int r = make_joined_dir();

	*f = (struct joined_file){ .fd = -1 };
	if (r)
		return r;
	f->path = file_path(name, session);
	if (!f->path)
		return -ENOMEM;
	f->fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	r = f->fd < 0 ? -errno : map_file(f, &size);
	if (r) {
		log_err("%s: %s", f->path,
			r == -EBUSY ? "another daemon joins these channels" : strerror(-r));
		joined_file_close(f);
		return r;
	}
	take_up(f, name, session ? JOINED_SESSION : JOINED_VERSION, size);
	return 0;
}

void joined_file_close(struct joined_file *f)
{
	if (f->disk)
		munmap(f->disk, sizeof(*f->disk));
	fd_close(f->fd);
	free(f->path);
	*f = (struct joined_file){ .fd = -1 };
}

void joined_file_remove(const struct joined_name name[2], uint64_t session)
{
	char *path = joined_dir ? file_path(name, session) : NULL;

	if (path)
		unlink(path);
	free(path);
}

void joined_file_sessions(const struct joined_name name[2],
			  void (*found)(const struct joined_name name[2], uint64_t session))
{
	_cleanup_free_ char *path = joined_dir ? file_path(name, 0) : NULL;
	const char *file = path ? strrchr(path, '/') + 1 : NULL;
	DIR *dir = path ? opendir(joined_dir) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		const char *at = entry->d_name + strnlen(entry->d_name, strlen(file));
		uint64_t session = *at == '.' ? strtoull(at + 1, NULL, 16) : 0;

		if (session && !strncmp(entry->d_name, file, strlen(file)))
			found(name, session);
	}
	if (dir)
		closedir(dir);
}

void joined_file_moved(struct joined_file *f, unsigned int way, uint64_t bytes)
{
	struct joined_slot *slot = &f->disk->slot[f->turn % 2];

	f->state.way[way].moved += bytes;
	/* after the bytes themselves, before the cursors that give them away */
	okl4_store_release(&slot->state.way[way].moved, f->state.way[way].moved);
}

void joined_file_commit(struct joined_file *f)
{
	struct joined_slot *slot = &f->disk->slot[(f->turn + 1) % 2];

	slot->state = f->state;
	slot->sum = state_sum(&f->state);
	f->turn++;
	/* after the slot it points to, before the phases that follow from it */
	okl4_store_release(&f->disk->turn, f->turn);
}

static bool has_pair(const struct guest_config *guest, const struct joined_name *mine,
		     const struct joined_name *other)
{
	for (size_t i = 0; i < guest->n_channels; i++) {
		const struct channel_config *c = &guest->channels[i];

		if (!strcmp(c->name, mine->channel))
			return c->endpoint.type == ENDPOINT_CHANNEL &&
			       !strcmp(c->endpoint.guest, other->guest) &&
			       !strcmp(c->endpoint.channel, other->channel);
	}
	return false;
}

/* Whether a guest of the pair is configured, but without the pair */
static bool is_stale(const struct joined_name name[2], const struct guest_config *guest,
		     size_t n_guests)
{
	for (size_t i = 0; i < n_guests; i++) {
		for (int side = 0; side < 2; side++) {
			if (!strcmp(guest[i].name, name[side].guest) &&
			    !has_pair(&guest[i], &name[side], &name[!side]))
				return true;
		}
	}
	return false;
}

static void sweep_file(int dir, const char *file, const struct guest_config *guest, size_t n_guests)
{
	_cleanup_fd_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct joined_disk d;

	/* A file that cannot be read is reported and replaced when it is opened. */
	if (fd < 0 || read(fd, &d, sizeof(d)) != sizeof(d) || whats_wrong(&d, d.name, d.version) ||
	    (d.version != JOINED_VERSION && d.version != JOINED_SESSION))
		return;
	for (int side = 0; side < 2; side++) {
		d.name[side].guest[JOINED_NAME_BYTES - 1] = 0;
		d.name[side].channel[JOINED_NAME_BYTES - 1] = 0;
	}
	if (!is_stale(d.name, guest, n_guests))
		return;
	log_info("%s/%s: %s/%s and %s/%s are no longer joined; it is removed", joined_dir, file,
		 d.name[0].guest, d.name[0].channel, d.name[1].guest, d.name[1].channel);
	unlinkat(dir, file, 0);
}

void joined_sweep(const struct guest_config *guest, size_t n_guests)
{
	DIR *dir = joined_dir ? opendir(joined_dir) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] != '.' || strchr(entry->d_name + 1, '.'))
			sweep_file(dirfd(dir), entry->d_name, guest, n_guests);
	}
	if (dir)
		closedir(dir);
}
