// SPDX-License-Identifier: BSD-3-Clause
/*
 * show.c - results for people: aligned tables, sizes in units
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "ctl/ctl.h"

#define MAX_COLUMNS 12

/**
 * struct table - rows of cells; the last column is not padded
 * @n_columns: cells of a row
 * @cell: all cells, row by row; owned
 * @n_cells: how many
 * @size: room in @cell
 */
struct table {
	size_t n_columns;
	char **cell;
	size_t n_cells, size;
};

/**
 * add_cell() - the next cell
 * @t: table
 * @text: its text; what would move the cursor is shown as '?'
 */
static void add_cell(struct table *t, const char *text)
{
	char *copy = strdup(text);

	if (t->n_cells == t->size) {
		t->size = t->size ? 2 * t->size : 64;
		t->cell = reallocarray(t->cell, t->size, sizeof(*t->cell));
	}
	if (!copy || !t->cell) {
		ctl_error("out of memory");
		exit(CTL_REFUSED);
	}
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	t->cell[t->n_cells++] = copy;
}

/**
 * add_row() - a row of texts
 * @t: table
 * @texts: as many as there are columns
 */
static void add_row(struct table *t, const char *const texts[])
{
	for (size_t i = 0; i < t->n_columns; i++)
		add_cell(t, texts[i]);
}

/**
 * columns_of() - how wide a text is on a terminal
 * @text: UTF-8
 *
 * Return: its characters.
 */
static size_t columns_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/**
 * print_table() - print it, and let it go
 * @t: table
 */
static void print_table(struct table *t)
{
	size_t width[MAX_COLUMNS] = { 0 };
	size_t pad = 0;

	for (size_t i = 0; i < t->n_cells; i++) {
		size_t *w = &width[i % t->n_columns];
		size_t n = columns_of(t->cell[i]);

		*w = n > *w ? n : *w;
	}
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t column = i % t->n_columns;

		/* Spaces go before a cell that is not empty, so that no line ends with them */
		if (*t->cell[i])
			printf("%*s%s", (int)pad, "", t->cell[i]);
		pad = column == t->n_columns - 1 ?
			      0 :
			      (*t->cell[i] ? 0 : pad) + 2 + width[column] - columns_of(t->cell[i]);
		if (column == t->n_columns - 1)
			putchar('\n');
		free(t->cell[i]);
	}
	free(t->cell);
}

/* A size for people */
struct size_text {
	char text[24];
};

/**
 * size() - a number of bytes for people
 * @bytes: the number
 *
 * Return: as "17 B" or "1.5 GiB".
 */
static struct size_text size(unsigned long long bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	struct size_text s;
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(s.text, sizeof(s.text), "%.*f %s", unit && value < 100, value, units[unit]);
	return s;
}

/**
 * count() - a number for people
 * @n: the number
 *
 * Return: its digits.
 */
static struct size_text count(unsigned long long n)
{
	struct size_text s;

	snprintf(s.text, sizeof(s.text), "%llu", n);
	return s;
}

/**
 * print_uptime() - how long the daemon has been running
 * @ms: milliseconds
 */
static void print_uptime(unsigned long long ms)
{
	unsigned long long s = ms / 1000;

	if (s >= 86400)
		printf("%llu d ", s / 86400);
	if (s >= 3600)
		printf("%llu h ", s / 3600 % 24);
	if (s >= 60)
		printf("%llu min ", s / 60 % 60);
	printf("%llu s\n", s % 60);
}

void ctl_show_status(struct json_object *result)
{
	struct json_object *guests = ctl_object(result, "guests");
	struct json_object *channels = ctl_object(result, "channels");

	printf("okl4fsd %s, process %llu\n", ctl_string(result, "version"),
	       ctl_number(result, "pid"));
	fputs("up        ", stdout);
	print_uptime(ctl_number(result, "uptime_ms"));
	printf("control   %s\n", ctl_string(result, "control_path"));
	printf("workers   %llu\n", ctl_number(result, "workers"));
	printf("guests    %llu: %llu connected, %llu with the driver ready\n",
	       ctl_number(guests, "total"), ctl_number(guests, "connected"),
	       ctl_number(guests, "ready"));
	printf("channels  %llu attached, %llu suspended, %llu detached, %llu failed\n",
	       ctl_number(channels, "attached"), ctl_number(channels, "suspended"),
	       ctl_number(channels, "detached"), ctl_number(channels, "failed"));
}

