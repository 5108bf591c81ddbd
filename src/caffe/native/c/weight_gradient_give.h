/* The weights' gradient in Caffe's order, from vectors of sixteen of an output's inputs. */

#ifndef CAFFE_WEIGHT_GRADIENT_GIVE_H
#define CAFFE_WEIGHT_GRADIENT_GIVE_H

#include "finish.h"
#include "floats.h"
#include "tasks.h"
#include "tiles.h"

/* Sixteen weights of an output, of all taps: turned holds [tap][16]; `ins` of them count. */
static void give_output(const int taps, const int add, const float *turned, float *to, int64_t ins) {
    if (taps == 1) {
        lane_mask mask = lanes(ins);
        floats v = floats_load(turned);
        if (add) v = floats_add(v, floats_maskz_loadu(mask, to));
        floats_mask_storeu(to, mask, v);
        return;
    }
    for (int tap = 0; tap < taps; tap += SIDE) {
        const lane_mask mask = lanes(taps - tap);
        floats rows[SIDE];
        for (int t = 0; t < SIDE; t++)
            rows[t] = tap + t < taps ? floats_load(turned + (tap + t) * SIDE) : floats_setzero();
        turn(rows);
        for (int64_t i = 0; i < at_most(ins, SIDE); i++) {
            float *here = to + i * taps + tap;
            if (add) rows[i] = floats_add(rows[i], floats_maskz_loadu(mask, here));
            floats_mask_storeu(here, mask, rows[i]);
        }
    }
}

#endif
