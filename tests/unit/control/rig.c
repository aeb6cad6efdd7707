// SPDX-License-Identifier: BSD-3-Clause
/*
 * rig.c - stand-ins for the server and two guests; requests and their answers
 */
#include "rig.h"

#include <errno.h>
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <libfs/abi.h>
#include <stdlib.h>

#include "control/call.h"
#include "control/methods.h"
#include "control/subscribers.h"

char control_path[64];
struct server_watch *control_watch;

static struct channel_config channels[] = {
	{ .name = (char *)"a\n\"b",
	  .ring_bytes = 4096,
	  .exclusive = true,
	  .guest_mode = 0640,
	  .guest_uid = 1000,
	  .guest_gid = 0,
	  .endpoint = { .type = ENDPOINT_UNIX_LISTEN, .path = (char *)"/p/s", .mode = 0600 } },
	{ .name = (char *)"file",
	  .ring_bytes = 1 << 20,
	  .guest_mode = OKL4FS_NOT_GIVEN,
	  .guest_uid = OKL4FS_NOT_GIVEN,
	  .guest_gid = OKL4FS_NOT_GIVEN,
	  .endpoint = { .type = ENDPOINT_INTERVM, .file = (char *)"rel/f", .rounds = 2 } },
};

static struct guest_config guests[] = {
	{ .name = (char *)"vm1", .socket = (char *)"/s1", .channels = channels, .n_channels = 2 },
	{ .name = (char *)"vm2",
	  .socket = (char *)"/s2",
	  .socket_mode = SOCKET_CONNECT,
	  .channels = channels + 1,
	  .n_channels = 1 },
};

struct config control_config = { .control_path = control_path,
				 .control_mode = 0620,
				 .guests = guests,
				 .n_guests = 2 };

struct guest {
	const struct guest_config *cfg;
};

static struct guest made[] = { { &guests[0] }, { &guests[1] } };

bool control_vm1_gone;
int control_outcome;

struct guest *server_guest(struct server *server, size_t idx)
{
	idx += control_vm1_gone;
	return idx < 2 ? &made[idx] : NULL;
}

const struct config *server_config(const struct server *server)
{
	return &control_config;
}

unsigned int server_n_workers(const struct server *server)
{
	return 3;
}

uint64_t server_uptime_ms(const struct server *server)
{
	return 1234567;
}

const char *server_version(void)
{
	return OKL4FS_VERSION_STRING;
}

uint64_t server_started_us(const struct server *server)
{
	return 1700000000000001;
}

void server_watch(struct server *server, struct server_watch *watch)
{
	control_watch = watch;
}

void server_unwatch(struct server *server, struct server_watch *watch)
{
	if (control_watch == watch)
		control_watch = NULL;
}

uint64_t server_instance(void)
{
	return 0xabc;
}

uint64_t guest_serial(const struct guest *guest)
{
	return guest == &made[0] ? 7 : 9;
}

const struct guest_config *guest_config(const struct guest *guest)
{
	return guest->cfg;
}

const char *guest_error(const struct guest *guest)
{
	return guest == &made[1] ? "socket /s2: why not" : "";
}

size_t server_problems(struct server *server, void (*tell)(void *arg, const char *sentence),
		       void *arg)
{
	if (tell)
		tell(arg, "guest vm2: socket /s2: why not");
	return 1;
}

const char *server_config_path(const struct server *server)
{
	return "/f";
}

bool server_file_has_changed(const struct server *server)
{
	return control_outcome;
}

int server_running_text(struct server *server, char **text, size_t *bytes, FILE *errors)
{
	*text = strdup("{}\n");
	*bytes = 3;
	if (control_outcome)
		fprintf(errors, "f:1:2: one\n");
	return control_outcome;
}

int server_saved(struct server *server, FILE *errors)
{
	if (control_outcome)
		fprintf(errors, "f:1:2: one\n");
	return control_outcome;
}

bool guest_path_is_lost(const struct guest *guest)
{
	return guest == &made[1];
}

void guest_snapshot(struct guest *guest, struct guest_snapshot *snap)
{
	*snap = (struct guest_snapshot){ .why_away = EACCES };
	if (guest == &made[0])
		*snap = (struct guest_snapshot){
			.connected = true,
			.served = true,
			.negotiated = true,
			.ready = true,
			.n_queues = 2,
			.memory_bytes = 1ULL << 40,
			.tail_bytes = 9,
			.requests = 10,
			.refused = 11,
			.declined_fuse = 12,
			.dropped_messages = 13,
			.device_errors = 14,
			.driver_instance = 0xfedcba9876543210,
		};
	snap->n_channels = (uint32_t)guest->cfg->n_channels;
	snap->n_in_state[CHANNEL_ATTACHED] = 1;
	snap->n_in_state[CHANNEL_FAILED] = snap->n_channels - 1;
}

int guest_channel_snapshots(struct guest *guest, uint32_t from, uint32_t max,
			    struct channel_snapshot **list)
{
	uint32_t n = 0;

