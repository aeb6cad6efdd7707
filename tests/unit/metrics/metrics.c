// SPDX-License-Identifier: BSD-3-Clause
/*
 * metrics.c - metrics as text: every number in its place, names escaped
 *
 * control/rig.c has the guests.
 */
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "metrics/metrics.h"
#include "metrics/text.h"

TestSuite(metrics, .timeout = 20);

static void label_is(const char *value, const char *want)
{
	char out[1024], whole[1024];
	char *end = metric_label(out, "l", value);

	snprintf(whole, sizeof(whole), "l=\"%s\"", want);
	cr_assert_str_eq(out, whole);
	cr_assert_eq(end, out + strlen(out));
	cr_assert_lt(strlen(out), METRIC_LABEL_BYTES(1, strlen(value)));
}

Test(metrics, labels_are_escaped)
{
	label_is("", "");
	label_is("vm1", "vm1");
	label_is("a\"b", "a\\\"b");
	label_is("a\\b", "a\\\\b");
	label_is("a\nb", "a\\nb");
	label_is("\\n", "\\\\n");
	label_is("\r\t\x01\x1b[2J\x7f {},=#", "\r\t\x01\x1b[2J\x7f {},=#");
	label_is("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	label_is("\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf",
		 "\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf");
}

#define BAD "\xef\xbf\xbd"

Test(metrics, a_label_is_utf8_in_any_case)
{
	label_is("a\xff"
		 "b",
		 "a" BAD "b");
	label_is("\x80", BAD); /* continues nothing */
	label_is("\xc3", BAD); /* cut off */
	label_is("\xe2\x82", BAD BAD);
	label_is("\xf0\x9f\x98", BAD BAD BAD);
	label_is("\xc0\xaf", BAD BAD); /* longer than necessary */
	label_is("\xe0\x80\xaf", BAD BAD BAD);
	label_is("\xf0\x80\x80\x80", BAD BAD BAD BAD);
	label_is("\xed\xa0\x80", BAD BAD BAD); /* half of a surrogate pair */
	label_is("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* past the last */
	label_is("\xc3\"", BAD "\\\"");
}

Test(metrics, format_is_what_is_asked_for)
{
	static const struct {
		enum metrics_format want;
		const char *accept;
	} c[] = {
		{ METRICS_PROMETHEUS, NULL },
		{ METRICS_PROMETHEUS, "" },
		{ METRICS_PROMETHEUS, "*/*" },
		{ METRICS_PROMETHEUS, "text/plain" },
		{ METRICS_OPENMETRICS, "application/openmetrics-text" },
		{ METRICS_OPENMETRICS, "Application/OpenMetrics-Text ; version=1.0.0" },
		{ METRICS_PROMETHEUS, "application/openmetrics-textual" },
		{ METRICS_PROMETHEUS, "application/openmetrics-text;q=0" },
		{ METRICS_PROMETHEUS, "application/openmetrics-text;q=nan" },
		{ METRICS_PROMETHEUS, "application/openmetrics-text;q=-1" },
		{ METRICS_OPENMETRICS, "application/openmetrics-text;q=1e999,text/plain;q=0.9" },
		{ METRICS_PROMETHEUS, "application/openmetrics-text;q=0.4,text/plain;q=0.5" },
		{ METRICS_OPENMETRICS, "text/plain; q=0.5, application/openmetrics-text; q=0.5" },
		{ METRICS_OPENMETRICS, "text/html,,;,application/openmetrics-text;q" },
		/* What Prometheus 2.42 and 3 send */
		{ METRICS_OPENMETRICS, "application/openmetrics-text;version=1.0.0,"
				       "application/openmetrics-text;version=0.0.1;q=0.75,"
				       "text/plain;version=0.0.4;q=0.5,*/*;q=0.1" },
		{ METRICS_OPENMETRICS,
		  "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
		  "application/openmetrics-text;version=0.0.1;q=0.5,"
		  "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
		  "text/plain;version=0.0.4;q=0.3,*/*;q=0.2" },
	};

	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		cr_assert_eq(metrics_choose(c[i].accept), c[i].want, "%s", c[i].accept);
}

static const char *metrics_text(enum metrics_format format)
{
	static char text[65536];
	struct evbuffer *out = evbuffer_new();
	ev_ssize_t n;

	cr_assert_eq(metrics_write(NULL, format, out), 0);
	n = evbuffer_remove(out, text, sizeof(text) - 1);
	cr_assert_gt(n, 0);
	cr_assert_lt(n, (ev_ssize_t)sizeof(text) - 1);
	text[n] = 0;
	evbuffer_free(out);
	return text;
}

static void has(const char *text, const char *line)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	cr_assert_not_null(strstr(text, whole), "no line %s in\n%s", line, text);
}

#define A "guest=\"vm1\",channel=\"a\\n\\\"b\""
#define F "guest=\"vm1\",channel=\"file\""

