/* The vectors of floats.h as AVX-512 has them. */

typedef __m512 floats;
typedef __m512i ints;
typedef __m512d doubles;
typedef __mmask16 lane_mask;

/* A block of products in registers: so many rows by so many vectors; four registers are left. */
#define BLOCK_ROWS 14
#define BLOCK_WIDE 2
#define FOR_BLOCK_ROWS(of) \
    of(1) of(2) of(3) of(4) of(5) of(6) of(7) of(8) of(9) of(10) of(11) of(12) of(13) of(14)

#define floats_setzero _mm512_setzero_ps
#define floats_set1 _mm512_set1_ps
#define floats_load _mm512_load_ps
#define floats_loadu _mm512_loadu_ps
#define floats_maskz_load _mm512_maskz_load_ps
#define floats_maskz_loadu _mm512_maskz_loadu_ps
#define floats_mask_loadu _mm512_mask_loadu_ps
#define floats_store _mm512_store_ps
#define floats_storeu _mm512_storeu_ps
#define floats_mask_storeu _mm512_mask_storeu_ps
#define floats_stream _mm512_stream_ps
#define floats_add _mm512_add_ps
#define floats_sub _mm512_sub_ps
#define floats_mul _mm512_mul_ps
#define floats_div _mm512_div_ps
#define floats_min _mm512_min_ps
#define floats_max _mm512_max_ps
#define floats_sqrt _mm512_sqrt_ps
#define floats_abs _mm512_abs_ps
#define floats_fmadd _mm512_fmadd_ps
#define floats_fnmadd _mm512_fnmadd_ps
#define floats_fmsub _mm512_fmsub_ps
#define floats_mask3_fmadd _mm512_mask3_fmadd_ps
#define floats_mask_add _mm512_mask_add_ps
#define floats_mask_mul _mm512_mask_mul_ps
#define floats_mask_max _mm512_mask_max_ps
#define floats_mask_mov _mm512_mask_mov_ps
#define floats_maskz_mov _mm512_maskz_mov_ps
#define floats_cmp _mm512_cmp_ps_mask
#define floats_mask_cmp _mm512_mask_cmp_ps_mask
#define floats_permute _mm512_permute_ps
#define floats_permutexvar _mm512_permutexvar_ps
#define floats_mask_permutexvar _mm512_mask_permutexvar_ps
#define floats_scalef _mm512_scalef_ps
#define floats_exponent _mm512_getexp_ps
#define floats_reduce_add _mm512_reduce_add_ps
#define floats_reduce_max _mm512_reduce_max_ps
#define floats_bits _mm512_castps_si512

#define ints_set1 _mm512_set1_epi32
#define ints_setr _mm512_setr_epi32
#define ints_load _mm512_load_si512
#define ints_loadu _mm512_loadu_si512
#define ints_maskz_loadu _mm512_maskz_loadu_epi32
#define ints_mask_storeu _mm512_mask_storeu_epi32
#define ints_mask_mov _mm512_mask_mov_epi32
#define ints_add _mm512_add_epi32
#define ints_mullo _mm512_mullo_epi32
#define ints_and _mm512_and_si512
#define ints_cmpeq _mm512_cmpeq_epi32_mask
#define ints_mask_cmpeq _mm512_mask_cmpeq_epi32_mask
#define ints_cmplt_unsigned _mm512_cmplt_epu32_mask

#define doubles_setzero _mm512_setzero_pd
#define doubles_loadu _mm512_loadu_pd
#define doubles_storeu _mm512_storeu_pd
#define doubles_add _mm512_add_pd
#define doubles_sub _mm512_sub_pd
#define doubles_fmadd _mm512_fmadd_pd
#define doubles_reduce_add _mm512_reduce_add_pd

#define FLOATS static inline __attribute__((always_inline))

/* To the nearest whole numbers. */
FLOATS floats floats_round(floats v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* m of v = 2^floats_exponent(v) * m, in [1, 2). */
FLOATS floats floats_mantissa(floats v) {
    return _mm512_getmant_ps(v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

/* 1 / sqrt(v), to 2^-14. */
FLOATS floats floats_rsqrt(floats v) { return _mm512_rsqrt14_ps(v); }

/* from[places[i]] in lane i, zeros where the mask has none. */
FLOATS floats floats_gather(lane_mask mask, ints places, const float *from) {
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), mask, places, from, 4);
}

FLOATS void floats_scatter(float *to, lane_mask mask, ints places, floats v) {
    _mm512_mask_i32scatter_ps(to, mask, places, v, 4);
}

/* Number i of the lower eight in the lower lanes, of the upper eight in the upper ones. */
FLOATS floats floats_of_eights(floats v, int i) {
    const __m512i lane = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8);
    return _mm512_permutexvar_ps(_mm512_add_epi32(lane, _mm512_set1_epi32(i)), v);
}

/* Numbers 0, 2 ... 30 of two vectors. */
FLOATS floats floats_even(floats a, floats b) {
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, even, b);
}

/* Eight numbers as doubles: of memory, or a vector's first or last. */
FLOATS doubles doubles_of(const float *from) { return _mm512_cvtps_pd(_mm256_loadu_ps(from)); }
FLOATS doubles floats_lower(floats v) { return _mm512_cvtps_pd(_mm512_castps512_ps256(v)); }
FLOATS doubles floats_upper(floats v) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1)); }

/* Sixteen rows of sixteen numbers, transposed. */
static inline void turn(floats r[16]) {
    floats t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i]), _mm512_castps_pd(t[i + 2])));
        r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
        r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(t[i + 1]), _mm512_castps_pd(t[i + 3])));
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#undef FLOATS
