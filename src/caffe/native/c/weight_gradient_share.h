/* What a task of the weights' gradient by vectors multiplies, and what it gives the caller. */

#ifndef CAFFE_WEIGHT_GRADIENT_SHARE_H
#define CAFFE_WEIGHT_GRADIENT_SHARE_H

#include "finish.h"
#include "multiply_step.h"
#include "weight_gradient.h"
#include "weight_gradient_give.h"

enum { AHEAD = 16 }; /* positions that are fetched before their turn */

/* Where the sums of a block are, row by row. */
typedef struct {
    float *at;
    int64_t next; /* row */
    int begins;   /* they are not there yet */
} block_sums;

/* Adds the products of `rows` numbers of each position with `wide` vectors, of whose last the lanes in the
   mask count.  The numbers are from channel `row` on, the vectors from `column` on. */
static inline __attribute__((always_inline)) void
multiply(const int rows, const int wide, const plan *p, const run *runs, int64_t count, int64_t row,
         int64_t column, lane_mask last, const block_sums *to) {
    const int64_t row_next = p->rows.next, column_next = p->columns.next;
    floats sums[MOST_SUMS];
    begin_sums(rows * wide, sums);
    for (const run *r = runs; r < runs + count; r++) {
        const float *a = r->rows + row, *b = r->columns + column;
        for (int64_t k = r->count; k > 0; k--, a += row_next, b += column_next) {
            floats v[BLOCK_WIDE];
            _mm_prefetch((const char *)(b + AHEAD * column_next), _MM_HINT_T0);
            if (wide == 2) _mm_prefetch((const char *)(b + AHEAD * column_next + LANES), _MM_HINT_T0);
            _mm_prefetch((const char *)(a + AHEAD * row_next), _MM_HINT_T0);
            if (wide == 2) v[0] = floats_loadu(b);
            v[wide - 1] = floats_maskz_loadu(last, b + (wide - 1) * LANES);
#pragma GCC unroll 14
            for (int i = 0; i < rows; i++) {
                floats x = floats_set1(a[i]);
#pragma GCC unroll 2
                for (int n = 0; n < wide; n++)
                    sums[i * wide + n] = floats_fmadd(x, v[n], sums[i * wide + n]);
            }
        }
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++) {
            float *here = to->at + i * to->next + n * LANES;
            lane_mask mask = n == wide - 1 ? last : 0xffff;
            floats v = sums[i * wide + n];
            if (!to->begins) v = floats_add(v, floats_maskz_loadu(mask, here));
            floats_mask_storeu(here, mask, v);
        }
}

/* The same of rows whose number is known where it is compiled. */
static void multiply_block(int64_t rows, int wide, const plan *p, const run *runs, int64_t count,
                           int64_t row, int64_t column, lane_mask last, const block_sums *to) {
#define OF(n)                                                                    \
    case n:                                                                      \
        if (wide == 2)                                                           \
            multiply(n, BLOCK_WIDE, p, runs, count, row, column, last, to);      \
        else if (BLOCK_WIDE == 1 && last == 0xffff) /* no register for a mask */ \
            multiply(n, 1, p, runs, count, row, column, 0xffff, to);             \
        else                                                                     \
            multiply(n, 1, p, runs, count, row, column, last, to);               \
        break;
    switch (rows) { FOR_BLOCK_ROWS(OF) }
#undef OF
}

/* What a task multiplies. */
typedef struct {
    int64_t group, part, block, block_end, pair, pair_end;
    int64_t row, row_end, column, column_end; /* channels of the group */
} share;

static share share_of(const plan *p, int64_t task) {
    int64_t c = task % p->across, r = task / p->across % p->down, rest = task / p->across / p->down;
    share s = {.group = rest / p->parts, .part = rest % p->parts};
    s.block = p->blocks * r / p->down, s.block_end = p->blocks * (r + 1) / p->down;
    s.pair = p->pairs * c / p->across, s.pair_end = p->pairs * (c + 1) / p->across;
    s.row = p->rows.channels * s.block / p->blocks, s.row_end = p->rows.channels * s.block_end / p->blocks;
    s.column = s.pair * 2 * LANES, s.column_end = at_most(s.pair_end * 2 * LANES, p->columns.channels);
    return s;
}

/* Adds the runs of a tap to a task's sums. */
static void multiply_tap(const plan *p, const share *s, const run *runs, int64_t count,
                         const block_sums *sums) {
    int64_t first_row = s->group * p->rows.channels, first_column = s->group * p->columns.channels;
    for (int64_t pair = s->pair; pair < s->pair_end; pair++) {
        int64_t column = pair * 2 * LANES, left = at_most(p->columns.channels - column, 2 * LANES);
        int wide = left > LANES ? 2 : 1;
        lane_mask last = lanes(left - (wide - 1) * LANES);
        for (int64_t block = s->block; block < s->block_end; block++) {
            int64_t row = p->rows.channels * block / p->blocks;
            int64_t end = p->rows.channels * (block + 1) / p->blocks;
            block_sums to = *sums;
            to.at += (row - s->row) * to.next + column - s->column;
            for (int n = 0; n < wide; n += BLOCK_WIDE, to.at += BLOCK_WIDE * LANES) {
                int some = (int)at_most(wide - n, BLOCK_WIDE);
                multiply_block(end - row, some, p, runs, count, first_row + row,
                               first_column + column + n * LANES, n + some == wide ? last : 0xffff, &to);
            }
        }
    }
}

/* Gives the caller 16 by 16 sums of all taps: `next` from one to another, `row_next` from row to row. */
static void give(const plan *p, const share *s, int64_t tile_row, int64_t tile_column, const float *sums,
                 int64_t next, int64_t row_next, float *turned) {
    const weight_gradient *of = p->of;
    int64_t ins = of->c / of->v.groups, output = s->group * (of->out_c / of->v.groups);
    int64_t row = s->row + tile_row * LANES, column = s->column + tile_column * LANES;
    int64_t high = at_most(s->row_end - row, LANES), wide = at_most(s->column_end - column, LANES);
    int64_t in = p->swapped ? column : row, count = p->swapped ? high : wide;
    output += p->swapped ? row : column;
    for (int tap = 0; tap < p->taps; tap++) {
        floats rows[LANES];
        for (int i = 0; i < LANES; i++) rows[i] = floats_load(sums + tap * next + i * row_next);
        if (!p->swapped) turn(rows);
        for (int o = 0; o < LANES; o++) floats_store(turned + (o * p->taps + tap) * LANES, rows[o]);
    }
    for (int64_t o = 0; o < count; o++)
        give_output(p->taps, of->add, turned + o * p->taps * LANES,
                    of->dw + ((output + o) * ins + in) * p->taps, p->swapped ? wide : high);
}

#endif
