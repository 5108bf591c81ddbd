/* Inner products of one to a few images: as fast as memory gives the weights.

   Many weights are read where the caller has them, each once, in long runs of several rows at a time.
   The images, in Caffe's order of channels, rows and columns, stay in the caches meanwhile.

   Weights of some megabytes come in one stream, from the caches where they stay there from run to run, if
   they lie in the order in which they are read: these are copied. Eight rows take turns, sixteen numbers
   each, and a row's numbers are in the order of the map, so that images are read where they lie.

   With more than some four images the multiplications weigh more than the weights' way from memory:
   kernels_convolution with a kernel of the map's size is the better way then. */

#include "finish.h"
#include "large.h"
#include "tasks.h"

#include <stdatomic.h>

enum {
    ROWS = 2 * BLOCK_WIDE, /* of weights at a time */
    IMAGES = BLOCK_WIDE > 1 ? 4 : 3, /* at a time */
    LOT = 16,           /* rows in a task */
    AHEAD = 512,        /* floats of a row that are asked for before they are needed */
    TURN = 4 * BLOCK_WIDE, /* rows of a copy that take turns, and that are read at a time */
    TURN_IMAGES = BLOCK_WIDE > 1 ? 3 : 1, /* at a time */
    MOST_COPIED = 1 << 21 /* weights: one stream comes faster from memory, too */
};

typedef struct {
    map in, out;
    const float *weights;
    float *copied; /* NULL: they are read where they lie */
    atomic_int *runs;
    finish then;
    int64_t inputs, room; /* numbers of an image; the same up to a multiple of 64 bytes */
} inner_product;

/* Puts every image in the order of its weights into the shared scratch memory. */
static void order_images(const inner_product *o, worker *w, float *to) {
    const map *in = &o->in;
    int64_t area = (int64_t)in->h * in->w, from, end;
    int64_t groups = divide_up(in->c, LANES);
    while (tasks_next(w, in->n * groups, &from, &end))
        for (int64_t task = from; task < end; task++) {
            int64_t image = task / groups, c = task % groups * LANES;
            float *channels = to + image * o->room + c * area;
            const float *pixel = in->at + image * area * in->pixel + c;
            int64_t count = at_most(in->c - c, LANES);
            for (int64_t i = 0; i < area; i++, pixel += in->pixel)
                for (int64_t k = 0; k < count; k++)
                    channels[k * area + i] = pixel[k];
        }
}

/* Sums of `rows` rows of weights with `images` images. */
ALWAYS void products(const inner_product *o, const float *images_at, const float *weights, int rows,
                     int images, float sums[IMAGES][ROWS]) {
    const int64_t inputs = o->inputs, room = o->room;
    floats total[IMAGES][ROWS];
#pragma GCC unroll 4
    for (int i = 0; i < images; i++)
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            total[i][r] = floats_setzero();
    int64_t k = 0;
    for (; k + LANES <= inputs; k += LANES) {
        floats row[ROWS];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const float *at = weights + r * inputs + k;
            _mm_prefetch((const char *)(at + AHEAD), _MM_HINT_T0);
            row[r] = floats_loadu(at);
        }
#pragma GCC unroll 4
        for (int i = 0; i < images; i++) {
            floats x = floats_load(images_at + i * room + k);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                total[i][r] = floats_fmadd(x, row[r], total[i][r]);
        }
    }
    lane_mask mask = lanes(inputs - k);
#pragma GCC unroll 4
    for (int i = 0; i < images; i++) {
        floats x = mask ? floats_maskz_loadu(mask, images_at + i * room + k) : floats_setzero();
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            if (mask)
                total[i][r] = floats_fmadd(
                    x, floats_maskz_loadu(mask, weights + r * inputs + k), total[i][r]);
            sums[i][r] = floats_reduce_add(total[i][r]);
        }
    }
}

