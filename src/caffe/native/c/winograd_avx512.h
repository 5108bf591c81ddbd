/* Winograd's products by AVX-512's multiplications (multiply_step.h): a thread takes some groups of
   blocks, transforms what they see, and for each 32 outputs computes all 24 products and their transform.

   Sixteen channels of a group, or sixteen outputs, lie together, [place][block][16]: what a transform
   writes or reads stays in the first cache. */

#ifndef CAFFE_WINOGRAD_AVX512_H
#define CAFFE_WINOGRAD_AVX512_H

#include <math.h>

#include "multiply_step.h"
#include "turn.h"
#include "winograd.h"

enum {
    MOST_ROWS = 14,  /* blocks of a group: with two vectors of outputs all sums of a step */
    MOST_GROUPS = 4, /* taken at a time where there are more weights than these, which stay in a core's cache */
    FEW_WEIGHTS = 7 << 20,
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

/* Where a block is: its first output, counted from its image's first pixel, and whose inputs or outputs are
   all inside. */
typedef struct {
    int64_t image, y, x;
} site;

static site site_of(const grouping *g, const region *r, int64_t block) {
    int64_t within = block % g->image;
    return (site){block / g->image, r->row0 + within / g->across * BLOCK_H,
                  r->column0 + within % g->across * BLOCK_W};
}

/* The sites of a group's blocks; gives how many there are. */
static int64_t sites_of(const grouping *g, const region *r, int64_t group, site to[MOST_ROWS]) {
    int64_t count = blocks_of(g, group);
    for (int64_t b = 0; b < count; b++) to[b] = site_of(g, r, group * g->rows + b);
    return count;
}

/* F(2,3) along the columns of 6 by 4 pixels, then F(4,3) along the rows, of sixteen channels. */
ALWAYS void block_in(const float *at, int64_t row, int64_t pixel, float *to, int64_t place) {
    __m512 d[4][6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++, at += row) {
        __m512 p0 = _mm512_loadu_ps(at), p1 = _mm512_loadu_ps(at + pixel);
        __m512 p2 = _mm512_loadu_ps(at + 2 * pixel), p3 = _mm512_loadu_ps(at + 3 * pixel);
        d[0][i] = _mm512_sub_ps(p0, p2);
        d[1][i] = _mm512_add_ps(p1, p2);
        d[2][i] = _mm512_sub_ps(p2, p1);
        d[3][i] = _mm512_sub_ps(p1, p3);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        __m512 v[6];
        rows_in(d[j], v);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) _mm512_store_ps(to + (i * 4 + j) * place, v[i]);
    }
}

/* Some of sixteen channels of those pixels, with zeros around the image, where a block is at its edge. */
static void patch_of(const region *r, const float *x, const site *s, __mmask16 mask, float to[6 * 4 * LANES]) {
    const __m512 zero = _mm512_setzero_ps();
    int64_t first = at_least(1 - s->y, 0), end = at_most(r->h + 1 - s->y, 6);
    int64_t left = at_least(1 - s->x, 0), right = at_most(r->w + 1 - s->x, 4);
    for (int i = 0; i < 6 * 4; i++) _mm512_store_ps(to + i * LANES, zero);
    for (int64_t i = first; i < end; i++)
        for (int64_t j = left; j < right; j++)
            _mm512_store_ps(to + (i * 4 + j) * LANES,
                            _mm512_maskz_loadu_ps(mask, x + ((s->y - 1 + i) * r->w + s->x - 1 + j) * r->x_pixel));
}

/* The inputs of a group, transformed, as [depth / 16][place][block][16]. */
static void transform(const winograd *o, const region *r, const grouping *g, int64_t group, float *to) {
    int64_t place = g->rows * LANES, row = r->w * r->x_pixel;
    site sites[MOST_ROWS];
    int64_t count = sites_of(g, r, group, sites);
    for (int64_t b = 0; b < count; b++) for (int64_t c = 0; c < o->depth; c += LANES) {
            const site *s = sites + b;
            const float *x = r->x + s->image * r->h * row + c;
            float *at = to + c * PLACES * g->rows + b * LANES;
            int inside = s->y > 0 && s->x > 0 && s->y + 4 < r->h && s->x + 2 < r->w;
            if (inside && c + LANES <= o->channels) {
                block_in(x + (s->y - 1) * row + (s->x - 1) * r->x_pixel, row, r->x_pixel, at, place);
            } else {
                _Alignas(64) float patch[6 * 4 * LANES];
                patch_of(r, x, s, lanes(o->channels - c), patch);
                block_in(patch, 4 * LANES, LANES, at, place);
            }
        }
}

