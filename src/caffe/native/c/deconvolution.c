/* Deconvolutions, as gathers: each output is the sum of the few inputs that reach it.

   Outputs whose place differs by a multiple of the stride, a phase, use the same taps of the kernel.
   So along a row of outputs the weights are read in order while the inputs stay in registers, or, with
   all channels of a pixel in the sum, a phase is a small convolution. */

#include "finish.h"
#include "tasks.h"
#include "upconvolution.h"

#include <string.h>

enum {
    TAPS = 4,    /* columns of the input in one output, of upsampling in registers */
    PIXELS = 6,  /* outputs of a phase, */
    VECTORS = 4, /* and vectors of their channels, at a time */
};

typedef struct {
    map in, out;
    window win;
    finish then;
    float *weights; /* by channel: [vector][kernel row][kernel column][16];
                       otherwise: [group of vectors][kernel row][kernel column][in][channels of a group] */
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

/* Along one side: output `at` is the sum of inputs *input, *input - 1, ... with kernel places *tap,
   *tap + stride, ...; *input is in the map if there is any. Returns how many there are. */
ALWAYS int64_t taps_of(int64_t at, int64_t kernel, int64_t stride, int64_t pad, int64_t size,
                       int64_t *input, int64_t *tap) {
    int64_t place = at + pad;
    *input = place / stride, *tap = place % stride;
    if (*input >= size) {
        *tap += (*input - size + 1) * stride;
        *input = size - 1;
    }
    int64_t count = *tap >= kernel ? 0 : divide_up(kernel - *tap, stride);
    return at_most(count, *input + 1);
}

/* --- Each channel by its own kernel --------------------------------------------------------------- */

/* Outputs x to end of a row, which share `columns` columns of the input, for sixteen channels. */
typedef struct {
    const float *weights; /* at the first kernel row, at the kernel column of the first output */
    int64_t weights_row;  /* floats from one kernel row in use to the next */
    int64_t weights_tap;  /* from one column's tap to the next column's */
    const float *inputs;  /* the last row and column; others lie before */
    int64_t in_row, in_pixel;
    float *out;
    int64_t out_pixel, pixel, channel, count;
    const finish *then;
    int finishes;
    __m512 bias;
    __mmask16 mask;
} stretch;

/* Sums that need no more than bias and storing. */
ALWAYS void stretch_of(const stretch *s, int rows, int columns) {
    __m512 x[TAPS];
    const int64_t weights_row = s->weights_row, weights_tap = s->weights_tap, count = s->count;
    const __mmask16 mask = s->mask;
    const __m512 bias = s->bias;
#pragma GCC unroll 4
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < columns; j++)
            x[i * columns + j] = _mm512_maskz_loadu_ps(mask, s->inputs - i * s->in_row - j * s->in_pixel);
    const float *weights = s->weights;
    float *out = s->out;
    for (int64_t k = 0; k < count; k++, weights += LANES, out += s->out_pixel) {
        __m512 sum = bias;
#pragma GCC unroll 4
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < columns; j++)
                sum = _mm512_fmadd_ps(x[i * columns + j],
                                      _mm512_load_ps(weights + i * weights_row + j * weights_tap), sum);
        if (s->finishes)
            sum = activate(_mm512_add_ps(sum, finish_other(s->then, s->pixel + k, s->channel, mask)),
                           s->then, s->channel, mask);
        _mm512_mask_storeu_ps(out, mask, sum);
    }
}

static void stretch_2_2(const stretch *s) { stretch_of(s, 2, 2); }
static void stretch_1_2(const stretch *s) { stretch_of(s, 1, 2); }
static void stretch_2_1(const stretch *s) { stretch_of(s, 2, 1); }
static void stretch_1_1(const stretch *s) { stretch_of(s, 1, 1); }

/* Any number of rows and columns. */
static void stretch_any(const stretch *s, int64_t rows, int64_t columns) {
    for (int64_t k = 0; k < s->count; k++) {
        __m512 sum = s->bias;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                sum = _mm512_fmadd_ps(
                    _mm512_maskz_loadu_ps(s->mask, s->inputs - i * s->in_row - j * s->in_pixel),
                    _mm512_load_ps(s->weights + k * LANES + i * s->weights_row + j * s->weights_tap), sum);
        sum = _mm512_add_ps(sum, finish_other(s->then, s->pixel + k, s->channel, s->mask));
        _mm512_mask_storeu_ps(s->out + k * s->out_pixel, s->mask,
                              activate(sum, s->then, s->channel, s->mask));
    }
}

