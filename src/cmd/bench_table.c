/* SPDX-License-Identifier: MIT
 * Owns how figures are laid out.  One thread. */
#include "config.h"

#include "src/cmd/bench_table.h"

#include "base/mem.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void weir_series_add(struct weir_series *s, double v)
{
    if (s->n < WEIR_BENCH_REPS_MAX)
        s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double weir_series_median(const struct weir_series *s)
{
    double v[WEIR_BENCH_REPS_MAX];
    if (!s->n)
        return 0;
    memcpy(v, s->v, s->n * sizeof(*v));
    qsort(v, s->n, sizeof(*v), by_value);
    return (v[(s->n - 1) / 2] + v[s->n / 2]) / 2;
}

double weir_series_min(const struct weir_series *s)
{
    double m = s->n ? s->v[0] : 0;
    for (unsigned i = 1; i < s->n; i++)
        m = s->v[i] < m ? s->v[i] : m;
    return m;
}

double weir_series_max(const struct weir_series *s)
{
    double m = s->n ? s->v[0] : 0;
    for (unsigned i = 1; i < s->n; i++)
        m = s->v[i] > m ? s->v[i] : m;
    return m;
}

void weir_series_json(const struct weir_series *s, weir_json *object, const char *name)
{
    char key[64];
    if (!s->n)
        return;
    weir_json *samples = weir_json_array();
    for (unsigned i = 0; i < s->n; i++)
        weir_json_push_num(samples, s->v[i]);
    weir_json_add_num(object, name, weir_series_median(s));
    snprintf(key, sizeof(key), "%s_min", name);
    weir_json_add_num(object, key, weir_series_min(s));
    snprintf(key, sizeof(key), "%s_max", name);
    weir_json_add_num(object, key, weir_series_max(s));
    snprintf(key, sizeof(key), "%s_samples", name);
    weir_json_add(object, key, samples);
}

void weir_table_init(struct weir_table *t, unsigned left)
{
    *t = (struct weir_table){ .left = left };
}

void weir_table_done(struct weir_table *t)
{
    weir_free(t->cells);
    weir_free(t->notes);
    *t = (struct weir_table){ 0 };
}

void weir_table_row(struct weir_table *t, const char *note)
{
    if (t->n_row == t->cap) {
        const unsigned cap = t->cap ? t->cap * 2 : 16;
        void *cells = weir_grow(WEIR_MEM_MISC, t->cells, cap, sizeof(*t->cells));
        if (cells)
            t->cells = cells;
        void *notes = cells ? weir_grow(WEIR_MEM_MISC, t->notes, cap, sizeof(*t->notes)) : NULL;
        if (!notes) {
            t->failed = true;
            return;
        }
        t->notes = notes;
        t->cap = cap;
    }
    memset(t->cells[t->n_row], 0, sizeof(*t->cells));
    t->notes[t->n_row++] = note;
    t->col = 0;
}

void weir_table_cell(struct weir_table *t, const char *fmt, ...)
{
    va_list ap;
    if (t->failed || t->col == WEIR_BENCH_COLS)
        return;
    va_start(ap, fmt);
    vsnprintf(t->cells[t->n_row - 1][t->col++], WEIR_BENCH_CELL, fmt, ap);
    va_end(ap);
    if (t->col > t->n_col)
        t->n_col = t->col;
}

void weir_table_print(const struct weir_table *t, FILE *out)
{
    int width[WEIR_BENCH_COLS] = { 0 };
    for (unsigned r = 0; r < t->n_row; r++)
        for (unsigned c = 0; c < t->n_col; c++) {
            const int n = (int)strlen(t->cells[r][c]);
            width[c] = n > width[c] ? n : width[c];
        }
    for (unsigned r = 0; r < t->n_row; r++) {
        unsigned n_col = t->n_col; /* no blanks at the end of a line */
        while (n_col && !t->cells[r][n_col - 1][0])
            n_col--;
        for (unsigned c = 0; c < n_col; c++) {
            const bool left = t->left >> c & 1;
            const bool last = c + 1 == n_col && !t->notes[r];
            fprintf(out, "%s%*s", c ? "  " : "", left ? (last ? 0 : -width[c]) : width[c],
                    t->cells[r][c]);
        }
        if (t->notes[r])
            fprintf(out, "  %s", t->notes[r]);
        fputc('\n', out);
    }
    if (t->failed)
        fprintf(stderr, "weir: no memory for the rest of the table\n");
}

static void csv_text(const char *s, FILE *out)
{
    if (!strpbrk(s, ",\"\n")) {
        fputs(s, out);
        return;
    }
    fputc('"', out);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', out);
        fputc(*s, out);
    }
    fputc('"', out);
}

void weir_csv_print(const weir_json *rows, const char *const *columns, FILE *out)
{
    for (const char *const *c = columns; *c; c++)
        fprintf(out, "%s%s", c == columns ? "" : ",", *c);
    fputs("\n", out);
    for (const weir_json *row = weir_json_first(rows); row; row = weir_json_next(row)) {
        for (const char *const *c = columns; *c; c++) {
            const weir_json *cell = weir_json_get(row, *c);
            const double v = weir_json_num(cell, NAN);
            const char *text = weir_json_str(cell);
            if (c != columns)
                fputc(',', out);
            if (text)
                csv_text(text, out);
            else if (!isnan(v))
                fprintf(out, "%.*g", v == floor(v) && fabs(v) < 1e15 ? 15 : 6, v);
        }
        fputs("\n", out);
    }
}
