/* Max pooling that learns: the maxima with their places, and the gradient that goes back to these.

   As Caffe has it: the first maximum in raster order wins, NaN and -inf never do; a window without a
   winner gives -FLT_MAX and the place -1. A place is row * width + column in the bottom. Maps are
   dense, all of them channels last, or all channels first. */

#include "finish.h"
#include "tasks.h"

#include <float.h>

typedef struct {
    float *x;       /* the bottom: numbers going forward, the gradient to be written going back */
    float *y;       /* the top: maxima to be written, or the gradient */
    int32_t *places;
    int32_t n, h, w, c, out_h, out_w;
    window win;
    int32_t last; /* whether the channels are */
} pooled;
CROSSES(pooled)

/* The best of each lane so far. */
typedef struct {
    floats value;
    ints place;
} best;

ALWAYS best none(void) {
    return (best){floats_set1(-FLT_MAX), ints_set1(-1)};
}

ALWAYS void meet(best *b, lane_mask mask, floats value, ints place) {
    lane_mask better = floats_mask_cmp(mask, value, b->value, _CMP_GT_OQ);
    b->value = floats_mask_mov(b->value, better, value);
    b->place = ints_mask_mov(b->place, better, place);
}

/* The lanes l with 0 <= first + l < end. */
ALWAYS lane_mask within(int64_t first, int64_t end) {
    return (lane_mask)(lanes(at_least(end - first, 0)) & ~lanes(at_least(-first, 0)));
}

/* Lane l is from[first + l * stride], where `mask` has it. */
ALWAYS floats every(const float *from, int64_t first, int64_t end, int stride, ints column,
                    lane_mask mask) {
    if (stride == 1) return floats_maskz_loadu(mask, from + first);
    if (stride > 2) return floats_gather(mask, column, from);
    return floats_even(floats_maskz_loadu(within(first, end), from + first),
                       floats_maskz_loadu(within(first + LANES, end), from + first + LANES));
}

