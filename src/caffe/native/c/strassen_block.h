/* A block of results of Strassen's way: seven products whose sums stay in registers; part of strassen.c. */

#ifndef CAFFE_STRASSEN_BLOCK_H
#define CAFFE_STRASSEN_BLOCK_H

#include "finish.h"
#include "tasks.h"
#include "tiles.h"

enum { PRODUCTS = 7, KEPT = 3 /* of U */, MOST_ROWS = 14, TOGETHER = 3 /* addresses of a register */ };
enum { A11, A12, A22, S1, S2, S3, S4, OPERANDS };
enum { C11, C12, C21, C22, NONE = -1, KEEP = -2, ZERO = -3 };
enum { B11, B21, B12, B22, T1, T2, T3, T4, FACTORS, QUARTERS = T1 };

/* What is done before and after a product: the sums begin with zeros, go on or are loaded from U; something
   of U is added; they are stored to U; they are finished, with something of U. */
static const struct {
    int operand, factor, begin, add, store, result, with;
} STEPS[PRODUCTS] = {
    {A11, B11, ZERO, NONE, 0, NONE, NONE}, /* U1 */
    {A12, B21, KEEP, NONE, NONE, C11, NONE},
    {S2, T2, 0, NONE, 1, NONE, NONE}, /* U2 */
    {S3, T3, KEEP, NONE, 2, NONE, NONE}, /* U3 */
    {A22, T4, KEEP, NONE, NONE, C21, NONE},
    {S1, T1, ZERO, NONE, NONE, C22, 2}, /* U4 */
    {S4, B22, KEEP, 1, NONE, C12, NONE},
};

typedef struct {
    map in, out;
    finish done;
    int64_t area, half;          /* pixels of an image; channels of a half */
    int64_t each, tiles, rows;   /* of an image, and all: pairs of halves of pixels, and how many are in a half */
    int64_t panels, wide;        /* of two vectors of a half of the outputs, the last maybe of three; all */
    int64_t row, tile_sums;      /* numbers from row to row of S; of a tile */
    int copies;                  /* whether quarters of the map are copied, too */
    int64_t together;            /* tiles that threads share, by panels; 0: each takes tiles of its own */
    int ready;                   /* whether T is with the weights */
    float *weights, *scale;      /* [panel][quarter and maybe T][channel][wide * 16]; [output] */
    float *balance;              /* [input]: what it is multiplied by; NULL: nothing is */
    floats low, high;
} strassen;

/* A tile: where its operands and results are. */
typedef struct {
    const float *of[OPERANDS];
    int64_t row[OPERANDS];
    float *to[4];
    const float *other[4];
    int64_t skipped; /* rows of the lower half that are rows of the upper one, too */
} tile;

/* Weights of a panel, and what is asked for meanwhile: so many bytes with each channel of a product. */
typedef struct {
    const float *of[FACTORS];
    const char *ahead;
    int64_t bytes;
} factors;

/* Adds a product of some rows. */
ALWAYS void multiply(const float *a, int64_t row, int64_t channels, const float *weights, const int rows,
                     const int wide, const char *ahead, int64_t bytes, floats *sums) {
    const float *at[(MOST_ROWS + TOGETHER - 1) / TOGETHER];
#pragma GCC unroll 5
    for (int g = 0; g * TOGETHER < rows; g++) at[g] = a + g * TOGETHER * row;
#pragma GCC unroll 1
    for (int64_t c = 0; c < channels; c++, weights += wide * LANES) {
        floats w[3];
        __builtin_prefetch(ahead + c * bytes, 0, 2);
#pragma GCC unroll 3
        for (int n = 0; n < wide; n++) w[n] = floats_load(weights + n * LANES);
#pragma GCC unroll 14
        for (int i = 0; i < rows; i++) {
            floats v = floats_set1(at[i / TOGETHER][i % TOGETHER * row]);
#pragma GCC unroll 3
            for (int n = 0; n < wide; n++) sums[i * wide + n] = floats_fmadd(v, w[n], sums[i * wide + n]);
        }
#pragma GCC unroll 5
        for (int g = 0; g * TOGETHER < rows; g++) at[g]++;
    }
}

