/* Inner products of one to a few images: as fast as memory gives the weights.

   The weights are read where the caller has them, each once, in long runs of several rows at a time.
   The images, in Caffe's order of channels, rows and columns, stay in the caches meanwhile.

   With more than some four images the multiplications weigh more than the weights' way from memory:
   kernels_convolution with a kernel of the map's size is the better way then. */

#include "finish.h"
#include "tasks.h"

enum {
    ROWS = 4,   /* of weights at a time */
    IMAGES = 4, /* at a time */
    LOT = 16,   /* rows in a task */
    AHEAD = 512 /* floats of a row that are asked for before they are needed */
};

typedef struct {
    map in, out;
    const float *weights;
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
    __m512 total[IMAGES][ROWS];
#pragma GCC unroll 4
    for (int i = 0; i < images; i++)
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            total[i][r] = _mm512_setzero_ps();
    int64_t k = 0;
    for (; k + LANES <= inputs; k += LANES) {
        __m512 row[ROWS];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            const float *at = weights + r * inputs + k;
            _mm_prefetch((const char *)(at + AHEAD), _MM_HINT_T0);
            row[r] = _mm512_loadu_ps(at);
        }
#pragma GCC unroll 4
        for (int i = 0; i < images; i++) {
            __m512 x = _mm512_load_ps(images_at + i * room + k);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                total[i][r] = _mm512_fmadd_ps(x, row[r], total[i][r]);
        }
    }
    __mmask16 mask = lanes(inputs - k);
#pragma GCC unroll 4
    for (int i = 0; i < images; i++) {
        __m512 x = mask ? _mm512_maskz_loadu_ps(mask, images_at + i * room + k) : _mm512_setzero_ps();
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            if (mask)
                total[i][r] = _mm512_fmadd_ps(
                    x, _mm512_maskz_loadu_ps(mask, weights + r * inputs + k), total[i][r]);
            sums[i][r] = _mm512_reduce_add_ps(total[i][r]);
        }
    }
}

ALWAYS void by_images(const inner_product *o, const float *at, const float *weights, int rows,
                      int images, float sums[IMAGES][ROWS]) {
    switch (images) {
    case 1: products(o, at, weights, rows, 1, sums); break;
    case 2: products(o, at, weights, rows, 2, sums); break;
    case 3: products(o, at, weights, rows, 3, sums); break;
    default: products(o, at, weights, rows, 4, sums);
    }
}

/* Up to sixteen outputs of up to four images, from row `row` of the weights. */
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
    __mmask16 mask = lanes(count);
    for (int i = 0; i < images; i++) {
        __m512 v = _mm512_maskz_load_ps(mask, results[i]);
        v = finish_vector(v, &o->then, row, finish_other(&o->then, image + i, row, mask), mask);
        _mm512_mask_storeu_ps(o->out.at + (image + i) * o->out.pixel + row, mask, v);
    }
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
}

/* Weights: outputs by (c h w), as in Caffe; not copied: they are read in each run and must stay where
   they are as long as the program. -1: without memory. */
int kernels_inner_product(program *p, const map *in, const map *out, const float *weights,
                          const finish *then) {
    inner_product *o = malloc(sizeof *o);
    if (!o) return -1;
    int64_t inputs = (int64_t)in->c * in->h * in->w;
    *o = (inner_product){.in = *in, .out = *out, .weights = weights, .inputs = inputs,
                         .room = divide_up(inputs, LANES) * LANES};
    program_reserve(p, (size_t)(in->n * o->room) * sizeof(float), 0);
    if (finish_copy(&o->then, then, out->c) == 0 && program_add(p, inner_product_run, o, inner_product_free) == 0)
        return 0;
    inner_product_free(o);
    free(o);
    return -1;
}
