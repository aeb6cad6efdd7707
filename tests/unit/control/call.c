// SPDX-License-Identifier: BSD-3-Clause
/*
 * call.c - the control socket: strict JSON-RPC 2.0, and the methods that tell
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include <json-c/json.h>

#include "rig.h"
#include "control/call.h"

static void is_no_json(const char *line, const char *why)
{
	char want[256];

	snprintf(want, sizeof(want), ERROR("null", -32700, "%s"), why);
	answers(line, want);
}

static void is_no_request(const char *line, const char *id, const char *why)
{
	char want[256];

	snprintf(want, sizeof(want), ERROR("%s", -32600, "%s"), id, why);
	answers(line, want);
}

Test(control, version)
{
	answers(CALL("version", ""), RESULT("1", VERSION));
	answers(CALL("version", ",\"params\":{}"), RESULT("1", VERSION));
	answers(CALL("version", ",\"params\":[]"), RESULT("1", VERSION));
	answers("  {\"method\" : \"version\", \"id\":\"x\\u00e4\",\"jsonrpc\":\"2.0\"}\r",
		RESULT("\"xä\"", VERSION));
}

Test(control, an_id_comes_back_as_it_was_written)
{
	static const char *const ids[] = {
		"null", "\"\"",    "\"a\\\"b\"", "0",  "-1", "18446744073709551616",
		"1.50", "-2.5e+3", "1E400",      "-0",
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		char line[256], want[256];

		snprintf(line, sizeof(line),
			 "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"version\"}", ids[i]);
		snprintf(want, sizeof(want), RESULT("%s", VERSION), ids[i]);
		answers(line, want);
	}
}

/* config/json.c has the other texts that the same reader refuses */
Test(control, what_is_no_json)
{
	is_no_json("{", "column 2: expected a key in quotation marks, not the end of the line");
	is_no_json("", "column 1: expected a value, not the end of the line");
	is_no_json("\xef\xbb\xbf{}", "a UTF-8 byte order mark stands before the JSON: remove it "
				     "(editors call that \\\"UTF-8 without BOM\\\")");
	is_no_json("{\"id\":1,\"id\":2,\"jsonrpc\":\"2.0\",\"method\":\"version\"}",
		   "id: this key already appears in line 1");
	is_no_json("{\"id\":NaN,\"jsonrpc\":\"2.0\",\"method\":\"version\"}",
		   "column 7: expected a value, not \\\"NaN\\\"");
}

Test(control, a_nul_is_no_json)
{
	char *got = answer_to("{}\0{", 4);

	cr_assert_str_eq(got, ERROR("null", -32700, "the line holds a NUL") "\n");
	free(got);
}

Test(control, what_is_no_request)
{
#define VERSION_2 "\\\"jsonrpc\\\" must be \\\"2.0\\\""
#define BY_NAME   "\\\"params\\\" must be an object: parameters go by name"
	is_no_request("1", "null", "a request must be an object");
	is_no_request("\"x\"", "null", "a request must be an object");
	is_no_request("{}", "null", VERSION_2);
	is_no_request("{\"id\":7}", "7", VERSION_2);
	is_no_request("{\"id\":1,\"jsonrpc\":\"1.0\",\"method\":\"version\"}", "1", VERSION_2);
	is_no_request("{\"id\":1,\"jsonrpc\":2.0,\"method\":\"version\"}", "1", VERSION_2);
	is_no_request("{\"id\":1,\"jsonrpc\":\"2.0\"}", "1", "\\\"method\\\" must be a string");
	is_no_request("{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":7}", "1",
		      "\\\"method\\\" must be a string");
	is_no_request("{\"id\":[],\"jsonrpc\":\"2.0\",\"method\":\"version\"}", "null",
		      "\\\"id\\\" must be a string, a number or null");
	is_no_request(CALL("version", ",\"params\":[1]"), "1", BY_NAME);
	is_no_request(CALL("version", ",\"params\":null"), "1", BY_NAME);
}

Test(control, methods_and_parameters)
{
	refuses("versio", NULL, -32601, "there is no method \\\"versio\\\"");
	refuses("", NULL, -32601, "there is no method \\\"\\\"");
	refuses("version", "\"guest\":\"vm1\"", -32602, "version has no parameter \\\"guest\\\"");
	refuses("guest.list", "\"guest\":1", -32602, "\\\"guest\\\" must be a string");
	refuses("guest.list", "\"guest\":\"vm3\"", -32602, "there is no guest \\\"vm3\\\"");
	refuses("channel.list", "\"guest\":\"vm3\"", -32602, "there is no guest \\\"vm3\\\"");
	refuses("channel.list", "\"gest\":\"vm1\"", -32602,
		"channel.list has no parameter \\\"gest\\\"");
	refuses("channel.list", "\"guest\":\"\"", -32602, "there is no guest \\\"\\\"");
}

