// SPDX-License-Identifier: BSD-3-Clause
/*
 * errors.c - configurations that are refused, and the exact text of it
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/json.h"
#include "rig.h"

REFUSED(config_errors, no_object, "[]", "FILE:1:1: must be an object, not an array\n")
REFUSED(config_errors, no_guests, "{}", "FILE:1:1: \"guests\" is missing\n")
REFUSED(config_errors, guests_of_another_kind, "{\"guests\": {}}",
	"FILE:1:12: guests: must be an array, not an object\n")
REFUSED(config_errors, guest_of_another_kind, "{\"guests\": [1]}",
	"FILE:1:13: guests[0]: must be an object, not a number\n")
REFUSED(config_errors, unknown_key, "{\"guests\": [], \"gests\": 1}",
	"FILE:1:16: gests: unknown key\n")
REFUSED(config_errors, unknown_key_of_a_guest, IN_GUEST("\"sockt\":1,"),
	"FILE:1:38: guests[0].sockt: unknown key\n")
REFUSED(config_errors, unknown_key_of_a_channel, CHANNEL(",\"x\":1"),
	"FILE:1:89: guests[0].channels[0].x: unknown key\n")
#define METRICS(listen) "{\"metrics\": {\"listen\": \"" listen "\"}, \"guests\": []}"
REFUSED(config_errors, metrics_port, METRICS("127.0.0.1:65536"),
	"FILE:1:24: metrics.listen: \"127.0.0.1:65536\" must have a port from 1 to 65535\n")
REFUSED(config_errors, metrics_for_all, METRICS("0.0.0.0:9714"),
	"FILE:1:24: metrics.listen: \"0.0.0.0:9714\" is not a loopback address\n")
REFUSED(config_errors, metrics_without_path, METRICS("unix:"),
	"FILE:1:24: metrics.listen: the path of a socket has 1 to 107 bytes, not 0\n")
REFUSED(config_errors, principals,
	"{\"control\": {\"admins\": {\"users\": [1, \"\"], \"people\": []}, \"readers\": []}, \"guests\": []}",
	"FILE:1:69: control.readers: must be an object, not an array\n"
	"FILE:1:35: control.admins.users[0]: must be a string, not a number\n"
	"FILE:1:38: control.admins.users[1]: must not be empty\n"
	"FILE:1:43: control.admins.people: unknown key\n")
REFUSED(config_errors, control_of_another_kind, "{\"control\": \"/s\", \"guests\": []}",
	"FILE:1:13: control: must be an object, not a string\n")
REFUSED(config_errors, unknown_key_of_control, "{\"control\": {\"paht\": 1}, \"guests\": []}",
	"FILE:1:14: control.paht: unknown key\n")
REFUSED(config_errors, empty_path, "{\"control\": {\"path\": \"\"}, \"guests\": []}",
	"FILE:1:22: control.path: must not be empty\n")
REFUSED(config_errors, path_of_another_kind, "{\"control\": {\"path\": null}, \"guests\": []}",
	"FILE:1:22: control.path: must be a string, not null\n")
REFUSED(config_errors, mode_as_a_number, "{\"control\": {\"mode\": 660}, \"guests\": []}",
	"FILE:1:22: control.mode: must be a string, not a number\n")

#define REFUSED_MODE(name, mode)                                                                       \
	REFUSED(config_errors, name, "{\"control\": {\"mode\": \"" mode "\"}, \"guests\": []}",        \
		"FILE:1:22: control.mode: must be octal permission bits such as \"0660\", not \"" mode \
		"\"\n")

REFUSED_MODE(mode_with_a_nine, "0690")
REFUSED_MODE(mode_too_long, "04755")
REFUSED_MODE(mode_with_more_than_permissions, "4755")

REFUSED(config_errors, group_of_another_kind, "{\"control\": {\"group\": 7}, \"guests\": []}",
	"FILE:1:23: control.group: must be a string, not a number\n")
REFUSED(config_errors, socket_path_too_long,
	"{\"control\": {\"path\": \"/23456789-123456789-123456789-123456789-123456789-123456789-"
	"123456789-123456789-123456789-123456789-12345678\"}, \"guests\": []}",
	"FILE:1:22: control.path: the path of a socket has at most 107 bytes, not 108\n")

REFUSED(config_errors, nothing_of_a_guest, "{\"guests\": [{}]}",
	"FILE:1:13: guests[0]: \"name\" is missing\n"
	"FILE:1:13: guests[0]: \"socket\" is missing\n"
	"FILE:1:13: guests[0]: \"channels\" is missing\n")
REFUSED(config_errors, guest_name,
	"{\"guests\":[{\"name\":\"a b\",\"socket\":\"/s\",\"channels\":[]}]}",
	"FILE:1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not \"a b\"\n")
REFUSED(config_errors, guest_name_too_long,
	"{\"guests\":[{\"name\":\"123456789-123456789-123456789-123456789-123456789-123456789-1234\","
	"\"socket\":\"/s\",\"channels\":[]}]}",
	"FILE:1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not "
	"\"123456789-123456789-123456789-123456789-123456789-123456789-1234\"\n")
REFUSED(config_errors, socket_mode, IN_GUEST("\"socket_mode\":\"server\","),
	"FILE:1:52: guests[0].socket_mode: must be one of \"listen\", \"connect\", not \"server\"\n")
REFUSED(config_errors, socket_perm_without_a_socket_of_ours,
	IN_GUEST("\"socket_mode\":\"connect\",\"socket_perm\":\"0600\","),
	"FILE:1:62: guests[0].socket_perm: has no meaning with \"socket_mode\": \"connect\"\n")
REFUSED(config_errors, socket_group_without_a_socket_of_ours,
	IN_GUEST("\"socket_mode\":\"connect\",\"socket_group\":\"tty\","),
	"FILE:1:62: guests[0].socket_group: has no meaning with \"socket_mode\": \"connect\"\n")
REFUSED(config_errors, tail_bytes_less_than_none, IN_GUEST("\"tail_bytes\":-1,"),
	"FILE:1:51: guests[0].tail_bytes: must be a whole number from 0 to 68719476736, not -1\n")
REFUSED(config_errors, tail_bytes_too_many, IN_GUEST("\"tail_bytes\":68719476737,"),
	"FILE:1:51: guests[0].tail_bytes: must be a whole number from 0 to 68719476736, not "
	"68719476737\n")

REFUSED(config_errors, nothing_of_a_channel, GUEST("{}"),
	"FILE:1:50: guests[0].channels[0]: \"name\" is missing\n"
	"FILE:1:50: guests[0].channels[0]: \"endpoint\" is missing\n")
REFUSED(config_errors, channel_of_another_kind, GUEST("[]"),
	"FILE:1:50: guests[0].channels[0]: must be an object, not an array\n")

#define REFUSED_NAME(test, name)                                                                     \
	REFUSED(config_errors, test,                                                                 \
		GUEST("{\"name\":\"" name "\",\"endpoint\":{\"type\":\"echo\"}}"),                   \
		"FILE:1:58: guests[0].channels[0].name: must be 1 to 63 bytes without '/', and not " \
		"\".\" or \"..\", not \"" name "\"\n")

REFUSED_NAME(slash_in_a_channel_name, "a/b")
REFUSED_NAME(dots_as_a_channel_name, "..")
REFUSED_NAME(channel_name_too_long,
	     "123456789-123456789-123456789-123456789-123456789-123456789-1234")

#define REFUSED_RING_BYTES(name, number)                                                             \
	REFUSED(config_errors, name, CHANNEL(",\"ring_bytes\":" number),                             \
		"FILE:1:102: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to " \
		"67108864, not " number "\n")

REFUSED_RING_BYTES(ring_bytes, "5000")
REFUSED_RING_BYTES(ring_bytes_too_small, "2048")
REFUSED_RING_BYTES(ring_bytes_too_large, "134217728")
REFUSED_RING_BYTES(ring_bytes_negative, "-4096")
REFUSED_RING_BYTES(ring_bytes_far_too_large, "99999999999999999999")
REFUSED_RING_BYTES(ring_bytes_not_whole, "4096.0")
REFUSED(config_errors, ring_bytes_as_a_string, CHANNEL(",\"ring_bytes\":\"1M\""),
	"FILE:1:102: guests[0].channels[0].ring_bytes: must be a number, not a string\n")
REFUSED(config_errors, exclusive_of_another_kind, CHANNEL(",\"exclusive\":1"),
	"FILE:1:101: guests[0].channels[0].exclusive: must be a boolean, not a number\n")

REFUSED(config_errors, guest_mode_of_other_bits, CHANNEL(",\"guest_mode\":\"1777\""),
	"FILE:1:102: guests[0].channels[0].guest_mode: must be octal permission bits such as \"0660\", "
	"not \"1777\"\n")
REFUSED(config_errors, guest_mode_as_a_number, CHANNEL(",\"guest_mode\":640"),
	"FILE:1:102: guests[0].channels[0].guest_mode: must be a string, not a number\n")
REFUSED(config_errors, guest_uid_that_means_none, CHANNEL(",\"guest_uid\":4294967295"),
	"FILE:1:101: guests[0].channels[0].guest_uid: must be a whole number from 0 to 4294967294, "
	"not 4294967295\n")
REFUSED(config_errors, guest_gid_negative, CHANNEL(",\"guest_gid\":-1"),
	"FILE:1:101: guests[0].channels[0].guest_gid: must be a whole number from 0 to 4294967294, "
	"not -1\n")
REFUSED(config_errors, guest_uid_as_a_name, CHANNEL(",\"guest_uid\":\"root\""),
	"FILE:1:101: guests[0].channels[0].guest_uid: must be a number, not a string\n")

REFUSED(config_errors, endpoint_of_another_kind, ENDPOINT("\"echo\""),
	"FILE:1:73: guests[0].channels[0].endpoint: must be an object, not a string\n")
REFUSED(config_errors, endpoint_without_type, ENDPOINT("{}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"type\" is missing\n")
REFUSED(config_errors, unknown_type, ENDPOINT("{\"type\":\"udp-listen\"}"),
	"FILE:1:81: guests[0].channels[0].endpoint.type: must be one of \"intervm\", \"echo\", "
	"\"discard\", \"unix-listen\", \"unix-connect\", \"tcp-listen\", \"tcp-connect\", \"channel\", "
	"not \"udp-listen\"\n")
REFUSED(config_errors, key_of_another_type, ENDPOINT("{\"type\":\"echo\",\"path\":\"/p\"}"),
	"FILE:1:88: guests[0].channels[0].endpoint.path: unknown key\n")
REFUSED(config_errors, intervm_without_file, ENDPOINT("{\"type\":\"intervm\"}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"file\" is missing\n")
REFUSED(config_errors, rounds, ENDPOINT("{\"type\":\"intervm\",\"file\":\"/f\",\"rounds\":-1}"),
	"FILE:1:112: guests[0].channels[0].endpoint.rounds: must be a whole number from 0 to "
	"4294967295, not -1\n")
REFUSED(config_errors, unix_listen_without_path, ENDPOINT("{\"type\":\"unix-listen\"}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"path\" is missing\n")

REFUSED(config_errors, tcp_without_port, ENDPOINT("{\"type\":\"tcp-listen\",\"address\":\"::1\"}"),
	"FILE:1:104: guests[0].channels[0].endpoint.address: \"::1\" must have its IPv6 address in brackets, as in \"[::1]:9000\"\n")
REFUSED(config_errors, tcp_abroad_without_tls,
	ENDPOINT("{\"type\":\"tcp-connect\",\"address\":\"example.org:99\"}"),
	"FILE:1:105: guests[0].channels[0].endpoint.address: \"example.org:99\" is not a loopback address, so it needs \"tls\"\n")
REFUSED(config_errors, tls_without_key,
	ENDPOINT(
		"{\"type\":\"tcp-connect\",\"address\":\"example.org:99\",\"tls\":{\"cert\":\"/c\"}}"),
	"FILE:1:128: guests[0].channels[0].endpoint.tls: \"key\" is missing\n"
	"FILE:1:128: guests[0].channels[0].endpoint.tls: \"ca\" is missing\n")
REFUSED(config_errors, channel_without_guest,
	ENDPOINT("{\"type\":\"channel\",\"channel\":\"a/b\"}"),
	"FILE:1:73: guests[0].channels[0].endpoint: \"guest\" is missing\n"
	"FILE:1:101: guests[0].channels[0].endpoint.channel: must be 1 to 63 bytes without '/', and not \".\" or \"..\", not \"a/b\"\n")
#define TO(name, guest, channel)                                                       \
	"{\"name\":\"" name "\",\"endpoint\":{\"type\":\"channel\",\"guest\":\"" guest \
	"\",\"channel\":\"" channel "\"}}"
REFUSED(config_errors, joined_to_nobody, GUEST(TO("c", "h", "d")),
	"FILE:1:113: guests[0].channels[0].endpoint.channel: there is no channel \"d\" of a guest \"h\"\n")
REFUSED(config_errors, joined_to_itself, GUEST(TO("c", "g", "c")),
	"FILE:1:113: guests[0].channels[0].endpoint.channel: a channel cannot be joined to itself\n")
REFUSED(config_errors, joined_to_one_that_names_another,
	GUEST(TO("a", "g", "b") ",\n" TO("b", "g", "c") ",\n" TO("c", "g", "b")),
	"FILE:1:113: guests[0].channels[0].endpoint.channel: channel \"b\" of guest \"g\" (guests[0].channels[1]) does not name this one back\n")
REFUSED(config_errors, joined_to_an_echo,
	GUEST(TO("a", "g", "b") ",\n{\"name\":\"b\",\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:1:113: guests[0].channels[0].endpoint.channel: channel \"b\" of guest \"g\" (guests[0].channels[1]) does not name this one back\n")
REFUSED(config_errors, same_address_twice,
	GUEST("{\"name\":\"c\",\"endpoint\":{\"type\":\"tcp-listen\",\"address\":\"[::1]:99\"}},\n"
	      "{\"name\":\"d\",\"endpoint\":{\"type\":\"tcp-listen\",\"address\":\"[::1]:99\"}}"),
	"FILE:2:55: guests[0].channels[1].endpoint.address: \"[::1]:99\" is guests[0].channels[0].endpoint.address already\n")

REFUSED(config_errors, same_guest_twice,
	"{\"guests\":[\n"
	"{\"name\":\"g\",\"socket\":\"/1\",\"channels\":[{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}]},\n"
	"{\"name\":\"g\",\"socket\":\"/2\",\"channels\":[{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}]}]}",
	"FILE:3:9: guests[1].name: \"g\" is guests[0].name already\n")
REFUSED(config_errors, same_channel_twice,
	GUEST("{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}},\n"
	      "{\"name\":\"c\",\"endpoint\":{\"type\":\"echo\"}}"),
	"FILE:2:9: guests[0].channels[1].name: \"c\" is guests[0].channels[0].name already\n")
REFUSED(config_errors, same_path_twice,
	"{\"control\":{\"path\":\"/s\"},\n"
	"\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\"channels\":[\n"
	"{\"name\":\"c\",\"endpoint\":{\"type\":\"unix-listen\",\"path\":\"/s\"}}]}]}",
	"FILE:2:32: guests[0].socket: \"/s\" is control.path already\n"
	"FILE:3:53: guests[0].channels[0].endpoint.path: \"/s\" is control.path already\n")

REFUSED(config_errors, paths_that_mean_the_same,
	"{\"control\":{\"path\":\"./a//b\"},\"metrics\":{\"listen\":\"unix:a/b\"},\n"
	"\"guests\":[{\"name\":\"g\",\"socket\":\"/a/.//./b\",\"channels\":[\n"
	"{\"name\":\"c\",\"endpoint\":{\"type\":\"unix-listen\",\"path\":\"//a/b\"}}]}]}",
	"FILE:3:53: guests[0].channels[0].endpoint.path: \"//a/b\" is guests[0].socket already\n"
	"FILE:1:50: metrics.listen: \"unix:a/b\" is control.path already\n")
REFUSED(config_errors, metrics_and_an_endpoint,
	"{\"metrics\":{\"listen\":\"localhost:99\"},\n"
	"\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\"channels\":[\n"
	"{\"name\":\"c\",\"endpoint\":{\"type\":\"tcp-listen\",\"address\":\"LOCALHOST:99\"}}]}]}",
	"FILE:3:55: guests[0].channels[0].endpoint.address: \"LOCALHOST:99\" is metrics.listen already\n")
REFUSED(config_errors, users_and_groups_that_nobody_knows,
	"{\"control\":{\"group\":\"no such\",\"readers\":{\"users\":[\"root\",\"adm1\"]},\n"
	"\"admins\":{\"groups\":[\"no\"]}},\"guests\":[{\"name\":\"g\",\"socket\":\"/s\",\n"
	"\"socket_group\":\"none\",\"channels\":[]}]}",
	"FILE:1:21: control.group: there is no group \"no such\"\n"
	"FILE:1:58: control.readers.users[1]: there is no user \"adm1\"\n"
	"FILE:2:21: control.admins.groups[0]: there is no group \"no\"\n"
	"FILE:3:16: guests[0].socket_group: there is no group \"none\"\n")

REFUSED(config_errors, all_in_one_go,
	"{\n"
	"  \"contrl\": {},\n"
	"  \"guests\": [\n"
	"    { \"name\": \"vm1\", \"socket\": \"/s\", \"channels\": [\n"
	"      { \"name\": \"a\", \"ring_bytes\": 5000, \"endpoint\": { \"type\": \"echo\" } },\n"
	"      { \"name\": \"a\", \"endpoint\": { \"type\": \"unix-listen\", \"path\": \"/s\", \"mode\": \"x\" } }\n"
	"    ], \"name\": \"vm2\" }\n"
	"  ]\n"
	"}\n",
	"FILE:7:8: guests[0].name: this key already appears in line 4\n"
	"FILE:5:36: guests[0].channels[0].ring_bytes: must be a power of two from 4096 to 67108864, "
	"not 5000\n"
	"FILE:6:81: guests[0].channels[1].endpoint.mode: must be octal permission bits such as \"0660\", "
	"not \"x\"\n"
	"FILE:2:3: contrl: unknown key\n"
	"FILE:6:17: guests[0].channels[1].name: \"a\" is guests[0].channels[0].name already\n"
	"FILE:6:67: guests[0].channels[1].endpoint.path: \"/s\" is guests[0].socket already\n")

/* @line: the error */
static void unreadable(const char *path, int error, const char *line)
{
	struct config *cfg = (void *)1;
	char told[128] = "";
	FILE *f = fmemopen(told, sizeof(told), "w");

	cr_assert_eq(config_load(&cfg, path, f), -error);
	fclose(f);
	cr_assert_null(cfg);
	cr_assert_str_eq(told, line);
}

Test(config_errors, no_file)
{
	unreadable("/nonexistent/okl4fsd.json", ENOENT,
		   "/nonexistent/okl4fsd.json: No such file or directory\n");
}

Test(config_errors, a_directory)
{
	unreadable("/tmp", EISDIR, "/tmp: Is a directory\n");
}

Test(config_errors, too_large)
{
	char *text = malloc(CONF_MAX_BYTES + 1), *errors;
	struct config *cfg;

	memset(text, ' ', CONF_MAX_BYTES + 1);
	for (int i = 0; i < 13; i++)
		text[i] = "{\"guests\":[]}"[i];
	cr_assert_eq(load(text, CONF_MAX_BYTES + 1, &cfg, &errors), -EFBIG);
	cr_assert_str_eq(errors, "FILE: a configuration has at most 1 MiB\n");
	free(errors);
	cr_assert_eq(load(text, CONF_MAX_BYTES, &cfg, &errors), 0);
	free(errors);
	config_free(cfg);
	free(text);
}
