/* Matrix products of float32 numbers on AMX's tiles, which multiply bfloat16 numbers.

   A float32 number is the exact sum of three bfloat16 numbers, its parts 0, 1, 2: the upper eight
   bits of its digits, the middle and the lower eight.  Of the nine products of two such sums the six
   largest are computed: 00, 01, 10, 11, 02, 20. The others are below 2^-24 of the product.

   Both factors lie in steps of 32 channels.  A pixel's step is 192 bytes: 64 for each part, where the
   pair j of bfloat16 numbers is channels j and j + 16 (no shuffling is needed to write it so).  The
   weights of a step for 16 outputs are 3072 bytes: 16 rows for each part, row j holding channels j
   and j + 16 of all 16 outputs. */

#ifndef CAFFE_TILES_AMX_H
#define CAFFE_TILES_AMX_H

#ifdef TILES_EMULATED
#include "tiles_emulated.h"
#define CONFIGURE(shape) emulated_configure(&(shape))
#else
#define CONFIGURE(shape) __asm__ volatile("ldtilecfg %0" : : "m"(shape))
#endif

enum { STEP = 32, PIXEL_BYTES = 192, WEIGHT_BYTES = 3072, PART = 64, WEIGHT_PART = 1024 };
enum { MOST_TILE_ROWS = 16, TILES_IN_PAIRS = 1, DIRECT = 0 };

/* Of a core's second cache. */
enum { CORE_CACHE = 2 << 20 };

/* Whether convolutions of their own for few channels and small kernels are faster (picture.c, spatial.c). */
enum { FLOAT_WAYS = 0, SEVEN_PRODUCTS = 0 };

/* Tiles 0 to 3 hold results, 4 and 5 pixels, 6 and 7 weights; a tile has so many pixels (1 to 16). */
static inline void tiles_begin(int pixels) {
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } shape;
    memset(&shape, 0, sizeof shape);
    shape.palette = 1;
    for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = i < 6 ? pixels : SIDE;
    CONFIGURE(shape);
}

static inline void tiles_end(void) { _tile_release(); }

/* The intrinsics do not tell the compiler that they read memory. */
static inline void tiles_fence(void) { __asm__ volatile("" : : : "memory"); }

/* Writes the parts of 32 numbers, `next` bytes apart. */
static inline void split_vectors(__m512 v0, __m512 v1, char *to, int64_t next) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000);
    for (int part = 0; part < 3; part++) {
        __m512i h0 = _mm512_and_si512(_mm512_castps_si512(v0), upper);
        __m512i h1 = _mm512_and_si512(_mm512_castps_si512(v1), upper);
        _mm512_storeu_si512(to + part * next, _mm512_or_si512(_mm512_srli_epi32(h0, 16), h1));
        v0 = _mm512_sub_ps(v0, _mm512_castsi512_ps(h0));
        v1 = _mm512_sub_ps(v1, _mm512_castsi512_ps(h1));
    }
}

/* A pixel's step. */
static inline void write_step(const __m512 v[STEP / SIDE], char *to) {
    split_vectors(v[0], v[1], to, PART);
}

/* The same of the first `count` of 32 channels, zeros for the others. */
static inline void write_pixel(const float *from, int64_t count, char *to) {
    if (count >= STEP) {
        split_vectors(_mm512_loadu_ps(from), _mm512_loadu_ps(from + 16), to, PART);
        return;
    }
    __mmask16 first = count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1);
    __mmask16 second = count > 16 ? (__mmask16)((1u << (count - 16)) - 1) : 0;
    split_vectors(_mm512_maskz_loadu_ps(first, from), _mm512_maskz_loadu_ps(second, from + 16), to,
                  PART);
}

/* Of a step's weights for SIDE outputs those of channels j and j + 16. */
static inline void write_weights(const __m512 v[STEP / SIDE], int j, char *to) {
    split_vectors(v[0], v[1], to + j * 64, WEIGHT_PART);
}

#define PIXELS(tile, at, part) _tile_loadd(tile, (at) + (part) * PART, PIXEL_BYTES)
#define WEIGHTS(tile, at, part) _tile_loadd(tile, (at) + (part) * WEIGHT_PART, 64)
#define MULTIPLY(to, pixels, weights) _tile_dpbf16ps(to, pixels, weights)
#define FOUR \
    MULTIPLY(0, 4, 6); MULTIPLY(1, 4, 7); MULTIPLY(2, 5, 6); MULTIPLY(3, 5, 7)

