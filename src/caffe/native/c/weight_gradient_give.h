/* The weights' gradient in Caffe's order, from vectors of sixteen of an output's inputs. */

#ifndef CAFFE_WEIGHT_GRADIENT_GIVE_H
#define CAFFE_WEIGHT_GRADIENT_GIVE_H

#include "finish.h"
#include "tasks.h"
#include "tiles.h"
#include "turn.h"

/* Sixteen weights of an output, of all taps: turned holds [tap][16]; `ins` of them count. */
static void give_output(const int taps, const int add, const float *turned, float *to, int64_t ins) {
    if (taps == 1) {
        __mmask16 mask = lanes(ins);
        __m512 v = _mm512_load_ps(turned);
        if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, to));
        _mm512_mask_storeu_ps(to, mask, v);
        return;
    }
    for (int tap = 0; tap < taps; tap += SIDE) {
        const __mmask16 mask = lanes(taps - tap);
        __m512 rows[SIDE];
        for (int t = 0; t < SIDE; t++)
            rows[t] = tap + t < taps ? _mm512_load_ps(turned + (tap + t) * SIDE) : _mm512_setzero_ps();
        turn(rows);
        for (int64_t i = 0; i < at_most(ins, SIDE); i++) {
            float *here = to + i * taps + tap;
            if (add) rows[i] = _mm512_add_ps(rows[i], _mm512_maskz_loadu_ps(mask, here));
            _mm512_mask_storeu_ps(here, mask, rows[i]);
        }
    }
}

#endif