Test(control, what_is_quoted_is_cut_between_characters)
{
#define A62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	refuses(A62 "ää", NULL, -32601, "there is no method \\\"" A62 "ä\\\"");
	refuses(A62 "aä", NULL, -32601, "there is no method \\\"" A62 "a\\\"");
	refuses(A62 "€", NULL, -32601, "there is no method \\\"" A62 "\\\"");
}

Test(control, notifications_are_not_answered)
{
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"version\"}", NULL);
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"no.such\"}", NULL);
	answers("{\"jsonrpc\":\"2.0\",\"method\":\"guest.list\",\"params\":{\"guest\":\"?\"}}",
		NULL);
	answers("[{\"jsonrpc\":\"2.0\",\"method\":\"version\"}]", NULL);
}

Test(control, batches)
{
	is_no_request("[]", "null", "an empty batch");
	answers("[1," CALL("version", "") ",{\"jsonrpc\":\"2.0\",\"method\":\"version\"}]",
		"[" ERROR("null", -32600, "a request must be an object") "," RESULT("1",
										    VERSION) "]");
	is_no_request("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "null",
		      "a batch has at most 16 requests");
}

Test(control, one_changed_byte_does_no_harm)
{
	static const char text[] = CALL("guest.list", ",\"params\":{\"guest\":\"vm1\"}");

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (int c = 1; c < 256; c++) {
			char copy[sizeof(text)], *got;

			memcpy(copy, text, sizeof(text));
			copy[i] = (char)c;
			got = answer_to(copy, sizeof(text) - 1);
			if (got && strncmp(got, "{\"jsonrpc\":\"2.0\",\"id\":", 22) != 0)
				cr_assert_fail("%s", got);
			free(got);
		}
	}
}

Test(control, status)
{
	char want[1024];

	snprintf(
		want, sizeof(want),
		"{\"name\":\"okl4fsd\",\"version\":\"%s\","
		"\"abi_version\":1,\"pid\":%d,\"instance\":\"0000000000000abc\","
		"\"uptime_ms\":1234567,\"workers\":3,\"log_level\":\"info\","
		"\"control_path\":\"/c.sock\",\"config_path\":\"/f\","
		"\"guests\":{\"total\":2,\"connected\":1,\"ready\":1,\"unavailable\":1},"
		"\"channels\":{\"detached\":0,\"attached\":2,\"suspended\":0,\"failed\":1,\"unavailable\":0},"
		"\"n_problems\":1,\"problems\":[\"guest vm2: socket /s2: why not\"]}",
		OKL4FS_VERSION_STRING, getpid());
	strcpy(control_path, "/c.sock");
	gives("status", NULL, want);
}

Test(control, guest_list)
{
	gives("guest.list", "\"guest\":\"vm1\"",
	      "{\"guests\":[{\"name\":\"vm1\",\"way\":\"vhost-user\","
	      "\"socket\":\"/s1\",\"socket_mode\":\"listen\",\"path_lost\":false,\"error\":null,\"connected\":true,\"away\":null,\"negotiated\":true,\"ready\":true,"
	      "\"driver_instance\":\"fedcba9876543210\",\"channels\":2,\"queues\":2,"
	      "\"memory_bytes\":1099511627776,\"tail_bytes\":9,\"requests\":10,\"requests_refused\":11,"
	      "\"fuse_requests_declined\":12,\"messages_dropped\":13,\"device_errors\":14}]}");
	gives("guest.list", "\"guest\":\"vm2\"",
	      "{\"guests\":[{\"name\":\"vm2\",\"way\":\"vhost-user\","
	      "\"socket\":\"/s2\",\"socket_mode\":\"connect\",\"path_lost\":true,\"error\":\"socket /s2: why not\",\"connected\":false,"
	      "\"away\":\"connect /s2: Permission denied\","
	      "\"negotiated\":false,\"ready\":false,\"driver_instance\":null,\"channels\":1,\"queues\":0,"
	      "\"memory_bytes\":0,\"tail_bytes\":0,\"requests\":0,\"requests_refused\":0,"
	      "\"fuse_requests_declined\":0,\"messages_dropped\":0,\"device_errors\":0}]}");
}

#define WAY(a, fill, host, guest, opener)                                                        \
	"{\"bytes\":" a "1,\"messages\":" a "2,\"wakes_sent\":" a "3,\"wakes_received\":" a      \
	"4,\"full_stalls\":" a "5,\"empty_stalls\":" a "6,\"opens\":" a "7,\"fill_bytes\":" fill \
	",\"host_phase\":" host ",\"guest_phase\":" guest ",\"guest_opener\":" opener "}"
#define OPENER "{\"comm\":\"cat\xef\xbf\xbd\\u001b\",\"pid\":4242,\"uid\":1000,\"gid\":100}"
#define COUNTERS                                                              \
	"\"fwd\":" WAY("", "21", "31", "32", OPENER) ",\"bwd\":" WAY(         \
		"1", "22", "33", "34",                                        \
		"null") ","                                                   \
			"\"attaches\":8,\"tail_bytes\":23,\"lost_bytes\":24," \
			"\"errors\":{\"CTL_MAGIC\":1,\"HEAD_BACK\":2}"

