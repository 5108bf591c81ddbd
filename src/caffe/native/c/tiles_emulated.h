/* AMX's tiles as plain memory, for tests on processors that have none.

   What the instructions do is as in Intel's manual (volume 2, TDPBF16PS and its neighbours): denormal
   numbers count and come out as zero, sums are rounded to the nearest, those of the even and of the odd
   numbers of a row apart.  Where the processor would report an undefined instruction (tiles not
   configured, or factors that do not fit each other) the process ends. */

#ifndef CAFFE_TILES_EMULATED_H
#define CAFFE_TILES_EMULATED_H

#include <stdlib.h>

enum { EMULATED_TILES = 8, EMULATED_ROWS = 16, EMULATED_PAIRS = 16 };

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} emulated_shape;

/* Weak: all files that include this share one definition. */
#define SHARED __attribute__((weak))

SHARED _Thread_local struct {
    emulated_shape shape;
    _Alignas(64) uint32_t at[EMULATED_TILES][EMULATED_ROWS][EMULATED_PAIRS];
} emulated;

static inline int emulated_rows(int i) {
    if (emulated.shape.palette != 1 || emulated.shape.bytes[i] != 64 || !emulated.shape.rows[i]) abort();
    return emulated.shape.rows[i];
}

SHARED void emulated_configure(const void *shape) {
    memset(&emulated, 0, sizeof emulated);
    memcpy(&emulated.shape, shape, sizeof emulated.shape);
}

SHARED void emulated_release(void) { memset(&emulated, 0, sizeof emulated); }

SHARED void emulated_zero(int i) {
    emulated_rows(i);
    memset(emulated.at[i], 0, sizeof emulated.at[i]);
}

SHARED void emulated_load(int i, const char *from, int64_t next) {
    int rows = emulated_rows(i);
    emulated_zero(i);
    for (int m = 0; m < rows; m++) memcpy(emulated.at[i][m], from + m * next, 64);
}

SHARED void emulated_store(int i, char *to, int64_t next) {
    for (int m = 0, rows = emulated_rows(i); m < rows; m++) memcpy(to + m * next, emulated.at[i][m], 64);
}

/* The two bfloat16 numbers of each pair, as float32. */
static inline __m512 emulated_even(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
static inline __m512 emulated_odd(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
}

SHARED void emulated_multiply_rows(int to, int a, int b) {
    for (int m = 0, rows = emulated_rows(to); m < rows; m++) {
        __m512 even = _mm512_setzero_ps(), odd = even;
        for (int k = 0; k < EMULATED_PAIRS; k++) {
            __m512i x = _mm512_set1_epi32((int)emulated.at[a][m][k]), y = _mm512_load_si512(emulated.at[b][k]);
            even = _mm512_fmadd_ps(emulated_even(x), emulated_even(y), even);
            odd = _mm512_fmadd_ps(emulated_odd(x), emulated_odd(y), odd);
        }
        __m512 sum = _mm512_load_ps(emulated.at[to][m]);
        _mm512_store_ps(emulated.at[to][m], _mm512_add_ps(sum, _mm512_add_ps(even, odd)));
    }
}

SHARED void emulated_multiply(int to, int a, int b) {
    if (emulated_rows(a) != emulated_rows(to) || emulated_rows(b) != EMULATED_PAIRS || to == a || to == b || a == b) abort();
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x9fc0); /* denormals are zeros, both ways; to the nearest; no exceptions */
    emulated_multiply_rows(to, a, b);
    _mm_setcsr(before);
}

#undef SHARED

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadd(i, from, next) emulated_load(i, (const char *)(from), next)
#define _tile_stored(i, to, next) emulated_store(i, (char *)(to), next)
#define _tile_zero(i) emulated_zero(i)
#define _tile_dpbf16ps(to, a, b) emulated_multiply(to, a, b)
#define _tile_release() emulated_release()

#endif
