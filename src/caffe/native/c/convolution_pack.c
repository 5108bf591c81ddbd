/* The weights of a convolution, in the order in which the products read them. */

#include "convolution.h"
#include "tiles.h"

void convolution_pack(const convolution *o, const float *weights, int64_t group, int64_t tile,
                      int64_t first, int64_t count, char *to) {
    int64_t size = o->weights_row;
    const float *from = weights + group * o->out_channels * o->in_channels * o->taps + tile * SIDE * size;
    __mmask16 have = lanes(o->out_channels - tile * SIDE);
    const __m512i each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i rows = _mm512_mullo_epi32(each, _mm512_set1_epi32((int)size));
    const __m512 zero = _mm512_setzero_ps();
    for (int64_t s = first; s < first + count; s++, to += WEIGHT_BYTES) {
        const int32_t *places = o->places + s * STEP;
        for (int j = 0; j < SIDE; j++) {
            int32_t p0 = places[j], p1 = places[j + SIDE];
            __m512 v0 = zero, v1 = zero;
            if (p0 >= 0) v0 = _mm512_mask_i32gather_ps(zero, have, rows, from + p0, 4);
            if (p1 >= 0) v1 = _mm512_mask_i32gather_ps(zero, have, rows, from + p1, 4);
            split_vectors(v0, v1, to + j * 64, WEIGHT_PART);
        }
    }
}

void convolution_turn(convolution *o) {
    for (int64_t i = 0; i < o->steps * STEP; i++) {
        int64_t place = o->places[i];
        if (place < 0) continue;
        int64_t output = place / o->taps, tap = place % o->taps;
        o->places[i] = (int32_t)(output * o->out_channels * o->taps + o->taps - 1 - tap);
    }
    o->weights_row = o->taps;
}
