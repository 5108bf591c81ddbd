#ifdef __AMX_TILE__ /* TODO port */
/* The product of a matrix with many weights that stay where they are (FCN's fc6: 103 million).

   The depth goes in chunks, outermost: a chunk of the matrix is split once by each thread and stays in
   its cache while the weights of that chunk pass by, 32 outputs at a time, each read once. */

#include "product.h"

#include "convolution.h"
#include "finish.h"
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

/* The weights of 32 outputs for a chunk, which a thread splits while the tiles multiply those before.
   A step of sixteen outputs takes four turns: one splits its numbers, the others lay out a part
   each as pairs x outputs. */
typedef struct {
    const product *o;
    int64_t output, k, depth, steps; /* the first output; from where in the depth, and how much */
    bfloat *to;
    int64_t at, end; /* turns */
    __m512i words[PARTS][ROWS];
} ahead;

static void ahead_of(ahead *s, const product *o, int64_t output, int64_t k, bfloat *to) {
    int64_t left = o->depth - k;
    s->o = o, s->output = output, s->k = k, s->to = to;
    s->depth = left < CHUNK ? left : CHUNK;
    s->steps = up(s->depth, STEP) / STEP;
    s->at = 0, s->end = 2 * 4 * s->steps;
}

static void split_step(ahead *s, int64_t output, int64_t step) {
    const product *o = s->o;
    const float *from = o->weights + output * o->depth + s->k + step * STEP;
    /* What is read some steps later: of these outputs, or the first of the next ones. */
    int64_t later = step + 4 < s->steps ? 4 * STEP : 2 * ROWS * o->depth + (step + 4 - s->steps - step) * STEP;
    for (int64_t i = 0; i < ROWS; i++, from += o->depth) {
        int64_t left = output + i < o->outputs ? s->depth - step * STEP : 0;
        __m512i words[PARTS];
        split_pair(some(from, left), some(from + SIDE, left - SIDE), words);
        if (left) _mm_prefetch((const char *)(from + later), _MM_HINT_T1);
        if (left) _mm_prefetch((const char *)(from + later + SIDE), _MM_HINT_T1);
        for (int part = 0; part < PARTS; part++) s->words[part][i] = words[part];
    }
}

static void one_turn(ahead *s) {
    int64_t tile = s->at / 4, step = tile % s->steps, half = tile / s->steps;
    int part = (int)(s->at++ % 4) - 1;
    if (part < 0) {
        split_step(s, s->output + half * ROWS, step);
        return;
    }
    __m512 rows[ROWS];
    float *to = (float *)(s->to + tile * WEIGHTS_TILE + part * TILE);
    for (int i = 0; i < ROWS; i++) rows[i] = _mm512_castsi512_ps(s->words[part][i]);
    turn(rows);
    for (int i = 0; i < ROWS; i++) _mm512_store_ps(to + i * SIDE, rows[i]);
}

static inline void some_turns(ahead *s, int64_t most) {
    for (int64_t i = 0; i < most && s->at < s->end; i++) one_turn(s);
}

#define LOAD(tile, at, part) _tile_loadd(tile, (at) + (part) * TILE, 64)
#define ALL_FOUR              \
    _tile_dpbf16ps(0, 4, 6);  \
    _tile_dpbf16ps(1, 4, 7);  \
    _tile_dpbf16ps(2, 5, 6);  \
    _tile_dpbf16ps(3, 5, 7)

/* Adds a chunk's 32 rows by 32 outputs to the sums: four tiles. a2 and b2 are the second sixteen of each.
   A chunk is summed by itself: shorter sums round less. In each step `turns` of the weights ahead are
   taken, while the tiles multiply. */
