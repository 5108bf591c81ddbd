/* Max and average pooling.

   A row of outputs is computed for up to 64 channels at a time. The maximum (or sum) down each column
   of the windows is computed once and kept in registers for all windows that the column is in. */

#include "finish.h"
#include "tasks.h"

#include <float.h>
#include <stdlib.h>

enum { MOST_VECTORS = 2 * BLOCK_WIDE };

typedef struct {
    map in, out;
    window win;
    int average;
} pooling;

/* One row of outputs, for some channels. */
typedef struct {
    const float *in; /* the first row of the windows that is in the image, at column 0 */
    float *out;
    int64_t in_row, in_pixel, out_pixel;
    int rows;        /* of the windows that are in the image */
    int padded_rows; /* of the windows that are in the image and its padding: the divisor's */
    int in_w, out_w, kernel_w, stride_w, pad_w;
    lane_mask last; /* the channels of the last vector */
} row;

ALWAYS floats joined(floats a, floats b, int average) {
    return average ? floats_add(a, b) : floats_max(a, b);
}

/* The maximum or sum down column x of the windows. */
ALWAYS void column(floats *into, const row *r, int64_t x, int vectors, int average) {
    for (int v = 0; v < vectors; v++)
        into[v] = average ? floats_setzero() : floats_set1(-FLT_MAX);
    if (x < 0 || x >= r->in_w) return;
    const float *from = r->in + x * r->in_pixel;
    for (int y = 0; y < r->rows; y++, from += r->in_row) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            floats value = floats_maskz_loadu(v == vectors - 1 ? r->last : 0xffff, from + LANES * v);
            into[v] = joined(into[v], value, average);
        }
    }
}

ALWAYS void put(const row *r, int64_t x, floats *value, int vectors, int average) {
    int64_t left = x * r->stride_w - r->pad_w;
    int64_t right = at_most(left + r->kernel_w, r->in_w + r->pad_w);
    floats scale = floats_set1(average ? 1.0f / (float)(r->padded_rows * (right - left)) : 1.0f);
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++)
        floats_mask_storeu(r->out + x * r->out_pixel + LANES * v,
                           v == vectors - 1 ? r->last : 0xffff,
                           average ? floats_mul(value[v], scale) : value[v]);
}

/* Kernels of a width that is known when this is compiled, with columns that windows share. */
ALWAYS void shared_columns(const row *r, int kernel, int stride, int vectors, int average) {
    floats columns[3][MOST_VECTORS];
    int kept = kernel - stride;
#pragma GCC unroll 3
    for (int k = 0; k < kept; k++)
        column(columns[k], r, k - r->pad_w, vectors, average);
    for (int64_t x = 0; x < r->out_w; x++) {
#pragma GCC unroll 3
        for (int k = kept; k < kernel; k++)
            column(columns[k], r, x * stride - r->pad_w + k, vectors, average);
        floats value[MOST_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            value[v] = columns[0][v];
#pragma GCC unroll 3
            for (int k = 1; k < kernel; k++)
                value[v] = joined(value[v], columns[k][v], average);
#pragma GCC unroll 3
            for (int k = 0; k < kept; k++)
                columns[k][v] = columns[k + stride][v];
        }
        put(r, x, value, vectors, average);
    }
}

ALWAYS void any_columns(const row *r, int vectors, int average) {
    for (int64_t x = 0; x < r->out_w; x++) {
        floats value[MOST_VECTORS], next[MOST_VECTORS];
        int64_t left = x * r->stride_w - r->pad_w;
        int64_t first = at_least(left, 0), end = at_most(left + r->kernel_w, r->in_w);
        column(value, r, first, vectors, average);
        for (int64_t k = first + 1; k < end; k++) {
            column(next, r, k, vectors, average);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                value[v] = joined(value[v], next[v], average);
        }
        put(r, x, value, vectors, average);
    }
}

ALWAYS void pool_row(const row *r, int vectors, int average) {
    int kernel = r->kernel_w, stride = r->stride_w;
    if (kernel == 3 && stride == 1)
        shared_columns(r, 3, 1, vectors, average);
    else if (kernel == 3 && stride == 2)
        shared_columns(r, 3, 2, vectors, average);
    else if (kernel == 2 && stride == 2)
        shared_columns(r, 2, 2, vectors, average);
    else
        any_columns(r, vectors, average);
}

ALWAYS void by_vectors(const row *r, int vectors, int average) {
    switch (vectors) {
        case 1: pool_row(r, 1, average); break;
        case 2: pool_row(r, 2, average); break;
#if BLOCK_WIDE > 1
        case 3: pool_row(r, 3, average); break;
        default: pool_row(r, 4, average);
#endif
    }
}

static void max_row(const row *r, int vectors) { by_vectors(r, vectors, 0); }
static void average_row(const row *r, int vectors) { by_vectors(r, vectors, 1); }

static void pooling_run(const void *prepared, worker *w) {
    const pooling *o = prepared;
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    int64_t groups = divide_up(out->c, MOST_VECTORS * LANES), from, to;
    while (tasks_next(w, out->n * groups * out->h, &from, &to)) {
        for (int64_t task = from; task < to; task++) {
            /* Down the rows first: they share rows of the input. */
            int64_t y = task % out->h, group = task / out->h % groups, image = task / out->h / groups;
            int64_t c = group * MOST_VECTORS * LANES;
            int64_t vectors = at_most(divide_up(out->c - c, LANES), MOST_VECTORS);
            int64_t top = y * win->stride_h - win->pad_h, bottom = top + win->kernel_h;
            int64_t padded = at_most(bottom, in->h + win->pad_h) - top;
            top = at_least(top, 0), bottom = at_most(bottom, in->h);
            row r = {pixel_at(in, image, top, 0) + c, pixel_at(out, image, y, 0) + c,
                     in->w * in->pixel, in->pixel, out->pixel,
                     (int)(bottom - top), (int)padded,
                     in->w, out->w, win->kernel_w, win->stride_w, win->pad_w,
                     lanes(out->c - c - (vectors - 1) * LANES)};
            if (o->average)
                average_row(&r, (int)vectors);
            else
                max_row(&r, (int)vectors);
        }
    }
}

static int add_pooling(program *p, const map *in, const map *out, const window *win, int average) {
    if (win->dilation_h > 1 || win->dilation_w > 1) return -1;
    pooling *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = (pooling){*in, *out, *win, average};
    if (program_add(p, pooling_run, o, NULL) == 0) return 0;
    free(o);
    return -1;
}

/* The largest number of each window, clipped to the image. -1: without memory, or dilated. */
int kernels_max_pool(program *p, const map *in, const map *out, const window *win) {
    return add_pooling(p, in, out, win, 0);
}

/* The mean of each window; as in Caffe, padding counts in the divisor up to h + pad and w + pad.
   -1: without memory, or dilated. */
int kernels_average_pool(program *p, const map *in, const map *out, const window *win) {
    return add_pooling(p, in, out, win, 1);
}
