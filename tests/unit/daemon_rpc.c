// SPDX-License-Identifier: BSD-3-Clause
/*
 * daemon_rpc.c - the control socket: JSON-RPC 2.0 by the letter, and clients that misbehave
 *
 * The server and its guests are stand-ins (below): what a method shows is what they say.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <json-c/json.h>

#include "rpc.h"
#include "rpc_call.h"
#include "util/fd.h"

#ifdef __SANITIZE_ADDRESS__
/* Criterion 2.4.1 leaves a little of its own behind now and then; asked by LeakSanitizer */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcriterion\n";
}
#endif

/* ------------------------------------------------------------------------------------------- */
/* A server with two guests                                                                    */

static char sock_dir[32], sock_path[64];

static struct channel_config channels[] = {
	{ .name = (char *)"a\n\"b",
	  .ring_bytes = 4096,
	  .exclusive = true,
	  .endpoint = { .type = ENDPOINT_UNIX_LISTEN, .path = (char *)"/p/s", .mode = 0600 } },
	{ .name = (char *)"file",
	  .ring_bytes = 1 << 20,
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

static struct config config = { .control_path = sock_path,
				.control_mode = 0620,
				.guests = guests,
				.n_guests = 2 };

struct guest {
	const struct guest_config *cfg;
};

static struct guest made[] = { { &guests[0] }, { &guests[1] } };

struct guest *server_guest(struct server *server, size_t idx)
{
	return idx < 2 ? &made[idx] : NULL;
}

const struct config *server_config(const struct server *server)
{
	return &config;
}

unsigned int server_n_workers(const struct server *server)
{
	return 3;
}

uint64_t server_uptime_ms(const struct server *server)
{
	return 1234567;
}

uint64_t server_instance(void)
{
	return 0xabc;
}

const struct guest_config *guest_config(const struct guest *guest)
{
	return guest->cfg;
}

void guest_snapshot(struct guest *guest, struct guest_snapshot *snap)
{
	*snap = (struct guest_snapshot){ 0 };
	if (guest == &made[0])
		*snap = (struct guest_snapshot){
			.connected = true,
			.ready = true,
			.n_queues = 2,
			.memory_bytes = 1ULL << 40,
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

int guest_channel_snapshots(struct guest *guest, struct channel_snapshot **list)
{
	size_t n = guest->cfg->n_channels;

	*list = calloc(n, sizeof(**list));
	for (size_t i = 0; i < n; i++) {
		struct channel_snapshot *snap = &(*list)[i];

		*snap = (struct channel_snapshot){
			.cfg = &guest->cfg->channels[i],
			.id = (uint32_t)i,
			.info = { .joined = true, .clients = 5, .refused = 6 },
			.state = i ? CHANNEL_FAILED : CHANNEL_ATTACHED,
			.instance = i ? 0 : 0x77,
			.failed_status = FS_HEAD_BACK,
			.attaches = 8,
			.fwd = { 1, 2, 3, 4, 5, 6, 7 },
			.bwd = { 11, 12, 13, 14, 15, 16, 17 },
			.fwd_fill = 21,
			.bwd_fill = 22,
			.fwd_host_phase = 31,
			.fwd_guest_phase = 32,
			.bwd_host_phase = 33,
			.bwd_guest_phase = 34,
		};
		snap->errors[FS_HEAD_BACK] = 2;
		snap->errors[FS_CTL_MAGIC] = 1;
	}
	return (int)n;
}

/* What was changed last, and what comes of it */
static char changed[256];
static int outcome;

struct guest *server_find(struct server *server, const char *name)
{
	return !strcmp(name, "vm1") ? &made[0] : !strcmp(name, "vm2") ? &made[1] : NULL;
}

size_t server_n_guests(const struct server *server)
{
	return 2;
}

int server_guest_add(struct server *server, const struct guest_config *cfg)
{
	snprintf(changed, sizeof(changed), "guest %s: %s, %zu channels", cfg->name, cfg->socket,
		 cfg->n_channels);
	return outcome;
}

int server_guest_remove(struct server *server, const char *name)
{
	snprintf(changed, sizeof(changed), "no guest %s", name);
	return outcome;
}

int server_reload(struct server *server, FILE *errors)
{
	if (outcome)
		fprintf(errors, "f:1:2: one\nf:3:4: two\n");
	return outcome;
}

int guest_channel_add(struct guest *guest, const struct channel_config *cfg, uint32_t *id)
{
	snprintf(changed, sizeof(changed), "%s/%s: %u bytes, %s", guest->cfg->name, cfg->name,
		 (unsigned int)cfg->ring_bytes, endpoint_type_name(cfg->endpoint.type));
	*id = 7;
	return outcome;
}

int guest_channel_remove(struct guest *guest, const char *name)
{
	snprintf(changed, sizeof(changed), "no %s/%s", guest->cfg->name, name);
	return outcome;
}

int guest_channel_reset(struct guest *guest, const char *name)
{
	snprintf(changed, sizeof(changed), "reset %s/%s", guest->cfg->name, name);
	return outcome;
}

/* ------------------------------------------------------------------------------------------- */
/* Lines                                                                                       */

/**
 * answers() - a line must be answered by exactly this one
 * @line: request
 * @want: the answer without its newline; NULL: none
 */
static void answers(const char *line, const char *want)
{
	/* In memory of its own, so that a sanitizer sees a step beyond the end. */
	size_t bytes = strlen(line);
	char *copy = malloc(bytes + 1), *got;

	memcpy(copy, line, bytes + 1);
	got = rpc_answer(NULL, copy, bytes);
	free(copy);
	if (!want) {
		cr_assert_null(got, "%s", got);
		return;
	}
	cr_assert_not_null(got, "%s", line);
	cr_assert_eq(got[strlen(got) - 1], '\n');
	got[strlen(got) - 1] = 0;
	cr_assert_str_eq(got, want);
	free(got);
}

#define ERROR(id, code, text)                                                                  \
	"{\"jsonrpc\":\"2.0\",\"id\":" id ",\"error\":{\"code\":" #code ",\"message\":\"" text \
	"\"}}"
#define CALL(method, more) "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" method "\"" more "}"
#define VERSION            "{\"name\":\"okl4fsd\",\"version\":\"" OKL4FS_VERSION_STRING "\",\"abi_version\":1}"

Test(rpc, version)
{
	answers(CALL("version", ""), "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" VERSION "}");
	answers(CALL("version", ",\"params\":{}"),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" VERSION "}");
	answers(CALL("version", ",\"params\":[]"),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" VERSION "}");
	answers("  {\"method\" : \"version\", \"id\":\"x\\u00e4\",\"jsonrpc\":\"2.0\"}\r",
		"{\"jsonrpc\":\"2.0\",\"id\":\"xä\",\"result\":" VERSION "}");
	answers("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"version\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":" VERSION "}");
}

Test(rpc, what_is_no_json)
{
	answers("{", ERROR("null", -32700, "byte 2: unexpected end of data"));
	answers("", ERROR("null", -32700, "byte 1: unexpected end of data"));
	answers("{} {}", ERROR("null", -32700, "byte 4: unexpected character"));
	answers("['a']", ERROR("null", -32700, "byte 2: unexpected character"));
	answers("{\"a\":\"\xff\"}", ERROR("null", -32700, "byte 7: invalid utf-8 string"));
	answers("[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
		ERROR("null", -32700, "byte 17: nesting too deep"));
}

Test(rpc, a_nul_is_no_json)
{
	char *got = rpc_answer(NULL, "{}\0{", 4);

	cr_assert_str_eq(got, ERROR("null", -32700, "the line holds a NUL") "\n");
	free(got);
}

Test(rpc, what_is_no_request)
{
	answers("1", ERROR("null", -32600, "a request is an object"));
	answers("\"x\"", ERROR("null", -32600, "a request is an object"));
	answers("{}", ERROR("null", -32600, "\\\"jsonrpc\\\" must be \\\"2.0\\\""));
	answers("{\"id\":7}", ERROR("7", -32600, "\\\"jsonrpc\\\" must be \\\"2.0\\\""));
	answers("{\"id\":1,\"jsonrpc\":\"1.0\",\"method\":\"version\"}",
		ERROR("1", -32600, "\\\"jsonrpc\\\" must be \\\"2.0\\\""));
	answers("{\"id\":1,\"jsonrpc\":2.0,\"method\":\"version\"}",
		ERROR("1", -32600, "\\\"jsonrpc\\\" must be \\\"2.0\\\""));
	answers("{\"id\":1,\"jsonrpc\":\"2.0\"}",
		ERROR("1", -32600, "\\\"method\\\" must be a string"));
	answers("{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":7}",
		ERROR("1", -32600, "\\\"method\\\" must be a string"));
	answers("{\"id\":[],\"jsonrpc\":\"2.0\",\"method\":\"version\"}",
		ERROR("null", -32600, "\\\"id\\\" must be a string, a number or null"));
	answers(CALL("version", ",\"params\":[1]"),
		ERROR("1", -32600, "\\\"params\\\" must be an object: parameters go by name"));
	answers(CALL("version", ",\"params\":null"),
		ERROR("1", -32600, "\\\"params\\\" must be an object: parameters go by name"));
}

Test(rpc, methods_and_parameters)
{
	answers(CALL("versio", ""), ERROR("1", -32601, "there is no such method"));
	answers(CALL("", ""), ERROR("1", -32601, "there is no such method"));
	answers(CALL("version", ",\"params\":{\"guest\":\"vm1\"}"),
		ERROR("1", -32602, "version has no parameter \\\"guest\\\""));
	answers(CALL("guest.list", ",\"params\":{\"guest\":1}"),
		ERROR("1", -32602, "\\\"guest\\\" must be a string"));
	answers(CALL("guest.list", ",\"params\":{\"guest\":\"vm3\"}"),
		ERROR("1", -32602, "there is no guest \\\"vm3\\\""));
	answers(CALL("channel.list", ",\"params\":{\"guest\":\"\"}"),
		ERROR("1", -32602, "there is no guest \\\"\\\""));
}

Test(rpc, notifications_are_not_answered)
{
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"version\"}", NULL);
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}", NULL);
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"guest.list\",\"params\":{\"guest\":\"?\"}}",
		NULL);
	answers("[{\"jsonrpc\":\"2.0\",\"method\":\"version\"}]", NULL);
}

