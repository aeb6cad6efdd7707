// SPDX-License-Identifier: BSD-3-Clause
/*
 * table.c - rows of cells, which can be fitted to the width of a terminal
 */
#include "ctl/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/text.h"

#define SPACE 2 /* between two columns */

/**
 * struct layout - how wide each column is
 * @n: columns of the table
 * @width: of each; 0: it is left out
 */
struct layout {
	size_t n, width[TABLE_MAX_COLUMNS];
};

static size_t count_columns(const struct table *t)
{
	size_t n = 0;

	while (t->columns[n].title)
		n++;
	return n;
}

void table_row(struct table *t, const char *const texts[])
{
	size_t n = count_columns(t);

	for (size_t i = 0; i < n; i++) {
		if (t->n_cells == t->size) {
			t->size = t->size ? 2 * t->size : 64;
			t->cell = text_need(reallocarray(t->cell, t->size, sizeof(*t->cell)));
		}
		t->cell[t->n_cells++] = text_safe(texts[i]);
	}
}

static size_t total(const struct layout *l)
{
	size_t sum = 0;

	for (size_t i = 0; i < l->n; i++)
		sum += l->width[i] ? l->width[i] + SPACE : 0;
	return sum ? sum - SPACE : 0;
}

/* Leaves columns out in the order of their ranks, until the table fits */
static void drop_columns(struct layout *l, const struct table_column *columns, bool late,
			 size_t limit)
{
	for (unsigned int rank = 1; rank <= l->n && total(l) > limit; rank++)
		for (size_t i = 0; i < l->n; i++)
			if (rank == (late ? columns[i].late : columns[i].early))
				l->width[i] = 0;
}

/* Makes the widest column that can be cut narrower, as far as its minimum, until the table fits */
static void cut_columns(struct layout *l, const struct table_column *columns, size_t limit)
{
	while (total(l) > limit) {
		size_t widest = l->n;

		for (size_t i = 0; i < l->n; i++)
			if (columns[i].min && l->width[i] > columns[i].min &&
			    (widest == l->n || l->width[i] > l->width[widest]))
				widest = i;
		if (widest == l->n)
			return;
		l->width[widest]--;
	}
}

static struct layout lay_out(const struct table *t, size_t limit)
{
	struct layout natural = { .n = count_columns(t) }, l;

	for (size_t i = 0; i < natural.n; i++)
		natural.width[i] = text_columns(t->columns[i].title);
	for (size_t row = 0; row < t->n_cells; row += natural.n) {
		for (size_t i = 0; i < natural.n; i++) {
			size_t *w = &natural.width[i], n = text_columns(t->cell[row + i]);

			*w = n > *w ? n : *w;
		}
	}
	l = natural;
	if (!limit)
		return l;
	drop_columns(&l, t->columns, false, limit);
	cut_columns(&l, t->columns, limit);
	if (total(&l) > limit) {
		drop_columns(&l, t->columns, true, limit);
		cut_columns(&l, t->columns, limit);
	}
	return l;
}

/* Spaces go before a cell that is not empty, so that no line ends with them */
static void print_row(const struct table *t, const struct layout *l, char *const *cells)
{
	size_t pad = 0;

	for (size_t i = 0; i < l->n; i++) {
		size_t columns, left;

		if (!l->width[i])
			continue;
		if (cells)
			text_cut_middle(cells[i], l->width[i]);
		columns = text_columns(cells ? cells[i] : t->columns[i].title);
		left = l->width[i] - columns;
		if (columns) {
			pad += t->columns[i].is_number ? left : 0;
			printf("%*s%s", (int)pad, "", cells ? cells[i] : t->columns[i].title);
			pad = t->columns[i].is_number ? 0 : left;
		} else {
			pad += left;
		}
		pad += SPACE;
	}
	putchar('\n');
}

static void tell_dropped(const struct table *t, const struct layout *l)
{
	const char *before = "\n(not shown: ";

	for (size_t i = 0; i < l->n; i++) {
		if (l->width[i] || !*t->columns[i].title)
			continue;
		printf("%s%s", before, t->columns[i].title);
		before = ", ";
	}
	if (*before == ',')
		puts("; --wide shows all)");
}

void table_print(struct table *t, size_t columns)
{
	struct layout l = lay_out(t, columns);

	print_row(t, &l, NULL);
	for (size_t i = 0; i < t->n_cells; i += l.n)
		print_row(t, &l, t->cell + i);
	tell_dropped(t, &l);
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cell[i]);
	free(t->cell);
}
