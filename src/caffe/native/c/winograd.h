/* What the ways of winograd.c share: the convolution, its blocks, and their transforms. */

#ifndef CAFFE_WINOGRAD_H
#define CAFFE_WINOGRAD_H

#include "finish.h"
#include "native.h"
#include "tasks.h"

enum {
    PLACES = 24, /* products of a block */
    BLOCK_H = 4, /* outputs of a block */
    BLOCK_W = 2,
};

/* Which outputs of some images are wanted, and where things lie: rows row0 to row1 - 1 and columns
   column0 to column1 - 1 of the convolution of (h, w) pixels. */
typedef struct {
    const float *x;
    float *y; /* row 0, column 0 */
    int64_t x_pixel, y_pixel;
    int32_t h, w, row0, row1, column0, column1;
    const float *bias; /* kernels_winograd_region() only: NULL for none */
    int32_t relu;      /* the same */
    int32_t y_w;       /* pixels of a row of y */
    int32_t images, y_image; /* how many; pixels from one's y to the next one's */
} region;

typedef struct {
    int32_t channels, outputs;
    int64_t depth, width; /* channels and outputs in whole steps */
    void *weights;
    finish f;
    const float *taps; /* Caffe's weights, where each run has others: packed before they are read */
    int32_t turned;    /* they are those of a convolution of which this is the gradient of the input */
} winograd;

static inline int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* What F(4,3) makes of six rows. */
static inline void rows_in(const floats d[6], floats to[6]) {
    const floats four = floats_set1(4), two = floats_set1(2);
    floats a = floats_fnmadd(four, d[2], d[4]); /* d4 - 4 d2 */
    floats b = floats_fnmadd(four, d[1], d[3]); /* d3 - 4 d1 */
    floats c = floats_sub(d[4], d[2]);
    floats e = floats_mul(two, floats_sub(d[3], d[1]));
    to[0] = floats_fmadd(four, d[0], floats_fnmadd(floats_set1(5), d[2], d[4]));
    to[1] = floats_add(a, b);
    to[2] = floats_sub(a, b);
    to[3] = floats_add(c, e);
    to[4] = floats_sub(c, e);
    to[5] = floats_fmadd(four, d[1], floats_fnmadd(floats_set1(5), d[3], d[5]));
}

/* What the columns' F(2,3) makes of the 6 by 4 pixels from row y0 and column x0 on: sixteen channels of
   them, from c on, and zeros for pixels outside of the image. */
ALWAYS void columns_in(const region *r, int64_t y0, int64_t x0, int64_t c, lane_mask mask, floats d[4][6]) {
    floats row[4];
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 4; j++) {
            int64_t y = y0 + i, x = x0 + j;
            int inside = y >= 0 && y < r->h && x >= 0 && x < r->w;
            row[j] = floats_maskz_loadu(inside ? mask : 0, r->x + (y * r->w + x) * r->x_pixel + c);
        }
        d[0][i] = floats_sub(row[0], row[2]);
        d[1][i] = floats_add(row[1], row[2]);
        d[2][i] = floats_sub(row[2], row[1]);
        d[3][i] = floats_sub(row[1], row[3]);
    }
}

/* What F(4,3) makes of six sums: four rows. `second` is t[1], perhaps with a bias, which reaches each row
   once from there. */
ALWAYS void rows_out(const floats t[6], floats second, floats to[BLOCK_H]) {
    floats a = floats_add(second, t[2]), e = floats_sub(second, t[2]);
    floats f = floats_add(t[3], t[4]), g = floats_sub(t[3], t[4]);
    to[0] = floats_add(t[0], floats_add(a, f));
    to[1] = floats_fmadd(floats_set1(2), g, e);
    to[2] = floats_fmadd(floats_set1(4), f, a);
    to[3] = floats_add(floats_fmadd(floats_set1(8), g, e), t[5]);
}

/* Sixteen outputs of a block, from output n on, from its products: those of a place are at
   from + place. y0 and x0 are its first row and column. */
ALWAYS void block_out(const winograd *o, const region *r, int64_t y0, int64_t x0, const float *from,
                      int64_t place, int64_t n) {
    lane_mask mask = lanes(o->outputs - n);
    floats s[2][6];
    for (int i = 0; i < 6; i++) {
        floats p0 = floats_loadu(from + (4 * i) * place);
        floats p1 = floats_loadu(from + (4 * i + 1) * place);
        floats p2 = floats_loadu(from + (4 * i + 2) * place);
        floats p3 = floats_loadu(from + (4 * i + 3) * place);
        s[0][i] = floats_add(p0, floats_add(p1, p2));
        s[1][i] = floats_sub(floats_sub(p1, p2), p3);
    }
    for (int j = 0; j < BLOCK_W && x0 + j < r->column1; j++) {
        const floats *t = s[j];
        floats v[BLOCK_H];
        rows_out(t, t[1], v);
        for (int i = 0; i < BLOCK_H && y0 + i < r->row1; i++) {
            int64_t pixel = (y0 + i) * r->y_w + x0 + j;
            floats other = finish_other(&o->f, pixel, n, mask);
            floats_mask_storeu(r->y + pixel * r->y_pixel + n, mask,
                               finish_vector(v[i], &o->f, n, other, mask));
        }
    }
}

#endif
