/* Convolutions of one small image in training, in Caffe's layout: forward, and the gradients in one
   call. Here the way of every operator from Python takes longer than its work, and the tiles' parts
   of weights that are others each time longer than their products.

   The input's windows are laid out as columns (forward: a row for each tap, gradients: a row for
   each output), which matrix products on vectors then go through. One thread. */

#include "finish.h"
#include "scratch.h"
#include "tasks.h"

typedef struct {
    const float *x, *weight, *bias, *dy; /* bias: may be NULL */
    float *y, *dx, *dw, *db;             /* gradients: NULL where they are not wanted */
    int32_t c, h, w, outputs, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
} small;
CROSSES(small)

enum { ROWS = 6, VECTORS = BLOCK_WIDE > 1 ? 4 : 1 };

/* Numbers of c (rows x up to 64) = a b + first: a[row, k] lies at a + row * row_step + k * step, b's
   and c's rows are `pitch` and `c_pitch` apart; `first`, a number for each row, may be NULL. */
typedef struct {
    const float *a, *b, *first;
    float *c;
    int64_t row_step, step, depth, pitch, c_pitch;
} product;

ALWAYS void product_block(const product *o, int64_t row, int64_t column, int rows, int vectors,
                          lane_mask last) {
    floats sum[ROWS][VECTORS];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[r][v] = o->first ? floats_set1(o->first[row + r]) : floats_setzero();
    const float *a = o->a + row * o->row_step, *b = o->b + column;
    for (int64_t k = 0; k < o->depth; k++, a += o->step, b += o->pitch) {
        floats x[VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            x[v] = floats_maskz_loadu(v == vectors - 1 ? last : 0xffff, b + v * LANES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            floats factor = floats_set1(a[r * o->row_step]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[r][v] = floats_fmadd(factor, x[v], sum[r][v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            floats_mask_storeu(o->c + (row + r) * o->c_pitch + column + v * LANES,
                               v == vectors - 1 ? last : 0xffff, sum[r][v]);
}

ALWAYS void product_columns(const product *o, int64_t rows, int64_t column, int vectors, lane_mask last) {
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS) product_block(o, row, column, ROWS, vectors, last);
    for (; row + 2 <= rows; row += 2) product_block(o, row, column, 2, vectors, last);
    for (; row < rows; row++) product_block(o, row, column, 1, vectors, last);
}

static void multiply(const product *o, int64_t rows, int64_t columns) {
    for (int64_t column = 0; column < columns; column += VECTORS * LANES) {
        int64_t left = at_most(columns - column, VECTORS * LANES), vectors = divide_up(left, LANES);
        lane_mask last = lanes(left - (vectors - 1) * LANES);
        switch (vectors) {
        case 1: product_columns(o, rows, column, 1, last); break;
#if BLOCK_WIDE > 1
        case 2: product_columns(o, rows, column, 2, last); break;
        case 3: product_columns(o, rows, column, 3, last); break;
        default: product_columns(o, rows, column, 4, last);
#endif
        }
    }
}

/* The outputs from *from to *to of a row whose inputs at a tap are in the image. */
static void inside(const small *o, int64_t tap_x, int64_t *from, int64_t *to) {
    int64_t shift = o->pad_w - tap_x; /* x = out * stride - shift */
    *from = shift > 0 ? divide_up(shift, o->stride_w) : 0;
    *to = o->w - 1 + shift < 0 ? 0 : at_most((o->w - 1 + shift) / o->stride_w + 1, o->out_w);
    if (*from > *to) *from = *to;
}

/* Copies a run of numbers, `stride` apart in the image, from its line to the column; or back, where
   they are added. */
ALWAYS void copy_run(float *column, float *line, int64_t count, int64_t stride, int back) {
    if (stride != 1) {
        for (int64_t i = 0; i < count; i++)
            if (back)
                line[i * stride] += column[i];
            else
                column[i] = line[i * stride];
        return;
    }
    for (int64_t i = 0; i < count; i += LANES) {
        lane_mask mask = lanes(count - i);
        floats v = floats_maskz_loadu(mask, (back ? column : line) + i);
        if (back) v = floats_add(v, floats_maskz_loadu(mask, line + i));
        floats_mask_storeu((back ? line : column) + i, mask, v);
    }
}

/* Where each tap's row of the columns lies in the image: calls `each` for the outputs of a row that
   are in it. What is not is left as it is. */
ALWAYS void for_each_run(const small *o, float *columns, float *image, int back) {
    int64_t outputs = (int64_t)o->out_h * o->out_w;
    for (int64_t c = 0; c < o->c; c++)
        for (int64_t ky = 0; ky < o->kernel_h; ky++)
            for (int64_t kx = 0; kx < o->kernel_w; kx++, columns += outputs) {
                int64_t from, to;
                inside(o, kx, &from, &to);
                for (int64_t oy = 0; oy < o->out_h; oy++) {
                    int64_t y = oy * o->stride_h - o->pad_h + ky;
                    if (y < 0 || y >= o->h) continue;
                    float *line = image + (c * o->h + y) * o->w - o->pad_w + kx;
                    float *column = columns + oy * o->out_w;
                    copy_run(column + from, line + from * o->stride_w, to - from, o->stride_w, back);
                }
            }
}

/* The windows of the outputs, one after the other: rows of taps. */
static void lay_out_rows(const small *o, float *to) {
    for (int64_t oy = 0; oy < o->out_h; oy++)
        for (int64_t ox = 0; ox < o->out_w; ox++) {
            int64_t top = oy * o->stride_h - o->pad_h, left = ox * o->stride_w - o->pad_w;
            int64_t from = at_least(-left, 0), end = at_most(o->w - left, o->kernel_w);
            for (int64_t c = 0; c < o->c; c++)
                for (int64_t ky = 0; ky < o->kernel_h; ky++, to += o->kernel_w) {
                    int64_t y = top + ky;
                    if (y < 0 || y >= o->h) continue;
                    const float *line = o->x + (c * o->h + y) * o->w + left;
                    for (int64_t kx = from; kx < end; kx += LANES) {
                        lane_mask mask = lanes(end - kx);
                        floats_mask_storeu(to + kx, mask, floats_maskz_loadu(mask, line + kx));
                    }
                }
        }
}

static int64_t depth_of(const small *o) { return (int64_t)o->c * o->kernel_h * o->kernel_w; }
static int64_t positions_of(const small *o) { return (int64_t)o->out_h * o->out_w; }

/* Memory for the columns: zeros where there is padding. NULL without memory. */
static float *columns_of(const small *o) {
    size_t bytes = (size_t)(depth_of(o) * positions_of(o)) * sizeof(float);
    float *columns = (float *)scratch(bytes + 64);
    if (columns && (o->pad_h || o->pad_w)) memset(columns, 0, bytes);
    return columns;
}

/* -1 without memory. */
int kernels_small_convolution(const small *o) {
    float *columns = columns_of(o);
    if (!columns) return -1;
    int64_t depth = depth_of(o), positions = positions_of(o);
    for_each_run(o, columns, (float *)o->x, 0);
    product p = {o->weight, columns, o->bias, o->y, depth, 1, depth, positions, positions};
    multiply(&p, o->outputs, positions);
    return 0;
}

/* The gradients that are wanted. -1 without memory. */
int kernels_small_convolution_back(const small *o) {
    float *columns = columns_of(o);
    if (!columns) return -1;
    int64_t depth = depth_of(o), positions = positions_of(o);
    if (o->dw) {
        lay_out_rows(o, columns);
        product p = {o->dy, columns, NULL, o->dw, positions, 1, positions, depth, depth};
        multiply(&p, o->outputs, depth);
    }
    if (o->dx) {
        product p = {o->weight, o->dy, NULL, columns, 1, depth, o->outputs, positions, positions};
        multiply(&p, depth, positions);
        memset(o->dx, 0, (size_t)((int64_t)o->c * o->h * o->w) * sizeof(float));
        for_each_run(o, columns, o->dx, 1);
    }
    for (int64_t i = 0; o->db && i < o->outputs; i++) {
        floats sum = floats_setzero();
        for (int64_t k = 0; k < positions; k += LANES)
            sum = floats_add(sum, floats_maskz_loadu(lanes(positions - k), o->dy + i * positions + k));
        o->db[i] = floats_reduce_add(sum);
    }
    return 0;
}