/* One channel of one image, channels first. */
static void forward_plane(const pooled *p, const float *x, float *y, int32_t *places) {
    const window *v = &p->win;
    const ints lane = ints_setr(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const ints step = ints_mullo(lane, ints_set1(v->stride_w));
    const ints width = ints_set1(p->w);
    for (int64_t oy = 0; oy < p->out_h; oy++) {
        int64_t top = oy * v->stride_h - v->pad_h;
        int64_t from = at_least(top, 0), to = at_most(top + v->kernel_h, p->h);
        for (int64_t ox = 0; ox < p->out_w; ox += LANES) {
            best b = none();
            for (int64_t row = from; row < to; row++)
                for (int64_t j = 0; j < v->kernel_w; j++) {
                    int64_t first = ox * v->stride_w - v->pad_w + j;
                    ints column = ints_add(step, ints_set1((int)first));
                    lane_mask mask = ints_cmplt_unsigned(column, width); /* and not below 0 */
                    floats value = every(x + row * p->w, first, p->w, v->stride_w, column, mask);
                    meet(&b, mask, value, ints_add(column, ints_set1((int)(row * p->w))));
                }
            lane_mask out = lanes(p->out_w - ox);
            floats_mask_storeu(y + oy * p->out_w + ox, out, b.value);
            ints_mask_storeu(places + oy * p->out_w + ox, out, b.place);
        }
    }
}

/* One row of outputs, channels last. */
static void forward_row(const pooled *p, int64_t image, int64_t oy) {
    const window *v = &p->win;
    const float *x = p->x + image * p->h * p->w * p->c;
    int64_t top = oy * v->stride_h - v->pad_h;
    int64_t from = at_least(top, 0), to = at_most(top + v->kernel_h, p->h);
    for (int64_t ox = 0; ox < p->out_w; ox++) {
        int64_t at = ((image * p->out_h + oy) * p->out_w + ox) * p->c;
        int64_t left = ox * v->stride_w - v->pad_w;
        int64_t begin = at_least(left, 0), end = at_most(left + v->kernel_w, p->w);
        for (int64_t c = 0; c < p->c; c += LANES) {
            lane_mask mask = lanes(p->c - c);
            best b = none();
            for (int64_t row = from; row < to; row++)
                for (int64_t column = begin; column < end; column++) {
                    int64_t pixel = row * p->w + column;
                    meet(&b, mask, floats_maskz_loadu(mask, x + pixel * p->c + c),
                         ints_set1((int)pixel));
                }
            floats_mask_storeu(p->y + at + c, mask, b.value);
            ints_mask_storeu(p->places + at + c, mask, b.place);
        }
    }
}

static void backward_plane(const pooled *p, float *dx, const float *dy, const int32_t *places) {
    for (int64_t i = 0; i < (int64_t)p->h * p->w; i++) dx[i] = 0;
    for (int64_t i = 0; i < (int64_t)p->out_h * p->out_w; i++)
        if (places[i] >= 0) dx[places[i]] += dy[i];
}

/* The first window that reaches place `at`, which the first does at -pad. */
ALWAYS int64_t first_window(int64_t at, int pad, int kernel, int stride) {
    int64_t beyond = at + pad - kernel + 1;
    return beyond <= 0 ? 0 : divide_up(beyond, stride);
}

/* One row of the bottom, channels last: each number is the sum over the windows that it is in, in
   their order. */
static void backward_row(const pooled *p, int64_t image, int64_t y) {
    const window *v = &p->win;
    int64_t oy0 = first_window(y, v->pad_h, v->kernel_h, v->stride_h);
    int64_t oy1 = at_most((y + v->pad_h) / v->stride_h + 1, p->out_h);
    for (int64_t x = 0; x < p->w; x++) {
        int64_t ox0 = first_window(x, v->pad_w, v->kernel_w, v->stride_w);
        int64_t ox1 = at_most((x + v->pad_w) / v->stride_w + 1, p->out_w);
        ints place = ints_set1((int)(y * p->w + x));
        float *dx = p->x + ((image * p->h + y) * p->w + x) * p->c;
        for (int64_t c = 0; c < p->c; c += LANES) {
            lane_mask mask = lanes(p->c - c);
            floats sum = floats_setzero();
            for (int64_t oy = oy0; oy < oy1; oy++)
                for (int64_t ox = ox0; ox < ox1; ox++) {
                    int64_t at = ((image * p->out_h + oy) * p->out_w + ox) * p->c + c;
                    ints won = ints_maskz_loadu(mask, p->places + at);
                    lane_mask here = ints_mask_cmpeq(mask, won, place);
                    sum = floats_mask_add(sum, here, sum, floats_maskz_loadu(mask, p->y + at));
                }
            floats_mask_storeu(dx + c, mask, sum);
        }
    }
}

/* What is to be done comes in the first slot. */
static void forward_run(const void *none_, worker *w) {
    (void)none_;
    const pooled *p = (const pooled *)(const void *)worker_slot(w, 0);
    int64_t from, to, planes = (int64_t)p->n * p->c, rows = (int64_t)p->n * p->out_h;
    int64_t in = (int64_t)p->h * p->w, out = (int64_t)p->out_h * p->out_w;
    while (tasks_next(w, p->last ? rows : planes, &from, &to))
        for (int64_t i = from; i < to; i++)
            if (p->last)
                forward_row(p, i / p->out_h, i % p->out_h);
            else
                forward_plane(p, p->x + i * in, p->y + i * out, p->places + i * out);
}

static void backward_run(const void *none_, worker *w) {
    (void)none_;
    const pooled *p = (const pooled *)(const void *)worker_slot(w, 0);
    int64_t from, to, planes = (int64_t)p->n * p->c, rows = (int64_t)p->n * p->h;
    int64_t in = (int64_t)p->h * p->w, out = (int64_t)p->out_h * p->out_w;
    while (tasks_next(w, p->last ? rows : planes, &from, &to))
        for (int64_t i = from; i < to; i++)
            if (p->last)
                backward_row(p, i / p->h, i % p->h);
            else
                backward_plane(p, p->x + i * in, p->y + i * out, p->places + i * out);
}

/* A program for kernels_places(), in one direction. */
program *kernels_places_new(int back) {
    program *p = kernels_new();
    if (p && program_add(p, back ? backward_run : forward_run, NULL, NULL)) {
        kernels_free(p);
        return NULL;
    }
    return p;
}

/* Pools, or goes back, on so many threads. -1 without memory. Not for two callers at once with one
   program. */
int kernels_places(program *p, int threads, const pooled *of) {
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