void ctl_show_version(struct json_object *result)
{
	printf("okl4fsctl %s\n%s %s, ABI %llu\n", OKL4FS_VERSION_STRING, ctl_string(result, "name"),
	       ctl_string(result, "version"), ctl_number(result, "abi_version"));
}

void ctl_show_json(struct json_object *result)
{
	puts(json_object_to_json_string_ext(result, JSON_C_TO_STRING_PRETTY |
							    JSON_C_TO_STRING_SPACED |
							    JSON_C_TO_STRING_NOSLASHESCAPE));
}

/**
 * guest_state() - a guest's state in a word
 * @guest: guest
 *
 * Return: the word.
 */
static const char *guest_state(struct json_object *guest)
{
	if (ctl_boolean(guest, "ready"))
		return "ready";
	return ctl_boolean(guest, "connected") ? "no driver" : "away";
}

void ctl_show_guests(struct json_object *result)
{
	struct json_object *list = ctl_object(result, "guests");
	struct table t = { .n_columns = 8 };

	add_row(&t, (const char *const[]){ "GUEST", "STATE", "CHANNELS", "QUEUES", "MEMORY",
					   "REQUESTS", "REFUSED", "SOCKET" });
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *g = json_object_array_get_idx(list, i);
		char socket[160];

		snprintf(socket, sizeof(socket), "%s (%s)", ctl_string(g, "socket"),
			 ctl_string(g, "socket_mode"));
		add_row(&t, (const char *const[]){ ctl_string(g, "name"), guest_state(g),
						   count(ctl_number(g, "channels")).text,
						   count(ctl_number(g, "queues")).text,
						   size(ctl_number(g, "memory_bytes")).text,
						   count(ctl_number(g, "requests")).text,
						   count(ctl_number(g, "requests_refused")).text,
						   socket });
	}
	print_table(&t);
}

/**
 * channel_note() - what else there is to say of a channel
 * @channel: channel
 * @out: written here
 * @bytes: of @out
 *
 * Return: @out.
 */
static const char *channel_note(struct json_object *channel, char *out, size_t bytes)
{
	struct json_object *endpoint = ctl_object(channel, "endpoint");
	struct json_object *failure = ctl_object(channel, "failure");

	out[0] = 0;
	if (failure)
		snprintf(out, bytes, "%s", ctl_string(failure, "text"));
	else if (*ctl_string(endpoint, "path"))
		snprintf(out, bytes, "%s", ctl_string(endpoint, "path"));
	else if (*ctl_string(endpoint, "file"))
		snprintf(out, bytes, "%s", ctl_string(endpoint, "file"));
	return out;
}

void ctl_show_channels(struct json_object *result)
{
	struct json_object *list = ctl_object(result, "channels");
	struct table t = { .n_columns = 9 };

	add_row(&t, (const char *const[]){ "GUEST", "CHANNEL", "STATE", "ENDPOINT", "JOINED",
					   "RING", "TO HOST", "TO GUEST", "" });
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *c = json_object_array_get_idx(list, i);
		struct json_object *endpoint = ctl_object(c, "endpoint");
		char note[160];

		add_row(&t,
			(const char *const[]){ ctl_string(c, "guest"), ctl_string(c, "name"),
					       ctl_string(c, "state"), ctl_string(endpoint, "type"),
					       ctl_boolean(endpoint, "joined") ? "yes" : "no",
					       size(ctl_number(c, "ring_bytes")).text,
					       size(ctl_number(ctl_object(c, "fwd"), "bytes")).text,
					       size(ctl_number(ctl_object(c, "bwd"), "bytes")).text,
					       channel_note(c, note, sizeof(note)) });
	}
	print_table(&t);
}
