/* Inner products of few items in training, in Caffe's layout, and an update of weights whose gradient
   is that of one item.

   The weights are read once each way, from the first number to the last. One thread. */

#include "floats.h"
#include "tasks.h"

#include <string.h>

typedef struct {
    const float *x, *weight, *bias, *dy; /* bias: may be NULL */
    float *y, *dx, *dw, *db;             /* gradients: NULL where they are not wanted */
    int64_t items, inputs, outputs;
} small_product;
CROSSES(small_product)

/* SGD of weights (rows by columns) whose gradient is the product of a column u and a row v. */
typedef struct {
    float *w, *h;
    const float *u, *v;
    int64_t rows, columns;
    float rate, decay, factor, momentum;
    int32_t towards_zero; /* 1: decay times the sign of w, not w */
} outer_update;
CROSSES(outer_update)

enum { AHEAD = 1024 /* numbers: what is asked for before it is read */ };

ALWAYS float dot(const float *a, const float *b, int64_t count) {
    const floats zero = floats_setzero();
    floats sums[4] = {zero, zero, zero, zero};
    int64_t k = 0;
    for (; k + 4 * LANES <= count; k += 4 * LANES)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            __builtin_prefetch(a + k + i * LANES + AHEAD);
            sums[i] = floats_fmadd(floats_loadu(a + k + i * LANES), floats_loadu(b + k + i * LANES), sums[i]);
        }
    for (; k + LANES <= count; k += LANES)
        sums[0] = floats_fmadd(floats_loadu(a + k), floats_loadu(b + k), sums[0]);
    floats sum = floats_add(floats_add(sums[0], sums[1]), floats_add(sums[2], sums[3]));
    float rest = 0;
    for (; k < count; k++) rest += a[k] * b[k];
    return floats_reduce_add(sum) + rest;
}

/* to += factors[0] from + factors[1] (from + count) + ...: so many rows. */
ALWAYS void add_rows(float *to, const float *from, const float *factors, int64_t count, int rows) {
    int64_t k = 0;
    for (; k + LANES <= count; k += LANES) {
        floats sum = floats_loadu(to + k);
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            __builtin_prefetch(from + r * count + k + AHEAD);
            sum = floats_fmadd(floats_loadu(from + r * count + k), floats_set1(factors[r]), sum);
        }
        floats_storeu(to + k, sum);
    }
    for (; k < count; k++)
        for (int r = 0; r < rows; r++) to[k] += from[r * count + k] * factors[r];
}

int kernels_small_product(const small_product *o) {
    for (int64_t row = 0; row < o->outputs; row++)
        for (int64_t i = 0; i < o->items; i++)
            o->y[i * o->outputs + row] = dot(o->weight + row * o->inputs, o->x + i * o->inputs, o->inputs) +
                                         (o->bias ? o->bias[row] : 0);
    return 0;
}

static void gradient_of_input(const small_product *o, float *dx, const float *dy) {
    int64_t row = 0;
    memset(dx, 0, (size_t)o->inputs * sizeof *dx);
    for (; row + 4 <= o->outputs; row += 4)
        add_rows(dx, o->weight + row * o->inputs, dy + row, o->inputs, 4);
    for (; row < o->outputs; row++) add_rows(dx, o->weight + row * o->inputs, dy + row, o->inputs, 1);
}

static void gradient_of_weights(const small_product *o) {
    for (int64_t row = 0; row < o->outputs; row++) {
        float *to = o->dw + row * o->inputs, first = o->dy[row];
        for (int64_t k = 0; k < o->inputs; k++) to[k] = first * o->x[k];
        for (int64_t i = 1; i < o->items; i++)
            add_rows(to, o->x + i * o->inputs, o->dy + i * o->outputs + row, o->inputs, 1);
    }
}

/* The gradients that are wanted. */
int kernels_small_product_back(const small_product *o) {
    for (int64_t i = 0; o->dx && i < o->items; i++)
        gradient_of_input(o, o->dx + i * o->inputs, o->dy + i * o->outputs);
    if (o->dw) gradient_of_weights(o);
    for (int64_t row = 0; o->db && row < o->outputs; row++) {
        float sum = o->dy[row];
        for (int64_t i = 1; i < o->items; i++) sum += o->dy[i * o->outputs + row];
        o->db[row] = sum;
    }
    return 0;
}

/* The same for each number, with the same roundings, as update.c on the product. */
int kernels_outer_update(const outer_update *o) {
    const float factor = o->factor, decay = o->decay, rate = o->rate, momentum = o->momentum;
    for (int64_t row = 0; row < o->rows; row++) {
        float *restrict w = o->w + row * o->columns, *restrict h = o->h + row * o->columns;
        const float *restrict v = o->v;
        const float u = o->u[row];
        for (int64_t i = 0; i < o->columns; i++) {
            float g = factor * (u * v[i]);
            float towards = o->towards_zero ? (float)(w[i] > 0) - (float)(w[i] < 0) : w[i];
            if (decay != 0) g = __builtin_fmaf(decay, towards, g);
            float step = __builtin_fmaf(rate, g, momentum * h[i]);
            h[i] = step;
            w[i] -= step;
        }
    }
    return 0;
}