Test(rpc, batches)
{
	answers("[]", ERROR("null", -32600, "an empty batch"));
	answers("[1," CALL("version", "") ",{\"jsonrpc\":\"2.0\",\"method\":\"version\"}]",
		"[" ERROR(
			"null", -32600,
			"a request is an object") ","
						  "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" VERSION
						  "}]");
	answers("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
		ERROR("null", -32600, "a batch has at most 16 requests"));
}

Test(rpc, status)
{
	char want[1024];

	snprintf(
		want, sizeof(want),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"name\":\"okl4fsd\",\"version\":\"%s\","
		"\"abi_version\":1,\"pid\":%d,\"instance\":\"0000000000000abc\","
		"\"uptime_ms\":1234567,\"workers\":3,\"log_level\":\"info\","
		"\"control_path\":\"/c.sock\","
		"\"guests\":{\"total\":2,\"connected\":1,\"ready\":1},"
		"\"channels\":{\"detached\":0,\"attached\":2,\"suspended\":0,\"failed\":1}}}",
		OKL4FS_VERSION_STRING, getpid());
	strcpy(sock_path, "/c.sock");
	answers(CALL("status", ""), want);
}

Test(rpc, guest_list)
{
	answers(CALL("guest.list", ",\"params\":{\"guest\":\"vm1\"}"),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"guests\":[{\"name\":\"vm1\","
		"\"socket\":\"/s1\",\"socket_mode\":\"listen\",\"connected\":true,\"ready\":true,"
		"\"driver_instance\":\"fedcba9876543210\",\"channels\":2,\"queues\":2,"
		"\"memory_bytes\":1099511627776,\"requests\":10,\"requests_refused\":11,"
		"\"fuse_requests_declined\":12,\"messages_dropped\":13,\"device_errors\":14}]}}");
	answers(CALL("guest.list", ",\"params\":{\"guest\":\"vm2\"}"),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"guests\":[{\"name\":\"vm2\","
		"\"socket\":\"/s2\",\"socket_mode\":\"connect\",\"connected\":false,"
		"\"ready\":false,\"driver_instance\":null,\"channels\":1,\"queues\":0,"
		"\"memory_bytes\":0,\"requests\":0,\"requests_refused\":0,"
		"\"fuse_requests_declined\":0,\"messages_dropped\":0,\"device_errors\":0}]}}");
}

