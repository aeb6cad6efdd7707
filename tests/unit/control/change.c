// SPDX-License-Identifier: BSD-3-Clause
/*
 * change.c - the control socket: methods that change the server, its guests and channels
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "rig.h"

#define ECHO   "\"channel\":{\"name\":\"a b\",\"ring_bytes\":4096,\"endpoint\":{\"type\":\"echo\"}}"
#define NOBODY "\"guest\":{\"name\":\"n\",\"socket\":\"/s\",\"channels\":[]}"

static void changes(const char *method, const char *params, const char *result, const char *changed)
{
	gives(method, params, result);
	cr_assert_str_eq(control_changed, changed);
}

Test(control, channels_come_and_go)
{
	const char *add = "\"guest\":\"vm2\"," ECHO, *of = "\"guest\":\"vm1\",\"channel\":\"x\"";

	changes("channel.add", add, "{\"id\":7}", "vm2/a b: 4096 bytes, echo");
	changes("channel.remove", of, "{}", "no vm1/x");
	control_outcome = -ENOENT;
	refuses("channel.remove", of, -32602, "guest vm1 has no channel \\\"x\\\"");
	control_outcome = 0;
	changes("channel.reset", of, "{}", "reset vm1/x");
	control_outcome = -EEXIST;
	refuses("channel.add", add, -32602, "guest vm2 has a channel \\\"a b\\\" already");
	control_outcome = -ENOSPC;
	refuses("channel.add", add, -32001, "guest vm2 has 1024 channels already");
	control_outcome = -EXDEV;
	refuses("channel.add", add, -32001, "why channel a b is refused");
	control_outcome = -EADDRINUSE;
	refuses("channel.add", add, -32001,
		"guest vm2: channel a b: cannot be offered: why channel a b is refused");
	control_outcome = -ENOMEM;
	refuses("channel.add", add, -32001,
		"guest vm2: channel a b: cannot be offered: Cannot allocate memory");
}

Test(control, a_channel_that_is_none)
{
	refuses("channel.add", NULL, -32602, "channel.add needs the parameter \\\"guest\\\"");
	refuses("channel.add", "\"guest\":\"vm1\"", -32602,
		"channel.add needs the parameter \\\"channel\\\"");
	refuses("channel.add", "\"guest\":\"vm1\",\"channel\":\"x\"", -32602,
		"\\\"channel\\\" must be an object");
	answers(CALL("channel.remove", ",\"params\":{\"guest\":\"vm1\",\"channel\":\"x\\u0000\"}"),
		ERROR("null", -32700, "column 85: a string must not contain a NUL"));
	refuses("channel.add", "\"guest\":\"vm3\"," ECHO, -32602, "there is no guest \\\"vm3\\\"");
	refuses("channel.add", "\"guest\":\"vm1\",\"channel\":{\"name\":\"a/b\",\"colour\":1}",
		-32602,
		"name: must be 1 to 63 bytes without '/', and not \\\".\\\" or \\\"..\\\", "
		"not \\\"a/b\\\"; \\\"endpoint\\\" is missing; colour: unknown key");
	refuses("channel.add", "\"guest\":\"vm1\",\"channel\":{\"name\":\"x\",\"ring_bytes\":5000}",
		-32602,
		"ring_bytes: must be a power of two from 4096 to 67108864, not 5000; "
		"\\\"endpoint\\\" is missing");
	cr_assert_str_eq(control_changed, "");
}

Test(control, guests_come_and_go)
{
	changes("guest.add", NOBODY, "{}", "guest n: /s, 0 channels");
	refuses("guest.add",
		"\"guest\":{\"name\":\"n\",\"socket\":\"/s\","
		"\"channels\":[{\"name\":\"x\",\"endpoint\":{\"type\":\"echo\"}},"
		"{\"name\":\"x\",\"endpoint\":{\"type\":\"discard\"}}]}",
		-32602, "channels[1].name: \\\"x\\\" is channels[0].name already");
	changes("guest.remove", "\"guest\":\"vm1\"", "{}", "no guest vm1");
	refuses("guest.remove", "\"guest\":\"vm3\"", -32602, "there is no guest \\\"vm3\\\"");
	control_outcome = -EEXIST;
	refuses("guest.add", NOBODY, -32602, "there is a guest \\\"n\\\" already");
	control_outcome = -EXDEV;
	refuses("guest.add", NOBODY, -32001, "why guest n is refused");
	control_outcome = -ENOMEM;
	refuses("guest.add", NOBODY, -32001, "guest n: cannot be served: Cannot allocate memory");
}

Test(control, reload)
{
	gives("config.reload", NULL, "{\"guests\":2,\"n_problems\":0,\"problems\":[]}");
	control_outcome = 1;
	gives("config.reload", NULL,
	      "{\"guests\":2,\"n_problems\":2,\"problems\":[\"f:1:2: one\",\"f:3:4: two\"]}");
	control_outcome = -EINVAL;
	refuses("config.reload", NULL, -32001, "f:1:2: one; f:3:4: two");
}

Test(control, the_running_configuration)
{
	gives("config.get", NULL,
	      "{\"path\":\"/f\",\"file_changed\":false,\"error\":null,\"text\":\"{}\\n\"}");
	gives("config.saved", NULL, "{}");
	control_outcome = -EINVAL;
	gives("config.get", NULL,
	      "{\"path\":\"/f\",\"file_changed\":true,\"error\":\"f:1:2: one\",\"text\":\"{}\\n\"}");
	refuses("config.saved", NULL, -32001, "f:1:2: one");
}
