/* A float32 as the exact sum of three bfloat16, and how these lie in tiles.

   Cutting a number's lower 16 bits off leaves a bfloat16; what was cut off has 16 digits at most, is
   exact in float32 and is cut again. Of the nine products of two numbers split so the six largest are
   computed; the others are below 2^-24 of the product. */

#ifndef CAFFE_SPLITTING_H
#define CAFFE_SPLITTING_H

#include "kind.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bfloat;

enum {
    PARTS = 3,
    ROWS = 16,           /* of a tile */
    DEPTH = 32,          /* bfloat16 numbers in a row of a tile */
    TILE = ROWS * DEPTH, /* numbers of a tile */
};

#ifdef CAFFE_AMX
/* The upper 16 bits of sixteen numbers, and in `rest` what they leave. */
static inline __m256i cut(__m512 v, __m512 *rest) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i upper = _mm512_and_si512(bits, _mm512_set1_epi32((int)0xffff0000u));
    *rest = _mm512_sub_ps(v, _mm512_castsi512_ps(upper));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16));
}

/* The three parts of sixteen numbers to `to`, `to` + step, `to` + 2 step. */
static inline void split(__m512 v, bfloat *to, int64_t step) {
    for (int part = 0; part < PARTS; part++)
        _mm256_storeu_si256((__m256i *)(to + part * step), cut(v, &v));
}

/* The parts of two vectors: lane i of words[part] holds that of a[i], and above it that of b[i]. */
static inline void split_pair(__m512 a, __m512 b, __m512i words[PARTS]) {
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    for (int part = 0; part < PARTS; part++) {
        __m512i low = _mm512_castps_si512(a), high = _mm512_castps_si512(b);
        words[part] = _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_srli_epi32(low, 16), high);
        a = _mm512_sub_ps(a, _mm512_castsi512_ps(_mm512_and_si512(low, upper)));
        b = _mm512_sub_ps(b, _mm512_castsi512_ps(_mm512_and_si512(high, upper)));
    }
}
#endif

#endif