/* The outputs of a group from its products [place][block][16]; n is the first. `plain`: the activation is
   none or a ReLU; `adds`: there is another map. */
ALWAYS void finish_some(const int plain, const int adds, const winograd *o, const region *r,
                        const grouping *g, int64_t group, const float *m, int64_t n) {
    const __mmask16 mask = lanes(o->outputs - n);
    const __m512 floor = _mm512_set1_ps(o->f.act == ACT_RELU ? 0 : -INFINITY);
    const __m512 bias = o->f.bias ? _mm512_maskz_loadu_ps(mask, o->f.bias + n) : _mm512_setzero_ps();
    const int64_t place = g->rows * LANES;
    site sites[MOST_ROWS];
    int64_t count = sites_of(g, r, group, sites);
    for (int64_t b = 0; b < count; b++, m += LANES) {
        const site *at = sites + b;
        __m512 s[2][6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            const float *from = m + 4 * i * place;
            __m512 p1 = _mm512_load_ps(from + place), p2 = _mm512_load_ps(from + 2 * place);
            s[0][i] = _mm512_add_ps(_mm512_load_ps(from), _mm512_add_ps(p1, p2));
            s[1][i] = _mm512_sub_ps(_mm512_sub_ps(p1, p2), _mm512_load_ps(from + 3 * place));
        }
        int64_t rows = at_most(r->row1 - at->y, BLOCK_H), columns = at_most(r->column1 - at->x, BLOCK_W);
        int64_t pixel = at->image * r->y_image + at->y * r->y_w + at->x;
        float *y = r->y + pixel * r->y_pixel + n;
#pragma GCC unroll 2
        for (int j = 0; j < BLOCK_W; j++) {
            const __m512 *t = s[j];
            __m512 t1 = _mm512_add_ps(t[1], bias); /* it reaches each of the four rows once */
            __m512 a = _mm512_add_ps(t1, t[2]), e = _mm512_sub_ps(t1, t[2]);
            __m512 f = _mm512_add_ps(t[3], t[4]), g = _mm512_sub_ps(t[3], t[4]);
            __m512 v[BLOCK_H];
            v[0] = _mm512_add_ps(t[0], _mm512_add_ps(a, f));
            v[1] = _mm512_fmadd_ps(_mm512_set1_ps(2), g, e);
            v[2] = _mm512_fmadd_ps(_mm512_set1_ps(4), f, a);
            v[3] = _mm512_add_ps(_mm512_fmadd_ps(_mm512_set1_ps(8), g, e), t[5]);
#pragma GCC unroll 4
            for (int i = 0; i < BLOCK_H; i++)
                if (i < rows && j < columns) {
                    int64_t here = i * r->y_w + j;
                    if (adds) v[i] = _mm512_add_ps(v[i], finish_other(&o->f, pixel + here, n, mask));
                    v[i] = plain ? _mm512_max_ps(floor, v[i]) : activate(v[i], &o->f, n, mask);
                    _mm512_mask_storeu_ps(y + here * r->y_pixel, mask, v[i]);
                }
        }
    }
}

static void finish_group(const winograd *o, const region *r, const grouping *g, int64_t group,
                         const float *m, int64_t n) {
    if (o->f.act != ACT_NONE && o->f.act != ACT_RELU)
        finish_some(0, 1, o, r, g, group, m, n);
    else if (o->f.other.at)
        finish_some(1, 1, o, r, g, group, m, n);
    else
        finish_some(1, 0, o, r, g, group, m, n);
}

/* Some of the depth of a product, added to what there is with `sum`. */
typedef struct {
    const float *a, *b;
    int64_t a_step, b_next, depth; /* from a's sixteen channels to the next; to b's next outputs */
    int64_t ahead;                 /* weights so far behind b are asked for; 0: none */
    float *to;
    int64_t to_next; /* to the next outputs */
    int sum;
} factors;

