/* Winograd's products by AVX-512's multiplications (multiply_step.h): a thread takes some groups of
   blocks, transforms what they see, and for each 32 outputs computes all 24 products and their transform.

   Sixteen channels of a group, or sixteen outputs, lie together, [place][block][16]: what a transform
   writes or reads stays in the first cache. */

#ifndef CAFFE_WINOGRAD_AVX512_H
#define CAFFE_WINOGRAD_AVX512_H

#include "multiply_step.h"
#include "turn.h"
#include "winograd.h"

enum {
    MOST_ROWS = 14,  /* blocks of a group: with two vectors of outputs all sums of a step */
    MOST_GROUPS = 8, /* taken at a time */
    MOST_DEPTH = 128, /* channels whose products are summed before they are added to others: their weights
                         stay in the first cache, and sums of many would lose digits */
    WIDE = 2 * LANES,
    WEIGHT_STEP = WIDE,
    DEPTH_STEP = LANES,
};

/* The weights lie as [width / 32][place][2][depth][16], and after each place a gap: those of a channel
   for all places would lie a power of two apart. */
static int64_t place_floats(const winograd *o) { return (2 * o->depth + 1) * LANES; }

static size_t weights_size(const winograd *o) {
    return (size_t)(o->width / WIDE * PLACES * place_floats(o)) * sizeof(float);
}

/* Where those of a place begin, for sixteen outputs. */
static float *weights_at(const winograd *o, int64_t n, int64_t place) {
    return (float *)o->weights + (n / WIDE * PLACES + place) * place_floats(o) + n / LANES % 2 * o->depth * LANES;
}

/* Packs weights as caffe.kernels.winograd.transform_weights gives them, (24, outputs, channels). */
static void pack_weights(const winograd *o, const float *u) {
    for (int64_t p = 0; p < PLACES; p++, u += (int64_t)o->outputs * o->channels)
        for (int64_t n = 0; n < o->width; n += LANES)
            for (int64_t c = 0; c < o->depth; c += LANES) {
                __m512 rows[LANES];
                for (int64_t i = 0; i < LANES; i++)
                    rows[i] = _mm512_maskz_loadu_ps(n + i < o->outputs ? lanes(o->channels - c) : 0,
                                                    u + (n + i) * o->channels + c);
                turn(rows);
                for (int i = 0; i < LANES; i++)
                    _mm512_store_ps(weights_at(o, n, p) + (c + i) * LANES, rows[i]);
            }
}

#include "winograd_weights.h"

/* The scratch of a thread: the transformed input of its groups, and products. */
static int64_t inputs_floats(const winograd *o) { return PLACES * MOST_ROWS * MOST_GROUPS * o->depth; }

static size_t scratch_size(const winograd *o) {
    return (size_t)(inputs_floats(o) + PLACES * MOST_ROWS * MOST_GROUPS * WIDE) * sizeof(float);
}

/* The blocks of all images, row by row, in groups. */
typedef struct {
    int64_t across, image, all; /* blocks of a row, of an image, of all images */
    int64_t rows, groups;       /* blocks of a group; groups */
} grouping;

static grouping group_blocks(const region *r) {
    grouping g;
    g.across = divide_up(r->column1 - r->column0, BLOCK_W);
    g.image = g.across * divide_up(r->row1 - r->row0, BLOCK_H);
    g.all = g.image * r->images;
    g.groups = divide_up(g.all, MOST_ROWS);
    g.rows = g.groups ? divide_up(g.all, g.groups) : 1;
    if (g.all) g.groups = divide_up(g.all, g.rows);
    return g;
}

static int64_t blocks_of(const grouping *g, int64_t group) {
    return at_most(g->rows, g->all - group * g->rows);
}

/* Where a block is. */
typedef struct {
    int64_t image, y, x; /* its first output */
} site;

static site site_of(const grouping *g, const region *r, int64_t block) {
    int64_t within = block % g->image;
    return (site){block / g->image, r->row0 + within / g->across * BLOCK_H,
                  r->column0 + within % g->across * BLOCK_W};
}

/* The inputs of a group, transformed, as [depth / 16][place][block][16]. */
static void transform(const winograd *o, const region *r, const grouping *g, int64_t group, float *to) {
    int64_t place = g->rows * LANES;
    for (int64_t b = 0; b < blocks_of(g, group); b++) {
        site s = site_of(g, r, group * g->rows + b);
        region image = *r;
        image.x += s.image * r->h * r->w * r->x_pixel;
        for (int64_t c = 0; c < o->depth; c += LANES) {
            __m512 d[4][6];
            columns_in(&image, s.y - 1, s.x - 1, c, lanes(o->channels - c), d);
            float *at = to + c * PLACES * g->rows + b * LANES;
            for (int j = 0; j < 4; j++) {
                __m512 v[6];
                rows_in(d[j], v);
                for (int i = 0; i < 6; i++)
                    _mm512_store_ps(at + (i * 4 + j) * place, v[i]);
            }
        }
    }
}

