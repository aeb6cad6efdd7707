// SPDX-License-Identifier: BSD-3-Clause
/*
 * place.c - the control socket: which client finds a place, and which one makes room
 */
#include <criterion/criterion.h>
#include <string.h>

#include "control/place.h"

enum { ALICE = 4242, BOB };

static struct control_places places = TAILQ_HEAD_INITIALIZER(places);
static char why[256];

/* A client comes and asks something; NULL: it was refused */
static struct control_place *come(uid_t uid, enum control_right right, bool busy)
{
	static struct control_place pool[512]; /* no place is used twice */
	static size_t n;
	struct control_place *p = &pool[n++], *leaves;

	cr_assert_lt(n, 512);
	*p = (struct control_place){ .uid = uid, .right = right, .busy = busy };
	do {
		if (!control_place_find(&places, p, &leaves, why, sizeof(why)))
			return NULL;
		if (leaves)
			TAILQ_REMOVE(&places, leaves, entry);
	} while (leaves);
	TAILQ_INSERT_TAIL(&places, p, entry);
	return p;
}

static int count_clients(uid_t uid)
{
	struct control_place *p;
	int n = 0;

	TAILQ_FOREACH(p, &places, entry)
	n += uid == (uid_t)-1 || p->uid == uid;
	return n;
}

static bool is_there(const struct control_place *which)
{
	struct control_place *p;

	TAILQ_FOREACH(p, &places, entry)
	{
		if (p == which)
			return true;
	}
	return false;
}

Test(control_place, one_user_has_sixteen)
{
	struct control_place *first = come(ALICE, CONTROL_READER, true), *second;

	second = come(ALICE, CONTROL_READER, false);
	for (int i = 2; i < 100; i++)
		cr_assert_not_null(come(ALICE, CONTROL_READER, i < 16));
	cr_assert_eq(count_clients(ALICE), 16);
	cr_assert(is_there(first), "it was busy");
	cr_assert_not(is_there(second));
	/* No client of another user leaves for that; when all are busy, none leaves. */
	cr_assert_not_null(come(BOB, CONTROL_READER, false));
	cr_assert_not_null(come(ALICE, CONTROL_READER, true));
	cr_assert_null(come(ALICE, CONTROL_READER, false));
	cr_assert_not_null(strstr(why, "uid 4242 has 16 clients already"), "%s", why);
	cr_assert_eq(count_clients(BOB), 1);
	/* An admin is not refused: another client of the same user leaves. */
	cr_assert_not_null(come(ALICE, CONTROL_ADMIN, true));
	cr_assert_eq(count_clients(ALICE), 16);
	cr_assert_not(is_there(first));
}

Test(control_place, root_is_never_refused)
{
	struct control_place *idle;

	for (uid_t uid = 5000; uid < 5003; uid++) {
		for (int i = 0; i < 16; i++)
			cr_assert_not_null(come(uid, CONTROL_READER, true));
	}
	cr_assert_null(come(ALICE, CONTROL_READER, true), "the others are for admins");
	cr_assert_not_null(strstr(why, "there is no room for more clients"), "%s", why);
	for (int i = 0; i < 16; i++)
		cr_assert_not_null(come(0, CONTROL_ADMIN, true));
	cr_assert_eq(count_clients((uid_t)-1), 64);
	for (int i = 0; i < 48; i++)
		cr_assert_not_null(come(0, CONTROL_ADMIN, true));
	cr_assert_eq(count_clients(0), 64, "readers leave first, even busy ones");
	idle = TAILQ_LAST(&places, control_places);
	idle->busy = false;
	cr_assert_not_null(come(0, CONTROL_ADMIN, true));
	cr_assert_not(is_there(idle));
	cr_assert_not_null(come(0, CONTROL_ADMIN, true));
	cr_assert_eq(count_clients((uid_t)-1), 64);
}

Test(control_place, an_idle_reader_leaves_for_another)
{
	struct control_place *first = come(5000, CONTROL_READER, false);

	for (int i = 1; i < 48; i++)
		come(5000 + (uid_t)i / 16, CONTROL_READER, false);
	cr_assert_not_null(come(ALICE, CONTROL_READER, false));
	cr_assert_not(is_there(first));
	cr_assert_eq(count_clients((uid_t)-1), 48);
}

Test(control_place, strangers_do_not_count)
{
	struct control_place *reader = come(ALICE, CONTROL_READER, false);

	for (int i = 0; i < 200; i++)
		cr_assert_not_null(come(BOB, CONTROL_NOBODY, i % 2));
	cr_assert_eq(count_clients(BOB), 8);
	for (int i = 0; i < 64; i++)
		come(0, CONTROL_ADMIN, true);
	cr_assert_eq(count_clients(0), 64);
	cr_assert_not(is_there(reader));
	cr_assert_eq(count_clients(BOB), 8);
	/* A reload may leave many clients without rights: one leaves for each that comes. */
	for (struct control_place *p = TAILQ_FIRST(&places); p; p = TAILQ_NEXT(p, entry))
		p->right = CONTROL_NOBODY;
	cr_assert_not_null(come(BOB, CONTROL_NOBODY, false));
	cr_assert_eq(count_clients((uid_t)-1), 8);
}
