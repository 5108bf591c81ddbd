/* Deconvolutions, as gathers: each output is the sum of the few inputs that reach it.

   Outputs whose place differs by a multiple of the stride, a phase, use the same taps of the kernel: a
   phase is a small convolution. upsampling.c has those with a kernel for each channel. */

#include "finish.h"
#include "tasks.h"
#include "upconvolution.h"

#include <string.h>

enum {
    PIXELS = 6,  /* outputs of a phase, */
    VECTORS = BLOCK_WIDE > 1 ? 4 : 1, /* and vectors of their channels, at a time */
};

typedef struct {
    map in, out;
    window win;
    finish then;
    float *weights; /* [group of vectors][kernel row][kernel column][in][channels of a group] */
    float *zeros;   /* a pixel outside the input */
} deconvolution;

static void deconvolution_free(void *prepared) {
    deconvolution *o = prepared;
    free(o->weights);
    free(o->zeros);
    finish_free(&o->then);
}

static deconvolution *new_deconvolution(const map *in, const map *out, const window *win,
                                        size_t weights, const finish *then) {
    if (win->dilation_h > 1 || win->dilation_w > 1) return NULL;
    deconvolution *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->in = *in, o->out = *out, o->win = *win;
    size_t zeros = (size_t)divide_up(in->c, LANES) * LANES * sizeof(float);
    o->weights = aligned_alloc(64, weights * sizeof(float));
    o->zeros = aligned_alloc(64, zeros);
    if (finish_copy(&o->then, then, out->c) || !o->weights || !o->zeros) {
        deconvolution_free(o);
        free(o);
        return NULL;
    }
    memset(o->weights, 0, weights * sizeof(float));
    memset(o->zeros, 0, zeros);
    return o;
}

static int add(program *p, operation run, deconvolution *o) {
    if (program_add(p, run, o, deconvolution_free) == 0) return 0;
    deconvolution_free(o);
    free(o);
    return -1;
}

/* Outputs x, x + stride, ... of a row, for a group of vectors of channels. */
ALWAYS void some_of(const deconvolution *o, int64_t image, int64_t y, int64_t x, int64_t group,
                    int pixels, int vectors) {
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    const int64_t stride = win->stride_w, width = VECTORS * LANES, channels = in->c;
    floats sums[PIXELS][VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sums[i][v] = floats_setzero();
    int64_t place_y = y + win->pad_h, place_x = x + win->pad_w;
    for (int64_t ky = place_y % win->stride_h, iy = place_y / win->stride_h; ky < win->kernel_h;
         ky += win->stride_h, iy--) {
        if (iy < 0 || iy >= in->h) continue;
        for (int64_t kx = place_x % stride, ix = place_x / stride; kx < win->kernel_w;
             kx += stride, ix--) {
            const float *from[PIXELS];
            for (int i = 0; i < pixels; i++)
                from[i] = ix + i < 0 || ix + i >= in->w ? o->zeros : pixel_at(in, image, iy, ix + i);
            const float *weights =
                o->weights + ((group * win->kernel_h + ky) * win->kernel_w + kx) * channels * width;
            for (int64_t c = 0; c < channels; c++, weights += width) {
                floats row[VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    row[v] = floats_load(weights + v * LANES);
#pragma GCC unroll 6
                for (int i = 0; i < pixels; i++) {
                    floats value = floats_set1(from[i][c]);
#pragma GCC unroll 4
                    for (int v = 0; v < vectors; v++)
                        sums[i][v] = floats_fmadd(value, row[v], sums[i][v]);
                }
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            int64_t channel = group * width + v * LANES, at = x + i * stride;
            int64_t pixel = (image * out->h + y) * out->w + at;
            lane_mask mask = lanes(at_least(out->c - channel, 0));
            if (!mask) continue;
            floats sum = sums[i][v];
            sum = finish_vector(sum, &o->then, channel, finish_other(&o->then, pixel, channel, mask), mask);
            floats_mask_storeu(pixel_at(out, image, y, at) + channel, mask, sum);
        }
}

static void by_pixels(const deconvolution *o, int64_t image, int64_t y, int64_t x, int64_t group,
                      int64_t pixels, int64_t vectors) {
    /* Two vectors are what 21 classes have; three are computed as four. */
    if (pixels == PIXELS && vectors > 2)
        some_of(o, image, y, x, group, PIXELS, VECTORS);
    else if (pixels == PIXELS && vectors == 2)
        some_of(o, image, y, x, group, PIXELS, VECTORS / 2);
    else if (pixels == PIXELS)
        some_of(o, image, y, x, group, PIXELS, 1);
    else
        for (int64_t i = 0; i < pixels; i++)
            some_of(o, image, y, x + i * o->win.stride_w, group, 1, VECTORS);
}

/* One phase at a time over some rows: its weights of one group of channels stay in the cache. */
static void deconvolution_run(const void *prepared, worker *w) {
    const deconvolution *o = prepared;
    const map *out = &o->out;
    int64_t stride_h = o->win.stride_h, stride = o->win.stride_w, width = VECTORS * LANES, from, to;
    int64_t groups = divide_up(out->c, width), phases = stride_h * stride;
    int64_t rows = divide_up(out->h, stride_h); /* of a phase */
    while (tasks_next(w, groups * phases * out->n * rows, &from, &to))
        for (int64_t task = from; task < to; task++) {
            int64_t row = task % rows, image = task / rows % out->n, rest = task / rows / out->n;
            int64_t phase = rest % phases, group = rest / phases;
            int64_t y = row * stride_h + phase / stride, first = phase % stride;
            if (y >= out->h || first >= out->w) continue;
            int64_t count = divide_up(out->w - first, stride); /* outputs of the phase in the row */
            int64_t vectors = at_most(divide_up(out->c - group * width, LANES), VECTORS);
            for (int64_t i = 0; i < count; i += PIXELS)
                by_pixels(o, image, y, first + i * stride, group, at_most(count - i, PIXELS), vectors);
        }
}

/* Weights (in, out, kernel_h, kernel_w), as in Caffe. -1: without memory, dilated, or in groups. */
int kernels_deconvolution(program *p, const map *in, const map *out, const window *win,
                          const float *weights, const finish *then) {
    if (win->groups > 1 || win->dilation_h > 1 || win->dilation_w > 1) return -1;
    if (upconvolution_fits(in, out, win, then)) return upconvolution_add(p, in, out, win, weights, then);
    int64_t taps = win->kernel_h * win->kernel_w, width = VECTORS * LANES;
    int64_t groups = divide_up(out->c, width);
    deconvolution *o = new_deconvolution(in, out, win, (size_t)(groups * taps * in->c * width), then);
    if (!o) return -1;
    for (int64_t i = 0; i < in->c; i++)
        for (int64_t c = 0; c < out->c; c++)
            for (int64_t t = 0; t < taps; t++)
                o->weights[((c / width * taps + t) * in->c + i) * width + c % width] =
                    weights[(i * out->c + c) * taps + t];
    return add(p, deconvolution_run, o);
}
