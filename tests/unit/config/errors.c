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

#define METRICS(listen) "{`metrics`: {`listen`: `" listen "`}, `guests`: []}"
#define CONTROL(more)   "{`control`: {" more "}, `guests`: []}"

#define TEN   "123456789-"
#define SIXTY TEN TEN TEN TEN TEN TEN

/* Where errors are, and what some of them say */
#define C     "guests[0].channels[0]"
#define E     C ".endpoint"
#define OCTAL "must be octal permission bits such as `0660`, not "
#define RING  "must be a power of two from 4096 to 67108864, not "
#define WHOLE "must be a whole number from 0 to "
#define NAME  "must be 1 to 63 bytes without '/', and not `.` or `..`, not "

#define SERIAL(socket, name, more)                                                  \
	"{`guests`:[{`name`:`g`,`way`:`serial`,`socket`:`" socket "`,`channels`:[{" \
	"`name`:`" name "`,`endpoint`:{`type`:`echo`}" more "}]}]}"
#define SERIAL_HAS_NONE "has no meaning with `way`: `serial`"

Test(config_errors, each_text_has_its_lines)
{
	static const struct {
		const char *text, *lines;
	} rows[] = {
		{ "[]", "1:1: must be an object, not an array" },
		{ "{}", "1:1: `guests` is missing" },
		{ "{`guests`: {}}", "1:12: guests: must be an array, not an object" },
		{ "{`guests`: [1]}", "1:13: guests[0]: must be an object, not a number" },
		{ "{`guests`: [], `gests`: 1}", "1:16: gests: unknown key" },
		{ IN_GUEST("`sockt`:1,"), "1:38: guests[0].sockt: unknown key" },
		{ CHANNEL(",`x`:1"), "1:89: " C ".x: unknown key" },
		{ METRICS("127.0.0.1:65536"),
		  "1:24: metrics.listen: `127.0.0.1:65536` must have a port from 1 to 65535" },
		{ METRICS("0.0.0.0:9714"),
		  "1:24: metrics.listen: `0.0.0.0:9714` is not a loopback address" },
		{ METRICS("unix:"),
		  "1:24: metrics.listen: the path of a socket has 1 to 107 bytes, not 0" },
		{ CONTROL("`admins`: {`users`: [1, ``], `people`: []}, `readers`: []"),
		  "1:69: control.readers: must be an object, not an array\n"
		  "1:35: control.admins.users[0]: must be a string, not a number\n"
		  "1:38: control.admins.users[1]: must not be empty\n"
		  "1:43: control.admins.people: unknown key" },
		{ "{`control`: `/s`, `guests`: []}",
		  "1:13: control: must be an object, not a string" },
		{ CONTROL("`paht`: 1"), "1:14: control.paht: unknown key" },
		{ CONTROL("`path`: ``"), "1:22: control.path: must not be empty" },
		{ CONTROL("`path`: null"), "1:22: control.path: must be a string, not null" },
		{ CONTROL("`mode`: 660"), "1:22: control.mode: must be a string, not a number" },
		{ CONTROL("`mode`: `0690`"), "1:22: control.mode: " OCTAL "`0690`" },
		{ CONTROL("`mode`: `04755`"), "1:22: control.mode: " OCTAL "`04755`" },
		{ CONTROL("`mode`: `4755`"), "1:22: control.mode: " OCTAL "`4755`" },
		{ CONTROL("`group`: 7"), "1:23: control.group: must be a string, not a number" },
		{ CONTROL("`path`: `/23456789-" TEN TEN TEN SIXTY "12345678`"),
		  "1:22: control.path: the path of a socket has at most 107 bytes, not 108" },
		{ "{`guests`: [{}]}", "1:13: guests[0]: `name` is missing\n"
				      "1:13: guests[0]: `socket` is missing\n"
				      "1:13: guests[0]: `channels` is missing" },
		{ "{`guests`:[{`name`:`a b`,`socket`:`/s`,`channels`:[]}]}",
		  "1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not `a b`" },
		{ "{`guests`:[{`name`:`" SIXTY "1234`,`socket`:`/s`,`channels`:[]}]}",
		  "1:20: guests[0].name: must be 1 to 63 of A-Z a-z 0-9 . _ -, not `" SIXTY
		  "1234`" },
		{ IN_GUEST("`socket_mode`:`server`,"),
		  "1:52: guests[0].socket_mode: must be one of `listen`, `connect`, not `server`" },
		{ IN_GUEST("`socket_mode`:`connect`,`socket_perm`:`0600`,"),
		  "1:62: guests[0].socket_perm: has no meaning with `socket_mode`: `connect`" },
		{ IN_GUEST("`socket_mode`:`connect`,`socket_group`:`tty`,"),
		  "1:62: guests[0].socket_group: has no meaning with `socket_mode`: `connect`" },
		{ IN_GUEST("`way`:`usb`,"),
		  "1:44: guests[0].way: must be one of `vhost-user`, `serial`, not `usb`" },
		{ SERIAL("/s", "c", ",`exclusive`:false"),
		  "1:104: " C ".exclusive: " SERIAL_HAS_NONE },
		{ SERIAL("/s", "c", ",`sessions`:2"), "1:104: " C ".sessions: " SERIAL_HAS_NONE },
		{ SERIAL("/s", "c", ",`packets`:true"), "1:104: " C ".packets: " SERIAL_HAS_NONE },
		{ SERIAL("/s", "c", ",`guest_mode`:`0600`"),
		  "1:104: " C ".guest_mode: " SERIAL_HAS_NONE },
		{ SERIAL("/s", "c", ",`guest_uid`:1,`guest_gid`:2"),
		  "1:104: " C ".guest_uid: " SERIAL_HAS_NONE "\n1:118: " C
		  ".guest_gid: " SERIAL_HAS_NONE },
		{ SERIAL("/" SIXTY, TEN TEN TEN TEN "123456", ""),
		  "1:132: " C ".name: the port's socket, /" SIXTY "." TEN TEN TEN TEN
		  "123456, has a path of more than 107 bytes" },
		{ SERIAL("/s", "c",
			 "},{`name`:`d`,`endpoint`:{`type`:`unix-listen`,`path`:`/s.c`}"),
		  "1:157: guests[0].channels[1].endpoint.path: `/s.c` is " C ".name already" },
		{ IN_GUEST("`tail_bytes`:-1,"),
		  "1:51: guests[0].tail_bytes: " WHOLE "68719476736, not -1" },
		{ IN_GUEST("`tail_bytes`:68719476737,"),
		  "1:51: guests[0].tail_bytes: " WHOLE "68719476736, not 68719476737" },
		{ GUEST("{}"), "1:50: " C ": `name` is missing\n"
			       "1:50: " C ": `endpoint` is missing" },
		{ GUEST("[]"), "1:50: " C ": must be an object, not an array" },
		{ GUEST("{`name`:`a/b`,`endpoint`:{`type`:`echo`}}"),
		  "1:58: " C ".name: " NAME "`a/b`" },
		{ GUEST("{`name`:`..`,`endpoint`:{`type`:`echo`}}"),
		  "1:58: " C ".name: " NAME "`..`" },
		{ GUEST("{`name`:`" SIXTY "1234`,`endpoint`:{`type`:`echo`}}"),
		  "1:58: " C ".name: " NAME "`" SIXTY "1234`" },
		{ CHANNEL(",`ring_bytes`:5000"), "1:102: " C ".ring_bytes: " RING "5000" },
		{ CHANNEL(",`ring_bytes`:2048"), "1:102: " C ".ring_bytes: " RING "2048" },
		{ CHANNEL(",`ring_bytes`:134217728"),
		  "1:102: " C ".ring_bytes: " RING "134217728" },
		{ CHANNEL(",`ring_bytes`:-4096"), "1:102: " C ".ring_bytes: " RING "-4096" },
		{ CHANNEL(",`ring_bytes`:99999999999999999999"),
		  "1:102: " C ".ring_bytes: " RING "99999999999999999999" },
		{ CHANNEL(",`ring_bytes`:4096.0"), "1:102: " C ".ring_bytes: " RING "4096.0" },
		{ CHANNEL(",`ring_bytes`:`1M`"),
		  "1:102: " C ".ring_bytes: must be a number, not a string" },
		{ CHANNEL(",`exclusive`:1"),
		  "1:101: " C ".exclusive: must be a boolean, not a number" },
		{ CHANNEL(",`guest_mode`:`1777`"), "1:102: " C ".guest_mode: " OCTAL "`1777`" },
		{ CHANNEL(",`guest_mode`:640"),
		  "1:102: " C ".guest_mode: must be a string, not a number" },
		{ CHANNEL(",`guest_uid`:4294967295"),
		  "1:101: " C ".guest_uid: " WHOLE "4294967294, not 4294967295" },
		{ CHANNEL(",`guest_gid`:-1"),
		  "1:101: " C ".guest_gid: " WHOLE "4294967294, not -1" },
		{ CHANNEL(",`guest_uid`:`root`"),
		  "1:101: " C ".guest_uid: must be a number, not a string" },
		{ ENDPOINT("`echo`"), "1:73: " E ": must be an object, not a string" },
		{ ENDPOINT("{}"), "1:73: " E ": `type` is missing" },
		{ ENDPOINT("{`type`:`udp-listen`}"),
		  "1:81: " E
		  ".type: must be one of `intervm`, `echo`, `discard`, `unix-listen`, `mux-listen`, `unix-connect`, `tcp-listen`, `tcp-connect`, `channel`, not `udp-listen`" },
		{ ENDPOINT("{`type`:`echo`,`path`:`/p`}"), "1:88: " E ".path: unknown key" },
		{ ENDPOINT("{`type`:`intervm`}"), "1:73: " E ": `file` is missing" },
		{ ENDPOINT("{`type`:`intervm`,`file`:`/f`,`rounds`:-1}"),
		  "1:112: " E ".rounds: " WHOLE "4294967295, not -1" },
		{ ENDPOINT("{`type`:`unix-listen`}"), "1:73: " E ": `path` is missing" },
		{ ENDPOINT("{`type`:`tcp-listen`,`address`:`::1`}"),
		  "1:104: " E
		  ".address: `::1` must have its IPv6 address in brackets, as in `[::1]:9000`" },
		{ ENDPOINT("{`type`:`tcp-connect`,`address`:`example.org:99`}"),
		  "1:105: " E
		  ".address: `example.org:99` is not a loopback address, so it needs `tls`" },
		{ ENDPOINT("{`type`:`tcp-connect`,`address`:`example.org:99`,`tls`:{`cert`:`/c`}}"),
		  "1:128: " E ".tls: `key` is missing\n"
		  "1:128: " E ".tls: `ca` is missing" },
		{ ENDPOINT("{`type`:`unix-connect`,`path`:`/p`,`proxy`:`v1`}"),
		  "1:116: " E ".proxy: must be one of `v2`, not `v1`" },
		{ ENDPOINT("{`type`:`unix-listen`,`path`:`/p`,`proxy`:`v2`}"),
		  "1:107: " E ".proxy: unknown key" },
		{ ENDPOINT(
			  "{`type`:`tcp-connect`,`address`:`[::1]:9`,`proxy`:`v2`,`tls`:{`cert`:`/c`,`key`:`/k`,`ca`:`/a`}}"),
		  "1:115: " E ".proxy: is not possible with `tls`" },
		{ ENDPOINT("{`type`:`mux-listen`,`path`:`/p`}"),
		  "1:73: " E ": `mux-listen` is for channels with `sessions`" },
		{ GUEST("{`name`:`a`,`sessions`:1,`endpoint`:{`type`:`mux-listen`,`path`:`/p`}},\n"
			"{`name`:`b`,`sessions`:1,`endpoint`:{`type`:`mux-listen`,`path`:`//p`,`mode`:`0660`}},\n"
			"{`name`:`c`,`sessions`:1,`endpoint`:{`type`:`mux-listen`,`path`:`/p`,`mode`:`0600`}},\n"
			"{`name`:`d`,`endpoint`:{`type`:`unix-listen`,`path`:`/p`}}"),
		  "3:77: guests[0].channels[2].endpoint.mode: must have the same `mode` as guests[0].channels[0].endpoint, whose socket it shares\n"
		  "4:53: guests[0].channels[3].endpoint.path: `/p` is guests[0].channels[0].endpoint.path already" },
		{ "{`guests`:[\n"
		  "{`name`:`g`,`socket`:`/1`,`channels`:[{`name`:`c`,`sessions`:1,`endpoint`:{`type`:`mux-listen`,`path`:`/p`}}]},\n"
		  "{`name`:`h`,`socket`:`/2`,`channels`:[{`name`:`c`,`sessions`:1,`endpoint`:{`type`:`mux-listen`,`path`:`/p`}}]}]}",
		  "3:103: guests[1].channels[0].endpoint.path: `/p` is guests[0].channels[0].endpoint.path already" },
		{ ENDPOINT("{`type`:`tcp-connect`,`address`:`[::1]:99`,`peer_timeout_s`:3}"),
		  "1:133: " E ".peer_timeout_s: must be a whole number from 4 to 3600, not 3" },
		{ ENDPOINT("{`type`:`unix-connect`,`path`:`/p`,`peer_timeout_s`:9}"),
		  "1:108: " E ".peer_timeout_s: unknown key" },
		{ ENDPOINT("{`type`:`channel`,`channel`:`a/b`}"),
		  "1:73: " E ": `guest` is missing\n"
		  "1:101: " E ".channel: " NAME "`a/b`" },
		{ ENDPOINT("{`type`:`channel`,`guest`:`h`,`channel`:`d`}"),
		  "1:113: " E ".channel: there is no channel `d` of a guest `h`" },
		{ ENDPOINT("{`type`:`channel`,`guest`:`g`,`channel`:`c`}"),
		  "1:113: " E ".channel: a channel cannot be joined to itself" },
		{ GUEST("{`name`:`a`,`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`b`}},\n"
			"{`name`:`b`,`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`c`}},\n"
			"{`name`:`c`,`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`b`}}"),
		  "1:113: " E
		  ".channel: channel `b` of guest `g` (guests[0].channels[1]) does not name this one back" },
		{ GUEST("{`name`:`a`,`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`b`}},\n"
			"{`name`:`b`,`endpoint`:{`type`:`echo`}}"),
		  "1:113: " E
		  ".channel: channel `b` of guest `g` (guests[0].channels[1]) does not name this one back" },
		{ GUEST("{`name`:`a`,`packets`:true,"
			"`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`b`}},\n"
			"{`name`:`b`,`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`a`}}"),
		  "1:62: " C
		  ".packets: channel `b` of guest `g`, to which this one is joined, must have it, too" },
		{ GUEST("{`name`:`a`,`ring_bytes`:4096,`packets`:true,"
			"`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`b`}},\n"
			"{`name`:`b`,`packets`:true,"
			"`endpoint`:{`type`:`channel`,`guest`:`g`,`channel`:`a`}}"),
		  "1:80: " C
		  ".packets: channel `b` of guest `g`, to which this one is joined, must have the same "
		  "`ring_bytes`\n2:13: guests[0].channels[1].packets: channel `a` of guest `g`, to which "
		  "this one is joined, must have the same `ring_bytes`" },
		{ GUEST("{`name`:`c`,`endpoint`:{`type`:`tcp-listen`,`address`:`[::1]:99`}},\n"
			"{`name`:`d`,`endpoint`:{`type`:`tcp-listen`,`address`:`[::1]:99`}}"),
		  "2:55: guests[0].channels[1].endpoint.address: `[::1]:99` is guests[0].channels[0].endpoint.address already" },
		{ "{`guests`:[\n"
		  "{`name`:`g`,`socket`:`/1`,`channels`:[{`name`:`c`,`endpoint`:{`type`:`echo`}}]},\n"
		  "{`name`:`g`,`socket`:`/2`,`channels`:[{`name`:`c`,`endpoint`:{`type`:`echo`}}]}]}",
		  "3:9: guests[1].name: `g` is guests[0].name already" },
		{ ENDPOINT("{`type`:`unix-listen`,`path`:`/p`,`group`:`none`}"),
		  "1:115: " E ".group: there is no group `none`" },
		{ GUEST("{`name`:`c`,`endpoint`:{`type`:`echo`}},\n"
			"{`name`:`c`,`endpoint`:{`type`:`echo`}}"),
		  "2:9: guests[0].channels[1].name: `c` is guests[0].channels[0].name already" },
		{ "{`control`:{`path`:`/s`},\n"
		  "`guests`:[{`name`:`g`,`socket`:`/s`,`channels`:[\n"
		  "{`name`:`c`,`endpoint`:{`type`:`unix-listen`,`path`:`/s`}}]}]}",
		  "2:32: guests[0].socket: `/s` is control.path already\n"
		  "3:53: " E ".path: `/s` is control.path already" },
		{ "{`control`:{`path`:`./a//b`},`metrics`:{`listen`:`unix:b`},\n"
		  "`guests`:[{`name`:`g`,`socket`:`/a/.//./b`,`channels`:[\n"
		  "{`name`:`c`,`endpoint`:{`type`:`unix-listen`,`path`:`//a/b`}}]}]}",
		  "3:53: " E ".path: `//a/b` is guests[0].socket already\n"
		  "1:50: metrics.listen: `unix:./a//b` is control.path already" },
		{ "{`metrics`:{`listen`:`localhost:99`},\n"
		  "`guests`:[{`name`:`g`,`socket`:`/s`,`channels`:[\n"
		  "{`name`:`c`,`endpoint`:{`type`:`tcp-listen`,`address`:`LOCALHOST:99`}}]}]}",
		  "3:55: " E ".address: `LOCALHOST:99` is metrics.listen already" },
		{ "{`control`:{`group`:`no such`,`readers`:{`users`:[`root`,`adm1`]},\n"
		  "`admins`:{`groups`:[`no`]}},`guests`:[{`name`:`g`,`socket`:`/s`,\n"
		  "`socket_group`:`none`,`channels`:[]}]}",
		  "1:21: control.group: there is no group `no such`\n"
		  "1:58: control.readers.users[1]: there is no user `adm1`\n"
		  "2:21: control.admins.groups[0]: there is no group `no`\n"
		  "3:16: guests[0].socket_group: there is no group `none`" },
		{ "{\n"
		  "  `contrl`: {},\n"
		  "  `guests`: [\n"
		  "    { `name`: `vm1`, `socket`: `/s`, `channels`: [\n"
		  "      { `name`: `a`, `ring_bytes`: 5000, `endpoint`: { `type`: `echo` } },\n"
		  "      { `name`: `a`, `endpoint`: { `type`: `unix-listen`, `path`: `/s`, `mode`: `x` } }\n"
		  "    ], `name`: `vm2` }\n"
		  "  ]\n"
		  "}\n",
		  "7:8: guests[0].name: this key already appears in line 4\n"
		  "5:36: " C ".ring_bytes: " RING "5000\n"
		  "6:81: guests[0].channels[1].endpoint.mode: " OCTAL "`x`\n"
		  "2:3: contrl: unknown key\n"
		  "6:17: guests[0].channels[1].name: `a` is guests[0].channels[0].name already\n"
		  "6:67: guests[0].channels[1].endpoint.path: `/s` is guests[0].socket already" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		refused(rows[i].text, strlen(rows[i].text), rows[i].lines);
}

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

Test(config_errors, what_cannot_be_read)
{
	unreadable("/nonexistent/okl4fsd.json", ENOENT,
		   "/nonexistent/okl4fsd.json: No such file or directory\n");
	unreadable("/tmp", EISDIR, "/tmp: Is a directory\n");
}

Test(config_errors, too_large)
{
	char *text = malloc(CONFIG_MAX_BYTES + 1), *errors;
	struct config *cfg;

	memset(text, ' ', CONFIG_MAX_BYTES + 1);
	for (int i = 0; i < 13; i++)
		text[i] = "{\"guests\":[]}"[i];
	cr_assert_eq(load(text, CONFIG_MAX_BYTES + 1, &cfg, &errors), -EFBIG);
	cr_assert_str_eq(errors, " a configuration has at most 1 MiB");
	free(errors);
	cr_assert_eq(load(text, CONFIG_MAX_BYTES, &cfg, &errors), 0);
	free(errors);
	config_free(cfg);
	free(text);
}