ALWAYS void by_images(const inner_product *o, const float *at, const float *weights, int rows,
                      int images, float sums[IMAGES][ROWS]) {
    switch (images) {
    case 1: products(o, at, weights, rows, 1, sums); break;
    case 2: products(o, at, weights, rows, 2, sums); break;
    case 3: products(o, at, weights, rows, 3, sums); break;
    default: products(o, at, weights, rows, IMAGES, sums);
    }
}

/* Stores up to sixteen outputs of an image, with what is done to them first. */
static void finish_lot(const inner_product *o, int64_t image, int64_t row, const float *results) {
    lane_mask mask = lanes(o->out.c - row);
    floats v = floats_maskz_load(mask, results);
    v = finish_vector(v, &o->then, row, finish_other(&o->then, image, row, mask), mask);
    floats_mask_storeu(o->out.at + image * o->out.pixel + row, mask, v);
}

/* Up to sixteen outputs of a few images, from row `row` of the weights. */
static void some_outputs(const inner_product *o, const float *ordered, int64_t image, int64_t row) {
    int images = (int)at_most(o->in.n - image, IMAGES), count = (int)at_most(o->out.c - row, LOT);
    const float *at = ordered + image * o->room;
    _Alignas(64) float results[IMAGES][LOT];
    float sums[IMAGES][ROWS];
    for (int r = 0; r < count;) {
        const float *weights = o->weights + (row + r) * o->inputs;
        int rows = count - r >= ROWS ? ROWS : 1;
        if (rows == ROWS)
            by_images(o, at, weights, ROWS, images, sums);
        else
            by_images(o, at, weights, 1, images, sums);
        for (int i = 0; i < images; i++)
            for (int k = 0; k < rows; k++)
                results[i][r + k] = sums[i][k];
        r += rows;
    }
    for (int i = 0; i < images; i++) finish_lot(o, image + i, row, results[i]);
}

