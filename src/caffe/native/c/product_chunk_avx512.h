/* The chunks of a product (product_chunk.h) in float32: weights become columns of sixteen outputs. */

#ifndef CAFFE_PRODUCT_CHUNK_AVX512_H
#define CAFFE_PRODUCT_CHUNK_AVX512_H

#include "multiply_step.h"

static void lay_rows(const float *from, int64_t row, int64_t have, int64_t depth, number *to) {
    for (int64_t k = 0; k < depth; k += STEP, to += STEP_NUMBERS)
        for (int64_t i = 0; i < SIDE; i++)
            _mm512_store_ps(to + i * STEP, some(from + i * row + k, i < have ? depth - k : 0));
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
    __m512 rows[SIDE];
    for (int64_t i = 0; i < SIDE; i++, from += o->depth) {
        int64_t left = output + i < o->outputs ? s->depth - step * STEP : 0;
        rows[i] = some(from, left);
        if (left) _mm_prefetch((const char *)(from + later), _MM_HINT_T0);
    }
    turn(rows);
    for (int i = 0; i < SIDE; i++) _mm512_store_ps(to + i * SIDE, rows[i]);
}

enum { BLOCK = 8 }; /* rows that are multiplied at a time */

static void add(const number *a, const number *a2, const number *b, const number *b2, int64_t steps,
                int64_t have, float *sums, ahead *next, int64_t turns) {
    some_turns(next, turns * steps);
    for (int64_t row = 0; row < 2 * SIDE && row < have; row += BLOCK, sums += BLOCK * SIDE) {
        if (row == SIDE) sums += TILE_FLOATS; /* those of the second sixteen outputs are between */
        const number *from = (row < SIDE ? a : a2) + row % SIDE * STEP;
        __m512 found[BLOCK * 2];
        begin_sums(BLOCK * 2, found);
        for (int64_t k = 0; k < steps * STEP_NUMBERS; k += STEP_NUMBERS) {
            const float *at[] = {from + k};
            multiply_step(1, BLOCK, 2, at, STEP, 1, b + k, b2 - b, found);
        }
#pragma GCC unroll 16
        for (int i = 0; i < BLOCK * 2; i++) {
            float *to = sums + i % 2 * TILE_FLOATS + i / 2 * SIDE;
            _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), found[i]));
        }
    }
}

#endif