/* Rows `first` and those after of the results of a tile by a panel's outputs, from `channel` of a half on. */
ALWAYS void block(const strassen *o, const tile *t, int64_t first, int64_t channel, factors *f,
                  const int rows, const int wide) {
    _Alignas(64) float kept[KEPT][MOST_SUMS * LANES];
    floats sums[MOST_SUMS];
#pragma GCC unroll 28
    for (int i = 0; i < rows * wide; i++) sums[i] = floats_setzero();
#pragma GCC unroll 1
    for (int k = 0; k < PRODUCTS; k++, f->ahead += o->half * f->bytes) {
        const int operand = STEPS[k].operand, result = STEPS[k].result;
        if (STEPS[k].begin == ZERO)
#pragma GCC unroll 28
            for (int i = 0; i < rows * wide; i++) sums[i] = floats_setzero();
        else if (STEPS[k].begin != KEEP)
#pragma GCC unroll 28
            for (int i = 0; i < rows * wide; i++) sums[i] = floats_load(kept[0] + i * LANES);
        if (STEPS[k].add != NONE)
#pragma GCC unroll 28
            for (int i = 0; i < rows * wide; i++)
                sums[i] = floats_add(sums[i], floats_load(kept[STEPS[k].add] + i * LANES));
        if (result != NONE) /* what is written then */
            for (int i = 0; i < rows; i++)
                for (int n = 0; n < wide; n++)
                    __builtin_prefetch(t->to[result] + (first + i) * o->out.pixel + channel + n * LANES, 1);
        multiply(t->of[operand] + first * t->row[operand], t->row[operand], o->half, f->of[STEPS[k].factor],
                 rows, wide, f->ahead, f->bytes, sums);
        if (STEPS[k].store != NONE)
#pragma GCC unroll 28
            for (int i = 0; i < rows * wide; i++) floats_store(kept[STEPS[k].store] + i * LANES, sums[i]);
        if (result == NONE) continue;
        const float *with = STEPS[k].with == NONE ? NULL : kept[STEPS[k].with], *other = t->other[result];
        const int64_t outputs = channel + result % 2 * (o->out.c / 2);
        const int64_t skipped = result < C21 ? 0 : t->skipped - first;
        const float *bias = o->done.bias + outputs, *scale = o->scale + outputs;
        float *to = t->to[result] + first * o->out.pixel + channel;
        if (other) other += first * o->done.other.pixel + channel;
#pragma GCC unroll 3
        for (int n = 0; n < wide; n++) {
            const floats b = floats_load(bias + n * LANES), by = floats_load(scale + n * LANES);
#pragma GCC unroll 14
            for (int i = 0; i < rows; i++) {
                floats v = sums[i * wide + n];
                if (with) v = floats_add(v, floats_load(with + (i * wide + n) * LANES));
                v = floats_fmadd(v, by, b);
                if (other) v = floats_add(v, floats_loadu(other + i * o->done.other.pixel + n * LANES));
                v = floats_min(o->high, floats_max(o->low, v));
                if (i >= skipped) floats_storeu(to + i * o->out.pixel + n * LANES, v);
            }
        }
    }
}

/* Constants of the code: rows of a block of two vectors, and of one of three, which has half as many. */
#define SIZES(of) of(7) of(8) of(9) of(10) of(11) of(12) of(13) of(14)
#define SIZE(n) \
    case n: block(o, t, 0, channel, f, n, 2); break;
static __attribute__((noinline)) void block_of_two(const strassen *o, const tile *t, int64_t channel, factors *f) {
    switch (o->rows) { SIZES(SIZE) }
}
#undef SIZE
#define HALVES(of) of(4) of(5) of(6) of(7)
#define SIZE(n)                                     \
    case n:                                         \
        block(o, t, 0, channel, f, n, 3);           \
        block(o, t, o->rows - n, channel, f, n, 3); \
        break;
static __attribute__((noinline)) void block_of_three(const strassen *o, const tile *t, int64_t channel,
                                                     factors *f) {
    switch ((o->rows + 1) / 2) { HALVES(SIZE) }
}
#undef SIZE

#endif
