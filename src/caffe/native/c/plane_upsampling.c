/* Deconvolutions that upsample each channel by its own kernel, in training: forward, and the gradient
   of the input. Dense maps in Caffe's layout, planes of rows: what upsampling's readers want (softmax
   over few channels), and sixteen neighbours of a row are a vector whatever the number of channels.

   Output y is the sum of the inputs i = (y + pad) / stride, i - 1, ... with the kernel's places
   (y + pad) % stride + 0, + stride, ...; columns alike. So along a row the weights repeat with the
   stride: they lie expanded to a period and a vector more, so that a vector may begin anywhere in it. */

#include "finish.h"
#include "tasks.h"

typedef struct {
    const float *from, *weights, *bias; /* forward: x; back: dy. bias: forward, or NULL */
    float *to;                          /* y; dx */
    int32_t n, c, h, w, out_h, out_w;   /* h, w: of x */
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w; /* kernel_w: a multiple of stride_w; at most 16 inputs in an output */
} plane_upsampling;
CROSSES(plane_upsampling)

enum { MARGIN = LANES, MOST_INPUTS = 16 /* of an output */ };

typedef struct {
    int64_t taps, period, row; /* inputs to a side of an output; of expanded weights; of an input row */
    float *weights;            /* [channel][kernel row][tap][period + 16] */
    float *x;                  /* forward: rows of x between zeros, `taps` before and MARGIN after */
    int32_t *inputs;           /* forward, [phase][16]: where sixteen outputs have theirs */
    float *sums;               /* back, of each thread: a row */
} laid;

static laid lay(const plane_upsampling *o) {
    laid l = {.taps = o->kernel_w / o->stride_w, .period = o->stride_w + LANES};
    l.row = l.taps + o->w + 2 * MARGIN;
    return l;
}

static size_t shared_bytes(const plane_upsampling *o) {
    laid l = lay(o);
    int64_t weights = (int64_t)o->c * o->kernel_h * l.taps * l.period;
    int64_t phases = o->stride_w * LANES;
    return (size_t)(phases + weights + (int64_t)o->n * o->c * o->h * l.row) * sizeof(float);
}

static size_t own_bytes(const plane_upsampling *o) {
    return (size_t)((int64_t)o->w * o->stride_w + 2 * LANES) * sizeof(float);
}

/* What is to be done comes in the first slot. */
static const plane_upsampling *begin(worker *w, laid *l) {
    const plane_upsampling *o = (const plane_upsampling *)(const void *)worker_slot(w, 0);
    *l = lay(o);
    l->inputs = worker_shared(w);
    l->weights = (float *)l->inputs + o->stride_w * LANES;
    l->x = l->weights + (int64_t)o->c * o->kernel_h * l->taps * l->period;
    l->sums = worker_own(w);
    return o;
}

static void expand_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const plane_upsampling *o = begin(w, &l);
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->c * o->kernel_h, &from, &to))
        for (int64_t k = from; k < to; k++)
            for (int64_t tap = 0; tap < l.taps; tap++) {
                float *at = l.weights + (k * l.taps + tap) * l.period;
                const float *of = o->weights + k * o->kernel_w + tap * o->stride_w;
                for (int64_t x = 0; x < l.period; x++) at[x] = of[x % o->stride_w];
            }
}

static void frame_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const plane_upsampling *o = begin(w, &l);
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->n * o->c * o->h, &from, &to))
        for (int64_t row = from; row < to; row++) {
            float *at = l.x + row * l.row;
            memset(at, 0, (size_t)l.row * sizeof *at);
            memcpy(at + l.taps, o->from + row * o->w, (size_t)o->w * sizeof *at);
        }
    if (worker_index(w) == 0)
        for (int k = 0; k < o->stride_w * LANES; k++)
            l.inputs[k] = (k / LANES + k % LANES) / o->stride_w;
}

/* Sixteen columns of the outputs that begin in the same row of inputs, `first`: the inputs that they
   are made of are found once for all these rows. */
ALWAYS void forward_columns(const plane_upsampling *o, const laid *l, int64_t plane, int64_t first,
                            int64_t x, const int rows, const int taps) {
    const int64_t stride = o->stride_w, period = l->period, channel = plane % o->c;
    const int64_t at = (x + o->pad_w) / stride, phase = (x + o->pad_w) % stride;
    const int64_t top = first * o->stride_h - o->pad_h, next = (int64_t)taps * period;
    const int64_t above = o->stride_h * next; /* from an input's row of weights to that of the one above */
    const ints input = ints_load(l->inputs + phase * LANES);
    const floats bias = floats_set1(o->bias ? o->bias[channel] : 0);
    const lane_mask mask = lanes(o->out_w - x);
    floats v[MOST_INPUTS];
#pragma GCC unroll 2
    for (int i = 0; i < rows; i++) {
        const float *from = l->x + (plane * o->h + first - i) * l->row + l->taps + at;
        const int there = first - i >= 0 && first - i < o->h;
#pragma GCC unroll 2
        for (int tap = 0; tap < taps; tap++)
            v[i * taps + tap] = there ? floats_permutexvar(input, floats_loadu(from - tap))
                                      : floats_setzero();
    }
    const int64_t begin = at_least(-top, 0), end = at_most(o->out_h - top, o->stride_h);
    const float *weights = l->weights + (channel * o->kernel_h + begin) * next + phase;
    float *out = o->to + (plane * o->out_h + top + begin) * o->out_w + x;
    for (int64_t k = begin; k < end; k++, weights += next, out += o->out_w) {
        floats sum = bias;
#pragma GCC unroll 2
        for (int i = 0; i < rows; i++) {
            if (k + i * o->stride_h >= o->kernel_h) break; /* a kernel that ends within a stride */
#pragma GCC unroll 2
            for (int tap = 0; tap < taps; tap++)
                sum = floats_fmadd(v[i * taps + tap],
                                   floats_loadu(weights + i * above + tap * period), sum);
        }
        floats_mask_storeu(out, mask, sum);
    }
}

