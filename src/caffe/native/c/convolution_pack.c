/* The weights of a convolution, in the order in which the products read them. */

#include "convolution.h"
#include "tiles.h"

void convolution_pack(const convolution *o, const float *weights, int64_t group, int64_t tile,
                      int64_t first, int64_t count, char *to) {
    int64_t inputs = o->in_channels / o->joined, outputs = o->out_channels / o->joined;
    const float *from = weights + group * o->out_channels * inputs * o->taps;
    int32_t row[SIDE];
    __mmask16 of_group[STEP] = {0}; /* the outputs of each of the groups that are joined */
    for (int64_t i = 0; i < SIDE; i++) {
        int64_t n = tile * SIDE + i;
        row[i] = 0;
        if (n >= o->out_channels) continue;
        row[i] = (int32_t)(n / outputs * outputs * inputs * o->taps + n % outputs * o->weights_row);
        of_group[n / outputs] |= (__mmask16)(1u << i);
    }
    __m512i rows = _mm512_loadu_si512(row);
    const __m512 zero = _mm512_setzero_ps();
    for (int64_t s = first; s < first + count; s++, to += WEIGHT_BYTES) {
        const int32_t *places = o->places + s * STEP, *groups = o->group_of + s * STEP;
        for (int j = 0; j < SIDE; j++) {
            int32_t p0 = places[j], p1 = places[j + SIDE];
            __m512 v0 = zero, v1 = zero;
            if (p0 >= 0) v0 = _mm512_mask_i32gather_ps(zero, of_group[groups[j]], rows, from + p0, 4);
            if (p1 >= 0)
                v1 = _mm512_mask_i32gather_ps(zero, of_group[groups[j + SIDE]], rows, from + p1, 4);
            split_vectors(v0, v1, to + j * 64, WEIGHT_PART);
        }
    }
}

void convolution_turn(convolution *o) {
    for (int64_t i = 0; i < o->steps * STEP; i++) {
        int64_t place = o->places[i];
        if (place < 0) continue;
        int64_t output = place / o->taps, tap = place % o->taps;
        o->places[i] = (int32_t)(output * (o->out_channels / o->joined) * o->taps + o->taps - 1 - tap);
    }
    o->weights_row = o->taps;
}
