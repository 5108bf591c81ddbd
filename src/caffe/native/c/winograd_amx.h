/* Winograd's products on AMX's tiles (splitting.h): a thread takes some blocks, transforms what they see,
   and for a number of outputs computes all 24 products and their transform, so that these stay in its
   cache. */

#ifndef CAFFE_WINOGRAD_AMX_H
#define CAFFE_WINOGRAD_AMX_H

#include "floats.h"
#include "splitting.h"
#include "tiles.h"
#include "winograd.h"

enum {
    MOST_BLOCKS = 128, /* taken at a time */
    MOST_OUTPUTS = 128,
    WIDE = 32, /* outputs of a step: two tiles */
};

enum { WEIGHT_STEP = WIDE, DEPTH_STEP = DEPTH };

/* The weights lie as [place][width / 16][depth / 32][part][tile]. */
static size_t weights_size(const winograd *o) {
    return (size_t)(PLACES * PARTS * o->depth * o->width) * sizeof(bfloat);
}

/* The weights of a place, outputs x channels, as tiles: pairs of channels by outputs. */
static void pack(const winograd *o, const float *u, bfloat *to) {
    for (int64_t n = 0; n < o->width; n += ROWS)
        for (int64_t c = 0; c < o->depth; c += DEPTH, to += PARTS * TILE) {
            __m512 pairs[PARTS][ROWS];
            for (int64_t i = 0; i < ROWS; i++) {
                const float *at = u + (n + i) * o->channels + c;
                int64_t left = n + i < o->outputs ? o->channels - c : 0;
                __m512 low = _mm512_maskz_loadu_ps(lanes(left), at);
                __m512 high = _mm512_maskz_loadu_ps(left > 16 ? lanes(left - 16) : 0, at + 16);
                for (int part = 0; part < PARTS; part++) {
                    __m512i row = _mm512_castsi256_si512(cut(low, &low));
                    row = _mm512_inserti64x4(row, cut(high, &high), 1);
                    pairs[part][i] = _mm512_castsi512_ps(row);
                }
            }
            for (int part = 0; part < PARTS; part++) {
                turn(pairs[part]);
                for (int i = 0; i < ROWS; i++)
                    _mm512_store_ps((float *)(to + part * TILE + i * DEPTH), pairs[part][i]);
            }
        }
}

/* Tiles are named by constants and no variables hold them: these are macros of need. */
#define PRODUCTS                 \
    _tile_dpbf16ps(0, 4, 6);     \
    _tile_dpbf16ps(1, 4, 7);     \
    _tile_dpbf16ps(2, 5, 6);     \
    _tile_dpbf16ps(3, 5, 7)
#define LOAD(a, b, at, half)     \
    _tile_loadd(a, at, 64);      \
    _tile_loadd(b, (at) + (half), 64)

/* 32 blocks by 32 outputs of one place. a and b are the tiles of the upper or left half; so far behind
   lie those of the other half, and the other parts. */
static void product(const bfloat *a, int64_t a_half, int64_t a_part, const bfloat *b, int64_t b_half,
                    int64_t depth, float *to, int64_t to_row) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < depth; k += DEPTH, a += TILE, b += PARTS * TILE) {
        LOAD(4, 5, a, a_half);
        LOAD(6, 7, b, b_half);
        PRODUCTS;
        LOAD(6, 7, b + 2 * TILE, b_half);
        PRODUCTS;
        LOAD(6, 7, b + TILE, b_half);
        PRODUCTS;
        LOAD(4, 5, a + a_part, a_half);
        PRODUCTS;
        LOAD(6, 7, b, b_half);
        PRODUCTS;
        LOAD(4, 5, a + 2 * a_part, a_half);
        PRODUCTS;
    }
    _tile_stored(0, to, to_row * 4);
    _tile_stored(1, to + 16, to_row * 4);
    _tile_stored(2, to + 16 * to_row, to_row * 4);
    _tile_stored(3, to + 16 * to_row + 16, to_row * 4);
}

/* Packs weights as caffe.kernels.winograd.transform_weights gives them, (24, outputs, channels). */
static void pack_weights(const winograd *o, const float *u) {
    for (int p = 0; p < PLACES; p++)
        pack(o, u + (int64_t)p * o->outputs * o->channels,
             (bfloat *)o->weights + p * PARTS * o->depth * o->width);
}

/* The scratch of a thread: the transformed input of its blocks, and products. */
static size_t inputs_size(const winograd *o) {
    return (size_t)(PLACES * PARTS * MOST_BLOCKS * o->depth) * sizeof(bfloat);
}

