/* Softmax over the channels of each pixel. */

#include "finish.h"
#include "tasks.h"

#include <float.h>

enum { PIXELS = 16 /* in a task */ };

typedef struct {
    map in, out;
} softmax;

static void softmax_pixel(const float *in, float *out, int64_t channels) {
    __m512 most = _mm512_set1_ps(-FLT_MAX), sum = _mm512_setzero_ps();
    for (int64_t c = 0; c < channels; c += LANES)
        most = _mm512_mask_max_ps(most, lanes(channels - c), most,
                                  _mm512_maskz_loadu_ps(lanes(channels - c), in + c));
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (int64_t c = 0; c < channels; c += LANES) {
        __mmask16 mask = lanes(channels - c);
        __m512 e = exp_vector(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, in + c), most));
        sum = _mm512_mask_add_ps(sum, mask, sum, e);
        _mm512_mask_storeu_ps(out + c, mask, e);
    }
    __m512 scale = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
    for (int64_t c = 0; c < channels; c += LANES) {
        __mmask16 mask = lanes(channels - c);
        _mm512_mask_storeu_ps(out + c, mask,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, out + c), scale));
    }
}

/* Up to 32 channels stay in registers: classes of pixels. */
ALWAYS void softmax_few(const float *in, float *out, int64_t channels, int vectors) {
    __m512 x[2], most = _mm512_set1_ps(-FLT_MAX), sum = _mm512_setzero_ps();
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        __mmask16 mask = lanes(channels - v * LANES);
        x[v] = _mm512_maskz_loadu_ps(mask, in + v * LANES);
        most = _mm512_mask_max_ps(most, mask, most, x[v]);
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++) {
        x[v] = exp_vector(_mm512_sub_ps(x[v], most));
        sum = _mm512_mask_add_ps(sum, lanes(channels - v * LANES), sum, x[v]);
    }
    __m512 scale = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
#pragma GCC unroll 2
    for (int v = 0; v < vectors; v++)
        _mm512_mask_storeu_ps(out + v * LANES, lanes(channels - v * LANES), _mm512_mul_ps(x[v], scale));
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
