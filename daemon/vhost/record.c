// SPDX-License-Identifier: BSD-3-Clause
/*
 * Correctness depends only on the order of the stores, as in endpoint/joined/file.c: a killed
 * process has made each store up to some instruction and none after it. So only the compiler must
 * keep the order, for which release stores are enough; they pair with record_open() of the next
 * process, and with nothing that runs at the same time.
 */
#include "vhost/record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fd.h"

#define RECORD_MAGIC   0x64636572344c4b4fULL /* "OKL4recd" */
#define RECORD_VERSION 1
#define ANSWERS_AT     8192
#define FILE_BYTES     (ANSWERS_AT + RECORD_ANSWER_BYTES)
#define MAX_ATTEMPTS   10 /* daemons in a row that have ended while they took it up */

struct record_slot {
	struct record_state state;
	uint64_t sum;
};

/* The file; it never leaves the machine, so it is in the machine's byte order */
struct record_file {
	uint64_t magic; /* stored last when the file is made */
	uint32_t version, bytes;
	uint64_t turn; /* as in struct record */
	uint64_t done; /* the last turn whose message was taken and answered */
	uint64_t attempts;
	struct record_slot slot[2];
};
_Static_assert(sizeof(struct record_file) <= ANSWERS_AT, "answers lie behind it");

static uint64_t state_sum(const struct record_state *state)
{
	const uint8_t *at = (const uint8_t *)state;
	uint64_t h = 0xcbf29ce484222325ULL; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*state); i++)
		h = (h ^ at[i]) * 0x100000001b3ULL;
	return h;
}

static int map_file(struct record *r)
{
	void *at = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	r->file = at;
	return 0;
}

/* All of it is allocated: a store into a hole would be SIGBUS when memory is short. */
static int make_file(struct record *r)
{
	int e;

	r->fd = memfd_create("okl4fs-record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0)
		return -errno;
	e = posix_fallocate(r->fd, 0, FILE_BYTES);
	if (e)
		return -e;
	if (fcntl(r->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) ||
	    lseek(r->fd, ANSWERS_AT, SEEK_SET) < 0)
		return -errno;
	return map_file(r);
}

int record_new(struct record *r)
{
	int e;

	memset(r, 0, sizeof(*r));
	r->state.next = 1;
	e = make_file(r);
	if (e) {
		record_close(r);
		return e;
	}
	r->file->version = RECORD_VERSION;
	r->file->bytes = sizeof(*r->file);
	memcpy(&r->file->slot[0].state, &r->state, sizeof(r->state));
	r->file->slot[0].sum = state_sum(&r->state);
	/* pairs with record_open() of the next process: a magic, and all of the above */
	okl4_store_release(&r->file->magic, RECORD_MAGIC);
	return 0;
}

static const char *whats_wrong(const struct record_file *f)
{
	const struct record_slot *slot = &f->slot[f->turn % 2];

	if (f->magic != RECORD_MAGIC)
		return "it is not a record";
	if (f->version != RECORD_VERSION || f->bytes != sizeof(*f))
		return "its version is not supported";
	if (slot->sum != state_sum(&slot->state))
		return "it is damaged";
	if (slot->state.said.n_regions > GUEST_MEMORY_MAX_REGIONS)
		return "it has too many regions";
	if (f->attempts >= MAX_ATTEMPTS)
		return "daemons have ended again and again while they took it up";
	return NULL;
}

const char *record_open(struct record *r, int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);
	const char *wrong;
	struct stat st;

	memset(r, 0, sizeof(*r));
	r->fd = fd;
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) || st.st_size != FILE_BYTES)
		wrong = "it is not a record of this version";
	else if (map_file(r))
		wrong = "it cannot be mapped";
	else
		wrong = whats_wrong(r->file);
	if (wrong) {
		r->fd = -1;
		record_close(r);
		return wrong;
	}
	r->file->attempts++;
	r->turn = r->file->turn;
	memcpy(&r->state, &r->file->slot[r->turn % 2].state, sizeof(r->state));
	return NULL;
}

void record_taken_up(struct record *r)
{
	r->file->attempts = 0;
}

void record_close(struct record *r)
{
	if (r->file)
		munmap(r->file, FILE_BYTES);
	fd_close(r->fd);
	memset(r, 0, sizeof(*r));
	r->fd = -1;
}

/* Return: where the answer lies, which is the file's offset; or -errno */
static off_t place_answer(struct record *r, const void *answer, uint32_t bytes)
{
	off_t at = lseek(r->fd, 0, SEEK_CUR);

	if (at < ANSWERS_AT || at + VHOST_REPLY_BYTES > FILE_BYTES)
		at = lseek(r->fd, ANSWERS_AT, SEEK_SET);
	if (at < 0)
		return -errno;
	memcpy((uint8_t *)r->file + at, answer, bytes);
	return at;
}

int record_commit(struct record *r, uint32_t msg_bytes, const void *answer, uint32_t answer_bytes)
{
	struct record_slot *slot = &r->file->slot[(r->turn + 1) % 2];
	off_t at = answer ? place_answer(r, answer, answer_bytes) : 0;

	if (at < 0)
		return (int)at;
	r->state.msg_bytes = msg_bytes;
	r->state.answer_at = (uint32_t)at;
	memcpy(&slot->state, &r->state, sizeof(r->state));
	slot->sum = state_sum(&r->state);
	r->turn++;
	/* after the slot it points to and the answer that the slot names */
	okl4_store_release(&r->file->turn, r->turn);
	return 0;
}

bool record_is_done(const struct record *r)
{
	return r->file->done == r->turn;
}

void record_done(struct record *r)
{
	okl4_store_release(&r->file->done, r->turn);
}

bool record_answer_is_due(const struct record *r)
{
	return r->state.answer_at && lseek(r->fd, 0, SEEK_CUR) == (off_t)r->state.answer_at;
}

int record_answer(struct record *r, int socket)
{
	return sendfile(socket, r->fd, NULL, VHOST_REPLY_BYTES) == VHOST_REPLY_BYTES ? 0 : -EIO;
}