static void forward_rows(const plane_upsampling *o, const laid *l, int64_t plane, int64_t first) {
    const int rows = (int)divide_up(o->kernel_h, o->stride_h), taps = (int)l->taps;
    if (rows == 2 && taps == 2)
        for (int64_t x = 0; x < o->out_w; x += LANES) forward_columns(o, l, plane, first, x, 2, 2);
    else
        for (int64_t x = 0; x < o->out_w; x += LANES) forward_columns(o, l, plane, first, x, rows, taps);
}

/* A row of the input's gradient. */
static void backward_row(const plane_upsampling *o, const laid *l, int64_t plane, int64_t i) {
    const int64_t stride = o->stride_w, taps = l->taps, period = l->period, channel = plane % o->c;
    const int64_t top = i * o->stride_h - o->pad_h, width = o->w * stride;
    const int64_t first = at_least(-top, 0), end = at_most(o->out_h - top, o->kernel_h);
    const float *dy = o->from + (plane * o->out_h + top) * o->out_w;
    const float *weights = l->weights + channel * o->kernel_h * taps * period;
    /* For each output that the row's inputs reach: the sum over the kernel's rows. */
    const int64_t step = LANES % stride, next = taps * period;
    for (int64_t x = 0, phase = 0; x < width; x += LANES) {
        floats sum = floats_setzero(), second = sum;
        for (int64_t tap = 0; tap < taps; tap++) {
            int64_t column = x + tap * stride - o->pad_w;
            lane_mask mask = column >= o->out_w ? 0 : lanes(o->out_w - column);
            if (column < 0) mask = column <= -LANES ? 0 : (lane_mask)(mask & (0xffffu << -column));
            const float *from = dy + column, *weight = weights + tap * period + phase;
            int64_t k = first;
            from += first * o->out_w, weight += first * next;
            for (; k + 1 < end; k += 2, from += 2 * o->out_w, weight += 2 * next) {
                floats a = floats_maskz_loadu(mask, from);
                floats b = floats_maskz_loadu(mask, from + o->out_w);
                sum = floats_fmadd(a, floats_loadu(weight), sum);
                second = floats_fmadd(b, floats_loadu(weight + next), second);
            }
            if (k < end)
                sum = floats_fmadd(floats_maskz_loadu(mask, from), floats_loadu(weight), sum);
        }
        phase += step;
        if (phase >= stride) phase -= stride;
        floats_storeu(l->sums + x, floats_add(sum, second));
    }
    float *dx = o->to + (plane * o->h + i) * o->w;
    const float *sums = l->sums;
    for (int64_t x = 0; x < o->w; x++, sums += stride) {
        float sum = 0;
        for (int64_t k = 0; k < stride; k++) sum += sums[k];
        dx[x] = sum;
    }
}

static void forward_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const plane_upsampling *o = begin(w, &l);
    int64_t from, to, before = o->pad_h / o->stride_h;
    int64_t rows = (o->out_h - 1 + o->pad_h) / o->stride_h + 1 - before;
    while (tasks_next(w, (int64_t)o->n * o->c * rows, &from, &to))
        for (int64_t task = from; task < to; task++)
            forward_rows(o, &l, task / rows, before + task % rows);
}

static void backward_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const plane_upsampling *o = begin(w, &l);
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->n * o->c * o->h, &from, &to))
        for (int64_t row = from; row < to; row++) backward_row(o, &l, row / o->h, row % o->h);
}

/* A program for kernels_plane_upsampling(), in one direction. */
program *kernels_plane_upsampling_new(int back) {
    program *p = kernels_new();
    if (!p) return NULL;
    int failed = program_add(p, expand_run, NULL, NULL);
    if (!failed)
        failed = back ? program_add(p, backward_run, NULL, NULL)
                      : program_add(p, frame_run, NULL, NULL) || program_add(p, forward_run, NULL, NULL);
    if (!failed) return p;
    kernels_free(p);
    return NULL;
}

/* Upsamples, or goes back, on so many threads: the direction is the program's. -1 without memory. Not
   for two callers at once with one program. */
int kernels_plane_upsampling(program *p, int threads, const plane_upsampling *of) {
    program_reserve(p, shared_bytes(of), own_bytes(of));
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
