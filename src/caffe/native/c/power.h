/* Powers of sixteen positive numbers. */

#ifndef CAFFE_NATIVE_POWER_H
#define CAFFE_NATIVE_POWER_H

#include <immintrin.h>

/* s^-3/4: the estimates of two reciprocal roots, good to 2^-13, and a step of Newton's method for
   t^-4 = s^3, which squares the error. */
static inline __m512 power_minus_three_quarters(__m512 s) {
    __m512 root = _mm512_rsqrt14_ps(s);                                          /* s^-1/2 */
    __m512 t = _mm512_mul_ps(_mm512_mul_ps(root, root), _mm512_rsqrt14_ps(root)); /* s^-1 s^1/4 */
    __m512 quarter = _mm512_mul_ps(s, t);                                        /* s^1/4 */
    __m512 cube = _mm512_mul_ps(_mm512_mul_ps(quarter, quarter), quarter);
    __m512 error = _mm512_fnmadd_ps(cube, t, _mm512_set1_ps(1));
    return _mm512_fmadd_ps(_mm512_mul_ps(t, _mm512_set1_ps(0.25f)), error, t);
}

/* log2(s) as a whole number and the rest, which keeps more digits than their sum: s = 2^whole * m with
   m in [sqrt(1/2), sqrt(2)), and the series of atanh((m - 1) / (m + 1)), whose next term is below
   2^-26 of the first. */
static inline __m512 log2_parts(__m512 s, __m512 *whole) {
    const __m512 one = _mm512_set1_ps(1);
    __m512 m = _mm512_getmant_ps(s, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), e = _mm512_getexp_ps(s);
    __mmask16 large = _mm512_cmp_ps_mask(m, _mm512_set1_ps(1.41421356f), _CMP_GE_OQ);
    m = _mm512_mask_mul_ps(m, large, m, _mm512_set1_ps(0.5f));
    *whole = _mm512_mask_add_ps(e, large, e, one);
    __m512 z = _mm512_div_ps(_mm512_sub_ps(m, one), _mm512_add_ps(m, one)), q = _mm512_mul_ps(z, z);
    __m512 p = _mm512_set1_ps(2.88539008f / 11);
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.88539008f / 9));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.88539008f / 7));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.88539008f / 5));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.88539008f / 3));
    p = _mm512_fmadd_ps(p, q, _mm512_set1_ps(2.88539008f));
    return _mm512_mul_ps(p, z);
}

/* 2^y for |y| below 126 or so. */
static inline __m512 power_of_two(__m512 y) {
    __m512 n = _mm512_roundscale_ps(y, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_sub_ps(y, n), p = _mm512_set1_ps(1.54035304e-4f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.33335581e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.61812911e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.55041087e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.40226507e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.93147181e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    return _mm512_scalef_ps(p, n);
}

/* s^exponent. */
static inline __m512 power(__m512 s, float exponent) {
    __m512 whole, rest = log2_parts(s, &whole), by = _mm512_set1_ps(exponent);
    /* exponent * whole in two parts: its product, and the product's rounding. */
    __m512 high = _mm512_mul_ps(whole, by), low = _mm512_fmsub_ps(whole, by, high);
    __m512 n = _mm512_roundscale_ps(high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 y = _mm512_add_ps(_mm512_sub_ps(high, n), _mm512_fmadd_ps(rest, by, low));
    return _mm512_scalef_ps(power_of_two(y), n);
}

#endif
