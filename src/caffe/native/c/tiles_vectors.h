/* How numbers lie for the matrix products of multiplications of vectors (multiply_step.h).

   A pixel's step is SIDE channels, the weights of a step SIDE rows of a channel's for SIDE outputs. */

#ifndef CAFFE_TILES_VECTORS_H
#define CAFFE_TILES_VECTORS_H

#include "multiply_step.h"

enum { STEP = SIDE, PIXEL_BYTES = 64, WEIGHT_BYTES = 1024 };
enum { MOST_TILE_ROWS = BLOCK_ROWS, TILES_IN_PAIRS = 0, DIRECT = 1 };

/* Of a core's second cache. */
enum { CORE_CACHE = 1 << 20 };

/* Whether convolutions of their own for few channels and small kernels are faster (picture.c, spatial.c). */
enum { FLOAT_WAYS = 1 };

/* Whether a block has the registers for strassen.c. */
enum { SEVEN_PRODUCTS = MOST_SUMS >= 28 };

static inline void tiles_begin(int pixels) { (void)pixels; }
static inline void tiles_end(void) {}
static inline void tiles_fence(void) {}

/* A pixel's step. */
static inline void write_step(const floats v[STEP / SIDE], char *to) { floats_store(to, v[0]); }

/* The same of the first `count` of 16 channels, zeros for the others. */
static inline void write_pixel(const float *from, int64_t count, char *to) {
    lane_mask mask = count >= SIDE ? 0xffff : (lane_mask)((1u << count) - 1);
    floats_store(to, floats_maskz_loadu(mask, from));
}

/* Of a step's weights for SIDE outputs those of channel j. */
static inline void write_weights(const floats v[STEP / SIDE], int j, char *to) {
    floats_store(to + j * 64, v[0]);
}

#endif