static size_t scratch_size(const winograd *o) {
    return inputs_size(o) + (size_t)PLACES * MOST_BLOCKS * MOST_OUTPUTS * sizeof(float);
}

/* The inputs of `count` blocks from number `first` on, transformed and split, as tiles
   [place][part][blocks / 16][depth / 32]; `part` numbers from part to part. */
static void transform(const winograd *o, const region *r, int64_t first, int64_t count,
                      int64_t across, bfloat *to, int64_t part) {
    int64_t place = PARTS * part;
    for (int64_t b = 0; b < count; b++) {
        int64_t y0 = r->row0 + (first + b) / across * BLOCK_H - 1;
        int64_t x0 = r->column0 + (first + b) % across * BLOCK_W - 1;
        for (int64_t c = 0; c < o->depth; c += ROWS) {
            __mmask16 mask = c < o->channels ? lanes(o->channels - c) : 0;
            __m512 d[4][6];
            columns_in(r, y0, x0, c, mask, d);
            bfloat *at = to + (b / ROWS * (o->depth / DEPTH) + c / DEPTH) * TILE + b % ROWS * DEPTH +
                         c % DEPTH;
            for (int j = 0; j < 4; j++) {
                __m512 v[6];
                rows_in(d[j], v);
                for (int i = 0; i < 6; i++)
                    split(v[i], at + (i * 4 + j) * place, part);
            }
        }
    }
}

/* The outputs of the blocks from the products [place][block][outputs], of which there are `wide`. */
static void finish_blocks(const winograd *o, const region *r, int64_t first, int64_t count,
                          int64_t across, const float *m, int64_t place, int64_t n, int64_t wide) {
    for (int64_t b = 0; b < count; b++) {
        int64_t y0 = r->row0 + (first + b) / across * BLOCK_H;
        int64_t x0 = r->column0 + (first + b) % across * BLOCK_W;
        for (int64_t c = 0; c < wide && n + c < o->outputs; c += ROWS)
            block_out(o, r, y0, x0, m + b * wide + c, place, n + c);
    }
}

/* Computes the region of an image with all threads. */
static void compute_image(const winograd *o, const region *r, worker *w) {
    int64_t across = (r->column1 - r->column0 + BLOCK_W - 1) / BLOCK_W;
    int64_t blocks = across * ((r->row1 - r->row0 + BLOCK_H - 1) / BLOCK_H);
    int64_t shares = up(blocks, MOST_BLOCKS) / MOST_BLOCKS;
    shares = up(shares, worker_count(w));
    int64_t size = up((blocks + shares - 1) / shares, 2 * ROWS);
    if (size > MOST_BLOCKS) size = MOST_BLOCKS;
    bfloat *inputs = worker_own(w);
    float *products = (float *)((char *)worker_own(w) + inputs_size(o));
    int64_t row = o->depth / DEPTH * TILE; /* sixteen blocks or outputs, one part */
    tiles_begin(ROWS);
    shares = (blocks + size - 1) / size;
    for (int64_t s; (s = worker_next(w, shares)) < shares;) {
        int64_t first = s * size, count = blocks - first < size ? blocks - first : size;
        int64_t rows = up(count, 2 * ROWS), part = rows * o->depth;
        transform(o, r, first, count, across, inputs, part);
        tiles_fence();
        for (int64_t n = 0; n < o->width; n += MOST_OUTPUTS) {
            int64_t wide = o->width - n < MOST_OUTPUTS ? o->width - n : MOST_OUTPUTS;
            for (int p = 0; p < PLACES; p++) {
                const bfloat *a = inputs + p * PARTS * part;
                const bfloat *b = (const bfloat *)o->weights + (p * o->width + n) * PARTS * o->depth;
                float *to = products + p * rows * wide;
                for (int64_t i = 0; i < wide; i += WIDE)
                    for (int64_t k = 0; k < rows; k += 2 * ROWS)
                        product(a + k / ROWS * row, row, part, b + i / ROWS * PARTS * row,
                                PARTS * row, o->depth, to + k * wide + i, wide);
            }
            tiles_fence();
            finish_blocks(o, r, first, count, across, products, rows * wide, n, wide);
        }
    }
    tiles_end();
}

/* Computes the region with all threads. */
static void compute(const winograd *o, const region *r, worker *w) {
    winograd one = *o;
    region image = *r;
    for (int32_t i = 0; i < r->images; i++) {
        compute_image(&one, &image, w);
        worker_meet(w);
        image.x += (int64_t)r->h * r->w * r->x_pixel;
        image.y += r->y_image * r->y_pixel;
        if (one.f.other.at) one.f.other.at += r->y_image * one.f.other.pixel;
    }
}

#endif
