// SPDX-License-Identifier: BSD-3-Clause
#include "vhost/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "util/fd.h"
#include "util/store.h"
#include "util/stranger.h"

static void init(struct kept *k, const char *guest)
{
	memset(k, 0, sizeof(*k));
	k->guest = guest;
	k->socket = k->record.fd = -1;
}

int kept_begin(struct kept *k, const char *guest, int socket)
{
	int r;

	init(k, guest);
	r = record_new(&k->record);
	if (r)
		return r;
	k->socket = socket;
	/* A record without a connection is forgotten, a connection without a record is dropped. */
	store_put(k->record.fd, "%s.record", guest);
	store_put(socket, "%s.socket", guest);
	return 0;
}

/* --- Eventfds -------------------------------------------------------------------------------------- */

static const struct kept_event *find_event(const struct kept *k, uint32_t number)
{
	for (unsigned int i = 0; i < k->n_events; i++) {
		if (k->event[i].number == number)
			return &k->event[i];
	}
	return NULL;
}

static bool is_needed(const struct kept *k, uint32_t number)
{
	for (unsigned int q = 0; q < VHOST_MAX_QUEUES; q++) {
		if (k->record.state.kick[q] == number || k->record.state.call[q] == number)
			return true;
		for (unsigned int i = 0; i < KEPT_CALLS; i++) {
			if (k->call[q][i] == number)
				return true;
		}
	}
	return false;
}

static void sweep_events(struct kept *k)
{
	for (unsigned int i = k->n_events; i-- > 0;) {
		struct kept_event e = k->event[i];

		if (is_needed(k, e.number))
			continue;
		store_remove("%s.%u", k->guest, e.number);
		close(e.fd); /* an eventfd: it does not block */
		k->event[i] = k->event[--k->n_events];
	}
}

/* Return: its number; 0: no descriptors */
static uint32_t store_event(struct kept *k, int fd)
{
	struct kept_event *e = &k->event[k->n_events];

	for (unsigned int i = 0; i < k->n_events; i++) {
		if (store_same_file(k->event[i].fd, fd))
			return k->event[i].number;
	}
	if (k->n_events == KEPT_MAX)
		return 0;
	e->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (e->fd < 0)
		return 0;
	e->number = k->record.state.next++;
	k->n_events++;
	store_put(e->fd, "%s.%u", k->guest, e->number);
	return e->number;
}

static void called_last(uint32_t call[KEPT_CALLS], uint32_t number)
{
	unsigned int i = 0;

	while (i < KEPT_CALLS - 1 && call[i] != number)
		i++;
	memmove(&call[1], &call[0], i * sizeof(call[0]));
	call[0] = number;
}

/* --- What the former daemon has left ------------------------------------------------------------- */

static void inherit_events(struct kept *k)
{
	struct kept_event e;

	while ((e.fd = store_take_numbered(k->guest, &e.number)) >= 0) {
		if (k->n_events == KEPT_MAX) {
			store_remove("%s.%u", k->guest, e.number);
			close(e.fd);
			continue;
		}
		k->event[k->n_events++] = e;
		if (k->record.fd >= 0 && k->record.state.next <= e.number)
			k->record.state.next = e.number + 1;
	}
}

static bool inherit_memory(struct kept *k)
{
	struct record_state *s = &k->record.state;

	for (uint32_t i = 0; i < s->said.n_regions; i++) {
		if (store_share_again(s->memory[i]) >= 0)
			continue;
		/* Those that were found are given back, and no others. */
		memset(&s->memory[i], 0, (GUEST_MEMORY_MAX_REGIONS - i) * sizeof(s->memory[0]));
		return false;
	}
	return true;
}

static void forget_inheritance(struct kept *k, int socket)
{
	shutdown(socket, SHUT_RDWR);
	kept_end(k, true);
	stranger_give_stored(socket);
}

int kept_inherit(struct kept *k, const char *guest, const char **why)
{
	int socket = store_take("%s.socket", guest), record = store_take("%s.record", guest);

	init(k, guest);
	*why = NULL;
	if (socket < 0) {
		if (record >= 0)
			store_remove("%s.record", guest);
		fd_close(record);
		return -1;
	}
	k->socket = socket;
	*why = record < 0 ? "its record is missing" : record_open(&k->record, record);
	if (*why) {
		store_remove("%s.record", guest);
		fd_close(record);
	}
	inherit_events(k);
	if (!*why && !inherit_memory(k))
		*why = "a descriptor of guest memory is missing";
	if (!*why)
		return socket;
	forget_inheritance(k, socket);
	return -1;
}

void kept_inherited(struct kept *k)
{
	for (unsigned int q = 0; q < VHOST_MAX_QUEUES; q++)
		k->call[q][0] = k->record.state.call[q];
	record_taken_up(&k->record);
	sweep_events(k);
}

static bool add_fd(struct inbox *in, int fd)
{
	if (fd < 0)
		return false;
	in->fds[in->n_fds++] = fd;
	return true;
}

