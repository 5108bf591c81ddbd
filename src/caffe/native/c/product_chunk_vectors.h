/* The chunks of a product (product_chunk.h) in float32: weights become columns of sixteen outputs. */

#ifndef CAFFE_PRODUCT_CHUNK_VECTORS_H
#define CAFFE_PRODUCT_CHUNK_VECTORS_H

#include "multiply_step.h"
#include "tasks.h"

static void lay_rows(const float *from, int64_t row, int64_t have, int64_t depth, number *to) {
    for (int64_t k = 0; k < depth; k += STEP, to += STEP_NUMBERS)
        for (int64_t i = 0; i < SIDE; i++)
            floats_store(to + i * STEP, some(from + i * row + k, i < have ? depth - k : 0));
}

enum { LATER = 8 }; /* steps: what is read then is asked for */

static void one_turn(ahead *s) {
    const product *o = s->o;
    int64_t tile = s->at++, step = tile % s->steps, output = s->output + tile / s->steps * SIDE;
    const float *from = o->weights + output * o->depth + s->k + step * STEP;
    number *to = s->to + tile * STEP_NUMBERS;
    int64_t later = LATER * STEP;
    /* Of these outputs, or the first of the next ones. */
    if (step + LATER >= s->steps) later += SIDE * o->depth - s->steps * STEP;
    floats rows[SIDE];
    for (int64_t i = 0; i < SIDE; i++, from += o->depth) {
        int64_t left = output + i < o->outputs ? s->depth - step * STEP : 0;
        rows[i] = some(from, left);
        if (left) _mm_prefetch((const char *)(from + later), _MM_HINT_T0);
    }
    turn(rows);
    for (int i = 0; i < SIDE; i++) floats_store(to + i * SIDE, rows[i]);
}

#if BLOCK_WIDE > 1
/* Adds the product of `rows` rows of `tiles` times sixteen and 32 outputs. */
ALWAYS void add_block(const int tiles, const int rows, const number *a, const number *a2, const number *b,
                      const number *b2, int64_t steps, float *sums) {
    floats found[MOST_SUMS];
    begin_sums(tiles * rows * 2, found);
    for (int i = 0; i < tiles * rows * 2; i++) /* they lie beyond the second cache */
        __builtin_prefetch(sums + (i / 2 / rows * 2 + i % 2) * TILE_FLOATS + i / 2 % rows * SIDE, 1);
    for (int64_t k = 0; k < steps * STEP_NUMBERS; k += STEP_NUMBERS) {
        const float *at[] = {a + k, a2 + k};
        multiply_step(tiles, rows, 2, at, STEP, 1, b + k, b2 - b, found);
    }
#pragma GCC unroll 28
    for (int i = 0; i < tiles * rows * 2; i++) {
        float *to = sums + (i / 2 / rows * 2 + i % 2) * TILE_FLOATS + i / 2 % rows * SIDE;
        floats_store(to, floats_add(floats_load(to), found[i]));
    }
}

static void add(const number *a, const number *a2, const number *b, const number *b2, int64_t steps,
                int64_t have, float *sums, ahead *next, int64_t turns) {
    some_turns(next, turns * steps);
    if (have <= SIDE / 2) {
        add_block(1, SIDE / 2, a, a, b, b2, steps, sums);
    } else if (have <= SIDE) {
        add_block(1, SIDE / 2, a, a, b, b2, steps, sums);
        add_block(1, SIDE / 2, a + SIDE / 2 * STEP, a, b, b2, steps, sums + SIDE / 2 * SIDE);
    } else { /* both sixteens: 6, 5 and 5 of each */
        add_block(2, 6, a, a2, b, b2, steps, sums);
        add_block(2, 5, a + 6 * STEP, a2 + 6 * STEP, b, b2, steps, sums + 6 * SIDE);
        add_block(2, 5, a + 11 * STEP, a2 + 11 * STEP, b, b2, steps, sums + 11 * SIDE);
    }
}
#else
/* Adds the product of `rows` rows and sixteen outputs. */
ALWAYS void add_block(const int rows, const number *a, const number *b, int64_t steps, float *sums) {
    floats found[MOST_SUMS];
    begin_sums(rows, found);
    for (int64_t k = 0; k < steps * STEP_NUMBERS; k += STEP_NUMBERS) {
        const float *at = a + k;
        multiply_step(1, rows, 1, &at, STEP, 1, b + k, 0, found);
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
        floats_store(sums + i * SIDE, floats_add(floats_load(sums + i * SIDE), found[i]));
}

static void add(const number *a, const number *a2, const number *b, const number *b2, int64_t steps,
                int64_t have, float *sums, ahead *next, int64_t turns) {
    some_turns(next, turns * steps);
    for (int i = 0; i < 4; i++) { /* a tile of sums: of either sixteen rows and either sixteen outputs */
        int64_t rows = at_most(have - i / 2 * SIDE, SIDE), parts = divide_up(rows, BLOCK_ROWS);
        for (int64_t part = 0; part < parts; part++) {
            int64_t first = rows * part / parts;
            const number *from = (i / 2 ? a2 : a) + first * STEP;
            float *to = sums + i * TILE_FLOATS + first * SIDE;
#define OF(n) \
    case n: add_block(n, from, i % 2 ? b2 : b, steps, to); break;
            switch (rows * (part + 1) / parts - first) { FOR_BLOCK_ROWS(OF) }
#undef OF
        }
    }
}
#endif

#endif
