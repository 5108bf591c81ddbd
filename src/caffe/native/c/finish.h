/* What kernels do to sixteen channels of a result before they store it (`finish` in native.h). */

#ifndef CAFFE_FINISH_H
#define CAFFE_FINISH_H

#include "floats.h"
#include "native.h"

#include <stdlib.h>
#include <string.h>

/* The first `count` of sixteen lanes; none for 0, all for 16 and more. */
static inline lane_mask lanes(int64_t count) {
    return count >= 16 ? 0xffff : (lane_mask)((1u << count) - 1);
}

/* e^x to 1 or 2 units in the last place: 2^n times a polynomial (the coefficients of Cephes' expf). */
static inline floats exp_vector(floats x) {
    x = floats_min(floats_set1(88.7f), x);
    x = floats_max(floats_set1(-103.0f), x);
    floats n = floats_round(floats_mul(x, floats_set1(1.44269504f)));
    floats r = floats_fnmadd(n, floats_set1(0.693359375f), x);
    r = floats_fnmadd(n, floats_set1(-2.12194440e-4f), r);
    floats p = floats_set1(1.9875691500e-4f);
    p = floats_fmadd(p, r, floats_set1(1.3981999507e-3f));
    p = floats_fmadd(p, r, floats_set1(8.3334519073e-3f));
    p = floats_fmadd(p, r, floats_set1(4.1665795894e-2f));
    p = floats_fmadd(p, r, floats_set1(1.6666665459e-1f));
    p = floats_fmadd(p, r, floats_set1(5.0000001201e-1f));
    p = floats_fmadd(p, floats_mul(r, r), floats_add(r, floats_set1(1)));
    return floats_scalef(p, n);
}

static inline floats sigmoid_vector(floats x) {
    const floats one = floats_set1(1);
    floats e = exp_vector(floats_sub(floats_setzero(), x));
    return floats_div(one, floats_add(one, e));
}

/* A polynomial near 0, where 1 - 2 / (e^2x + 1) would lose digits. */
static inline floats tanh_vector(floats x) {
    const floats one = floats_set1(1), two = floats_set1(2);
    floats e = exp_vector(floats_mul(two, x));
    floats far = floats_sub(one, floats_div(two, floats_add(e, one)));
    floats z = floats_mul(x, x), p = floats_set1(-5.70498872745e-3f);
    p = floats_fmadd(p, z, floats_set1(2.06390887954e-2f));
    p = floats_fmadd(p, z, floats_set1(-5.37397155531e-2f));
    p = floats_fmadd(p, z, floats_set1(1.33314422036e-1f));
    p = floats_fmadd(p, z, floats_set1(-3.33332819422e-1f));
    p = floats_fmadd(floats_mul(p, z), x, x);
    lane_mask near = floats_cmp(floats_abs(x), floats_set1(0.625f), _CMP_LT_OQ);
    return floats_mask_mov(far, near, p);
}

/* The activation of `f` of sixteen channels beginning with `channel`; only those in `mask` count. */
static inline floats activate(floats v, const finish *f, int64_t channel, lane_mask mask) {
    const floats zero = floats_setzero();
    switch (f->act) {
    case ACT_RELU:
        return floats_max(zero, v);
    case ACT_LEAKY:
        return floats_mask_mul(v, floats_cmp(v, zero, _CMP_LT_OQ), v, floats_set1(f->low));
    case ACT_CLAMP:
        return floats_min(floats_set1(f->high), floats_max(floats_set1(f->low), v));
    case ACT_PRELU:
        return floats_mask_mul(v, floats_cmp(v, zero, _CMP_LT_OQ), v,
                               floats_maskz_loadu(mask, f->slopes + channel));
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
static inline floats finish_vector(floats v, const finish *f, int64_t channel, floats other,
                                   lane_mask mask) {
    if (f->bias) v = floats_add(v, floats_maskz_loadu(mask, f->bias + channel));
    return activate(floats_add(v, other), f, channel, mask);
}

/* The channels of the other map at a pixel, pixels counted over all images row by row. */
static inline floats finish_other(const finish *f, int64_t pixel, int64_t channel, lane_mask mask) {
    if (!f->other.at) return floats_setzero();
    return floats_maskz_loadu(mask, f->other.at + pixel * f->other.pixel + channel);
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