#define WAY(a, fill, host, guest)                                                                 \
	"{\"bytes\":" a "1,\"messages\":" a "2,\"fill_bytes\":" fill ",\"wakes_sent\":" a         \
	"3,\"wakes_received\":" a "4,\"full_stalls\":" a "5,\"empty_stalls\":" a "6,\"opens\":" a \
	"7,\"host_phase\":" host ",\"guest_phase\":" guest "}"
#define COUNTERS                                              \
	"\"fwd\":" WAY("", "21", "31", "32") ",\"bwd\":" WAY( \
		"1", "22", "33", "34") ",\"errors\":{\"CTL_MAGIC\":1,\"HEAD_BACK\":2}"

Test(rpc, channel_list)
{
	char *cwd = getcwd(NULL, 0), want[4096];

	snprintf(want, sizeof(want),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"channels\":[{\"guest\":\"vm1\","
		 "\"name\":\"a\\n\\\"b\",\"id\":0,\"state\":\"attached\",\"failure\":null,"
		 "\"ring_bytes\":4096,\"exclusive\":true,\"endpoint\":{\"type\":\"unix-listen\","
		 "\"joined\":true,\"path\":\"/p/s\",\"clients\":5,\"clients_refused\":6},"
		 "\"instance\":\"0000000000000077\",\"attaches\":8," COUNTERS "},"
		 "{\"guest\":\"vm1\",\"name\":\"file\",\"id\":1,\"state\":\"failed\","
		 "\"failure\":{\"status\":\"HEAD_BACK\",\"text\":\"head moved back\"},"
		 "\"ring_bytes\":1048576,\"exclusive\":false,\"endpoint\":{\"type\":\"intervm\","
		 "\"joined\":true,\"file\":\"%s/rel/f\",\"rounds\":2},"
		 "\"instance\":null,\"attaches\":8," COUNTERS "}]}}",
		 cwd);
	answers(CALL("channel.list", ",\"params\":{\"guest\":\"vm1\"}"), want);
	free(cwd);
}