static bool add_event(const struct kept *k, struct inbox *in, uint32_t number)
{
	const struct kept_event *e = find_event(k, number);

	return e && add_fd(in, e->fd);
}

static bool add_memory(const struct record_state *s, struct inbox *in)
{
	for (uint32_t i = 0; i < s->said.n_regions; i++) {
		int fd = store_share_again(s->memory[i]);

		if (fd >= 0)
			store_unshare(s->memory[i]); /* there is another user: this connection */
		if (!add_fd(in, fd))
			return false;
	}
	return true;
}

bool kept_fds(const struct kept *k, struct inbox *in)
{
	const struct record_state *s = &k->record.state;
	int queue = vhost_message_queue(&in->msg);

	in->n_fds = 0;
	switch (in->msg.request) {
	case VHOST_REQ_SET_MEM_TABLE:
		return add_memory(s, in);
	case VHOST_REQ_SET_VRING_KICK:
		return add_event(k, in, s->kick[queue]);
	case VHOST_REQ_SET_VRING_CALL:
		if (s->call[queue])
			return add_event(k, in, s->call[queue]);
		in->msg.payload.u64 |= VHOST_VRING_NOFD;
		return true;
	default:
		return true;
	}
}

/* --- Commits ----------------------------------------------------------------------------------------- */

static int take_memory(struct kept *k, const struct inbox *in, uint32_t n_regions)
{
	struct record_state *s = &k->record.state;

	memcpy(k->old_memory, s->memory, sizeof(k->old_memory));
	memset(s->memory, 0, sizeof(s->memory));
	for (uint32_t i = 0; i < n_regions; i++) {
		s->memory[i] = store_share(in->fds[i]);
		if (!s->memory[i])
			return -EMFILE;
	}
	return 0;
}

static int take_event(struct kept *k, const struct inbox *in, uint32_t *number)
{
	*number = in->n_fds ? store_event(k, in->fds[0]) : 0;
	return in->n_fds && !*number ? -EMFILE : 0;
}

/* The message was carried out. */
static int take_fds(struct kept *k, const struct inbox *in, const struct vhost_said *said)
{
	struct record_state *s = &k->record.state;
	int r, queue = vhost_message_queue(&in->msg);

	switch (in->msg.request) {
	case VHOST_REQ_SET_MEM_TABLE:
		return take_memory(k, in, said->n_regions);
	case VHOST_REQ_SET_VRING_KICK:
		return take_event(k, in, &s->kick[queue]);
	case VHOST_REQ_SET_VRING_CALL:
		r = take_event(k, in, &s->call[queue]);
		if (s->call[queue])
			called_last(k->call[queue], s->call[queue]);
		return r;
	case VHOST_REQ_GET_VRING_BASE:
		s->kick[queue] = s->call[queue] = 0;
		return 0;
	case VHOST_REQ_RESET_OWNER:
		memset(s->kick, 0, sizeof(s->kick));
		memset(s->call, 0, sizeof(s->call));
		return take_memory(k, in, 0);
	default:
		return 0;
	}
}

static void unshare_all(uint32_t memory[GUEST_MEMORY_MAX_REGIONS])
{
	for (unsigned int i = 0; i < GUEST_MEMORY_MAX_REGIONS; i++) {
		store_unshare(memory[i]);
		memory[i] = 0;
	}
}

int kept_commit(struct kept *k, const struct inbox *in, const struct vhost_said *said,
		bool carried_out, const void *answer)
{
	int r = carried_out ? take_fds(k, in, said) : 0;

	if (r)
		return r;
	memcpy(&k->record.state.said, said, sizeof(*said));
	r = record_commit(&k->record, in->n_bytes, answer, VHOST_REPLY_BYTES);
	unshare_all(k->old_memory);
	if (carried_out)
		sweep_events(k);
	return r;
}

int kept_conclude(struct kept *k, bool strange)
{
	struct record *rec = &k->record;
	uint32_t left = inbox_left(k->socket);
	int r = 0;

	if (record_is_done(rec))
		return 0;
	inbox_drop(k->socket, left < rec->state.msg_bytes ? left : rec->state.msg_bytes, strange);
	if (record_answer_is_due(rec))
		r = record_answer(rec, k->socket);
	record_done(rec);
	return r;
}

void kept_end(struct kept *k, bool remove)
{
	if (k->record.fd >= 0 && remove)
		store_remove("%s.record", k->guest);
	if (k->socket >= 0 && remove)
		store_remove("%s.socket", k->guest);
	for (unsigned int i = 0; i < k->n_events; i++) {
		if (remove)
			store_remove("%s.%u", k->guest, k->event[i].number);
		close(k->event[i].fd);
	}
	if (remove) {
		unshare_all(k->old_memory);
		unshare_all(k->record.state.memory);
	}
	record_close(&k->record);
	init(k, k->guest);
}
