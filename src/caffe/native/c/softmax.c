/* Softmax over the channels of each pixel. */

#include "finish.h"
#include "tasks.h"

#include <float.h>

enum { PIXELS = 16 /* in a task */ };

typedef struct {
    map in, out;
} softmax;

static void softmax_pixel(const float *in, float *out, int64_t channels) {
    floats most = floats_set1(-FLT_MAX), sum = floats_setzero();
    for (int64_t c = 0; c < channels; c += LANES)
        most = floats_mask_max(most, lanes(channels - c), most,
                               floats_maskz_loadu(lanes(channels - c), in + c));
    most = floats_set1(floats_reduce_max(most));
    for (int64_t c = 0; c < channels; c += LANES) {
        lane_mask mask = lanes(channels - c);
        floats e = exp_vector(floats_sub(floats_maskz_loadu(mask, in + c), most));
        sum = floats_mask_add(sum, mask, sum, e);
        floats_mask_storeu(out + c, mask, e);
    }
    floats scale = floats_set1(1 / floats_reduce_add(sum));
    for (int64_t c = 0; c < channels; c += LANES) {
        lane_mask mask = lanes(channels - c);
        floats_mask_storeu(out + c, mask,
                           floats_mul(floats_maskz_loadu(mask, out + c), scale));
    }
}

/* Up to 32 channels stay in registers: classes of pixels. */
ALWAYS void softmax_few(const float *in, float *out, int64_t channels, int vectors) {
    floats x[2], most = floats_set1(-FLT_MAX), sum = floats_setzero();
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        lane_mask mask = lanes(channels - v * LANES);
        x[v] = floats_maskz_loadu(mask, in + v * LANES);
        most = floats_mask_max(most, mask, most, x[v]);
    }
    most = floats_set1(floats_reduce_max(most));
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        x[v] = exp_vector(floats_sub(x[v], most));
        sum = floats_mask_add(sum, lanes(channels - v * LANES), sum, x[v]);
    }
    floats scale = floats_set1(1 / floats_reduce_add(sum));
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        floats_mask_storeu(out + v * LANES, lanes(channels - v * LANES), floats_mul(x[v], scale));
}

static void softmax_run(const void *prepared, worker *w) {
    const softmax *o = prepared;
    int64_t pixels = (int64_t)o->in.n * o->in.h * o->in.w, channels = o->in.c, from, to;
    while (tasks_next(w, divide_up(pixels, PIXELS), &from, &to))
        for (int64_t pixel = from * PIXELS; pixel < at_most(to * PIXELS, pixels); pixel++) {
            const float *in = o->in.at + pixel * o->in.pixel;
            float *out = o->out.at + pixel * o->out.pixel;
            if (channels <= LANES)
                softmax_few(in, out, channels, 1);
            else if (channels <= 2 * LANES)
                softmax_few(in, out, channels, 2);
            else
                softmax_pixel(in, out, channels);
        }
}

/* e^x / (the sum of e^x over channels), as in Caffe after the largest x was taken away. `out` may be
   `in`. -1: without memory. */
int kernels_softmax(program *p, const map *in, const map *out) {
    softmax *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = (softmax){*in, *out};
    if (program_add(p, softmax_run, o, NULL) == 0) return 0;
    free(o);
    return -1;
}
