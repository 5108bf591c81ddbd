/* Depthwise convolutions: each channel by its own kernel.

   Sixteen channels are computed at a time, for up to eight neighbouring outputs of a row in registers:
   what is read of the input then serves all outputs that it is in, and eight sums hide the latency of
   multiplications. The next sixteen channels of the same outputs follow, not the next outputs: lines
   of memory that are a power of two apart would push each other out of the first cache. */

#include "finish.h"
#include "tasks.h"

#include <math.h>

enum { MOST_OUTPUTS = 4 * BLOCK_WIDE, GROUP = 16 /* vectors of channels in a task */ };

typedef struct {
    map in, out;
    window win;
    finish then;
    float *weights; /* [vector of channels][kernel row][kernel column][16], and then the bias */
    float *bias;
    int64_t vectors; /* of channels */
    int clamps;      /* the finish only keeps sums between two numbers */
    float low, high;
} depthwise;

/* A row of outputs for some vectors of channels. */
typedef struct {
    const float *in; /* at the first kernel row that is in the image, at column 0 */
    int64_t in_row, in_pixel; /* floats from kernel row to kernel row (dilated) and from pixel to pixel */
    const float *weights;     /* at the first kernel row that is in the image */
    const float *bias;
    int64_t vectors, weights_of_vector;
    lane_mask last; /* channels in the last vector */
    int rows;       /* kernel rows that are in the image */
    int in_w, kernel_w, stride, dilation, pad;
    float *out;
    int64_t out_pixel;
    int64_t pixel, channel; /* of output column 0: for the finish */
    const depthwise *of;
} row;

/* Adds the other map and activates, where that is more than a clamp. */
__attribute__((noinline)) static void finish_sums(const row *r, int64_t x, int64_t c, floats *sums,
                                                  int count, lane_mask mask) {
    const finish *f = &r->of->then;
    for (int i = 0; i < count; i++) {
        floats other = finish_other(f, r->pixel + x + i, r->channel + c, mask);
        sums[i] = activate(floats_add(sums[i], other), f, r->channel + c, mask);
    }
}

/* Outputs x to x + count, of kernels and strides known when this is compiled. `inside`: all columns
   are in the image. */
ALWAYS void some(const row *r, int64_t x, int count, int kernel, int stride, int inside) {
    const int64_t left = x * stride - r->pad, in_pixel = r->in_pixel, in_row = r->in_row;
    const int64_t vectors = r->vectors, weights_of_vector = r->weights_of_vector;
    const int64_t out_pixel = r->out_pixel;
    const float *in = r->in + left * in_pixel, *weights = r->weights, *bias = r->bias;
    float *out = r->out + x * out_pixel;
    const floats low = floats_set1(r->of->low), high = floats_set1(r->of->high);
    const int rows = r->rows, clamps = r->of->clamps, in_w = r->in_w;
    for (int64_t v = 0; v < vectors; v++, in += LANES, out += LANES, weights += weights_of_vector) {
        const lane_mask mask = v == vectors - 1 ? r->last : 0xffff;
        floats sums[MOST_OUTPUTS], taps[5];
        sums[0] = floats_load(bias + v * LANES);
#pragma GCC unroll 8
        for (int i = 1; i < count; i++)
            sums[i] = sums[0];
        const float *from = in, *tap = weights;
        for (int y = 0; y < rows; y++, from += in_row, tap += kernel * LANES) {
#pragma GCC unroll 5
            for (int k = 0; k < kernel; k++)
                taps[k] = floats_load(tap + k * LANES);
            const float *at = from;
#pragma GCC unroll 20
            for (int column = 0; column < (count - 1) * stride + kernel; column++, at += in_pixel) {
                __asm__("" : "+r"(at)); /* one register that moves on, not one for each column */
                /* Padding is less than the kernel: only outer columns can be in it. */
                if (!inside && column < kernel - 1 && left + column < 0) continue;
                if (!inside && column > (count - 1) * stride && left + column >= in_w) continue;
                floats value = floats_maskz_loadu(mask, at);
#pragma GCC unroll 5
                for (int k = 0; k < kernel; k++) {
                    int i = (column - k) / stride;
                    if (column >= k && (column - k) % stride == 0 && i < count)
                        sums[i] = floats_fmadd(value, taps[k], sums[i]);
                }
            }
        }
        if (!clamps) { /* of a copy: sums whose address is taken would not stay in registers */
            floats finished[MOST_OUTPUTS];
#pragma GCC unroll 8
            for (int i = 0; i < count; i++)
                finished[i] = sums[i];
            finish_sums(r, x, v * LANES, finished, count, mask);
#pragma GCC unroll 8
            for (int i = 0; i < count; i++)
                sums[i] = finished[i];
        }
#pragma GCC unroll 8
        for (int i = 0; i < count; i++) {
            floats sum = clamps ? floats_min(high, floats_max(low, sums[i])) : sums[i];
            floats_mask_storeu(out + i * out_pixel, mask, sum);
        }
    }
}