/* The outputs of a group from its products [place][block][16]; n is the first. */
static void finish_group(const winograd *o, const region *r, const grouping *g, int64_t group,
                         const float *m, int64_t n) {
    for (int64_t b = 0; b < blocks_of(g, group); b++, m += LANES) {
        site s = site_of(g, r, group * g->rows + b);
        winograd one = *o;
        region image = *r;
        image.y += s.image * r->y_image * r->y_pixel;
        if (one.f.other.at) one.f.other.at += s.image * r->y_image * one.f.other.pixel;
        block_out(&one, &image, s.y, s.x, m, g->rows * LANES, n);
    }
}

/* Some of the depth of a product, added to what there is with `sum`. */
typedef struct {
    const float *a, *b;
    int64_t a_step, b_next, depth; /* from a's sixteen channels to the next; to b's next outputs */
    float *to;
    int64_t to_next; /* to the next outputs */
    int sum;
} factors;

/* `rows` blocks by `wide` vectors of outputs of a place. */
ALWAYS void product_of(const int rows, const int wide, const factors *of) {
    __m512 sums[MOST_SUMS];
    const float *a = of->a, *b = of->b;
    begin_sums(rows * wide, sums);
    for (int64_t k = 0; k < of->depth; k += LANES, a += of->a_step, b += LANES * LANES)
        multiply_step(1, rows, wide, &a, LANES, 1, b, of->b_next, sums);
#pragma GCC unroll 28
    for (int i = 0; i < rows * wide; i++) {
        float *to = of->to + i % wide * of->to_next + i / wide * LANES;
        _mm512_store_ps(to, of->sum ? _mm512_add_ps(sums[i], _mm512_load_ps(to)) : sums[i]);
    }
}

static void product(int64_t rows, int64_t wide, const factors *of) {
#define OF(n)                                     \
    case 2 * n: product_of(n, 1, of); break;      \
    case 2 * n + 1: product_of(n, 2, of); break;
    switch (2 * rows + wide - 1) {
        OF(1) OF(2) OF(3) OF(4) OF(5) OF(6) OF(7) OF(8) OF(9) OF(10) OF(11) OF(12) OF(13) OF(14)
    }
#undef OF
}

/* Computes the region with all threads. */
static void compute(const winograd *o, const region *r, worker *w) {
    grouping g = group_blocks(r);
    int64_t shares = up(divide_up(g.groups, MOST_GROUPS), worker_count(w));
    int64_t size = divide_up(g.groups, at_least(shares, 1));
    int64_t place = g.rows * LANES, of_channels = PLACES * place, of_inputs = o->depth * PLACES * g.rows;
    int64_t chunk = up(divide_up(o->depth, divide_up(o->depth, MOST_DEPTH)), LANES);
    float *inputs = worker_own(w), *products = inputs + inputs_floats(o);
    shares = g.groups ? divide_up(g.groups, size) : 0;
    for (int64_t s; (s = worker_next(w, shares)) < shares;) {
        int64_t first = s * size, count = at_most(size, g.groups - first);
        for (int64_t i = 0; i < count; i++)
            transform(o, r, &g, first + i, inputs + i * of_inputs);
        for (int64_t n = 0; n < o->outputs; n += WIDE) {
            int64_t wide = divide_up(at_most(o->outputs - n, WIDE), LANES);
            for (int64_t p = 0; p < PLACES; p++)
                for (int64_t k = 0; k < o->depth; k += chunk)
                    for (int64_t i = 0; i < count; i++) {
                        factors of = {inputs + i * of_inputs + k * PLACES * g.rows + p * place,
                                      weights_at(o, n, p) + k * LANES,
                                      of_channels, o->depth * LANES, at_most(chunk, o->depth - k),
                                      products + i * 2 * of_channels + p * place, of_channels, k > 0};
                        product(blocks_of(&g, first + i), wide, &of);
                    }
            for (int64_t i = 0; i < 2 * count; i++)
                if (n + i % 2 * LANES < o->outputs)
                    finish_group(o, r, &g, first + i / 2, products + i * of_channels, n + i % 2 * LANES);
        }
    }
}

#endif
