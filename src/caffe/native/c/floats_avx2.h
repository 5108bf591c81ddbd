/* The vectors of floats.h as two registers of AVX2.

   A mask is turned into one of registers where it is used: compilers move that out of loops.  Storing
   with such a mask is slow on some processors, so that whole vectors are stored without. */

#define FLOATS static inline __attribute__((always_inline))

typedef struct {
    __m256 low, high;
} floats;
typedef struct {
    __m256i low, high;
} ints;
typedef struct {
    __m256d low, high;
} doubles;
typedef uint16_t lane_mask;

/* A block of products in registers: so many rows by a vector; of sixteen registers four are left. */
#define BLOCK_ROWS 6
#define BLOCK_WIDE 1
#define FOR_BLOCK_ROWS(of) of(1) of(2) of(3) of(4) of(5) of(6)

/* A register whose lane i is ones where bit `first` + i of the mask is set. */
FLOATS __m256i half_mask(lane_mask mask, const int first) {
    const __m256i bits = _mm256_slli_epi32(_mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), first);
    return _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask), bits), bits);
}
FLOATS __m256i low_mask(lane_mask mask) { return half_mask(mask, 0); }
FLOATS __m256i high_mask(lane_mask mask) { return half_mask(mask, 8); }
FLOATS __m256 half_choice(__m256 no, __m256i mask, __m256 yes) {
    return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
}
FLOATS lane_mask joined_masks(__m256 low, __m256 high) {
    return (lane_mask)(_mm256_movemask_ps(low) | _mm256_movemask_ps(high) << 8);
}
FLOATS lane_mask joined_int_masks(__m256i low, __m256i high) {
    return joined_masks(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high));
}

#define OF_TWO(name, of) \
    FLOATS floats floats_##name(floats a, floats b) { return (floats){of(a.low, b.low), of(a.high, b.high)}; }
#define OF_THREE(name, of)                                                      \
    FLOATS floats floats_##name(floats a, floats b, floats c) {                 \
        return (floats){of(a.low, b.low, c.low), of(a.high, b.high, c.high)};   \
    }
OF_TWO(add, _mm256_add_ps)
OF_TWO(sub, _mm256_sub_ps)
OF_TWO(mul, _mm256_mul_ps)
OF_TWO(div, _mm256_div_ps)
OF_TWO(min, _mm256_min_ps)
OF_TWO(max, _mm256_max_ps)
OF_THREE(fmadd, _mm256_fmadd_ps)
OF_THREE(fnmadd, _mm256_fnmadd_ps)
OF_THREE(fmsub, _mm256_fmsub_ps)
#undef OF_TWO
#undef OF_THREE