#define DONE(result) "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" result "}"
#define ECHO         "\"channel\":{\"name\":\"a b\",\"ring_bytes\":4096,\"endpoint\":{\"type\":\"echo\"}}"
#define NOBODY       "\"guest\":{\"name\":\"n\",\"socket\":\"/s\",\"channels\":[]}"

Test(rpc, channels_come_and_go)
{
	const char *add = CALL("channel.add", ",\"params\":{\"guest\":\"vm2\"," ECHO "}");
	const char *of = ",\"params\":{\"guest\":\"vm1\",\"channel\":\"x\"}}";
	char line[256];

	answers(add, DONE("{\"id\":7}"));
	cr_assert_str_eq(changed, "vm2/a b: 4096 bytes, echo");
	snprintf(line, sizeof(line),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"channel.remove\"%s", of);
	answers(line, DONE("{}"));
	cr_assert_str_eq(changed, "no vm1/x");
	outcome = -ENOENT;
	answers(line, ERROR("1", -32602, "guest vm1 has no channel \\\"x\\\""));
	outcome = 0;
	snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"channel.reset\"%s",
		 of);
	answers(line, DONE("{}"));
	cr_assert_str_eq(changed, "reset vm1/x");
	outcome = -EEXIST;
	answers(add, ERROR("1", -32602, "guest vm2 has a channel \\\"a b\\\" already"));
	outcome = -ENOSPC;
	answers(add, ERROR("1", -32001, "guest vm2 has 1024 channels already"));
	outcome = -EADDRINUSE;
	answers(add, ERROR("1", -32001,
			   "guest vm2: channel a b: cannot be offered: Address already in use; "
			   "the log says more"));
}

Test(rpc, a_channel_that_is_none)
{
	answers(CALL("channel.add", ""),
		ERROR("1", -32602, "channel.add needs the parameter \\\"guest\\\""));
	answers(CALL("channel.add", ",\"params\":{\"guest\":\"vm1\"}"),
		ERROR("1", -32602, "channel.add needs the parameter \\\"channel\\\""));
	answers(CALL("channel.add", ",\"params\":{\"guest\":\"vm1\",\"channel\":\"x\"}"),
		ERROR("1", -32602, "\\\"channel\\\" must be an object"));
	answers(CALL("channel.remove", ",\"params\":{\"guest\":\"vm1\",\"channel\":\"x\\u0000\"}"),
		ERROR("null", -32700, "column 85: a string must not contain a NUL"));
	answers(CALL("channel.add", ",\"params\":{\"guest\":\"vm3\"," ECHO "}"),
		ERROR("1", -32602, "there is no guest \\\"vm3\\\""));
	answers(CALL("channel.add",
		     ",\"params\":{\"guest\":\"vm1\",\"channel\":{\"name\":\"a/b\",\"colour\":1}}"),
		ERROR("1", -32602,
		      "name: must be 1 to 63 bytes without '/', and not \\\".\\\" or \\\"..\\\", "
		      "not \\\"a/b\\\"; \\\"endpoint\\\" is missing; colour: unknown key"));
	cr_assert_str_eq(changed, "");
}

