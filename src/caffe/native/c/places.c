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
    __m512 value;
    __m512i place;
} best;

ALWAYS best none(void) {
    return (best){_mm512_set1_ps(-FLT_MAX), _mm512_set1_epi32(-1)};
}

ALWAYS void meet(best *b, __mmask16 mask, __m512 value, __m512i place) {
    __mmask16 better = _mm512_mask_cmp_ps_mask(mask, value, b->value, _CMP_GT_OQ);
    b->value = _mm512_mask_mov_ps(b->value, better, value);
    b->place = _mm512_mask_mov_epi32(b->place, better, place);
}

/* The lanes l with 0 <= first + l < end. */
ALWAYS __mmask16 within(int64_t first, int64_t end) {
    return (__mmask16)(lanes(at_least(end - first, 0)) & ~lanes(at_least(-first, 0)));
}

/* Lane l is from[first + l * stride], where `mask` has it. */
ALWAYS __m512 every(const float *from, int64_t first, int64_t end, int stride, __m512i column,
                    __mmask16 mask) {
    if (stride == 1) return _mm512_maskz_loadu_ps(mask, from + first);
    if (stride > 2) return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, column, from, 4);
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(
        _mm512_maskz_loadu_ps(within(first, end), from + first), even,
        _mm512_maskz_loadu_ps(within(first + LANES, end), from + first + LANES));
}

/* One channel of one image, channels first. */
static void forward_plane(const pooled *p, const float *x, float *y, int32_t *places) {
    const window *v = &p->win;
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i step = _mm512_mullo_epi32(lane, _mm512_set1_epi32(v->stride_w));
    const __m512i width = _mm512_set1_epi32(p->w);
    for (int64_t oy = 0; oy < p->out_h; oy++) {
        int64_t top = oy * v->stride_h - v->pad_h;
        int64_t from = at_least(top, 0), to = at_most(top + v->kernel_h, p->h);
        for (int64_t ox = 0; ox < p->out_w; ox += LANES) {
            best b = none();
            for (int64_t row = from; row < to; row++)
                for (int64_t j = 0; j < v->kernel_w; j++) {
                    int64_t first = ox * v->stride_w - v->pad_w + j;
                    __m512i column = _mm512_add_epi32(step, _mm512_set1_epi32((int)first));
                    __mmask16 mask = _mm512_cmplt_epu32_mask(column, width); /* and not below 0 */
                    __m512 value = every(x + row * p->w, first, p->w, v->stride_w, column, mask);
                    meet(&b, mask, value, _mm512_add_epi32(column, _mm512_set1_epi32((int)(row * p->w))));
                }
            __mmask16 out = lanes(p->out_w - ox);
            _mm512_mask_storeu_ps(y + oy * p->out_w + ox, out, b.value);
            _mm512_mask_storeu_epi32(places + oy * p->out_w + ox, out, b.place);
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
            __mmask16 mask = lanes(p->c - c);
            best b = none();
            for (int64_t row = from; row < to; row++)
                for (int64_t column = begin; column < end; column++) {
                    int64_t pixel = row * p->w + column;
                    meet(&b, mask, _mm512_maskz_loadu_ps(mask, x + pixel * p->c + c),
                         _mm512_set1_epi32((int)pixel));
                }
            _mm512_mask_storeu_ps(p->y + at + c, mask, b.value);
            _mm512_mask_storeu_epi32(p->places + at + c, mask, b.place);
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
        __m512i place = _mm512_set1_epi32((int)(y * p->w + x));
        float *dx = p->x + ((image * p->h + y) * p->w + x) * p->c;
        for (int64_t c = 0; c < p->c; c += LANES) {
            __mmask16 mask = lanes(p->c - c);
            __m512 sum = _mm512_setzero_ps();
            for (int64_t oy = oy0; oy < oy1; oy++)
                for (int64_t ox = ox0; ox < ox1; ox++) {
                    int64_t at = ((image * p->out_h + oy) * p->out_w + ox) * p->c + c;
                    __m512i won = _mm512_maskz_loadu_epi32(mask, p->places + at);
                    __mmask16 here = _mm512_mask_cmpeq_epi32_mask(mask, won, place);
                    sum = _mm512_mask_add_ps(sum, here, sum, _mm512_maskz_loadu_ps(mask, p->y + at));
                }
            _mm512_mask_storeu_ps(dx + c, mask, sum);
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
