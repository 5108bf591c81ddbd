/* Powers of sixteen positive numbers. */

#ifndef CAFFE_NATIVE_POWER_H
#define CAFFE_NATIVE_POWER_H

#include "floats.h"


/* s^-3/4: the estimates of two reciprocal roots, good to 2^-13, and a step of Newton's method for
   t^-4 = s^3, which squares the error. */
static inline floats power_minus_three_quarters(floats s) {
    floats root = floats_rsqrt(s);                                          /* s^-1/2 */
    floats t = floats_mul(floats_mul(root, root), floats_rsqrt(root)); /* s^-1 s^1/4 */
    floats quarter = floats_mul(s, t);                                        /* s^1/4 */
    floats cube = floats_mul(floats_mul(quarter, quarter), quarter);
    floats error = floats_fnmadd(cube, t, floats_set1(1));
    return floats_fmadd(floats_mul(t, floats_set1(0.25f)), error, t);
}

/* log2(s) as a whole number and the rest, which keeps more digits than their sum: s = 2^whole * m with
   m in [sqrt(1/2), sqrt(2)), and the series of atanh((m - 1) / (m + 1)), whose next term is below
   2^-26 of the first. */
static inline floats log2_parts(floats s, floats *whole) {
    const floats one = floats_set1(1);
    floats m = floats_mantissa(s), e = floats_exponent(s);
    lane_mask large = floats_cmp(m, floats_set1(1.41421356f), _CMP_GE_OQ);
    m = floats_mask_mul(m, large, m, floats_set1(0.5f));
    *whole = floats_mask_add(e, large, e, one);
    floats z = floats_div(floats_sub(m, one), floats_add(m, one)), q = floats_mul(z, z);
    floats p = floats_set1(2.88539008f / 11);
    p = floats_fmadd(p, q, floats_set1(2.88539008f / 9));
    p = floats_fmadd(p, q, floats_set1(2.88539008f / 7));
    p = floats_fmadd(p, q, floats_set1(2.88539008f / 5));
    p = floats_fmadd(p, q, floats_set1(2.88539008f / 3));
    p = floats_fmadd(p, q, floats_set1(2.88539008f));
    return floats_mul(p, z);
}

/* 2^y for |y| below 126 or so. */
static inline floats power_of_two(floats y) {
    floats n = floats_round(y);
    floats r = floats_sub(y, n), p = floats_set1(1.54035304e-4f);
    p = floats_fmadd(p, r, floats_set1(1.33335581e-3f));
    p = floats_fmadd(p, r, floats_set1(9.61812911e-3f));
    p = floats_fmadd(p, r, floats_set1(5.55041087e-2f));
    p = floats_fmadd(p, r, floats_set1(2.40226507e-1f));
    p = floats_fmadd(p, r, floats_set1(6.93147181e-1f));
    p = floats_fmadd(p, r, floats_set1(1));
    return floats_scalef(p, n);
}

/* s^exponent. */
static inline floats power(floats s, float exponent) {
    floats whole, rest = log2_parts(s, &whole), by = floats_set1(exponent);
    /* exponent * whole in two parts: its product, and the product's rounding. */
    floats high = floats_mul(whole, by), low = floats_fmsub(whole, by, high);
    floats n = floats_round(high);
    floats y = floats_add(floats_sub(high, n), floats_fmadd(rest, by, low));
    return floats_scalef(power_of_two(y), n);
}

#endif
