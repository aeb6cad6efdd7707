// SPDX-License-Identifier: BSD-3-Clause
/*
 * problems.c - what the configuration asks for and cannot be served
 *
 * Nothing is remembered here but what main() says of the metrics: guests and channels that cannot be
 * served stay in the lists, and each knows why.
 */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "server/members.h"
#include "server/server.h"

/* Of a walk through all problems */
struct walk {
	const char *guest;
	void (*tell)(void *arg, const char *sentence);
	void *arg;
	size_t n;
};

static void tell_problem(struct walk *w, const char *sentence)
{
	w->n++;
	if (w->tell)
		w->tell(w->arg, sentence);
}

static void tell_of_guest(void *arg, const char *sentence)
{
	struct walk *w = arg;
	char whole[SERVER_PROBLEM_BYTES];

	snprintf(whole, sizeof(whole), "guest %s: %s", w->guest, sentence);
	tell_problem(w, whole);
}

size_t server_problems(struct server *s, void (*tell)(void *arg, const char *sentence), void *arg)
{
	struct walk w = { .tell = tell, .arg = arg };

	if (s->metrics_problem)
		tell_problem(&w, s->metrics_problem);
	for (size_t i = 0; i < s->n_members; i++) {
		w.guest = guest_config(s->member[i].guest)->name;
		guest_problems(s->member[i].guest, tell_of_guest, &w);
	}
	return w.n;
}

void server_set_metrics_problem(struct server *s, const char *sentence)
{
	free(s->metrics_problem);
	s->metrics_problem = sentence ? strdup(sentence) : NULL;
}
