// SPDX-License-Identifier: BSD-3-Clause
/*
 * rate.c - what happened between two looks at the daemon
 */

#include "ctl/top/rate.h"

#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/connection.h"
#include "ctl/result.h"
#include "util/clock.h"

#define NAME(upper, name, unit, help) [RATE_##upper] = #name,
static const char *const counter_names[] = { WAY_COUNTERS(NAME) };
#undef NAME

const char *rate_counter_name(enum rate_counter counter)
{
	return counter_names[counter];
}

enum ctl_exit look_take(struct look *look, struct connection *c, const char *guest)
{
	enum ctl_exit r;

	look->channels = NULL;
	r = connection_call(c, "status", NULL, &look->status);
	if (!r)
		r = connection_channels(c, guest, &look->channels);
	look->at_us = clock_us();
	return r;
}

void look_drop(struct look *look)
{
	json_object_put(look->status);
	json_object_put(look->channels);
	look->status = look->channels = NULL;
}

bool rates_same_daemon(const struct look *before, const struct look *now)
{
	const char *instance = ctl_string(before->status, "instance");

	return *instance && !strcmp(instance, ctl_string(now->status, "instance"));
}

/* @hint: where it probably stands */
static struct json_object *find_in_look(struct json_object *list, size_t n, size_t hint,
					struct json_object *channel)
{
	for (size_t i = 0; i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, (hint + i) % n);

		if (!strcmp(ctl_string(c, "name"), ctl_string(channel, "name")) &&
		    !strcmp(ctl_string(c, "guest"), ctl_string(channel, "guest")))
			return c;
	}
	return NULL;
}

/* Return: whether there are rates: the counters were there before, and none has gone back */
static bool compare_ways(struct way_rates *rates, struct json_object *before,
			 struct json_object *now, double seconds)
{
	bool known = before != NULL;

	rates->fill_bytes = ctl_number(now, "fill_bytes");
	for (int i = 0; i < N_RATE_COUNTERS; i++) {
		unsigned long long a = ctl_number(before, counter_names[i]);
		unsigned long long b = ctl_number(now, counter_names[i]);

		known = known && b >= a;
		rates->per_s[i] = known ? (double)(b - a) / seconds : 0;
	}
	return known;
}

size_t rates_between(const struct look *before, const struct look *now, struct rates **out)
{
	double seconds = now->at_us > before->at_us ? (double)(now->at_us - before->at_us) / 1e6 :
						      1e-6;
	struct json_object *old_list, *list;
	size_t n = ctl_list(now->channels, "channels", &list);
	size_t n_old = ctl_list(before->channels, "channels", &old_list);
	struct rates *rates = calloc(n + 1, sizeof(*rates));

	*out = rates;
	if (!rates_same_daemon(before, now))
		n_old = 0;
	for (size_t i = 0; rates && i < n; i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		struct json_object *old = find_in_look(old_list, n_old, i, c);
		struct rates *r = &rates[i];
		bool fwd, bwd;

		r->guest = ctl_string(c, "guest");
		r->name = ctl_string(c, "name");
		r->state = ctl_string(c, "state");
		r->idx = i;
		r->ring_bytes = ctl_number(c, "ring_bytes");
		r->tail_bytes = ctl_number(c, "tail_bytes");
		r->lost_bytes = ctl_number(c, "lost_bytes");
		r->max_sessions = ctl_number(ctl_object(c, "sessions"), "max");
		r->sessions = ctl_number(ctl_object(c, "sessions"), "live");
		fwd = compare_ways(&r->to_host, ctl_object(old, "fwd"), ctl_object(c, "fwd"),
				   seconds);
		bwd = compare_ways(&r->to_guest, ctl_object(old, "bwd"), ctl_object(c, "bwd"),
				   seconds);
		r->known = fwd && bwd;
	}
	return rates ? n : 0;
}
