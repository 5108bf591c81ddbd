/* A block of a matrix product in registers, by multiplications of vectors. */

#ifndef CAFFE_MULTIPLY_STEP_H
#define CAFFE_MULTIPLY_STEP_H

#include "floats.h"

#include <stdint.h>

enum { MOST_SUMS = BLOCK_ROWS * BLOCK_WIDE }; /* vectors */

#define STEP_OF static inline __attribute__((always_inline)) void

STEP_OF begin_sums(const int count, floats *sums) {
#pragma GCC unroll 28
    for (int i = 0; i < count; i++) sums[i] = floats_setzero();
}

/* Adds sixteen of the depth: number k of row r of tile t is a[t][r * row + k * next], that of output
   16 n + j is b[k * 16 + n * side + j]; its sum is in sums[(t * rows + r) * wide + n]. tiles, rows,
   wide and next are constants where the call is compiled. */
STEP_OF multiply_step(const int tiles, const int rows, const int wide, const float *const a[],
                      const int64_t row, const int64_t next, const float *b, int64_t side,
                      floats *sums) {
#pragma GCC unroll 4
    for (int k = 0; k < 16; k++) {
        floats weights[BLOCK_WIDE];
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++) weights[n] = floats_loadu(b + k * 16 + n * side);
#pragma GCC unroll 2
        for (int t = 0; t < tiles; t++)
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                floats x = floats_set1(a[t][r * row + k * next]);
#pragma GCC unroll 2
                for (int n = 0; n < wide; n++) {
                    floats *sum = sums + (t * rows + r) * wide + n;
                    *sum = floats_fmadd(x, weights[n], *sum);
                }
            }
    }
}

/* The same of one tile whose rows are any distance apart: addresses are made of few registers. */
STEP_OF multiply_far_rows(const int rows, const int wide, const float *a, int64_t row, const float *b,
                          int64_t side, floats *sums) {
    enum { TOGETHER = 3 };
    const float *at[(MOST_SUMS + TOGETHER - 1) / TOGETHER];
#pragma GCC unroll 10
    for (int g = 0; g * TOGETHER < rows; g++) at[g] = a + g * TOGETHER * row;
#pragma GCC unroll 4
    for (int k = 0; k < 16; k++) {
        floats weights[BLOCK_WIDE];
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++) weights[n] = floats_loadu(b + k * 16 + n * side);
#pragma GCC unroll 28
        for (int r = 0; r < rows; r++) {
            floats x = floats_set1(at[r / TOGETHER][r % TOGETHER * row + k]);
#pragma GCC unroll 2
            for (int n = 0; n < wide; n++)
                sums[r * wide + n] = floats_fmadd(x, weights[n], sums[r * wide + n]);
        }
    }
}

#undef STEP_OF

#endif
