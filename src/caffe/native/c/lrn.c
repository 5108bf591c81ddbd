/* Local response normalization, across channels and within them. */

#include "finish.h"
#include "power.h"
#include "tasks.h"

enum { PIXELS = 16 /* in a task */ };

typedef struct {
    map in, out;
    int size;
    float alpha, beta, k; /* alpha: of each square of the sum */
} normalization;

/* (k + alpha * sum)^-beta for sixteen sums. */
ALWAYS floats factor(const normalization *o, floats sum) {
    floats s = floats_fmadd(sum, floats_set1(o->alpha), floats_set1(o->k));
    return o->beta == 0.75f ? power_minus_three_quarters(s) : power(s, -o->beta);
}

/* The squares come from the neighbouring channels in memory, not through scratch memory: a vector that
   lies across two fresh stores would wait for both. Neighbours that are not of the pixel are masked. */
ALWAYS void across_pixel(const normalization *o, const float *in, float *out, int size) {
    const int64_t channels = o->in.c, before = (size - 1) / 2;
    for (int64_t c = 0; c < channels; c += LANES) {
        floats sum = floats_setzero();
        int64_t first = c - before;
        int inside = first >= 0 && first + size - 1 + LANES <= channels;
#pragma GCC unroll 8
        for (int i = 0; i < size; i++) {
            int64_t from = first + i;
            lane_mask mask = 0xffff;
            if (!inside) {
                mask = lanes(at_least(channels - from, 0));
                if (from < 0) mask = from <= -LANES ? 0 : (lane_mask)(mask & (0xffff << -from));
            }
            floats x = floats_maskz_loadu(mask, in + from);
            sum = floats_fmadd(x, x, sum);
        }
        lane_mask mask = lanes(channels - c);
        floats x = floats_maskz_loadu(mask, in + c);
        floats_mask_storeu(out + c, mask, floats_mul(x, factor(o, sum)));
    }
}

static void across_run(const void *prepared, worker *w) {
    const normalization *o = prepared;
    int64_t pixels = (int64_t)o->in.n * o->in.h * o->in.w, from, to;
    while (tasks_next(w, divide_up(pixels, PIXELS), &from, &to))
        for (int64_t pixel = from * PIXELS; pixel < at_most(to * PIXELS, pixels); pixel++) {
            const float *in = o->in.at + pixel * o->in.pixel;
            float *out = o->out.at + pixel * o->out.pixel;
            if (o->size == 5)
                across_pixel(o, in, out, 5);
            else
                across_pixel(o, in, out, o->size);
        }
}

static void within_run(const void *prepared, worker *w) {
    const normalization *o = prepared;
    const map *in = &o->in, *out = &o->out;
    int64_t before = (o->size - 1) / 2, from, to;
    while (tasks_next(w, (int64_t)in->n * in->h, &from, &to))
        for (int64_t row = from; row < to; row++) {
            int64_t y = row % in->h, image = row / in->h;
            int64_t top = at_least(y - before, 0), bottom = at_most(y - before + o->size, in->h);
            for (int64_t x = 0; x < in->w; x++) {
                int64_t left = at_least(x - before, 0), right = at_most(x - before + o->size, in->w);
                for (int64_t c = 0; c < in->c; c += LANES) {
                    lane_mask mask = lanes(in->c - c);
                    floats sum = floats_setzero();
                    for (int64_t i = top; i < bottom; i++)
                        for (int64_t j = left; j < right; j++) {
                            floats v = floats_maskz_loadu(mask, pixel_at(in, image, i, j) + c);
                            sum = floats_fmadd(v, v, sum);
                        }
                    floats v = floats_maskz_loadu(mask, pixel_at(in, image, y, x) + c);
                    floats_mask_storeu(pixel_at(out, image, y, x) + c, mask,
                                       floats_mul(v, factor(o, sum)));
                }
            }
        }
}

static int add(program *p, operation run, normalization settings) {
    if (settings.size < 1 || settings.size % 2 == 0) return -1;
    normalization *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = settings;
    if (program_add(p, run, o, NULL) == 0) return 0;
    free(o);
    return -1;
}

/* x * (k + alpha / size * the sum of squares of `size` channels around x)^-beta; the base must be
   positive. `out` must not be `in`. -1: without memory, or an even size. */
int kernels_lrn_across(program *p, const map *in, const map *out, int size, float alpha, float beta,
                       float k) {
    return add(p, across_run, (normalization){*in, *out, size, alpha / (float)size, beta, k});
}

/* x * (1 + alpha * the mean of squares in a window of size by size around x)^-beta. The mean is that
   of Caffe's pooling with padding: zeros outside the map count. `out` must not be `in`.
   -1: without memory, or an even size. */
int kernels_lrn_within(program *p, const map *in, const map *out, int size, float alpha, float beta) {
    return add(p, within_run,
               (normalization){*in, *out, size, alpha / (float)(size * size), beta, 1});
}
