/* The product of a matrix with many weights that stay where they are (FCN's fc6: 103 million).

   The depth goes in chunks, outermost: a chunk of the matrix is laid once by each thread and stays in
   its cache while the weights of that chunk pass by, 32 outputs at a time, each read once. */

#include "product.h"

#include "convolution.h"
#include "finish.h"
#include "native.h"
#include "product_chunk.h"

#include <stdlib.h>

enum {
    MOST_ROWS = 1024, /* of the matrix */
    STEPS = CHUNK / STEP,
    SQUARE = 4 * TILE_FLOATS, /* 32 by 32 results */
};

/* Where a thread keeps things: the matrix' chunk, of 32 outputs' weights, and the sums of
   its share, [pair of outputs' tiles][pair of rows' tiles][four tiles]. */
static size_t rows_size(const product *o) {
    return (size_t)up(o->rows, 2 * ROWS) * STEPS * STEP_NUMBERS / ROWS * sizeof(number);
}

enum { WEIGHTS_NUMBERS = 2 * STEPS * STEP_NUMBERS };

static size_t sums_size(const product *o) {
    return (size_t)(up(o->outputs, 2 * ROWS) * up(o->rows, 2 * ROWS)) * sizeof(float);
}

/* Writes 16 results of row i, outputs n on. */
typedef void (*put)(const void *of, int64_t i, int64_t n, floats sums, lane_mask mask);

static void compute(const product *o, worker *w, put put, const void *of) {
    int64_t pairs = up(o->outputs, 2 * ROWS) / (2 * ROWS), high = up(o->rows, 2 * ROWS) / (2 * ROWS);
    int64_t from = pairs * worker_index(w) / worker_count(w);
    int64_t to = pairs * (worker_index(w) + 1) / worker_count(w);
    number *a = worker_own(w), *b = (number *)((char *)a + rows_size(o)), *other = b + WEIGHTS_NUMBERS;
    float *all = worker_shared(w), *sums = all + from * high * SQUARE;
    memset(sums, 0, (size_t)((to - from) * high * SQUARE) * sizeof *sums);
    int64_t turns = up(2 * TURNS, high) / high;
    ahead next = {.at = 0};
    tiles_begin(ROWS);
    if (from < to) ahead_of(&next, o, 2 * from * ROWS, 0, b);
    for (int64_t k = 0; k < o->depth && from < to; k += CHUNK) {
        int64_t depth = o->depth - k < CHUNK ? o->depth - k : CHUNK;
        int64_t steps = up(depth, STEP) / STEP, side = steps * STEP_NUMBERS;
        for (int64_t i = 0; i < 2 * high; i++)
            lay_rows(o->x + i * ROWS * o->depth + k, o->depth, o->rows - i * ROWS, depth, a + i * side);
        for (int64_t n = from; n < to; n++) {
            some_turns(&next, next.end); /* those that are left */
            if (n + 1 < to)
                ahead_of(&next, o, 2 * (n + 1) * ROWS, k, other);
            else if (k + CHUNK < o->depth)
                ahead_of(&next, o, 2 * from * ROWS, k + CHUNK, other);
            tiles_fence();
            for (int64_t i = 0; i < high; i++)
                add(a + 2 * i * side, a + (2 * i + 1) * side, b, b + side, steps, o->rows - i * 2 * ROWS,
                    sums + ((n - from) * high + i) * SQUARE, &next, turns);
            number *done = b;
            b = other, other = done;
        }
    }
    tiles_end();
    for (int64_t n = from; n < to; n++)
        for (int64_t i = 0; i < o->rows; i++) {
            const float *at = sums + ((n - from) * high + i / 32) * SQUARE + i % 32 / 16 * 512 + i % 16 * 16;
            for (int64_t j = 0; j < 32; j += 16) {
                int64_t left = o->outputs - n * 32 - j;
                lane_mask mask = left >= 16 ? 0xffff : left > 0 ? (lane_mask)((1u << left) - 1) : 0;
                put(of, i, n * 32 + j, floats_loadu(at + j / 16 * 256), mask);
            }
        }
}

static void put_plain(const void *of, int64_t i, int64_t n, floats sums, lane_mask mask) {
    const product *o = of;
    floats_mask_storeu(o->y + i * o->outputs + n, mask, sums);
}

static void run(const void *prepared, worker *w) { compute(prepared, w, put_plain, prepared); }

static void reserve(program *p, const product *o, size_t shared) {
    size_t own = rows_size(o) + 2 * WEIGHTS_NUMBERS * sizeof(number);
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
    const ints lane = ints_setr(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const ints places = ints_mullo(lane, ints_set1((int)taps));
    for (int64_t t = 0; t < taps; t++) {
        int64_t iy = y * win->stride_h - win->pad_h + t / win->kernel_w * win->dilation_h;
        int64_t ix = x * win->stride_w - win->pad_w + t % win->kernel_w * win->dilation_w;
        int inside = iy >= 0 && iy < o->in.h && ix >= 0 && ix < o->in.w;
        const float *from = o->in.at + ((image * o->in.h + iy) * o->in.w + ix) * o->in.pixel;
        for (int64_t c = 0; c < o->in.c; c += 16) {
            lane_mask mask = lanes(o->in.c - c);
            floats v = floats_maskz_loadu(inside ? mask : 0, from + c);
            floats_scatter(to + c * taps + t, mask, places, v);
        }
    }
}

static void put_finished(const void *of, int64_t i, int64_t n, floats sums, lane_mask mask) {
    const windows *o = of;
    floats other = finish_other(&o->then, i, n, mask);
    floats_mask_storeu(o->out.at + i * o->out.pixel + n, mask,
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
