/* Winograd's weights from Caffe's, packed as winograd_vectors.h reads them: for training, where each run has
   others. */

#ifndef CAFFE_WINOGRAD_WEIGHTS_H
#define CAFFE_WINOGRAD_WEIGHTS_H

/* The weights of a channel for sixteen outputs as F(4,3) and F(2,3) take them, G4 g G2' of
   caffe/kernels/winograd.py. */
ALWAYS void weights_in(const floats g[9], floats to[PLACES]) {
    const floats half = floats_set1(0.5f);
    for (int j = 0; j < 4; j++) {
        floats t[3];
        for (int i = 0; i < 3; i++) {
            const floats *row = g + 3 * i;
            floats ends = floats_mul(half, floats_add(row[0], row[2]));
            t[i] = j == 0   ? row[0]
                   : j == 1 ? floats_fmadd(half, row[1], ends)
                   : j == 2 ? floats_fnmadd(half, row[1], ends)
                            : row[2];
        }
        floats near = floats_mul(floats_set1(-1 / 6.0f), floats_add(t[0], t[2]));
        floats far = floats_fmadd(floats_set1(1 / 24.0f), t[0],
                                  floats_mul(floats_set1(1 / 6.0f), t[2]));
        to[j] = floats_mul(floats_set1(0.25f), t[0]);
        to[4 + j] = floats_fnmadd(floats_set1(1 / 6.0f), t[1], near);
        to[8 + j] = floats_fmadd(floats_set1(1 / 6.0f), t[1], near);
        to[12 + j] = floats_fmadd(floats_set1(1 / 12.0f), t[1], far);
        to[16 + j] = floats_fnmadd(floats_set1(1 / 12.0f), t[1], far);
        to[20 + j] = t[2];
    }
}

/* The taps of channels c to c + 15 for outputs n to n + 15: vectors [channel][tap]. Zeros beyond. */
static void read_taps(const winograd *o, int64_t n, int64_t c, floats taps[LANES * 9]) {
    const float *at = o->taps + (n * o->channels + c) * 9;
    int64_t left = (o->channels - c) * 9;
    for (int64_t k = 0; k < 9; k++) {
        floats *rows = taps + k * LANES;
        for (int64_t i = 0; i < LANES; i++)
            rows[i] = floats_maskz_loadu(n + i < o->outputs ? lanes(at_least(left - k * LANES, 0)) : 0,
                                         at + i * o->channels * 9 + k * LANES);
        turn(rows);
    }
}

/* The same of the transpose: its outputs are what the weights call inputs, and the kernel is read from its
   end. */
static void read_turned(const winograd *o, int64_t n, int64_t c, floats taps[LANES * 9]) {
    for (int64_t k = 0; k < LANES; k++) {
        const float *at = o->taps + ((c + k) * o->outputs + n) * 9;
        int64_t count = c + k < o->channels ? o->outputs - n : 0;
        floats rows[LANES];
        for (int64_t i = 0; i < LANES; i++)
            rows[i] = floats_maskz_loadu(i < count ? 0x1ff : 0, at + i * 9);
        turn(rows);
        for (int i = 0; i < 9; i++) taps[k * 9 + i] = rows[8 - i];
    }
}

/* Packs those of sixteen outputs and channels to where they belong in a panel. */
static void pack_tile(const winograd *o, int64_t n, int64_t c, float *panel) {
    floats taps[LANES * 9];
    if (o->turned)
        read_turned(o, n, c, taps);
    else
        read_taps(o, n, c, taps);
    float *at = panel + within_panel(o, n) + c * LANES;
    for (int k = 0; k < LANES; k++, at += LANES) {
        floats u[PLACES];
        weights_in(taps + k * 9, u);
        for (int p = 0; p < PLACES; p++) floats_store(at + p * place_floats(o), u[p]);
    }
}

/* Packs a panel. */
static void pack_panel(const winograd *o, int64_t n, float *panel) {
    for (int64_t end = at_most(n + WIDE, o->outputs); n < end; n += LANES)
        for (int64_t c = 0; c < o->depth; c += LANES) pack_tile(o, n, c, panel);
}

/* Packs all with all threads. */
static void pack_panels(const winograd *o, worker *w) {
    int64_t steps = o->depth / LANES, tasks = steps * divide_up(o->outputs, LANES);
    for (int64_t from, to; tasks_next(w, tasks, &from, &to);)
        for (int64_t i = from; i < to; i++) {
            int64_t n = i / steps * LANES;
            pack_tile(o, n, i % steps * LANES, panel_of(o, n));
        }
}

#endif