static void add(const bfloat *a, const bfloat *a2, const bfloat *b, const bfloat *b2, int64_t steps,
                float *sums, ahead *next, int64_t turns) {
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
        some_turns(next, turns);
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

enum { WEIGHTS_NUMBERS = 2 * ROWS * CHUNK * PARTS };

static size_t sums_size(const product *o) {
    return (size_t)(up(o->outputs, 2 * ROWS) * up(o->rows, 2 * ROWS)) * sizeof(float);
}

/* Writes 16 results of row i, outputs n on. */
typedef void (*put)(const void *of, int64_t i, int64_t n, __m512 sums, __mmask16 mask);

static void compute(const product *o, worker *w, put put, const void *of) {
    int64_t pairs = up(o->outputs, 2 * ROWS) / (2 * ROWS), high = up(o->rows, 2 * ROWS) / (2 * ROWS);
    int64_t from = pairs * worker_index(w) / worker_count(w);
    int64_t to = pairs * (worker_index(w) + 1) / worker_count(w);
    bfloat *a = worker_own(w), *b = (bfloat *)((char *)a + rows_size(o)), *other = b + WEIGHTS_NUMBERS;
    float *all = worker_shared(w), *sums = all + from * high * SQUARE;
    memset(sums, 0, (size_t)((to - from) * high * SQUARE) * sizeof *sums);
    int64_t turns = up(8, high) / high;
    ahead next = {.at = 0};
    tiles_begin(ROWS);
    if (from < to) ahead_of(&next, o, 2 * from * ROWS, 0, b);
    for (int64_t k = 0; k < o->depth && from < to; k += CHUNK) {
        int64_t depth = o->depth - k < CHUNK ? o->depth - k : CHUNK;
        int64_t steps = up(depth, STEP) / STEP, side = steps * WEIGHTS_TILE;
        for (int64_t i = 0; i < 2 * high; i++)
            split_rows(o->x + i * ROWS * o->depth + k, o->depth, o->rows - i * ROWS, depth, a + i * side);
        for (int64_t n = from; n < to; n++) {
            some_turns(&next, next.end); /* those that are left */
            if (n + 1 < to)
                ahead_of(&next, o, 2 * (n + 1) * ROWS, k, other);
            else if (k + CHUNK < o->depth)
                ahead_of(&next, o, 2 * from * ROWS, k + CHUNK, other);
            tiles_fence();
            for (int64_t i = 0; i < high; i++)
                add(a + 2 * i * side, a + (2 * i + 1) * side, b, b + side, steps,
                    sums + ((n - from) * high + i) * SQUARE, &next, turns);
            bfloat *done = b;
            b = other, other = done;
        }
    }
    tiles_end();
    for (int64_t n = from; n < to; n++)
        for (int64_t i = 0; i < o->rows; i++) {
            const float *at = sums + ((n - from) * high + i / 32) * SQUARE + i % 32 / 16 * 512 + i % 16 * 16;
            for (int64_t j = 0; j < 32; j += 16) {
                int64_t left = o->outputs - n * 32 - j;
                __mmask16 mask = left >= 16 ? 0xffff : left > 0 ? (__mmask16)((1u << left) - 1) : 0;
                put(of, i, n * 32 + j, _mm512_loadu_ps(at + j / 16 * 256), mask);
            }
        }
}

static void put_plain(const void *of, int64_t i, int64_t n, __m512 sums, __mmask16 mask) {
    const product *o = of;
    _mm512_mask_storeu_ps(o->y + i * o->outputs + n, mask, sums);
}

static void run(const void *prepared, worker *w) { compute(prepared, w, put_plain, prepared); }

static void reserve(program *p, const product *o, size_t shared) {
    size_t own = rows_size(o) + 2 * WEIGHTS_NUMBERS * sizeof(bfloat);
    program_reserve(p, sums_size(o) + shared, own);
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
    reserve(p, o, 0);
    return p;
}

/* --- A convolution so ------------------------------------------------------------------------------ */

typedef struct {
    product of;
    map in, out;
    window win;
    finish then;
} windows;

static void discard(void *prepared) {
    windows *o = prepared;
    finish_free(&o->then);
}

/* What a result is made of, in the order of its weights: channels, then taps. */
static void unfold(const windows *o, int64_t row, float *to) {
    const window *win = &o->win;
    int64_t taps = (int64_t)win->kernel_h * win->kernel_w, x = row % o->out.w, y = row / o->out.w % o->out.h;
    int64_t image = row / o->out.w / o->out.h;
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i places = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)taps));
    for (int64_t t = 0; t < taps; t++) {
        int64_t iy = y * win->stride_h - win->pad_h + t / win->kernel_w * win->dilation_h;
        int64_t ix = x * win->stride_w - win->pad_w + t % win->kernel_w * win->dilation_w;
        int inside = iy >= 0 && iy < o->in.h && ix >= 0 && ix < o->in.w;
        const float *from = o->in.at + ((image * o->in.h + iy) * o->in.w + ix) * o->in.pixel;
        for (int64_t c = 0; c < o->in.c; c += 16) {
            __mmask16 mask = lanes(o->in.c - c);
            __m512 v = _mm512_maskz_loadu_ps(inside ? mask : 0, from + c);
            _mm512_mask_i32scatter_ps(to + c * taps + t, mask, places, v, 4);
        }
    }
}

static void put_finished(const void *of, int64_t i, int64_t n, __m512 sums, __mmask16 mask) {
    const windows *o = of;
    __m512 other = finish_other(&o->then, i, n, mask);
    _mm512_mask_storeu_ps(o->out.at + i * o->out.pixel + n, mask,
                          finish_vector(sums, &o->then, n, other, mask));
}

static void run_windows(const void *prepared, worker *w) {
    const windows *o = prepared;
    product of = o->of;
    float *x = (float *)((char *)worker_shared(w) + sums_size(&of));
    for (int64_t i; (i = worker_next(w, of.rows)) < of.rows;) unfold(o, i, x + i * of.depth);
    worker_meet(w);
    of.x = x;
    compute(&of, w, put_finished, o);
}

int product_fits(const map *in, const map *out, const window *win) {
    int few = (int64_t)out->n * out->h * out->w <= MOST_ROWS;
    return few && win->groups == 1 && convolution_fits(in, out, win, 0);
}

int product_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then) {
    windows *o = calloc(1, sizeof *o);
    if (!o) return -1;
    int64_t taps = (int64_t)win->kernel_h * win->kernel_w;
    o->of = (product){(int64_t)out->n * out->h * out->w, in->c * taps, out->c, weights, NULL, NULL};
    o->in = *in, o->out = *out, o->win = *win;
    if (finish_copy(&o->then, then, out->c) || program_add(p, run_windows, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    reserve(p, &o->of, (size_t)(o->of.rows * o->of.depth) * sizeof(float));
    return 0;
}

#else
#include "convolution.h"
#include "product.h"
int product_fits(const map *in, const map *out, const window *win) { (void)in, (void)out, (void)win; return 0; }
int product_add(program *p, const map *in, const map *out, const window *win, const float *weights, const finish *then) { (void)p, (void)in, (void)out, (void)win, (void)weights, (void)then; return -1; }
#endif
