/* What kernels do to sixteen channels of a result before they store it (`finish` in native.h). */

#ifndef CAFFE_FINISH_H
#define CAFFE_FINISH_H

#include "native.h"

#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

/* The first `count` of sixteen lanes; none for 0, all for 16 and more. */
static inline __mmask16 lanes(int64_t count) {
    return count >= 16 ? 0xffff : (__mmask16)((1u << count) - 1);
}

/* e^x to 1 or 2 units in the last place: 2^n times a polynomial (the coefficients of Cephes' expf). */
static inline __m512 exp_vector(__m512 x) {
    x = _mm512_min_ps(_mm512_set1_ps(88.7f), x);
    x = _mm512_max_ps(_mm512_set1_ps(-103.0f), x);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1)));
    return _mm512_scalef_ps(p, n);
}

static inline __m512 sigmoid_vector(__m512 x) {
    const __m512 one = _mm512_set1_ps(1);
    __m512 e = exp_vector(_mm512_sub_ps(_mm512_setzero_ps(), x));
    return _mm512_div_ps(one, _mm512_add_ps(one, e));
}

/* A polynomial near 0, where 1 - 2 / (e^2x + 1) would lose digits. */
static inline __m512 tanh_vector(__m512 x) {
    const __m512 one = _mm512_set1_ps(1), two = _mm512_set1_ps(2);
    __m512 e = exp_vector(_mm512_mul_ps(two, x));
    __m512 far = _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(e, one)));
    __m512 z = _mm512_mul_ps(x, x), p = _mm512_set1_ps(-5.70498872745e-3f);
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(2.06390887954e-2f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-5.37397155531e-2f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(1.33314422036e-1f));
    p = _mm512_fmadd_ps(p, z, _mm512_set1_ps(-3.33332819422e-1f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, z), x, x);
    __mmask16 near = _mm512_cmp_ps_mask(_mm512_abs_ps(x), _mm512_set1_ps(0.625f), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(far, near, p);
}

/* The activation of `f` of sixteen channels beginning with `channel`; only those in `mask` count. */
static inline __m512 activate(__m512 v, const finish *f, int64_t channel, __mmask16 mask) {
    const __m512 zero = _mm512_setzero_ps();
    switch (f->act) {
    case ACT_RELU:
        return _mm512_max_ps(zero, v);
    case ACT_LEAKY:
        return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), v, _mm512_set1_ps(f->low));
    case ACT_CLAMP:
        return _mm512_min_ps(_mm512_set1_ps(f->high), _mm512_max_ps(_mm512_set1_ps(f->low), v));
    case ACT_PRELU:
        return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zero, _CMP_LT_OQ), v,
                                  _mm512_maskz_loadu_ps(mask, f->slopes + channel));
    case ACT_SIGMOID:
        return sigmoid_vector(v);
    case ACT_TANH:
        return tanh_vector(v);
    default:
        return v;
    }
}

/* The limits that an activation is; 0 where it is more than that. */
static inline int finish_limits(const finish *f, float *low, float *high) {
    *low = f->act == ACT_RELU ? 0 : f->act == ACT_CLAMP ? f->low : -__builtin_inff();
    *high = f->act == ACT_CLAMP ? f->high : __builtin_inff();
    return f->act == ACT_NONE || f->act == ACT_RELU || f->act == ACT_CLAMP;
}

/* Sixteen finished channels, beginning with `channel`, of which those in `mask` count. `other` is what
   the sum adds: zeros where f->other.at is NULL (finish_other() loads it). */
static inline __m512 finish_vector(__m512 v, const finish *f, int64_t channel, __m512 other,
                                   __mmask16 mask) {
    if (f->bias) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, f->bias + channel));
    return activate(_mm512_add_ps(v, other), f, channel, mask);
}

/* The channels of the other map at a pixel, pixels counted over all images row by row. */
static inline __m512 finish_other(const finish *f, int64_t pixel, int64_t channel, __mmask16 mask) {
    if (!f->other.at) return _mm512_setzero_ps();
    return _mm512_maskz_loadu_ps(mask, f->other.at + pixel * f->other.pixel + channel);
}

static inline const float *finish_numbers(const float *from, int64_t count, int *failed) {
    if (!from) return NULL;
    float *to = aligned_alloc(64, (size_t)(count + 15) / 16 * 64);
    if (!to)
        *failed = -1;
    else
        memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

static inline void finish_free(finish *f) {
    free((void *)f->bias);
    free((void *)f->slopes);
    f->bias = f->slopes = NULL;
}

/* A copy that owns its bias and slopes; `from` may be NULL: nothing is done then. 0, or -1 without
   memory. */
static inline int finish_copy(finish *to, const finish *from, int64_t channels) {
    int failed = 0;
    memset(to, 0, sizeof *to);
    if (!from) return 0;
    *to = *from;
    to->bias = finish_numbers(from->bias, channels, &failed);
    to->slopes = from->act == ACT_PRELU ? finish_numbers(from->slopes, channels, &failed) : NULL;
    if (failed) finish_free(to);
    return failed;
}

#endif
