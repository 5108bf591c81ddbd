/* Depthwise convolutions: each channel by its own kernel.

   Sixteen channels are computed at a time, for up to eight neighbouring outputs of a row in registers:
   what is read of the input then serves all outputs that it is in, and eight sums hide the latency of
   multiplications. The same sixteen channels are taken down some rows, so that the rows of the input
   that windows share come from the first cache. */

#include "finish.h"
#include "tasks.h"

#include <math.h>

enum { MOST_OUTPUTS = 8, CACHED = 384 << 10 /* bytes of input rows for one task, well within L2 */ };

typedef struct {
    map in, out;
    window win;
    finish then;
    float *weights; /* [vector of channels][kernel row][kernel column][16] */
    int64_t vectors, rows, lots; /* vectors of channels; rows of outputs in a task; tasks down an image */
    int clamps; /* as in `row` */
    float low, high;
} depthwise;

/* A row of outputs for sixteen channels. */
typedef struct {
    const float *in; /* at the first kernel row that is in the image, at column 0 */
    int64_t in_row, in_pixel; /* floats from kernel row to kernel row (dilated) and from pixel to pixel */
    const float *weights; /* at the first kernel row that is in the image */
    int rows;             /* kernel rows that are in the image */
    int in_w, kernel_w, stride, dilation, pad;
    float *out;
    int64_t out_pixel;
    const finish *then;
    int64_t pixel, channel; /* of output column 0: for the finish */
    __m512 bias;
    __mmask16 mask;
    int clamps; /* the finish only keeps sums between two numbers */
    float low, high;
} row;

/* Adds the other map and activates, where it is more than a clamp. */
__attribute__((noinline)) static void finish_sums(const row *r, int64_t x, __m512 *sums, int count) {
    for (int i = 0; i < count; i++) {
        __m512 other = finish_other(r->then, r->pixel + x + i, r->channel, r->mask);
        sums[i] = activate(_mm512_add_ps(sums[i], other), r->then, r->channel, r->mask);
    }
}

ALWAYS void store(const row *r, int64_t x, __m512 *sums, int count) {
    __m512 low = _mm512_set1_ps(r->low), high = _mm512_set1_ps(r->high);
    if (!r->clamps) finish_sums(r, x, sums, count);
#pragma GCC unroll 8
    for (int i = 0; i < count; i++) {
        __m512 sum = r->clamps ? _mm512_min_ps(_mm512_max_ps(sums[i], low), high) : sums[i];
        _mm512_mask_storeu_ps(r->out + (x + i) * r->out_pixel, r->mask, sum);
    }
}

/* Outputs x to x + count, of kernels and strides known when this is compiled. `inside`: all columns
   are in the image. */
ALWAYS void some(const row *r, int64_t x, int count, int kernel, int stride, int inside) {
    __m512 sums[MOST_OUTPUTS], taps[5];
#pragma GCC unroll 8
    for (int i = 0; i < count; i++)
        sums[i] = r->bias;
    int64_t left = x * stride - r->pad;
    const float *from = r->in + left * r->in_pixel, *weights = r->weights;
    for (int y = 0; y < r->rows; y++, from += r->in_row, weights += kernel * LANES) {
#pragma GCC unroll 5
        for (int k = 0; k < kernel; k++)
            taps[k] = _mm512_load_ps(weights + k * LANES);
#pragma GCC unroll 20
        for (int column = 0; column < (count - 1) * stride + kernel; column++) {
            if (!inside && (left + column < 0 || left + column >= r->in_w)) continue;
            __m512 value = _mm512_maskz_loadu_ps(r->mask, from + column * r->in_pixel);
#pragma GCC unroll 5
            for (int k = 0; k < kernel; k++) {
                int i = (column - k) / stride;
                if (column >= k && (column - k) % stride == 0 && i < count)
                    sums[i] = _mm512_fmadd_ps(value, taps[k], sums[i]);
            }
        }
    }
    store(r, x, sums, count);
}

ALWAYS void by_count(const row *r, int64_t x, int count, int kernel, int stride, int inside) {
    switch (count) {
    case 1: some(r, x, 1, kernel, stride, inside); break;
    case 2: some(r, x, 2, kernel, stride, inside); break;
    case 3: some(r, x, 3, kernel, stride, inside); break;
    case 4: some(r, x, 4, kernel, stride, inside); break;
    case 5: some(r, x, 5, kernel, stride, inside); break;
    case 6: some(r, x, 6, kernel, stride, inside); break;
    case 7: some(r, x, 7, kernel, stride, inside); break;
    default: some(r, x, 8, kernel, stride, inside);
    }
}

ALWAYS void known(const row *r, int64_t width, int kernel, int stride) {
    int64_t lots = divide_up(width, MOST_OUTPUTS);
    for (int64_t lot = 0; lot < lots; lot++) {
        int64_t x = lot * width / lots, count = (lot + 1) * width / lots - x, left = x * stride - r->pad;
        if (left >= 0 && left + (count - 1) * stride + kernel <= r->in_w)
            by_count(r, x, (int)count, kernel, stride, 1);
        else
            by_count(r, x, (int)count, kernel, stride, 0);
    }
}