ALWAYS void by_count(const row *r, int64_t x, int count, int kernel, int stride, int inside) {
    switch (count) {
    case 1: some(r, x, 1, kernel, stride, inside); break;
    case 2: some(r, x, 2, kernel, stride, inside); break;
    case 3: some(r, x, 3, kernel, stride, inside); break;
    case 4: some(r, x, 4, kernel, stride, inside); break;
#if BLOCK_WIDE > 1
    case 5: some(r, x, 5, kernel, stride, inside); break;
    case 6: some(r, x, 6, kernel, stride, inside); break;
    case 7: some(r, x, 7, kernel, stride, inside); break;
    default: some(r, x, 8, kernel, stride, inside);
#endif
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
    const floats low = floats_set1(r->of->low), high = floats_set1(r->of->high);
    for (int64_t x = 0; x < width; x++)
        for (int64_t v = 0; v < r->vectors; v++) {
            const lane_mask mask = v == r->vectors - 1 ? r->last : 0xffff;
            floats sum = floats_load(r->bias + v * LANES);
            for (int y = 0; y < r->rows; y++)
                for (int k = 0; k < r->kernel_w; k++) {
                    int64_t column = x * r->stride - r->pad + k * r->dilation;
                    if (column < 0 || column >= r->in_w) continue;
                    const float *from = r->in + y * r->in_row + column * r->in_pixel + v * LANES;
                    const float *tap = r->weights + v * r->weights_of_vector;
                    sum = floats_fmadd(floats_maskz_loadu(mask, from),
                                       floats_load(tap + (y * r->kernel_w + k) * LANES), sum);
                }
            if (r->of->clamps)
                sum = floats_min(high, floats_max(low, sum));
            else
                finish_sums(r, x, v * LANES, &sum, 1, mask);
            floats_mask_storeu(r->out + x * r->out_pixel + v * LANES, mask, sum);
        }
}

static void run_on(const depthwise *o, worker *w) {
    const map *in = &o->in, *out = &o->out;
    const window *win = &o->win;
    int near = win->dilation_w == 1 && win->pad_w < win->kernel_w;
    void (*row_of)(const row *, int64_t) =
        near && win->kernel_w == 3 && win->stride_w == 1   ? row_3_1
        : near && win->kernel_w == 3 && win->stride_w == 2 ? row_3_2
        : near && win->kernel_w == 5 && win->stride_w == 1 ? row_5_1
        : near && win->kernel_w == 5 && win->stride_w == 2 ? row_5_2
                                                           : row_any;
    const int64_t weights_of_vector = win->kernel_h * win->kernel_w * LANES;
    const int64_t groups = divide_up(o->vectors, GROUP);
    int64_t from, to;
    while (tasks_next(w, out->n * out->h * groups, &from, &to))
        for (int64_t task = from; task < to; task++) {
            int64_t group = task % groups, y = task / groups % out->h, image = task / groups / out->h;
            int64_t vector = group * GROUP, channel = vector * LANES;
            int64_t vectors = at_most(o->vectors - vector, GROUP);
            int64_t top = y * win->stride_h - win->pad_h, d = win->dilation_h;
            int64_t first = top < 0 ? divide_up(-top, d) : 0;
            int64_t after = top >= in->h ? 0 : at_most(win->kernel_h, divide_up(in->h - top, d));
            row r = {.in = pixel_at(in, image, top + first * d, 0) + channel,
                     .in_row = d * in->w * in->pixel, .in_pixel = in->pixel,
                     .weights = o->weights + vector * weights_of_vector + first * win->kernel_w * LANES,
                     .bias = o->bias + channel,
                     .vectors = vectors, .weights_of_vector = weights_of_vector,
                     .last = lanes(out->c - channel - (vectors - 1) * LANES),
                     .rows = (int)(after - first), .in_w = in->w, .kernel_w = win->kernel_w,
                     .stride = win->stride_w, .dilation = win->dilation_w, .pad = win->pad_w,
                     .out = pixel_at(out, image, y, 0) + channel, .out_pixel = out->pixel,
                     .pixel = (image * out->h + y) * out->w, .channel = channel, .of = o};
            row_of(&r, out->w);
        }
}

static void depthwise_run(const void *prepared, worker *w) { run_on(prepared, w); }

static void depthwise_free(void *prepared) {
    depthwise *o = prepared;
    free(o->weights);
    finish_free(&o->then);
}

/* Numbers for the packed weights and bias. */
static int64_t packed_numbers(const depthwise *o) {
    return o->vectors * (o->win.kernel_h * o->win.kernel_w + 1) * LANES;
}

/* Packs the weights and bias (NULL: zeros) of some vectors of channels. */
static void pack(const depthwise *o, const float *weights, const float *bias, int64_t from, int64_t to) {
    const int64_t taps = o->win.kernel_h * o->win.kernel_w, channels = o->out.c;
    for (int64_t c = from * LANES; c < to * LANES; c++) {
        o->bias[c] = c < channels && bias ? bias[c] : 0;
        for (int64_t t = 0; t < taps; t++)
            o->weights[(c / LANES * taps + t) * LANES + c % LANES] =
                c < channels ? weights[c * taps + t] : 0;
    }
}

/* Weights (c, 1, kernel_h, kernel_w) as in Caffe. -1: without memory. */
int kernels_depthwise(program *p, const map *in, const map *out, const window *win,
                      const float *weights, const finish *then) {
    depthwise *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = (depthwise){.in = *in, .out = *out, .win = *win, .vectors = divide_up(out->c, LANES)};
    o->weights = aligned_alloc(64, (size_t)packed_numbers(o) * sizeof(float));
    if (finish_copy(&o->then, then, out->c) || !o->weights) goto failed;
    o->bias = o->weights + packed_numbers(o) - o->vectors * LANES;
    o->clamps = finish_limits(&o->then, &o->low, &o->high) && !o->then.other.at;
    pack(o, weights, o->then.bias, 0, o->vectors);
    if (program_add(p, depthwise_run, o, depthwise_free) == 0) return 0;
failed:
    depthwise_free(o);
    free(o);
    return -1;
}

/* A depthwise convolution by itself, whose weights are others each time: dense maps. */
typedef struct {
    const float *x, *weights, *bias; /* bias: or NULL */
    float *y;
    int32_t n, h, w, c, out_h, out_w;
    window win;
    int32_t relu;
} depthwise_call;
CROSSES(depthwise_call)

static depthwise depthwise_of(const depthwise_call *call, float *packed) {
    depthwise o = {.win = call->win, .vectors = divide_up(call->c, LANES), .clamps = 1,
                   .low = call->relu ? 0 : -INFINITY, .high = INFINITY};
    o.in = (map){(float *)call->x, call->n, call->h, call->w, call->c, call->c};
    o.out = (map){call->y, call->n, call->out_h, call->out_w, call->c, call->c};
    o.weights = packed, o.bias = packed + packed_numbers(&o) - o.vectors * LANES;
    return o;
}

/* What is to be done comes in the first slot. */
static void call_run(const void *unused, worker *w) {
    (void)unused;
    const depthwise_call *call = (const depthwise_call *)(const void *)worker_slot(w, 0);
    depthwise o = depthwise_of(call, worker_shared(w));
    int64_t from, to;
    while (tasks_next(w, o.vectors, &from, &to)) pack(&o, call->weights, call->bias, from, to);
    worker_meet(w);
    run_on(&o, w);
}

/* The program that kernels_depthwise_forward() runs. */
program *kernels_depthwise_forward_new(void) {
    program *p = kernels_new();
    if (!p || program_add(p, call_run, NULL, NULL) == 0) return p;
    kernels_free(p);
    return NULL;
}

/* Convolves on so many threads. -1 without memory. Not for two callers at once with one program. */
int kernels_depthwise_forward(program *p, int threads, const depthwise_call *of) {
    depthwise o = depthwise_of(of, NULL);
    program_reserve(p, (size_t)packed_numbers(&o) * sizeof(float), 0);
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