/* Sums of some rows of the copy with `images` images. */
ALWAYS void turn_products(const inner_product *o, const float *at, int64_t next, const float *weights,
                          int images, float *sums) {
    floats total[TURN_IMAGES][TURN];
#pragma GCC unroll 3
    for (int i = 0; i < images; i++)
#pragma GCC unroll 8
        for (int r = 0; r < TURN; r++)
            total[i][r] = floats_setzero();
    for (int64_t k = 0; k < o->inputs; k += LANES, weights += TURN * LANES) {
        lane_mask mask = lanes(o->inputs - k);
        floats x[TURN_IMAGES];
#pragma GCC unroll 3
        for (int i = 0; i < images; i++)
            x[i] = floats_maskz_loadu(mask, at + i * next + k);
#pragma GCC unroll 8
        for (int r = 0; r < TURN; r++) {
            floats row = floats_load(weights + r * LANES);
#pragma GCC unroll 3
            for (int i = 0; i < images; i++)
                total[i][r] = floats_fmadd(x[i], row, total[i][r]);
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < images; i++)
#pragma GCC unroll 8
        for (int r = 0; r < TURN; r++)
            sums[i * LOT + r] = floats_reduce_add(total[i][r]);
}

/* Outputs of a lot from the copy; image `image` of `images` begins at images_at + image * next. */
static void lot_from_copy(const inner_product *o, const float *images_at, int64_t next, int64_t row) {
    const float *weights = o->copied + row * o->room;
    for (int64_t image = 0, count; image < o->in.n; image += count) {
        _Alignas(64) float results[TURN_IMAGES * LOT];
        count = at_most(o->in.n - image, TURN_IMAGES);
        const float *at = images_at + image * next;
        for (int64_t r = 0; r < at_most(o->out.c - row, LOT); r += TURN) {
            const float *from = weights + r * o->room;
            if (count == 1)
                turn_products(o, at, next, from, 1, results + r);
            else if (count == TURN_IMAGES - 1)
                turn_products(o, at, next, from, TURN_IMAGES - 1, results + r);
            else
                turn_products(o, at, next, from, TURN_IMAGES, results + r);
        }
        for (int64_t i = 0; i < count; i++) finish_lot(o, image + i, row, results + i * LOT);
    }
}

static void run_from_copy(const void *prepared, worker *w) {
    const inner_product *o = prepared;
    const map *in = &o->in;
    const float *images = in->at;
    int64_t next = o->inputs, area = (int64_t)in->h * in->w;
    if (area == 1) {
        next = in->pixel;
    } else if (in->pixel != in->c) { /* a slice of a wider map: each thread joins its pixels */
        float *joined = worker_own(w);
        for (int64_t i = 0; i < in->n * area; i++)
            memcpy(joined + i * in->c, in->at + i * in->pixel, (size_t)in->c * sizeof *joined);
        images = joined;
    }
    /* To and fro: what was read last is what the cache still holds of weights that it cannot hold all. */
    int fro = atomic_load_explicit(o->runs, memory_order_relaxed) & 1;
    if (worker_index(w) == 0) atomic_fetch_add_explicit(o->runs, 1, memory_order_relaxed);
    int64_t lots = divide_up(o->out.c, LOT), from, to;
    while (tasks_next(w, lots, &from, &to))
        for (int64_t i = from; i < to; i++)
            lot_from_copy(o, images, next, (fro ? to - 1 - (i - from) : i) * LOT);
}

/* 0, or -1 without memory. */
static int copy_weights(inner_product *o) {
    const map *in = &o->in;
    int64_t rows = divide_up(o->out.c, TURN) * TURN, area = (int64_t)in->h * in->w;
    size_t bytes = (size_t)(rows * o->room) * sizeof(float), page = 2 << 20;
    o->copied = large_alloc(bytes > page / 2 && bytes < page ? page : bytes);
    o->runs = calloc(1, sizeof *o->runs);
    if (!o->copied || !o->runs) return -1;
    memset(o->copied, 0, bytes);
    for (int64_t r = 0; r < o->out.c; r++) {
        const float *from = o->weights + r * o->inputs;
        float *to = o->copied + r / TURN * TURN * o->room + r % TURN * LANES;
        for (int64_t k = 0; k < o->inputs; k++)
            to[k / LANES * LANES * TURN + k % LANES] = from[k % in->c * area + k / in->c];
    }
    return 0;
}

static void inner_product_run(const void *prepared, worker *w) {
    const inner_product *o = prepared;
    float *ordered = worker_shared(w);
    order_images(o, w, ordered);
    worker_meet(w);
    int64_t lots = divide_up(o->out.c, LOT), from, to;
    while (tasks_next(w, lots, &from, &to))
        for (int64_t lot = from; lot < to; lot++)
            for (int64_t image = 0; image < o->in.n; image += IMAGES)
                some_outputs(o, ordered, image, lot * LOT);
}

static void inner_product_free(void *prepared) {
    inner_product *o = prepared;
    finish_free(&o->then);
    free(o->copied);
    free(o->runs);
}

/* Weights: outputs by (c h w), as in Caffe. Many are not copied: they are read in each run, so all must
   stay where they are as long as the program. -1: without memory. */
int kernels_inner_product(program *p, const map *in, const map *out, const float *weights,
                          const finish *then) {
    inner_product *o = malloc(sizeof *o);
    if (!o) return -1;
    int64_t inputs = (int64_t)in->c * in->h * in->w;
    *o = (inner_product){.in = *in, .out = *out, .weights = weights, .inputs = inputs,
                         .room = divide_up(inputs, LANES) * LANES};
    int copies = inputs * out->c <= MOST_COPIED;
    size_t bytes = (size_t)(in->n * o->room) * sizeof(float);
    program_reserve(p, copies ? 0 : bytes, copies ? bytes : 0);
    if (finish_copy(&o->then, then, out->c) == 0 && (!copies || copy_weights(o) == 0) &&
        program_add(p, copies ? run_from_copy : inner_product_run, o, inner_product_free) == 0)
        return 0;
    inner_product_free(o);
    free(o);
    return -1;
}
