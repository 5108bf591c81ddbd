/* The product of a matrix with many weights that stay where they are (FCN's fc6: 103 million).

   The depth goes in chunks, outermost: a chunk of the matrix is split once by each thread and stays in
   its cache while the weights of that chunk pass by, 32 outputs at a time, each read once. */

#include "native.h"
#include "splitting.h"
#include "tiles.h"
#include "turn.h"

#include <stdlib.h>

enum {
    CHUNK = 512,        /* of the depth */
    STEPS = CHUNK / STEP,
    MOST_ROWS = 1024,   /* of the matrix */
    SQUARE = 4 * TILE_FLOATS, /* 32 by 32 results */
    WEIGHTS_TILE = PARTS * TILE, /* a step of sixteen outputs or rows */
};

typedef struct {
    int64_t rows, depth, outputs;
    const float *weights; /* outputs x depth, the caller's */
    const float *x;       /* of the run: rows x depth */
    float *y;             /* rows x outputs */
} product;

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static inline __m512 some(const float *from, int64_t count) {
    __mmask16 mask = count >= 16 ? 0xffff : count > 0 ? (__mmask16)((1u << count) - 1) : 0;
    return _mm512_maskz_loadu_ps(mask, from);
}

/* Sixteen rows of `have`, a chunk of so many numbers, as steps of rows x pairs (j, j + 16). */
static void split_rows(const float *from, int64_t row, int64_t have, int64_t depth, bfloat *to) {
    for (int64_t k = 0; k < depth; k += STEP, to += WEIGHTS_TILE)
        for (int64_t i = 0; i < ROWS; i++) {
            __m512i words[PARTS];
            const float *at = from + i * row + k;
            int64_t left = i < have ? depth - k : 0;
            split_pair(some(at, left), some(at + SIDE, left - SIDE), words);
            for (int part = 0; part < PARTS; part++)
                _mm512_store_si512((__m512i *)(to + part * TILE + i * DEPTH), words[part]);
        }
}

/* The same of sixteen outputs' weights as pairs x outputs. */
static void split_weights(const float *from, int64_t row, int64_t have, int64_t depth, bfloat *to) {
    for (int64_t k = 0; k < depth; k += STEP, to += WEIGHTS_TILE) {
        __m512 parts[PARTS][ROWS];
        for (int64_t i = 0; i < ROWS; i++) {
            __m512i words[PARTS];
            const float *at = from + i * row + k;
            int64_t left = i < have ? depth - k : 0;
            split_pair(some(at, left), some(at + SIDE, left - SIDE), words);
            if (i < have) _mm_prefetch((const char *)(at + 4 * STEP), _MM_HINT_T1);
            if (i < have) _mm_prefetch((const char *)(at + 4 * STEP + SIDE), _MM_HINT_T1);
            for (int part = 0; part < PARTS; part++)
                parts[part][i] = _mm512_castsi512_ps(words[part]);
        }
        for (int part = 0; part < PARTS; part++) {
            turn(parts[part]);
            for (int j = 0; j < ROWS; j++)
                _mm512_store_ps((float *)(to + part * TILE + j * DEPTH), parts[part][j]);
        }
    }
}

#define LOAD(tile, at, part) _tile_loadd(tile, (at) + (part) * TILE, 64)
#define ALL_FOUR              \
    _tile_dpbf16ps(0, 4, 6);  \
    _tile_dpbf16ps(1, 4, 7);  \
    _tile_dpbf16ps(2, 5, 6);  \
    _tile_dpbf16ps(3, 5, 7)

/* Adds a chunk's 32 rows by 32 outputs to the sums: four tiles. a2 and b2 are the second sixteen of each.
   A chunk is summed by itself: shorter sums round less. */
