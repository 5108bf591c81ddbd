/* Deconvolutions with a kernel for each channel, as in upsampling.

   Along one side output `at` is made of the input at place = (at + pad) / stride, by tap
   (at + pad) % stride of the kernel, of the one before by the next tap, and so on. With a kernel of at most two strides that
   are two inputs: a row of outputs goes through two rows of inputs, each number of which is loaded
   once and stays in a register for the outputs on both its sides. Weights are filled up with zeros. */

#include "finish.h"
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    map in, out;
    window win;
    finish then;
    int64_t taps_h, taps_w; /* of the kernel, filled up to whole strides */
    float *weights;         /* [vector][tap][tap][16] */
    float *zeros;           /* a pixel outside the input */
    int finishes;           /* more is done to a result than adding the bias */
} upsampling;

static void discard(void *prepared) {
    upsampling *o = prepared;
    free(o->weights);
    free(o->zeros);
    finish_free(&o->then);
}

/* A row of outputs, for sixteen channels. */
typedef struct {
    const upsampling *o;
    const float *rows[2];   /* of the input at column 0: the later, the one before */
    int64_t pixels[2];      /* floats to the next one; 0 where the row is outside */
    const float *weights[2]; /* the taps of each */
    float *out;
    int64_t pixel, channel; /* of the first output */
    floats bias;
    lane_mask mask;
} line;

ALWAYS void put(const line *l, int64_t x, floats sum, int finishes) {
    const upsampling *o = l->o;
    if (finishes) {
        floats other = finish_other(&o->then, l->pixel + x, l->channel, l->mask);
        sum = activate(floats_add(sum, other), &o->then, l->channel, l->mask);
    }
    floats_mask_storeu(l->out + x * o->out.pixel, l->mask, sum);
}

/* The outputs over input columns first to end - 1 whose taps are from to to - 1, by `stride`: a
   constant where the call is compiled, so that few weights stay in registers. */
ALWAYS void columns(const line *l, int64_t first, int64_t end, int64_t stride, int64_t from, int64_t to,
                    int finishes) {
    const upsampling *o = l->o;
    const int64_t pad = o->win.pad_w;
    floats before[2], here[2];
    for (int i = 0; i < 2; i++) {
        int inside = first > 0 && first <= o->in.w;
        before[i] = floats_maskz_loadu(inside ? l->mask : 0, l->rows[i] + (first - 1) * l->pixels[i]);
    }
    for (int64_t c = first; c < end; c++) {
        for (int i = 0; i < 2; i++)
            here[i] = floats_maskz_loadu(c < o->in.w ? l->mask : 0, l->rows[i] + c * l->pixels[i]);
        int64_t x = c * stride - pad;
#pragma GCC unroll 8
        for (int64_t t = from; t < to; t++) {
            floats sum = l->bias, more = floats_setzero();
            const float *w = l->weights[0] + t * LANES, *v = l->weights[1] + t * LANES;
            sum = floats_fmadd(here[0], floats_load(w), sum);
            more = floats_mul(before[0], floats_load(w + stride * LANES));
            sum = floats_fmadd(here[1], floats_load(v), sum);
            more = floats_fmadd(before[1], floats_load(v + stride * LANES), more);
            put(l, x + t, floats_add(sum, more), finishes);
        }
        before[0] = here[0], before[1] = here[1];
    }
}

ALWAYS void whole_columns(const line *l, int64_t first, int64_t end, int64_t stride, int finishes) {
    if (stride == 2)
        columns(l, first, end, 2, 0, 2, finishes);
    else if (stride == 4)
        columns(l, first, end, 4, 0, 4, finishes);
    else if (stride == 8)
        columns(l, first, end, 8, 0, 8, finishes);
    else
        columns(l, first, end, stride, 0, stride, finishes);
}

ALWAYS void two_rows(const line *l, int finishes) {
    const int64_t stride = l->o->win.stride_w, pad = l->o->win.pad_w, width = l->o->out.w;
    int64_t first = pad / stride, end = (width + pad) / stride; /* of the columns with all taps */
    int64_t over = pad % stride, under = (width + pad) % stride;
    if (over) {
        columns(l, first, first + 1, stride, over, first < end ? stride : under, finishes);
        first++;
    }
    if (first < end) whole_columns(l, first, end, stride, finishes);
    if (under && first <= end) columns(l, end, end + 1, stride, 0, under, finishes);
}

static void two_rows_plain(const line *l) { two_rows(l, 0); }
static void two_rows_finished(const line *l) { two_rows(l, 1); }