Test(rpc, guests_come_and_go)
{
	answers(CALL("guest.add", ",\"params\":{" NOBODY "}"), DONE("{}"));
	cr_assert_str_eq(changed, "guest n: /s, 0 channels");
	answers(CALL("guest.add", ",\"params\":{\"guest\":{\"name\":\"n\",\"socket\":\"/s\","
				  "\"channels\":[{\"name\":\"x\",\"endpoint\":{\"type\":\"echo\"}},"
				  "{\"name\":\"x\",\"endpoint\":{\"type\":\"discard\"}}]}}"),
		ERROR("1", -32602, "channels[1].name: \\\"x\\\" is channels[0].name already"));
	answers(CALL("guest.remove", ",\"params\":{\"guest\":\"vm1\"}"), DONE("{}"));
	cr_assert_str_eq(changed, "no guest vm1");
	answers(CALL("guest.remove", ",\"params\":{\"guest\":\"vm3\"}"),
		ERROR("1", -32602, "there is no guest \\\"vm3\\\""));
	outcome = -EEXIST;
	answers(CALL("guest.add", ",\"params\":{" NOBODY "}"),
		ERROR("1", -32602, "there is a guest \\\"n\\\" already"));
}

Test(rpc, reload)
{
	answers(CALL("config.reload", ""), DONE("{\"guests\":2}"));
	outcome = -EINVAL;
	answers(CALL("config.reload", ""), ERROR("1", -32001, "f:1:2: one; f:3:4: two"));
}

Test(rpc, json_by_the_letter)
{
	answers("{'jsonrpc':\"2.0\",'id':1,'method':\"version\"}",
		ERROR("null", -32700, "column 2: expected a key in quotation marks, not '''"));
	answers("{\"id\":1,\"id\":2,\"jsonrpc\":\"2.0\",\"method\":\"version\"}",
		ERROR("null", -32700, "id: this key is there already, in line 1"));
	answers("{\"id\":NaN,\"jsonrpc\":\"2.0\",\"method\":\"version\"}",
		ERROR("null", -32700, "column 7: expected a value, not \\\"NaN\\\""));
}

Test(rpc, lists_of_all)
{
	char *line = rpc_answer(NULL, CALL("channel.list", ""), strlen(CALL("channel.list", "")));
	struct json_object *reply = json_tokener_parse(line), *list;

	list = json_object_object_get(json_object_object_get(reply, "result"), "channels");
	cr_assert_eq(json_object_array_length(list), 3);
	json_object_put(reply);
	free(line);
}

Test(rpc, one_changed_byte_does_no_harm)
{
	static const char text[] = CALL("guest.list", ",\"params\":{\"guest\":\"vm1\"}");

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int c = 1; c < 256; c++) {
			char copy[sizeof(text)], *got;

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			got = rpc_answer(NULL, copy, sizeof(text) - 1);
			if (got && strncmp(got, "{\"jsonrpc\":\"2.0\",\"id\":", 22) != 0)
				cr_assert_fail("%s", got);
			free(got);
		}
	}
}

/* ------------------------------------------------------------------------------------------- */
/* The socket; the daemon's loop runs in a thread of its own                                   */

static struct loop *loop;
static struct rpc *rpc;

static void start(void)
{
	strcpy(sock_dir, "okl4fs-rpc-XXXXXX");
	cr_assert_not_null(mkdtemp(sock_dir));
	snprintf(sock_path, sizeof(sock_path), "%s/c", sock_dir);
	cr_assert_eq(loop_new(&loop, "main"), 0);
	cr_assert_eq(rpc_new(&rpc, loop, NULL), 0);
	cr_assert_eq(loop_start(loop), 0);
}

static void stop(void)
{
	loop_stop(loop);
	rpc = rpc_free(rpc);
	loop = loop_free(loop);
	cr_assert_eq(access(sock_path, F_OK), -1);
	cr_assert_eq(rmdir(sock_dir), 0);
}

TestSuite(rpc_socket, .init = start, .fini = stop, .timeout = 60);

