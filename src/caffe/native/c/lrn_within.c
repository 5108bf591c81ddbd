/* Local response normalization within channels, for training: forward with what the gradient needs,
   and the gradient. Dense maps, channels last.

   With s = 1 + a * the sum of x^2 over a window (a: alpha by its area), y = x s^-beta; the gradient is
   g s^-beta - 2 a beta x * the sum over the same window of g x s^-beta / s. */

#include "power.h"
#include "finish.h"
#include "tasks.h"

typedef struct {
    const float *x, *g;
    float *s, *rest, *out; /* rest: scratch, what the gradient sums */
    int32_t n, h, w, c, size;
    float a, beta;
} within;
CROSSES(within)

ALWAYS floats shrink(const within *o, floats s) {
    return o->beta == 0.75f ? power_minus_three_quarters(s) : power(s, -o->beta);
}

/* The sum over the window around a pixel, of squares or of the numbers. */
ALWAYS floats window_sum(const within *o, const float *image, int64_t y, int64_t x, int64_t channel,
                         lane_mask mask, int squares) {
    int64_t before = o->size / 2;
    int64_t top = at_least(y - before, 0), bottom = at_most(y + before + 1, o->h);
    int64_t left = at_least(x - before, 0), right = at_most(x + before + 1, o->w);
    floats sum = floats_setzero();
    for (int64_t i = top; i < bottom; i++)
        for (int64_t j = left; j < right; j++) {
            floats v = floats_maskz_loadu(mask, image + (i * o->w + j) * o->c + channel);
            sum = squares ? floats_fmadd(v, v, sum) : floats_add(sum, v);
        }
    return sum;
}

static void forward_row(const within *o, int64_t image, int64_t y) {
    int64_t first = image * o->h * o->w * o->c;
    for (int64_t x = 0; x < o->w; x++)
        for (int64_t c = 0; c < o->c; c += LANES) {
            lane_mask mask = lanes(o->c - c);
            int64_t at = first + (y * o->w + x) * o->c + c;
            floats sum = window_sum(o, o->x + first, y, x, c, mask, 1);
            floats s = floats_fmadd(sum, floats_set1(o->a), floats_set1(1));
            floats v = floats_maskz_loadu(mask, o->x + at);
            floats_mask_storeu(o->s + at, mask, s);
            floats_mask_storeu(o->out + at, mask, floats_mul(v, shrink(o, s)));
        }
}

static void rest_row(const within *o, int64_t row) {
    int64_t begin = row * o->w * o->c, end = begin + (int64_t)o->w * o->c;
    for (int64_t at = begin; at < end; at += LANES) {
        lane_mask mask = lanes(end - at);
        floats s = floats_mask_loadu(floats_set1(1), mask, o->s + at);
        floats gx = floats_mul(floats_maskz_loadu(mask, o->g + at),
                               floats_maskz_loadu(mask, o->x + at));
        floats_mask_storeu(o->rest + at, mask,
                           floats_div(floats_mul(gx, shrink(o, s)), s));
    }
}

static void backward_row(const within *o, int64_t image, int64_t y) {
    int64_t first = image * o->h * o->w * o->c;
    floats share = floats_set1(2 * o->a * o->beta);
    for (int64_t x = 0; x < o->w; x++)
        for (int64_t c = 0; c < o->c; c += LANES) {
            lane_mask mask = lanes(o->c - c);
            int64_t at = first + (y * o->w + x) * o->c + c;
            floats sum = window_sum(o, o->rest + first, y, x, c, mask, 0);
            floats s = floats_mask_loadu(floats_set1(1), mask, o->s + at);
            floats v = floats_mul(floats_maskz_loadu(mask, o->x + at), share);
            floats g = floats_mul(floats_maskz_loadu(mask, o->g + at), shrink(o, s));
            floats_mask_storeu(o->out + at, mask, floats_fnmadd(v, sum, g));
        }
}

enum { FORWARD, REST, BACKWARD };

ALWAYS void rows_run(worker *w, int kind) {
    const within *o = (const within *)(const void *)worker_slot(w, 0);
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->n * o->h, &from, &to))
        for (int64_t row = from; row < to; row++)
            if (kind == REST)
                rest_row(o, row);
            else if (kind == FORWARD)
                forward_row(o, row / o->h, row % o->h);
            else
                backward_row(o, row / o->h, row % o->h);
}

static void forward_run(const void *unused, worker *w) {
    (void)unused;
    rows_run(w, FORWARD);
}

static void rest_run(const void *unused, worker *w) {
    (void)unused;
    rows_run(w, REST);
}

static void backward_run(const void *unused, worker *w) {
    (void)unused;
    rows_run(w, BACKWARD);
}

/* A program for kernels_within(), in one direction. */
program *kernels_within_new(int back) {
    program *p = kernels_new();
    if (!p) return NULL;
    int failed = back ? program_add(p, rest_run, NULL, NULL) || program_add(p, backward_run, NULL, NULL)
                      : program_add(p, forward_run, NULL, NULL);
    if (!failed) return p;
    kernels_free(p);
    return NULL;
}

/* Normalizes, or goes back, on so many threads. -1 without memory. Not for two callers at once with
   one program. */
int kernels_within(program *p, int threads, const within *of) {
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