static void row_3_1(const row *r, int64_t width) { known(r, width, 3, 1); }
static void row_3_2(const row *r, int64_t width) { known(r, width, 3, 2); }
static void row_5_1(const row *r, int64_t width) { known(r, width, 5, 1); }
static void row_5_2(const row *r, int64_t width) { known(r, width, 5, 2); }

/* Any kernel: output by output. */
static void row_any(const row *r, int64_t width) {
    for (int64_t x = 0; x < width; x++) {
        __m512 sum = r->bias;
        for (int y = 0; y < r->rows; y++)
            for (int k = 0; k < r->kernel_w; k++) {
                int64_t column = x * r->stride - r->pad + k * r->dilation;
                if (column < 0 || column >= r->in_w) continue;
                const float *from = r->in + y * r->in_row + column * r->in_pixel;
                sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(r->mask, from),
                                      _mm512_load_ps(r->weights + (y * r->kernel_w + k) * LANES), sum);
            }
        store(r, x, &sum, 1);
    }
}

static void depthwise_run(const void *prepared, worker *w) {
    const depthwise *o = prepared;
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    int near = win->dilation_w == 1;
    void (*row_of)(const row *, int64_t) =
        near && win->kernel_w == 3 && win->stride_w == 1   ? row_3_1
        : near && win->kernel_w == 3 && win->stride_w == 2 ? row_3_2
        : near && win->kernel_w == 5 && win->stride_w == 1 ? row_5_1
        : near && win->kernel_w == 5 && win->stride_w == 2 ? row_5_2
                                                           : row_any;
    int64_t from, to;
    while (tasks_next(w, out->n * o->lots * o->vectors, &from, &to))
        for (int64_t task = from; task < to; task++) {
            int64_t vector = task % o->vectors, lot = task / o->vectors % o->lots;
            int64_t image = task / o->vectors / o->lots, channel = vector * LANES;
            int64_t end = at_most((lot + 1) * o->rows, out->h);
            row r = {.in_row = win->dilation_h * in->w * in->pixel, .in_pixel = in->pixel,
                     .in_w = in->w, .kernel_w = win->kernel_w, .stride = win->stride_w,
                     .dilation = win->dilation_w, .pad = win->pad_w, .out_pixel = out->pixel,
                     .then = &o->then, .channel = channel, .mask = lanes(out->c - channel),
                     .clamps = o->clamps, .low = o->low, .high = o->high};
            r.bias = o->then.bias ? _mm512_maskz_loadu_ps(r.mask, o->then.bias + channel)
                                  : _mm512_setzero_ps();
            for (int64_t y = lot * o->rows; y < end; y++) {
                int64_t top = y * win->stride_h - win->pad_h, d = win->dilation_h;
                int64_t first = top < 0 ? divide_up(-top, d) : 0;
                int64_t after = top >= in->h ? 0 : at_most(win->kernel_h, divide_up(in->h - top, d));
                r.rows = (int)(after - first);
                r.in = pixel_at(in, image, top + first * d, 0) + channel;
                r.weights = o->weights + (vector * win->kernel_h + first) * win->kernel_w * LANES;
                r.out = pixel_at(out, image, y, 0) + channel;
                r.pixel = (image * out->h + y) * out->w;
                row_of(&r, out->w);
            }
        }
}

static void depthwise_free(void *prepared) {
    depthwise *o = prepared;
    free(o->weights);
    finish_free(&o->then);
}

/* Weights (c, 1, kernel_h, kernel_w) as in Caffe. -1: without memory. */
int kernels_depthwise(program *p, const map *in, const map *out, const window *win,
                      const float *weights, const finish *then) {
    int64_t vectors = divide_up(out->c, LANES), taps = win->kernel_h * win->kernel_w;
    depthwise *o = malloc(sizeof *o);
    if (!o) return -1;
    int64_t row_bytes = at_least(win->stride_h * in->w * in->pixel * 4, 1);
    int64_t rows = at_most(at_least(CACHED / row_bytes, 4), out->h), lots = divide_up(out->h, rows);
    *o = (depthwise){.in = *in, .out = *out, .win = *win, .vectors = vectors,
                     .rows = divide_up(out->h, lots), .lots = lots};
    o->weights = aligned_alloc(64, (size_t)(vectors * taps) * LANES * sizeof(float));
    if (finish_copy(&o->then, then, out->c) || !o->weights) goto failed;
    int32_t act = o->then.act;
    o->clamps = !o->then.other.at && (act == ACT_NONE || act == ACT_RELU || act == ACT_CLAMP);
    o->low = act == ACT_RELU ? 0 : act == ACT_CLAMP ? o->then.low : -INFINITY;
    o->high = act == ACT_CLAMP ? o->then.high : INFINITY;
    for (int64_t c = 0; c < vectors * LANES; c++)
        for (int64_t t = 0; t < taps; t++)
            o->weights[(c / LANES * taps + t) * LANES + c % LANES] =
                c < out->c ? weights[c * taps + t] : 0;
    if (program_add(p, depthwise_run, o, depthwise_free) == 0) return 0;
failed:
    depthwise_free(o);
    free(o);
    return -1;
}