Test(control, channel_list)
{
	char *cwd = getcwd(NULL, 0), want[4096];

	snprintf(
		want, sizeof(want),
		"{\"channels\":[{\"guest\":\"vm1\","
		"\"name\":\"a\\n\\\"b\",\"id\":0,\"state\":\"attached\",\"failure\":null,"
		"\"ring_bytes\":4096,\"exclusive\":true,\"packets\":false,\"guest_mode\":\"0640\",\"guest_uid\":1000,"
		"\"guest_gid\":0,\"sessions\":null,\"port\":null,\"port_away\":null,\"endpoint\":{\"type\":\"unix-listen\","
		"\"connected\":true,\"path\":\"/p/s\",\"path_lost\":true,\"clients\":5,\"clients_refused\":6},"
		"\"instance\":\"0000000000000077\"," COUNTERS "},"
		"{\"guest\":\"vm1\",\"name\":\"file\",\"id\":1,\"state\":\"failed\","
		"\"failure\":{\"status\":\"HEAD_BACK\",\"text\":\"head moved back\"},"
		"\"ring_bytes\":1048576,\"exclusive\":false,\"packets\":false,\"guest_mode\":null,\"guest_uid\":null,"
		"\"guest_gid\":null,\"sessions\":null,\"port\":null,\"port_away\":null,\"endpoint\":{\"type\":\"intervm\","
		"\"connected\":true,\"file\":\"%s/rel/f\",\"rounds\":2},"
		"\"instance\":null," COUNTERS "}]}",
		cwd);
	gives("channel.list", "\"guest\":\"vm1\"", want);
	free(cwd);
}

static char cursor[64]; /* of the page that came last; empty: it was the last one */

/* A page must have these channels, by guest and id */
static void page(const char *params, const char *names)
{
	struct json_object *reply, *result, *list, *next;
	char line[512], got[256] = "", *answer;

	snprintf(line, sizeof(line), CALL("channel.list", ",\"params\":{%s}"), params);
	answer = answer_to(line, strlen(line));
	reply = json_tokener_parse(answer);
	result = json_object_object_get(reply, "result");
	list = json_object_object_get(result, "channels");
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s/%d ",
			 json_object_get_string(json_object_object_get(c, "guest")),
			 json_object_get_int(json_object_object_get(c, "id")));
	}
	cr_assert_str_eq(got, names, "%s", params);
	cursor[0] = 0;
	if (json_object_object_get_ex(result, "cursor", &next))
		snprintf(cursor, sizeof(cursor), "%s", json_object_get_string(next));
	json_object_put(reply);
	free(answer);
}

static void last_page(const char *params, const char *names)
{
	page(params, names);
	cr_assert_str_empty(cursor, "%s", params);
}

/* @more: other parameters. Return: the parameters of the page after the last one */
static const char *next_page(const char *more)
{
	static char params[256];

	cr_assert_str_not_empty(cursor);
	snprintf(params, sizeof(params), "\"cursor\":\"%s\"%s", cursor, more);
	return params;
}

Test(control, pages)
{
	last_page("", "vm1/0 vm1/1 vm2/0 ");
	last_page("\"limit\":3", "vm1/0 vm1/1 vm2/0 ");
	last_page("\"limit\":18446744073709551616", "vm1/0 vm1/1 vm2/0 ");
	last_page("\"limit\":2,\"guest\":\"vm1\"", "vm1/0 vm1/1 ");

	page("\"limit\":1", "vm1/0 ");
	page(next_page(",\"limit\":1"), "vm1/1 ");
	last_page(next_page(",\"limit\":1"), "vm2/0 ");

	page("\"limit\":1", "vm1/0 ");
	last_page(next_page(""), "vm1/1 vm2/0 ");
}

Test(control, pages_go_on_when_the_guest_has_gone)
{
	page("\"limit\":1", "vm1/0 ");
	control_vm1_gone = true;
	last_page(next_page(""), "vm2/0 ");
}

Test(control, pages_that_are_none)
{
	refuses("channel.list", "\"limit\":0", -32602, "\\\"limit\\\" must be 1 or more");
	refuses("channel.list", "\"limit\":-1", -32602, "\\\"limit\\\" must be 1 or more");
	refuses("channel.list", "\"limit\":\"1\"", -32602, "\\\"limit\\\" must be a number");
	refuses("channel.list", "\"limit\":1.0", -32602, "\\\"limit\\\" must be a number");
	for (size_t i = 0; i < 6; i++) {
		static const char *const wrong[] = { "",
						     "x",
						     "0000000000000abc.7",
						     "0000000000000abd.7.1",
						     "0000000000000abc.7.1 ",
						     "0000000000000abc.-7.1" };
		char params[64];

		snprintf(params, sizeof(params), "\"cursor\":\"%s\"", wrong[i]);
		refuses("channel.list", params, -32602,
			"\\\"cursor\\\" is not one of this daemon's: start again without it");
	}
}