Test(metrics, every_number_is_in_its_place)
{
	const char *text = metrics_text(METRICS_OPENMETRICS);

	has(text, "okl4fs_build_info{version=\"" OKL4FS_VERSION_STRING "\",abi_version=\"1\"} 1");
	has(text, "process_start_time_seconds 1700000000.000001");
	has(text, "okl4fs_uptime_seconds 1234.567000");
	has(text, "okl4fs_workers 3");
	has(text, "okl4fs_config_problems 1");
	has(text, "okl4fs_guest_served{guest=\"vm1\"} 1");
	has(text, "okl4fs_guest_served{guest=\"vm2\"} 0");
	has(text, "okl4fs_guest_connected{guest=\"vm1\"} 1");
	has(text, "okl4fs_guest_connected{guest=\"vm2\"} 0");
	has(text, "okl4fs_guest_ready{guest=\"vm1\"} 1");
	has(text, "okl4fs_guest_channels{guest=\"vm1\"} 2");
	has(text, "okl4fs_guest_queues{guest=\"vm1\"} 2");
	has(text, "okl4fs_guest_memory_bytes{guest=\"vm1\"} 1099511627776");
	has(text, "okl4fs_guest_requests_total{guest=\"vm1\"} 10");
	has(text, "okl4fs_guest_requests_refused_total{guest=\"vm1\"} 11");
	has(text, "okl4fs_guest_fuse_requests_declined_total{guest=\"vm1\"} 12");
	has(text, "okl4fs_guest_messages_dropped_total{guest=\"vm1\"} 13");
	has(text, "okl4fs_guest_device_errors_total{guest=\"vm1\"} 14");
	has(text, "okl4fs_guest_path_lost{guest=\"vm1\"} 0");
	has(text, "okl4fs_guest_path_lost{guest=\"vm2\"} 1");
	has(text, "okl4fs_channel_ring_bytes{" A "} 4096");
	has(text, "okl4fs_channel_ring_bytes{" F "} 1048576");
	has(text, "okl4fs_channel_attaches_total{" A "} 8");
	has(text, "okl4fs_endpoint_connected{" A "} 1");
	has(text, "okl4fs_endpoint_path_lost{" A "} 1");
	has(text, "okl4fs_endpoint_clients_total{" A "} 5");
	has(text, "okl4fs_endpoint_clients_refused_total{" A "} 6");
	has(text, "okl4fs_endpoint_info{" A ",type=\"unix-listen\"} 1");
	has(text, "okl4fs_endpoint_info{guest=\"vm2\",channel=\"file\",type=\"intervm\"} 1");
	has(text, "okl4fs_channel_state{" A ",state=\"attached\"} 1");
	has(text, "okl4fs_channel_state{" A ",state=\"failed\"} 0");
	has(text, "okl4fs_channel_state{" F ",state=\"failed\"} 1");
	has(text, "okl4fs_channel_failed{" F ",error=\"HEAD_BACK\"} 1");
	cr_assert_null(strstr(text, "okl4fs_channel_failed{" A));
	has(text, "okl4fs_channel_errors_total{" A ",error=\"HEAD_BACK\"} 2");
	has(text, "okl4fs_channel_errors_total{" A ",error=\"CTL_MAGIC\"} 1");
	cr_assert_null(strstr(text, "error=\"CTL_VERSION\""));
}

Test(metrics, directions_and_ends_are_told_apart)
{
	static const char *const ways[] = { "bytes",          "messages",    "wakes_sent",
					    "wakes_received", "full_stalls", "empty_stalls",
					    "opens" };
	const char *text = metrics_text(METRICS_OPENMETRICS);
	char line[256];

	for (int i = 0; i < 7; i++) {
		snprintf(line, sizeof(line),
			 "okl4fs_channel_%s_total{" A ",direction=\"to_host\"} %d", ways[i], i + 1);
		has(text, line);
		snprintf(line, sizeof(line),
			 "okl4fs_channel_%s_total{" A ",direction=\"to_guest\"} %d", ways[i],
			 i + 11);
		has(text, line);
	}
	has(text, "okl4fs_channel_fill_bytes{" A ",direction=\"to_host\"} 21");
	has(text, "okl4fs_channel_fill_bytes{" A ",direction=\"to_guest\"} 22");
	/* Phases 31 to 34 */
	has(text, "okl4fs_channel_end_open{" A ",direction=\"to_host\",end=\"host\"} 1");
	has(text, "okl4fs_channel_end_open{" A ",direction=\"to_host\",end=\"guest\"} 0");
	has(text, "okl4fs_channel_end_open{" A ",direction=\"to_guest\",end=\"host\"} 1");
	has(text, "okl4fs_channel_end_open{" A ",direction=\"to_guest\",end=\"guest\"} 0");
	has(text, "okl4fs_channel_end_epoch{" A ",direction=\"to_host\",end=\"host\"} 16");
	has(text, "okl4fs_channel_end_epoch{" A ",direction=\"to_host\",end=\"guest\"} 16");
	has(text, "okl4fs_channel_end_epoch{" A ",direction=\"to_guest\",end=\"host\"} 17");
	has(text, "okl4fs_channel_end_epoch{" A ",direction=\"to_guest\",end=\"guest\"} 17");
}

Test(metrics, formats_differ_in_what_announces)
{
	const char *text = metrics_text(METRICS_OPENMETRICS);

	has(text, "# TYPE okl4fs_channel_bytes counter");
	has(text, "# UNIT okl4fs_channel_bytes bytes");
	has(text, "# TYPE okl4fs_endpoint info");
	cr_assert_str_eq(text + strlen(text) - 7, "\n# EOF\n");

	text = metrics_text(METRICS_PROMETHEUS);
	has(text, "# TYPE okl4fs_channel_bytes_total counter");
	has(text, "# TYPE okl4fs_endpoint_info gauge");
	cr_assert_null(strstr(text, "# UNIT"));
	cr_assert_null(strstr(text, "# EOF"));
	has(text, "okl4fs_channel_bytes_total{" A ",direction=\"to_host\"} 1");
}