/* A row of outputs with a kernel of any size. */
static void any_rows(const line *l, int64_t y, int64_t image) {
    const upsampling *o = l->o;
    const window *w = &o->win;
    const float *weights = o->weights + l->channel * o->taps_h * o->taps_w;
    for (int64_t x = 0; x < o->out.w; x++) {
        floats sum = l->bias;
        int64_t ty = (y + w->pad_h) % w->stride_h, iy = (y + w->pad_h) / w->stride_h;
        for (; ty < w->kernel_h && iy >= 0; ty += w->stride_h, iy--) {
            int64_t tx = (x + w->pad_w) % w->stride_w, ix = (x + w->pad_w) / w->stride_w;
            for (; iy < o->in.h && tx < w->kernel_w && ix >= 0; tx += w->stride_w, ix--) {
                if (ix >= o->in.w) continue;
                const float *from = pixel_at(&o->in, image, iy, ix) + l->channel;
                floats weight = floats_load(weights + (ty * o->taps_w + tx) * LANES);
                sum = floats_fmadd(floats_maskz_loadu(l->mask, from), weight, sum);
            }
        }
        put(l, x, sum, 1);
    }
}

static void one_line(const upsampling *o, int64_t image, int64_t y, int64_t vector, int two) {
    const map *in = &o->in;
    int64_t stride = o->win.stride_h, tap = (y + o->win.pad_h) % stride, row = (y + o->win.pad_h) / stride;
    line l = {.o = o, .channel = vector * LANES, .mask = lanes(o->out.c - vector * LANES)};
    const float *weights = o->weights + vector * o->taps_h * o->taps_w * LANES;
    for (int i = 0; i < 2 && two; i++) {
        int inside = row - i >= 0 && row - i < in->h;
        l.rows[i] = inside ? pixel_at(in, image, row - i, 0) + l.channel : o->zeros;
        l.pixels[i] = inside ? in->pixel : 0;
        l.weights[i] = weights + (tap + i * stride) * o->taps_w * LANES;
    }
    l.out = pixel_at(&o->out, image, y, 0) + l.channel;
    l.pixel = (image * o->out.h + y) * o->out.w;
    const float *bias = o->then.bias;
    l.bias = bias ? floats_maskz_loadu(l.mask, bias + l.channel) : floats_setzero();
    if (!two)
        any_rows(&l, y, image);
    else if (o->finishes)
        two_rows_finished(&l);
    else
        two_rows_plain(&l);
}

static void run(const void *prepared, worker *w) {
    const upsampling *o = prepared;
    int64_t vectors = divide_up(o->out.c, LANES), from, to;
    int two = o->win.kernel_h <= 2 * o->win.stride_h && o->win.kernel_w <= 2 * o->win.stride_w;
    while (tasks_next(w, (int64_t)o->out.n * o->out.h, &from, &to))
        for (int64_t row = from; row < to; row++)
            for (int64_t vector = 0; vector < vectors; vector++)
                one_line(o, row / o->out.h, row % o->out.h, vector, two);
}

/* Weights (c, 1, kernel_h, kernel_w): each channel by its own kernel. `out` may have any size: a Crop of
   the result is a pad of as much more, and costs nothing. -1: without memory, or dilated. */
int kernels_deconvolution_by_channel(program *p, const map *in, const map *out, const window *win,
                                     const float *weights, const finish *then) {
    if (win->dilation_h > 1 || win->dilation_w > 1) return -1;
    upsampling *o = calloc(1, sizeof *o);
    if (!o) return -1;
    o->in = *in, o->out = *out, o->win = *win;
    o->taps_h = at_least(win->kernel_h, 2 * (int64_t)win->stride_h);
    o->taps_w = at_least(win->kernel_w, 2 * (int64_t)win->stride_w);
    int64_t taps = o->taps_h * o->taps_w, vectors = divide_up(out->c, LANES);
    size_t numbers = (size_t)(vectors * taps * LANES) * sizeof(float), pixel = LANES * sizeof(float);
    o->weights = aligned_alloc(64, numbers);
    o->zeros = aligned_alloc(64, pixel);
    if (finish_copy(&o->then, then, out->c) || !o->weights || !o->zeros) goto failed;
    memset(o->weights, 0, numbers);
    memset(o->zeros, 0, pixel);
    for (int64_t c = 0; c < out->c; c++)
        for (int64_t y = 0; y < win->kernel_h; y++)
            for (int64_t x = 0; x < win->kernel_w; x++)
                o->weights[(c / LANES * taps + y * o->taps_w + x) * LANES + c % LANES] =
                    *weights++;
    o->finishes = o->then.other.at || o->then.act != ACT_NONE;
    if (program_add(p, run, o, discard) == 0) return 0;
failed:
    discard(o);
    free(o);
    return -1;
}
