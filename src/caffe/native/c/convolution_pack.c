/* The weights of a convolution, in the order in which the products read them. */

#include "convolution.h"
#include "floats.h"
#include "tasks.h"
#include "tiles.h"

enum { MOST_COLUMNS = 8192 }; /* 512 KB: they stay in a core's second cache */

void convolution_pack(const convolution *o, const float *weights, int64_t group, int64_t tile,
                      int64_t first, int64_t count, char *to) {
    int64_t inputs = o->in_channels / o->joined, outputs = o->out_channels / o->joined;
    const float *from = weights + group * o->out_channels * inputs * o->taps;
    int32_t row[SIDE];
    lane_mask of_group[STEP] = {0}; /* the outputs of each of the groups that are joined */
    for (int64_t i = 0; i < SIDE; i++) {
        int64_t n = tile * SIDE + i;
        row[i] = 0;
        if (n >= o->out_channels) continue;
        row[i] = (int32_t)(n / outputs * outputs * inputs * o->taps + n % outputs * o->weights_row);
        of_group[n / outputs] |= (lane_mask)(1u << i);
    }
    ints rows = ints_loadu(row);
    const floats zero = floats_setzero();
    for (int64_t s = first; s < first + count; s++, to += WEIGHT_BYTES) {
        const int32_t *places = o->places + s * STEP, *groups = o->group_of + s * STEP;
        for (int j = 0; j < SIDE; j++) {
            floats v[STEP / SIDE];
            for (int k = j; k < STEP; k += SIDE) {
                v[k / SIDE] = zero;
                if (places[k] >= 0)
                    v[k / SIDE] = floats_gather(of_group[groups[k]], rows, from + places[k]);
            }
            write_weights(v, j, to);
        }
    }
}

/* `row` numbers of each of 16 outputs, which follow each other, as columns of 16, `next` floats apart. */
static void turn_rows(const float *from, int64_t row, int64_t outputs, float *to, int64_t next) {
    floats r[SIDE];
    for (int64_t p = 0; p < row; p += SIDE) {
        lane_mask mask = lanes(row - p);
        for (int64_t i = 0; i < SIDE; i++)
            r[i] = floats_maskz_loadu(i < outputs ? mask : 0, from + i * row + p);
        turn(r);
        for (int64_t k = 0; k < at_most(SIDE, row - p); k++)
            floats_store(to + (p + k) * next, r[k]);
    }
}

/* The weights of 16 outputs as columns: each 16 numbers that a step wants together. */
static void lay_columns(const convolution *o, const float *from, int64_t outputs, float *columns) {
    turn_rows(from, o->weights_row, outputs, columns, SIDE);
}

/* The same of a transpose: 16 outputs lie side by side, `taps` numbers each, for each input; the kernel
   is read from its end. */
static void lay_turned_columns(const convolution *o, const float *from, int64_t outputs,
                               float *columns) {
    const int64_t taps = o->taps, next = o->out_channels * taps;
    for (int64_t c = 0; c < o->in_channels; c++, from += next, columns += taps * SIDE)
        turn_rows(from, taps, outputs, columns + (taps - 1) * SIDE, -SIDE);
}

size_t convolution_columns_bytes(const convolution *o) {
    int64_t count = o->in_channels * o->taps;
    return o->joined > 1 || count > MOST_COLUMNS ? 0 : (size_t)(count * SIDE) * sizeof(float);
}

void convolution_pack_columns(const convolution *o, const float *weights, int64_t group, int64_t tile,
                              char *to, float *columns) {
    const float *from = weights + group * o->out_channels * o->in_channels * o->taps;
    int64_t outputs = at_most(SIDE, o->out_channels - tile * SIDE);
    from += tile * SIDE * o->weights_row;
    const floats zero = floats_setzero();
    if (o->turned && o->taps == 1) { /* they lie so already */
        const lane_mask mask = lanes(outputs);
        for (int64_t s = 0; s < o->steps; s++, to += WEIGHT_BYTES)
            for (int j = 0; j < SIDE; j++) {
                floats v[STEP / SIDE];
                for (int k = j; k < STEP; k += SIDE) {
                    int32_t place = o->places[s * STEP + k];
                    v[k / SIDE] = place >= 0 ? floats_maskz_loadu(mask, from + place) : zero;
                }
                write_weights(v, j, to);
            }
        return;
    }
    if (o->turned)
        lay_turned_columns(o, from, outputs, columns);
    else
        lay_columns(o, from, outputs, columns);
    for (int64_t s = 0; s < o->steps; s++, to += WEIGHT_BYTES)
        for (int j = 0; j < SIDE; j++) {
            floats v[STEP / SIDE];
            for (int k = j; k < STEP; k += SIDE) {
                int32_t column = o->columns[s * STEP + k];
                v[k / SIDE] = column >= 0 ? floats_load(columns + (int64_t)column * SIDE) : zero;
            }
            write_weights(v, j, to);
        }
}

void convolution_turn(convolution *o) {
    for (int64_t i = 0; i < o->steps * STEP; i++) {
        int64_t place = o->places[i];
        if (place < 0) continue;
        int64_t output = place / o->taps, tap = place % o->taps;
        o->places[i] = (int32_t)(output * (o->out_channels / o->joined) * o->taps + o->taps - 1 - tap);
    }
    o->weights_row = o->taps, o->turned = 1;
}