/**
 * connection() - connect
 *
 * Return: a blocking connection with a limit.
 */
static int connection(void)
{
	struct timeval limit = { .tv_sec = 20 };
	int fd = fd_connect_unix(sock_path);

	cr_assert_geq(fd, 0, "%s", strerror(-fd));
	fcntl(fd, F_SETFL, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/**
 * say() - send all of a text
 * @fd: connection
 * @text: text
 */
static void say(int fd, const char *text)
{
	cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/**
 * hear() - the next line must be this
 * @f: connection
 * @want: the line; NULL: the end
 */
static void hear(FILE *f, const char *want)
{
	char *line = NULL;
	size_t size;
	ssize_t n = getline(&line, &size, f);

	if (want)
		cr_assert(n > 0 && !strncmp(line, want, strlen(want)), "%zd: %s", n, line);
	else
		cr_assert_eq(n, -1, "%s", line);
	free(line);
}

#define REPLY "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":" VERSION "}\n"

Test(rpc_socket, mode)
{
	struct stat st;

	cr_assert_eq(stat(sock_path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0620);
}

Test(rpc_socket, lines_in_any_pieces)
{
	int fd = connection();
	FILE *f = fdopen(dup(fd), "r");
	const char *text = CALL("version", "") "\n";

	for (size_t i = 0; text[i]; i++)
		cr_assert_eq(send(fd, text + i, 1, 0), 1);
	hear(f, REPLY);
	say(fd, "\n  \r\n" CALL("version", "") "\r\n" CALL("version", "") "\n" CALL("x", ""));
	hear(f, REPLY);
	hear(f, REPLY);
	shutdown(fd, SHUT_WR); /* the last line has no newline */
	hear(f, ERROR("1", -32601, "there is no such method"));
	hear(f, NULL);
	fclose(f);
	close(fd);
}

Test(rpc_socket, a_line_may_be_long_but_not_longer)
{
	char *text = malloc(65536 + 3);
	int fd = connection();
	FILE *f = fdopen(dup(fd), "r");

	snprintf(text, 65536, "%-65535s", CALL("version", ""));
	text[65535] = ' ';
	strcpy(text + 65536, "\n");
	say(fd, text);
	hear(f, REPLY);
	strcpy(text + 65536, " \n");
	say(fd, text);
	hear(f, ERROR("null", -32600, "a line has at most 65536 bytes"));
	hear(f, NULL);
	fclose(f);
	close(fd);
	free(text);
}

Test(rpc_socket, a_client_that_asks_and_asks_and_does_not_listen)
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
	/* Then all of them are answered, in order. */
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

Test(rpc_socket, a_client_that_does_not_listen_is_dropped)
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
	fd = connection(); /* nobody else suffers */
	say(fd, CALL("version", "") "\n");
	cr_assert_gt(recv(fd, (char[1]){ 0 }, 1, 0), 0);
	close(fd);
}

Test(rpc_socket, sixty_four_clients)
{
	int fd[64], more;
	FILE *f;

	for (int i = 0; i < 64; i++) {
		fd[i] = connection();
		say(fd[i], CALL("version", "") "\n");
		cr_assert_gt(recv(fd[i], (char[1024]){ 0 }, 1024, 0), 0);
	}
	more = connection();
	f = fdopen(more, "r");
	hear(f, ERROR("null", -32000, "there are 64 clients already"));
	hear(f, NULL);
	fclose(f);
	say(fd[63], CALL("version", "") "\n");
	cr_assert_gt(recv(fd[63], (char[1024]){ 0 }, 1024, 0), 0);
	/* One leaves: there is room again. */
	shutdown(fd[0], SHUT_WR);
	cr_assert_eq(recv(fd[0], (char[1]){ 0 }, 1, 0), 0);
	more = connection();
	f = fdopen(dup(more), "r");
	say(more, CALL("version", "") "\n");
	hear(f, REPLY);
	fclose(f);
	close(more);
	for (int i = 0; i < 64; i++)
		close(fd[i]);
}

Test(rpc_socket, a_socket_that_is_in_use)
{
	struct loop *other_loop;
	struct rpc *other;

	cr_assert_eq(loop_new(&other_loop, "other"), 0);
	cr_assert_eq(rpc_new(&other, other_loop, NULL), -EADDRINUSE);
	cr_assert_null(other);
	loop_free(other_loop);
}
