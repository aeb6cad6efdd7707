/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * table.h - rows of cells, which can be fitted to the width of a terminal
 */
#ifndef OKL4FSD_CTL_TABLE_H
#define OKL4FSD_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/** TABLE_MAX_COLUMNS - the most columns */
#define TABLE_MAX_COLUMNS 12

/**
 * struct table_column - a column; a list of them ends with one that has no title
 * @title: heading
 * @is_number: its cells stand at the right
 * @min: it may be cut, in the middle, to this many columns of the terminal; 0: it is not cut
 * @early: (1, 2, ...) in this order it is left out where the table is too wide; 0: it is not
 * @late: (1, 2, ...) the same, when cutting has not been enough
 */
struct table_column {
	const char *title;
	bool is_number;
	size_t min;
	unsigned int early, late;
};

/**
 * struct table - rows of cells
 * @columns: columns
 * @cell: all cells, row by row; owned
 * @n_cells: how many
 * @size: room in @cell
 */
struct table {
	const struct table_column *columns;
	char **cell;
	size_t n_cells, size;
};

/** table_row() - add a row: as many texts as there are columns, shown by text_safe() */
void table_row(struct table *t, const char *const texts[]);

/**
 * table_print() - print the table, aligned, and free it
 * @t: table
 * @columns: of the terminal, which gets a last line that names what was left out; 0: no limit
 */
void table_print(struct table *t, size_t columns);

#endif