FLOATS floats floats_setzero(void) { return (floats){_mm256_setzero_ps(), _mm256_setzero_ps()}; }
FLOATS floats floats_set1(float a) { return (floats){_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
FLOATS floats floats_sqrt(floats v) { return (floats){_mm256_sqrt_ps(v.low), _mm256_sqrt_ps(v.high)}; }
FLOATS floats floats_rsqrt(floats v) { return floats_div(floats_set1(1), floats_sqrt(v)); }
FLOATS floats floats_abs(floats v) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return (floats){_mm256_andnot_ps(sign, v.low), _mm256_andnot_ps(sign, v.high)};
}
FLOATS floats floats_round(floats v) {
    return (floats){_mm256_round_ps(v.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                    _mm256_round_ps(v.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
FLOATS ints floats_bits(floats v) { return (ints){_mm256_castps_si256(v.low), _mm256_castps_si256(v.high)}; }

/* Memory. */

FLOATS floats floats_load(const float *from) {
    return (floats){_mm256_load_ps(from), _mm256_load_ps(from + 8)};
}
FLOATS floats floats_loadu(const float *from) {
    return (floats){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
FLOATS floats floats_maskz_loadu(lane_mask mask, const float *from) {
    if (__builtin_constant_p(mask) && mask == 0xffff) return floats_loadu(from);
    return (floats){_mm256_maskload_ps(from, low_mask(mask)), _mm256_maskload_ps(from + 8, high_mask(mask))};
}
FLOATS floats floats_maskz_load(lane_mask mask, const float *from) { return floats_maskz_loadu(mask, from); }
FLOATS void floats_store(void *to, floats v) {
    float *at = to;
    _mm256_store_ps(at, v.low), _mm256_store_ps(at + 8, v.high);
}
FLOATS void floats_storeu(float *to, floats v) {
    _mm256_storeu_ps(to, v.low), _mm256_storeu_ps(to + 8, v.high);
}
FLOATS void floats_stream(float *to, floats v) {
    _mm256_stream_ps(to, v.low), _mm256_stream_ps(to + 8, v.high);
}
FLOATS void floats_mask_storeu(float *to, lane_mask mask, floats v) {
    if (mask == 0xffff) {
        floats_storeu(to, v);
    } else {
        if ((mask & 0xff) == 0xff)
            _mm256_storeu_ps(to, v.low);
        else
            _mm256_maskstore_ps(to, low_mask(mask), v.low);
        if (mask >> 8) _mm256_maskstore_ps(to + 8, high_mask(mask), v.high);
    }
}

/* Masks. */

FLOATS floats floats_mask_mov(floats no, lane_mask mask, floats yes) {
    return (floats){half_choice(no.low, low_mask(mask), yes.low), half_choice(no.high, high_mask(mask), yes.high)};
}
FLOATS floats floats_maskz_mov(lane_mask mask, floats v) {
    return (floats){_mm256_and_ps(_mm256_castsi256_ps(low_mask(mask)), v.low),
                    _mm256_and_ps(_mm256_castsi256_ps(high_mask(mask)), v.high)};
}
FLOATS floats floats_mask_loadu(floats no, lane_mask mask, const float *from) {
    return floats_mask_mov(no, mask, floats_maskz_loadu(mask, from));
}
FLOATS floats floats_mask_add(floats no, lane_mask mask, floats a, floats b) {
    return floats_mask_mov(no, mask, floats_add(a, b));
}
FLOATS floats floats_mask_mul(floats no, lane_mask mask, floats a, floats b) {
    return floats_mask_mov(no, mask, floats_mul(a, b));
}
FLOATS floats floats_mask_max(floats no, lane_mask mask, floats a, floats b) {
    return floats_mask_mov(no, mask, floats_max(a, b));
}
FLOATS floats floats_mask3_fmadd(floats a, floats b, floats no, lane_mask mask) {
    return floats_mask_mov(no, mask, floats_fmadd(a, b, no));
}
/* Macros: clang takes constants only where intrinsics ask for them. */
#define floats_cmp(a, b, how)                                                                      \
    __extension__({                                                                                \
        const floats of_a = (a), of_b = (b);                                                       \
        joined_masks(_mm256_cmp_ps(of_a.low, of_b.low, how), _mm256_cmp_ps(of_a.high, of_b.high, how)); \
    })
#define floats_mask_cmp(mask, a, b, how) ((lane_mask)((mask) & floats_cmp(a, b, how)))

/* Lanes. */

#define floats_permute(v, which)                                                                   \
    __extension__({                                                                                \
        const floats of_v = (v);                                                                   \
        (floats){_mm256_permute_ps(of_v.low, which), _mm256_permute_ps(of_v.high, which)};         \
    })

/* Of sixteen numbers those that `at` says: the fourth bit chooses a register. */
FLOATS __m256 half_permuted(__m256i at, floats v) {
    return half_choice(_mm256_permutevar8x32_ps(v.low, at), _mm256_slli_epi32(at, 28),
                       _mm256_permutevar8x32_ps(v.high, at));
}
FLOATS floats floats_permutexvar(ints at, floats v) {
    return (floats){half_permuted(at.low, v), half_permuted(at.high, v)};
}
FLOATS floats floats_mask_permutexvar(floats no, lane_mask mask, ints at, floats v) {
    return floats_mask_mov(no, mask, floats_permutexvar(at, v));
}

/* Number i of the lower eight in the lower lanes, of the upper eight in the upper ones. */
FLOATS floats floats_of_eights(floats v, int i) {
    const __m256i at = _mm256_set1_epi32(i);
    return (floats){_mm256_permutevar8x32_ps(v.low, at), _mm256_permutevar8x32_ps(v.high, at)};
}

/* Numbers 0, 2 ... 30 of two vectors. */
FLOATS __m256 half_even(floats v) {
    __m256 even = _mm256_shuffle_ps(v.low, v.high, _MM_SHUFFLE(2, 0, 2, 0));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(even), _MM_SHUFFLE(3, 1, 2, 0)));
}
FLOATS floats floats_even(floats a, floats b) { return (floats){half_even(a), half_even(b)}; }

/* The sums of the lanes, and the largest: halves meet until one number is left. */
FLOATS __m128 halves_added(__m256 v) {
    return _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
}
FLOATS float floats_reduce_add(floats v) {
    __m128 four = halves_added(_mm256_add_ps(v.low, v.high));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
FLOATS float floats_reduce_max(floats v) {
    __m256 eight = _mm256_max_ps(v.low, v.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

/* Whole numbers. */

FLOATS ints ints_set1(int a) { return (ints){_mm256_set1_epi32(a), _mm256_set1_epi32(a)}; }
#define ints_setr(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    ((ints){_mm256_setr_epi32(a, b, c, d, e, f, g, h), _mm256_setr_epi32(i, j, k, l, m, n, o, p)})
FLOATS ints ints_loadu(const void *from) {
    const __m256i *at = from;
    return (ints){_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)};
}
FLOATS ints ints_load(const void *from) { return ints_loadu(from); }
FLOATS ints ints_maskz_loadu(lane_mask mask, const int *from) {
    return (ints){_mm256_maskload_epi32(from, low_mask(mask)), _mm256_maskload_epi32(from + 8, high_mask(mask))};
}
FLOATS void ints_mask_storeu(int *to, lane_mask mask, ints v) {
    floats bits = {_mm256_castsi256_ps(v.low), _mm256_castsi256_ps(v.high)};
    floats_mask_storeu((float *)(void *)to, mask, bits);
}
FLOATS ints ints_mask_mov(ints no, lane_mask mask, ints yes) {
    return (ints){_mm256_blendv_epi8(no.low, yes.low, low_mask(mask)),
                  _mm256_blendv_epi8(no.high, yes.high, high_mask(mask))};
}
FLOATS ints ints_add(ints a, ints b) {
    return (ints){_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
FLOATS ints ints_mullo(ints a, ints b) {
    return (ints){_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
FLOATS ints ints_and(ints a, ints b) {
    return (ints){_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
FLOATS lane_mask ints_cmpeq(ints a, ints b) {
    return joined_int_masks(_mm256_cmpeq_epi32(a.low, b.low), _mm256_cmpeq_epi32(a.high, b.high));
}
FLOATS lane_mask ints_mask_cmpeq(lane_mask mask, ints a, ints b) { return mask & ints_cmpeq(a, b); }

/* Where a is below b, both without a sign: where the larger of both is not a. */
FLOATS lane_mask ints_cmplt_unsigned(ints a, ints b) {
    ints larger = {_mm256_max_epu32(a.low, b.low), _mm256_max_epu32(a.high, b.high)};
    return (lane_mask)~ints_cmpeq(larger, a);
}

/* from[places[i]] in lane i, zeros where the mask has none. */
FLOATS floats floats_gather(lane_mask mask, ints places, const float *from) {
    const __m256 zero = _mm256_setzero_ps();
    __m256 low = _mm256_castsi256_ps(low_mask(mask)), high = _mm256_castsi256_ps(high_mask(mask));
    return (floats){_mm256_mask_i32gather_ps(zero, from, places.low, low, 4),
                    _mm256_mask_i32gather_ps(zero, from, places.high, high, 4)};
}
FLOATS void floats_scatter(float *to, lane_mask mask, ints places, floats v) {
    float of[16];
    int32_t at[16];
    floats_storeu(of, v);
    _mm256_storeu_si256((__m256i *)at, places.low), _mm256_storeu_si256((__m256i *)(at + 8), places.high);
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) to[at[i]] = of[i];
}

/* Exponents. */

/* p 2^n for a whole n.  By two factors: one alone would leave float32's range before the result does. */
FLOATS __m256 half_scaled(__m256 p, __m256 n) {
    n = _mm256_min_ps(_mm256_set1_ps(254), _mm256_max_ps(_mm256_set1_ps(-252), n));
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}
FLOATS floats floats_scalef(floats p, floats n) {
    return (floats){half_scaled(p.low, n.low), half_scaled(p.high, n.high)};
}

/* v with float32's usual exponents: denormal numbers times 2^24. */
FLOATS __m256 half_normal(__m256 v, __m256 *denormal) {
    __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
    *denormal = _mm256_cmp_ps(size, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ);
    return _mm256_blendv_ps(v, _mm256_mul_ps(v, _mm256_set1_ps(0x1p24f)), *denormal);
}

/* -infinity for 0; for what is not finite no number. */
FLOATS __m256 half_exponent(__m256 v) {
    __m256 denormal, normal = half_normal(v, &denormal);
    __m256i bits = _mm256_and_si256(_mm256_srli_epi32(_mm256_castps_si256(normal), 23), _mm256_set1_epi32(255));
    __m256 e = _mm256_sub_ps(_mm256_cvtepi32_ps(bits), _mm256_set1_ps(127));
    e = _mm256_sub_ps(e, _mm256_and_ps(denormal, _mm256_set1_ps(24)));
    __m256 nothing = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_EQ_OQ);
    e = _mm256_blendv_ps(e, _mm256_set1_ps(-__builtin_inff()), nothing);
    return _mm256_add_ps(e, _mm256_sub_ps(v, v));
}
FLOATS floats floats_exponent(floats v) { return (floats){half_exponent(v.low), half_exponent(v.high)}; }

/* m of v = 2^floats_exponent(v) * m, in [1, 2). */
FLOATS __m256 half_mantissa(__m256 v) {
    __m256 denormal, normal = half_normal(v, &denormal);
    normal = _mm256_and_ps(normal, _mm256_castsi256_ps(_mm256_set1_epi32((int)0x807fffff)));
    return _mm256_or_ps(normal, _mm256_set1_ps(1));
}
FLOATS floats floats_mantissa(floats v) { return (floats){half_mantissa(v.low), half_mantissa(v.high)}; }

/* Doubles. */

FLOATS doubles doubles_setzero(void) { return (doubles){_mm256_setzero_pd(), _mm256_setzero_pd()}; }
FLOATS doubles doubles_loadu(const double *from) {
    return (doubles){_mm256_loadu_pd(from), _mm256_loadu_pd(from + 4)};
}
FLOATS void doubles_storeu(double *to, doubles v) {
    _mm256_storeu_pd(to, v.low), _mm256_storeu_pd(to + 4, v.high);
}
FLOATS doubles doubles_add(doubles a, doubles b) {
    return (doubles){_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)};
}
FLOATS doubles doubles_sub(doubles a, doubles b) {
    return (doubles){_mm256_sub_pd(a.low, b.low), _mm256_sub_pd(a.high, b.high)};
}
FLOATS doubles doubles_fmadd(doubles a, doubles b, doubles c) {
    return (doubles){_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
FLOATS double doubles_reduce_add(doubles v) {
    __m256d four = _mm256_add_pd(v.low, v.high);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Eight numbers as doubles: of memory, or a vector's first or last. */
FLOATS doubles half_doubles(__m256 v) {
    return (doubles){_mm256_cvtps_pd(_mm256_castps256_ps128(v)), _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))};
}
FLOATS doubles doubles_of(const float *from) { return half_doubles(_mm256_loadu_ps(from)); }
FLOATS doubles floats_lower(floats v) { return half_doubles(v.low); }
FLOATS doubles floats_upper(floats v) { return half_doubles(v.high); }

/* Eight rows of eight numbers, transposed. */
FLOATS void turn_eight(__m256 r[8]) {
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < 8; i++) r[i] = t[i];
}

/* Sixteen rows of sixteen numbers, transposed. */
static inline void turn(floats r[16]) {
    __m256 a[8], b[8], c[8], d[8];
    for (int i = 0; i < 8; i++) a[i] = r[i].low, b[i] = r[i].high;
    turn_eight(a), turn_eight(b);
    for (int i = 0; i < 8; i++) c[i] = r[i + 8].low, d[i] = r[i + 8].high;
    turn_eight(c), turn_eight(d);
    for (int i = 0; i < 8; i++) r[i] = (floats){a[i], c[i]}, r[i + 8] = (floats){b[i], d[i]};
}

#undef FLOATS
