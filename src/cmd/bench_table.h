/* SPDX-License-Identifier: MIT
 *
 * What the tables of `weir bench` are made of: repeated figures, and rows of cells as text or CSV.
 * One thread. */
#ifndef WEIR_SRC_CMD_BENCH_TABLE_H
#define WEIR_SRC_CMD_BENCH_TABLE_H

#include "base/json.h"

#include <stdbool.h>
#include <stdio.h>

#define WEIR_BENCH_REPS_MAX 100
#define WEIR_BENCH_COLS     16
#define WEIR_BENCH_CELL     48

/* The same figure, measured several times. */
struct weir_series {
    double v[WEIR_BENCH_REPS_MAX]; /* in the order measured */
    unsigned n;
};
void weir_series_add(struct weir_series *s, double v); /* beyond the last place: forgotten */
/* 0 when there is none. */
double weir_series_median(const struct weir_series *s);
double weir_series_min(const struct weir_series *s);
double weir_series_max(const struct weir_series *s);
/* NAME, NAME_min, NAME_max and NAME_samples into OBJECT; nothing when there is none. */
void weir_series_json(const struct weir_series *s, weir_json *object, const char *name);

/* A text table: columns as wide as their widest cell.  Cells are cut at WEIR_BENCH_CELL. */
struct weir_table {
    char (*cells)[WEIR_BENCH_COLS][WEIR_BENCH_CELL]; /* [n_row] */
    const char **notes; /* [n_row] said behind the last cell, or NULL */
    unsigned n_row, n_col, col, cap;
    unsigned left; /* bits of columns that are written to the left */
    bool failed;   /* no memory */
};
/* LEFT: bit i for column i. */
void weir_table_init(struct weir_table *t, unsigned left);
void weir_table_done(struct weir_table *t);
/* Begin a row; NOTE (kept by reference) is said behind its cells. */
void weir_table_row(struct weir_table *t, const char *note);
void weir_table_cell(struct weir_table *t, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void weir_table_print(const struct weir_table *t, FILE *out);

/* The objects in the array ROWS as CSV: a line of the names COLUMNS (ended by NULL), then a
 * line for each object; text with a
 * comma is quoted; what an object lacks, and what is neither number nor string, stays empty. */
void weir_csv_print(const weir_json *rows, const char *const *columns, FILE *out);

#endif
