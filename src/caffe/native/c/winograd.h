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
static inline void rows_in(const __m512 d[6], __m512 to[6]) {
    const __m512 four = _mm512_set1_ps(4), two = _mm512_set1_ps(2);
    __m512 a = _mm512_fnmadd_ps(four, d[2], d[4]); /* d4 - 4 d2 */
    __m512 b = _mm512_fnmadd_ps(four, d[1], d[3]); /* d3 - 4 d1 */
    __m512 c = _mm512_sub_ps(d[4], d[2]);
    __m512 e = _mm512_mul_ps(two, _mm512_sub_ps(d[3], d[1]));
    to[0] = _mm512_fmadd_ps(four, d[0], _mm512_fnmadd_ps(_mm512_set1_ps(5), d[2], d[4]));
    to[1] = _mm512_add_ps(a, b);
    to[2] = _mm512_sub_ps(a, b);
    to[3] = _mm512_add_ps(c, e);
    to[4] = _mm512_sub_ps(c, e);
    to[5] = _mm512_fmadd_ps(four, d[1], _mm512_fnmadd_ps(_mm512_set1_ps(5), d[3], d[5]));
}

/* What the columns' F(2,3) makes of the 6 by 4 pixels from row y0 and column x0 on: sixteen channels of
   them, from c on, and zeros for pixels outside of the image. */
ALWAYS void columns_in(const region *r, int64_t y0, int64_t x0, int64_t c, __mmask16 mask, __m512 d[4][6]) {
    __m512 row[4];
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 4; j++) {
            int64_t y = y0 + i, x = x0 + j;
            int inside = y >= 0 && y < r->h && x >= 0 && x < r->w;
            row[j] = _mm512_maskz_loadu_ps(inside ? mask : 0, r->x + (y * r->w + x) * r->x_pixel + c);
        }
        d[0][i] = _mm512_sub_ps(row[0], row[2]);
        d[1][i] = _mm512_add_ps(row[1], row[2]);
        d[2][i] = _mm512_sub_ps(row[2], row[1]);
        d[3][i] = _mm512_sub_ps(row[1], row[3]);
    }
}

/* What F(4,3) makes of six sums: four rows. `second` is t[1], perhaps with a bias, which reaches each row
   once from there. */
ALWAYS void rows_out(const __m512 t[6], __m512 second, __m512 to[BLOCK_H]) {
    __m512 a = _mm512_add_ps(second, t[2]), e = _mm512_sub_ps(second, t[2]);
    __m512 f = _mm512_add_ps(t[3], t[4]), g = _mm512_sub_ps(t[3], t[4]);
    to[0] = _mm512_add_ps(t[0], _mm512_add_ps(a, f));
    to[1] = _mm512_fmadd_ps(_mm512_set1_ps(2), g, e);
    to[2] = _mm512_fmadd_ps(_mm512_set1_ps(4), f, a);
    to[3] = _mm512_add_ps(_mm512_fmadd_ps(_mm512_set1_ps(8), g, e), t[5]);
}

/* Sixteen outputs of a block, from output n on, from its products: those of a place are at
   from + place. y0 and x0 are its first row and column. */
ALWAYS void block_out(const winograd *o, const region *r, int64_t y0, int64_t x0, const float *from,
                      int64_t place, int64_t n) {
    __mmask16 mask = lanes(o->outputs - n);
    __m512 s[2][6];
    for (int i = 0; i < 6; i++) {
        __m512 p0 = _mm512_loadu_ps(from + (4 * i) * place);
        __m512 p1 = _mm512_loadu_ps(from + (4 * i + 1) * place);
        __m512 p2 = _mm512_loadu_ps(from + (4 * i + 2) * place);
        __m512 p3 = _mm512_loadu_ps(from + (4 * i + 3) * place);
        s[0][i] = _mm512_add_ps(p0, _mm512_add_ps(p1, p2));
        s[1][i] = _mm512_sub_ps(_mm512_sub_ps(p1, p2), p3);
    }
    for (int j = 0; j < BLOCK_W && x0 + j < r->column1; j++) {
        const __m512 *t = s[j];
        __m512 v[BLOCK_H];
        rows_out(t, t[1], v);
        for (int i = 0; i < BLOCK_H && y0 + i < r->row1; i++) {
            int64_t pixel = (y0 + i) * r->y_w + x0 + j;
            __m512 other = finish_other(&o->f, pixel, n, mask);
            _mm512_mask_storeu_ps(r->y + pixel * r->y_pixel + n, mask,
                                  finish_vector(v[i], &o->f, n, other, mask));
        }
    }
}

#endif