static inline void load_results(const float *c, int sum) {
    tiles_fence();
    if (sum) {
        _tile_loadd(0, c, 64);
        _tile_loadd(1, c + TILE_FLOATS, 64);
        _tile_loadd(2, c + 2 * TILE_FLOATS, 64);
        _tile_loadd(3, c + 3 * TILE_FLOATS, 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
}

static inline void store_results(float *c) {
    _tile_stored(0, c, 64);
    _tile_stored(1, c + TILE_FLOATS, 64);
    _tile_stored(2, c + 2 * TILE_FLOATS, 64);
    _tile_stored(3, c + 3 * TILE_FLOATS, 64);
    tiles_fence();
}

/* The four tiles of results at c, SIDE numbers a row, are added to with `sum`.  side(data) is called once
   in each step: what it does takes no time as long as it is less than the tiles' work. */
typedef void side_work(void *data);

/* Two tiles of pixels by two of outputs: c holds (0,0), (0,1), (1,0), (1,1). */
PRODUCT product_2x2(const char *a0, const char *a1, const int32_t *offsets, int64_t steps,
                               const char *b0, const char *b1, float *c, int sum, side_work *side, void *data) {
    load_results(c, sum);
    for (int64_t s = 0; s < steps; s++, b0 += WEIGHT_BYTES, b1 += WEIGHT_BYTES) {
        const char *p0 = a0 + offsets[s], *p1 = a1 + offsets[s];
        PIXELS(4, p0, 0);
        WEIGHTS(6, b0, 0);
        WEIGHTS(7, b1, 0);
        PIXELS(5, p1, 0);
        FOUR;
        WEIGHTS(6, b0, 2);
        WEIGHTS(7, b1, 2);
        FOUR;
        WEIGHTS(6, b0, 1);
        WEIGHTS(7, b1, 1);
        FOUR;
        PIXELS(4, p0, 1);
        PIXELS(5, p1, 1);
        FOUR;
        WEIGHTS(6, b0, 0);
        WEIGHTS(7, b1, 0);
        FOUR;
        PIXELS(4, p0, 2);
        PIXELS(5, p1, 2);
        FOUR;
        side(data);
    }
    store_results(c);
}

#define FIVE(i, p)      \
    PIXELS(4, p, 0);    \
    MULTIPLY(i, 4, 6);  \
    MULTIPLY(i, 4, 7);  \
    PIXELS(5, p, 1);    \
    MULTIPLY(i, 5, 6);  \
    MULTIPLY(i, 5, 7);  \
    PIXELS(4, p, 2);    \
    MULTIPLY(i, 4, 6)

/* Four tiles of pixels, `next` bytes apart, by one of outputs. */
PRODUCT product_4x1(const char *a, int64_t next, const int32_t *offsets, int64_t steps,
                               const char *b, float *c, int sum, side_work *side, void *data) {
    load_results(c, sum);
    for (int64_t s = 0; s < steps; s++, b += WEIGHT_BYTES) {
        const char *p0 = a + offsets[s], *p1 = p0 + next, *p2 = p1 + next, *p3 = p2 + next;
        WEIGHTS(6, b, 0);
        WEIGHTS(7, b, 1);
        FIVE(0, p0);
        FIVE(1, p1);
        FIVE(2, p2);
        FIVE(3, p3);
        WEIGHTS(7, b, 2);
        PIXELS(4, p0, 0);
        MULTIPLY(0, 4, 7);
        PIXELS(5, p1, 0);
        MULTIPLY(1, 5, 7);
        PIXELS(4, p2, 0);
        MULTIPLY(2, 4, 7);
        PIXELS(5, p3, 0);
        MULTIPLY(3, 5, 7);
        side(data);
    }
    store_results(c);
}

#define FIVE_WEIGHTS(i, b) \
    WEIGHTS(6, b, 0);      \
    MULTIPLY(i, 4, 6);     \
    MULTIPLY(i, 5, 6);     \
    WEIGHTS(7, b, 1);      \
    MULTIPLY(i, 4, 7);     \
    MULTIPLY(i, 5, 7);     \
    WEIGHTS(6, b, 2);      \
    MULTIPLY(i, 4, 6)

/* One tile of pixels by four of outputs, whose weights are `next` bytes apart. */
PRODUCT product_1x4(const char *a, const int32_t *offsets, int64_t steps, const char *b,
                               int64_t next, float *c, int sum, side_work *side, void *data) {
    load_results(c, sum);
    for (int64_t s = 0; s < steps; s++, b += WEIGHT_BYTES) {
        const char *p = a + offsets[s], *b1 = b + next, *b2 = b1 + next, *b3 = b2 + next;
        PIXELS(4, p, 0);
        PIXELS(5, p, 1);
        FIVE_WEIGHTS(0, b);
        FIVE_WEIGHTS(1, b1);
        FIVE_WEIGHTS(2, b2);
        FIVE_WEIGHTS(3, b3);
        PIXELS(4, p, 2);
        WEIGHTS(6, b, 0);
        MULTIPLY(0, 4, 6);
        WEIGHTS(7, b1, 0);
        MULTIPLY(1, 4, 7);
        WEIGHTS(6, b2, 0);
        MULTIPLY(2, 4, 6);
        WEIGHTS(7, b3, 0);
        MULTIPLY(3, 4, 7);
        side(data);
    }
    store_results(c);
}

/* One tile by one: four sums, so that no product waits for the one before. `room` is for four tiles;
   the result is at c. */
PRODUCT product_1x1(const char *a, const int32_t *offsets, int64_t steps, const char *b,
                               float *c, float *room, int sum, side_work *side, void *data) {
    load_results(room, 0);
    if (sum) _tile_loadd(0, c, 64);
    for (int64_t s = 0; s < steps; s++, b += WEIGHT_BYTES) {
        const char *p = a + offsets[s];
        PIXELS(4, p, 0);
        WEIGHTS(6, b, 0);
        PIXELS(5, p, 1);
        WEIGHTS(7, b, 1);
        FOUR;
        PIXELS(5, p, 2);
        MULTIPLY(0, 5, 6);
        WEIGHTS(7, b, 2);
        MULTIPLY(1, 4, 7);
        side(data);
    }
    store_results(room);
    for (int i = 0; i < TILE_FLOATS; i += 16) {
        __m512 x = _mm512_add_ps(_mm512_load_ps(room + i), _mm512_load_ps(room + TILE_FLOATS + i));
        __m512 y = _mm512_add_ps(_mm512_load_ps(room + 2 * TILE_FLOATS + i),
                                 _mm512_load_ps(room + 3 * TILE_FLOATS + i));
        _mm512_store_ps(c + i, _mm512_add_ps(x, y));
    }
}

#undef CONFIGURE
#undef PIXELS
#undef WEIGHTS
#undef MULTIPLY
#undef FOUR
#undef FIVE
#undef FIVE_WEIGHTS

#endif