static void by_channel_row(const deconvolution *o, int64_t image, int64_t y, int64_t vector) {
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    int64_t channel = vector * LANES, row, tap, stride = win->stride_w;
    int64_t rows = taps_of(y, win->kernel_h, win->stride_h, win->pad_h, in->h, &row, &tap);
    stretch s = {.weights_row = win->stride_h * win->kernel_w * LANES, .weights_tap = stride * LANES,
                 .in_row = in->w * in->pixel, .in_pixel = in->pixel, .out_pixel = out->pixel,
                 .channel = channel, .then = &o->then, .mask = lanes(out->c - channel),
                 .finishes = o->then.other.at || o->then.act != ACT_NONE};
    s.bias = o->then.bias ? _mm512_maskz_loadu_ps(s.mask, o->then.bias + channel) : _mm512_setzero_ps();
    const float *weights = o->weights + (vector * win->kernel_h + tap) * win->kernel_w * LANES;
    const float *inputs = rows ? pixel_at(in, image, row, 0) + channel : o->zeros;
    for (int64_t x = 0; x < out->w;) {
        int64_t column, left;
        int64_t columns = taps_of(x, win->kernel_w, stride, win->pad_w, in->w, &column, &left);
        /* The outputs up to the next input column, with as many columns. */
        int64_t end = x + 1;
        if (columns) {
            int64_t place = (x + win->pad_w) / stride, next = (place + 1) * stride - win->pad_w;
            int64_t fewer = x + (win->kernel_w - left - (columns - 1) * stride); /* the last tap ends */
            end = at_least(at_most(at_most(next, fewer), out->w), x + 1);
        }
        s.weights = weights + left * LANES;
        s.inputs = columns ? inputs + column * in->pixel : o->zeros;
        s.out = pixel_at(out, image, y, x) + channel;
        s.pixel = (image * out->h + y) * out->w + x;
        s.count = end - x;
        if (rows == 2 && columns == 2)
            stretch_2_2(&s);
        else if (rows == 1 && columns == 2)
            stretch_1_2(&s);
        else if (rows == 2 && columns == 1)
            stretch_2_1(&s);
        else if (rows == 1 && columns == 1)
            stretch_1_1(&s);
        else
            stretch_any(&s, rows, columns);
        x = end;
    }
}

static void by_channel_run(const void *prepared, worker *w) {
    const deconvolution *o = prepared;
    int64_t vectors = divide_up(o->out.c, LANES), from, to;
    while (tasks_next(w, (int64_t)o->out.n * o->out.h, &from, &to))
        for (int64_t row = from; row < to; row++)
            for (int64_t vector = 0; vector < vectors; vector++)
                by_channel_row(o, row / o->out.h, row % o->out.h, vector);
}

/* Weights (c, 1, kernel_h, kernel_w): each channel by its own kernel, as in upsampling. `out` may have
   any size: a Crop of the result is a pad of as much more, and costs nothing.
   -1: without memory, or dilated. */
int kernels_deconvolution_by_channel(program *p, const map *in, const map *out, const window *win,
                                     const float *weights, const finish *then) {
    int64_t taps = win->kernel_h * win->kernel_w, vectors = divide_up(out->c, LANES);
    deconvolution *o = new_deconvolution(in, out, win, (size_t)(vectors * taps) * LANES, then);
    if (!o) return -1;
    for (int64_t c = 0; c < out->c; c++)
        for (int64_t t = 0; t < taps; t++)
            o->weights[(c / LANES * taps + t) * LANES + c % LANES] = weights[c * taps + t];
    return add(p, by_channel_run, o);
}

/* --- All channels to all channels ----------------------------------------------------------------- */

/* Outputs x, x + stride, ... of a row, for a group of vectors of channels. */
ALWAYS void some_of(const deconvolution *o, int64_t image, int64_t y, int64_t x, int64_t group,
                    int pixels, int vectors) {
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    const int64_t stride = win->stride_w, width = VECTORS * LANES, channels = in->c;
    __m512 sums[PIXELS][VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < pixels; i++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sums[i][v] = _mm512_setzero_ps();
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
                __m512 row[VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++)
                    row[v] = _mm512_load_ps(weights + v * LANES);
#pragma GCC unroll 6
                for (int i = 0; i < pixels; i++) {
                    __m512 value = _mm512_set1_ps(from[i][c]);
#pragma GCC unroll 4
                    for (int v = 0; v < vectors; v++)
                        sums[i][v] = _mm512_fmadd_ps(value, row[v], sums[i][v]);
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
            __mmask16 mask = lanes(at_least(out->c - channel, 0));
            if (!mask) continue;
            __m512 sum = sums[i][v];
            sum = finish_vector(sum, &o->then, channel, finish_other(&o->then, pixel, channel, mask), mask);
            _mm512_mask_storeu_ps(pixel_at(out, image, y, at) + channel, mask, sum);
        }
}

static void by_pixels(const deconvolution *o, int64_t image, int64_t y, int64_t x, int64_t group,
                      int64_t pixels, int64_t vectors) {
    /* Two vectors are what 21 classes have; three are computed as four. */
    if (pixels == PIXELS && vectors > 2)
        some_of(o, image, y, x, group, PIXELS, 4);
    else if (pixels == PIXELS && vectors == 2)
        some_of(o, image, y, x, group, PIXELS, 2);
    else if (pixels == PIXELS)
        some_of(o, image, y, x, group, PIXELS, 1);
    else
        for (int64_t i = 0; i < pixels; i++)
            some_of(o, image, y, x + i * o->win.stride_w, group, 1, 4);
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
