/* Matrix products of float32 numbers by AVX-512's multiplications.

   A pixel's step is SIDE channels, the weights of a step SIDE rows of a channel's for SIDE outputs.  A
   number of a pixel is multiplied with vectors of outputs, so up to 28 sums stay in registers. */

#ifndef CAFFE_TILES_AVX512_H
#define CAFFE_TILES_AVX512_H

#include "multiply_step.h"

enum { STEP = SIDE, PIXEL_BYTES = 64, WEIGHT_BYTES = 1024 };
enum { MOST_TILE_ROWS = 14 };

/* Of a core's second cache. */
enum { CORE_CACHE = 1 << 20 };

static inline void tiles_begin(int pixels) { (void)pixels; }
static inline void tiles_end(void) {}
static inline void tiles_fence(void) {}

/* A pixel's step. */
static inline void write_step(const __m512 v[STEP / SIDE], char *to) { _mm512_store_ps(to, v[0]); }

/* The same of the first `count` of 16 channels, zeros for the others. */
static inline void write_pixel(const float *from, int64_t count, char *to) {
    __mmask16 mask = count >= SIDE ? 0xffff : (__mmask16)((1u << count) - 1);
    _mm512_store_ps(to, _mm512_maskz_loadu_ps(mask, from));
}

/* Of a step's weights for SIDE outputs those of channel j. */
static inline void write_weights(const __m512 v[STEP / SIDE], int j, char *to) {
    _mm512_store_ps(to + j * 64, v[0]);
}

/* `tiles` tiles of `rows` pixels by `wide` of outputs, whose weights are `b_next` bytes apart; results of
   the tiles of pixels are c_next apart. */
PRODUCT product_block(const int tiles, const int rows, const int wide, const char *a, int64_t a_next,
                      const int32_t *offsets, int64_t steps, const char *b, int64_t b_next, float *c,
                      int64_t c_next, int sum) {
    __m512 sums[MOST_SUMS];
    begin_sums(tiles * rows * wide, sums);
    for (int64_t s = 0; s < steps; s++, b += WEIGHT_BYTES) {
        const float *rows_at[2] = {(const float *)(a + offsets[s]), (const float *)(a + a_next + offsets[s])};
        multiply_step(tiles, rows, wide, rows_at, PIXEL_BYTES / 4, 1, (const float *)b, b_next / 4, sums);
    }
#pragma GCC unroll 28
    for (int i = 0; i < tiles * rows * wide; i++) {
        int n = i % wide, row = i / wide % rows, tile = i / wide / rows;
        float *to = c + tile * c_next + n * TILE_FLOATS + row * SIDE;
        _mm512_store_ps(to, sum ? _mm512_add_ps(sums[i], _mm512_load_ps(to)) : sums[i]);
    }
}

#define ROW_COUNTS(of) \
    of(1) of(2) of(3) of(4) of(5) of(6) of(7) of(8) of(9) of(10) of(11) of(12) of(13) of(14)

/* One tile of pixels by two of outputs. */
static void product_1x2(int rows, const char *a, const int32_t *offsets, int64_t steps, const char *b,
                        int64_t next, float *c, int sum) {
#define OF(n) \
    case n: product_block(1, n, 2, a, 0, offsets, steps, b, next, c, 0, sum); break;
    switch (rows) { ROW_COUNTS(OF) }
#undef OF
}

/* Two tiles of pixels by one of outputs. */
static void product_2x1(int rows, const char *a, int64_t next, const int32_t *offsets, int64_t steps,
                        const char *b, float *c, int sum) {
#define OF(n) \
    case n: product_block(2, n, 1, a, next, offsets, steps, b, 0, c, TILE_FLOATS, sum); break;
    switch (rows) { ROW_COUNTS(OF) }
#undef OF
}

/* What the products do beside, as often as there are steps. It comes before them: it may store the results
   that lie where theirs will. */
static inline void side_steps(int64_t steps, side_work *side, void *data) {
    for (int64_t s = 0; s < steps; s++) side(data);
}

/* Two tiles of pixels by two of outputs: c holds (0,0), (0,1), (1,0), (1,1). */
PRODUCT product_2x2(int rows, const char *a0, const char *a1, const int32_t *offsets, int64_t steps,
                    const char *b0, const char *b1, float *c, int sum, side_work *side, void *data) {
    side_steps(steps, side, data);
    product_1x2(rows, a0, offsets, steps, b0, b1 - b0, c, sum);
    product_1x2(rows, a1, offsets, steps, b0, b1 - b0, c + 2 * TILE_FLOATS, sum);
}

/* Four tiles of pixels, `next` bytes apart, by one of outputs. */
PRODUCT product_4x1(int rows, const char *a, int64_t next, const int32_t *offsets, int64_t steps,
                    const char *b, float *c, int sum, side_work *side, void *data) {
    side_steps(steps, side, data);
    product_2x1(rows, a, next, offsets, steps, b, c, sum);
    product_2x1(rows, a + 2 * next, next, offsets, steps, b, c + 2 * TILE_FLOATS, sum);
}

/* One tile of pixels by four of outputs, whose weights are `next` bytes apart. */
PRODUCT product_1x4(int rows, const char *a, const int32_t *offsets, int64_t steps, const char *b,
                    int64_t next, float *c, int sum, side_work *side, void *data) {
    side_steps(steps, side, data);
    product_1x2(rows, a, offsets, steps, b, next, c, sum);
    product_1x2(rows, a, offsets, steps, b + 2 * next, next, c + 2 * TILE_FLOATS, sum);
}

/* One tile by one; `room` is not needed. */
PRODUCT product_1x1(int rows, const char *a, const int32_t *offsets, int64_t steps, const char *b,
                    float *c, float *room, int sum, side_work *side, void *data) {
    side_steps(steps, side, data);
    (void)room;
#define OF(n) \
    case n: product_block(1, n, 1, a, 0, offsets, steps, b, 0, c, 0, sum); break;
    switch (rows) { ROW_COUNTS(OF) }
#undef OF
}

#undef ROW_COUNTS

#endif