	*list = calloc(guest->cfg->n_channels + 1, sizeof(**list));
	for (uint32_t i = from; i < guest->cfg->n_channels && n < max; i++) {
		struct channel_snapshot *snap = &(*list)[n++];

		*snap = (struct channel_snapshot){
			.cfg = &guest->cfg->channels[i],
			.id = i,
			.info = { .connected = true, .path_lost = true, .clients = 5, .refused = 6 },
			.state = i ? CHANNEL_FAILED : CHANNEL_ATTACHED,
			.instance = i ? 0 : 0x77,
			.failed_status = OKL4_HEAD_BACK,
			.attaches = 8,
			.fwd = { 1, 2, 3, 4, 5, 6, 7 },
			.bwd = { 11, 12, 13, 14, 15, 16, 17 },
			.fwd_fill = 21,
			.bwd_fill = 22,
			.tail_bytes = 23,
			.lost_bytes = 24,
			.fwd_host_phase = 31,
			.fwd_guest_phase = 32,
			.bwd_host_phase = 33,
			.bwd_guest_phase = 34,
			.writer = { 1000, 100, 4242, "cat\xff\x1b" },
		};
		snap->errors[OKL4_HEAD_BACK] = 2;
		snap->errors[OKL4_CTL_MAGIC] = 1;
	}
	return (int)n;
}

char control_changed[256];
static struct control_subscriber subscriber;
struct control_caller control_caller = { .methods = control_methods,
					 .right = CONTROL_ADMIN,
					 .uid = 77,
					 .subscriber = &subscriber };

struct guest *server_find(struct server *server, const char *name)
{
	return !strcmp(name, "vm1") ? &made[0] : !strcmp(name, "vm2") ? &made[1] : NULL;
}

size_t server_n_guests(const struct server *server)
{
	return 2;
}

int server_guest_add(struct server *server, const struct guest_config *cfg, char *why)
{
	snprintf(control_changed, sizeof(control_changed), "guest %s: %s, %zu channels", cfg->name,
		 cfg->socket, cfg->n_channels);
	*why = 0;
	if (control_outcome != -ENOMEM)
		snprintf(why, SERVER_WHY_BYTES, "why guest %s is refused", cfg->name);
	return control_outcome;
}

int server_guest_remove(struct server *server, const char *name)
{
	snprintf(control_changed, sizeof(control_changed), "no guest %s", name);
	return control_outcome;
}

int server_reload(struct server *server, FILE *errors)
{
	if (control_outcome)
		fprintf(errors, "f:1:2: one\nf:3:4: two\n");
	return control_outcome < 0 ? control_outcome : 0;
}

int server_channel_add(struct server *server, struct guest *guest, const struct channel_config *cfg,
		       uint32_t *id, char *why)
{
	snprintf(control_changed, sizeof(control_changed), "%s/%s: %u bytes, %s", guest->cfg->name,
		 cfg->name, (unsigned int)cfg->ring_bytes, endpoint_type_name(cfg->endpoint.type));
	*id = 7;
	*why = 0;
	if (control_outcome != -ENOMEM)
		snprintf(why, SERVER_WHY_BYTES, "why channel %s is refused", cfg->name);
	return control_outcome;
}

int guest_channel_remove(struct guest *guest, const char *name)
{
	snprintf(control_changed, sizeof(control_changed), "no %s/%s", guest->cfg->name, name);
	return control_outcome;
}

int guest_channel_reset(struct guest *guest, const char *name)
{
	snprintf(control_changed, sizeof(control_changed), "reset %s/%s", guest->cfg->name, name);
	return control_outcome;
}

char *answer_to(const char *line, size_t bytes)
{
	/* In memory of its own, so that a sanitizer notices an access beyond the end */
	char *copy = malloc(bytes + 1), *answer = NULL;
	struct evbuffer *out = evbuffer_new();
	enum control_outcome outcome;
	struct control_work work;
	size_t length;

	memcpy(copy, line, bytes);
	copy[bytes] = 0;
	control_work_begin(&work, copy, bytes);
	do
		outcome = control_work_step(&work, &control_caller, out);
	while (outcome == CONTROL_WORK_MORE);
	cr_assert_eq(outcome, CONTROL_WORK_DONE);
	control_work_end(&work);
	length = evbuffer_get_length(out);
	if (length) {
		answer = malloc(length + 1);
		evbuffer_remove(out, answer, length);
		answer[length] = 0;
	}
	evbuffer_free(out);
	return answer;
}

void answers(const char *line, const char *want)
{
	char *got = answer_to(line, strlen(line));

	if (!want) {
		cr_assert_null(got, "%s", got);
		return;
	}
	cr_assert_not_null(got, "%s", line);
	cr_assert_eq(got[strlen(got) - 1], '\n');
	got[strlen(got) - 1] = 0;
	cr_assert_str_eq(got, want, "%s: %s", line, got);
	free(got);
}

static void expect_answer(const char *method, const char *params, const char *kind,
			  const char *what)
{
	char line[1024], want[4096];

	snprintf(line, sizeof(line), CALL("%s", "%s%s%s"), method, params ? ",\"params\":{" : "",
		 params ? params : "", params ? "}" : "");
	snprintf(want, sizeof(want), "{\"jsonrpc\":\"2.0\",\"id\":1,\"%s\":%s}", kind, what);
	answers(line, want);
}

void gives(const char *method, const char *params, const char *result)
{
	expect_answer(method, params, "result", result);
}

void refuses(const char *method, const char *params, int code, const char *text)
{
	char error[1024];

	snprintf(error, sizeof(error), "{\"code\":%d,\"message\":\"%s\"}", code, text);
	expect_answer(method, params, "error", error);
}