/* `rows` blocks by `wide` vectors of outputs of a place. */
ALWAYS void product_of(const int rows, const int wide, const factors *of) {
    __m512 sums[MOST_SUMS];
    const float *a = of->a, *b = of->b;
    begin_sums(rows * wide, sums);
    for (int64_t k = 0; k < of->depth; k += LANES, a += of->a_step, b += LANES * LANES) {
        if (of->ahead)
#pragma GCC unroll 32
            for (int i = 0; i < LANES * wide; i++)
                _mm_prefetch((const char *)(b + of->ahead + i / LANES * of->b_next + i % LANES * LANES), _MM_HINT_T1);
        multiply_step(1, rows, wide, &a, LANES, 1, b, of->b_next, sums);
    }
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

/* How a region is shared out: shares of groups, and parts of the outputs of each. The inputs of a share are
   transformed by each thread that takes parts of it. */
typedef struct {
    int64_t size, shares; /* groups of a share, shares */
    int64_t wide, parts;  /* outputs of a part, parts */
} sharing;

static sharing share_out(const winograd *o, const grouping *g, int threads) {
    sharing s;
    s.size = weights_size(o) > FEW_WEIGHTS ? MOST_GROUPS : 1;
    s.shares = divide_up(g->groups, s.size);
    if (s.shares) s.size = divide_up(g->groups, s.shares), s.shares = divide_up(g->groups, s.size);
    int64_t panels = divide_up(o->outputs, WIDE), parts = 1;
    if (threads > 1 && s.shares) parts = at_most(panels, divide_up(4 * threads, s.shares));
    s.wide = divide_up(panels, parts) * WIDE;
    s.parts = divide_up(o->outputs, s.wide);
    return s;
}

/* Outputs n to n + WIDE - 1 of `count` groups. `far`: the weights may be in memory still. */
static void compute_panel(const winograd *o, const region *r, const grouping *g, int64_t first, int64_t count,
                          int64_t n, int far, const float *inputs, float *products) {
    int64_t chunk = up(divide_up(o->depth, divide_up(o->depth, MOST_DEPTH)), LANES);
    int64_t place = g->rows * LANES, of_channels = PLACES * place, of_inputs = o->depth * PLACES * g->rows;
    int64_t wide = divide_up(at_most(o->outputs - n, WIDE), LANES);
    for (int64_t p = 0; p < PLACES; p++)
        for (int64_t k = 0; k < o->depth; k += chunk)
            for (int64_t i = 0; i < count; i++) {
                factors of = {inputs + i * of_inputs + k * of_channels / LANES + p * place,
                              weights_at(o, n, p) + k * LANES,
                              of_channels, o->depth * LANES, at_most(chunk, o->depth - k),
                              far && i == 0 ? place_floats(o) : 0,
                              products + i * 2 * of_channels + p * place, of_channels, k > 0};
                product(blocks_of(g, first + i), wide, &of);
            }
    for (int64_t i = 0; i < count; i++)
        for (int64_t t = 0; t < wide; t++)
            finish_group(o, r, g, first + i, products + (2 * i + t) * of_channels, n + t * LANES);
}

/* Computes the region with all threads. */
static void compute(const winograd *o, const region *r, worker *w) {
    grouping g = group_blocks(r);
    sharing s = share_out(o, &g, worker_count(w));
    float *inputs = worker_own(w), *products = inputs + inputs_floats(o);
    int64_t tasks = s.shares * s.parts, there = -1; /* the share whose inputs are there */
    int far = 1;
    for (int64_t t; (t = worker_next(w, tasks)) < tasks;) {
        int64_t share = t / s.parts, first = share * s.size, count = at_most(s.size, g.groups - first);
        if (there >= 0 && share != there) far = weights_size(o) > FEW_WEIGHTS;
        if (share != there)
            for (int64_t i = 0; i < count; i++)
                transform(o, r, &g, first + i, inputs + i * o->depth * PLACES * g.rows);
        there = share;
        int64_t n = t % s.parts * s.wide, end = at_most(n + s.wide, o->outputs);
        for (; n < end; n += WIDE) compute_panel(o, r, &g, first, count, n, far, inputs, products);
    }
}

#endif