static void add(const bfloat *a, const bfloat *a2, const bfloat *b, const bfloat *b2, int64_t steps,
                float *sums) {
    _Alignas(64) float found[4 * TILE_FLOATS];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < steps * WEIGHTS_TILE; k += WEIGHTS_TILE) {
        LOAD(4, a + k, 0);
        LOAD(5, a2 + k, 0);
        LOAD(6, b + k, 0);
        LOAD(7, b2 + k, 0);
        ALL_FOUR;
        LOAD(6, b + k, 2);
        LOAD(7, b2 + k, 2);
        ALL_FOUR;
        LOAD(6, b + k, 1);
        LOAD(7, b2 + k, 1);
        ALL_FOUR;
        LOAD(4, a + k, 1);
        LOAD(5, a2 + k, 1);
        ALL_FOUR;
        LOAD(6, b + k, 0);
        LOAD(7, b2 + k, 0);
        ALL_FOUR;
        LOAD(4, a + k, 2);
        LOAD(5, a2 + k, 2);
        ALL_FOUR;
    }
    _tile_stored(0, found, 64);
    _tile_stored(1, found + TILE_FLOATS, 64);
    _tile_stored(2, found + 2 * TILE_FLOATS, 64);
    _tile_stored(3, found + 3 * TILE_FLOATS, 64);
    tiles_fence();
    for (int i = 0; i < 4 * TILE_FLOATS; i += 16)
        _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i), _mm512_load_ps(found + i)));
}

/* Where a thread keeps things: the parts of the matrix' chunk, of 32 outputs' weights, and the sums of
   its share, [pair of outputs' tiles][pair of rows' tiles][four tiles]. */
static size_t rows_size(const product *o) {
    return (size_t)up(o->rows, 2 * ROWS) * CHUNK * PARTS * sizeof(bfloat);
}

enum { WEIGHTS_SIZE = 2 * ROWS * CHUNK * PARTS * sizeof(bfloat) };

static void run(const void *prepared, worker *w) {
    const product *o = prepared;
    int64_t pairs = up(o->outputs, 2 * ROWS) / (2 * ROWS), high = up(o->rows, 2 * ROWS) / (2 * ROWS);
    int64_t from = pairs * worker_index(w) / worker_count(w);
    int64_t to = pairs * (worker_index(w) + 1) / worker_count(w);
    bfloat *a = worker_own(w), *b = (bfloat *)((char *)a + rows_size(o));
    float *all = worker_shared(w), *sums = all + from * high * SQUARE;
    memset(sums, 0, (size_t)((to - from) * high * SQUARE) * sizeof *sums);
    tiles_begin(ROWS);
    for (int64_t k = 0; k < o->depth && from < to; k += CHUNK) {
        int64_t depth = o->depth - k < CHUNK ? o->depth - k : CHUNK;
        int64_t steps = up(depth, STEP) / STEP, side = steps * WEIGHTS_TILE;
        for (int64_t i = 0; i < 2 * high; i++)
            split_rows(o->x + i * ROWS * o->depth + k, o->depth, o->rows - i * ROWS, depth, a + i * side);
        for (int64_t n = from; n < to; n++) {
            for (int64_t i = 0; i < 2; i++) {
                int64_t output = (2 * n + i) * ROWS;
                split_weights(o->weights + output * o->depth + k, o->depth, o->outputs - output, depth,
                              b + i * side);
            }
            tiles_fence();
            for (int64_t i = 0; i < high; i++)
                add(a + 2 * i * side, a + (2 * i + 1) * side, b, b + side, steps,
                    sums + ((n - from) * high + i) * SQUARE);
        }
    }
    tiles_end();
    for (int64_t n = from; n < to; n++)
        for (int64_t i = 0; i < o->rows; i++) {
            const float *at = sums + ((n - from) * high + i / 32) * SQUARE + i % 32 / 16 * 512 + i % 16 * 16;
            for (int64_t j = 0; j < 32; j += 16) {
                int64_t left = o->outputs - n * 32 - j;
                __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
                _mm512_mask_storeu_ps(o->y + i * o->outputs + n * 32 + j, mask,
                                      _mm512_loadu_ps(at + j / 16 * 256));
            }
        }
}

/* y = x weights', rows x depth times (outputs x depth)'. The weights stay the caller's and alive as long
   as the program. Set **x and **y, then run the program, and again. NULL without memory or
   for more than 1024 rows. */
program *kernels_product(int64_t rows, int64_t depth, int64_t outputs, const float *weights,
                         const float ***x, float ***y) {
    if (rows < 1 || rows > MOST_ROWS) return NULL;
    program *p = kernels_new();
    product *o = calloc(1, sizeof *o);
    if (!p || !o || program_add(p, run, o, NULL)) {
        free(o);
        if (p) kernels_free(p);
        return NULL;
    }
    *o = (product){rows, depth, outputs, weights, NULL, NULL};
    *x = &o->x, *y = &o->y;
    program_reserve(p, (size_t)(up(outputs, 32) * up(rows, 32)) * sizeof(float),
                    rows_size(o) + WEIGHTS_SIZE);
    return p;
}
