/* The blocks of winograd_vectors.h, in groups, and their transforms.

   Sixteen channels of a group, or sixteen outputs, lie together, [place][block][16]: what a transform
   writes or reads stays in the first cache. */

#ifndef CAFFE_WINOGRAD_BLOCKS_H
#define CAFFE_WINOGRAD_BLOCKS_H

#include <math.h>

#include "winograd.h"

/* Blocks of a group: all that products take at a time with two vectors of outputs, or twice that with one. */
enum { MOST_ROWS = BLOCK_ROWS * (BLOCK_WIDE > 1 ? 1 : 2) };

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

/* Where a block is: its first output. */
typedef struct {
    int64_t image, y, x;
} site;

/* The sites of a group's blocks; gives how many there are. */
static int64_t sites_of(const grouping *g, const region *r, int64_t group, site to[MOST_ROWS]) {
    int64_t count = blocks_of(g, group), first = group * g->rows, within = first % g->image;
    site s = {first / g->image, r->row0 + within / g->across * BLOCK_H,
              r->column0 + within % g->across * BLOCK_W};
    for (int64_t b = 0; b < count; b++) {
        to[b] = s;
        s.x += BLOCK_W;
        if (s.x >= r->column1) s.x = r->column0, s.y += BLOCK_H;
        if (s.y >= r->row1) s.y = r->row0, s.image++;
    }
    return count;
}

/* The 6 by 4 pixels that a block sees: where rows and columns begin, and which of sixteen channels are
   read; none of rows and columns beyond the image, for which another one stands. */
typedef struct {
    int64_t row[6], column[4];
    lane_mask of_row[6], of_column[4];
} seen;

static void see(const region *r, const site *s, lane_mask mask, seen *to) {
    for (int64_t i = 0; i < 6; i++) {
        int64_t y = s->y - 1 + i, inside = at_least(at_most(y, r->h - 1), 0);
        to->row[i] = inside * r->w * r->x_pixel;
        to->of_row[i] = y == inside ? mask : 0;
    }
    for (int64_t j = 0; j < 4; j++) {
        int64_t x = s->x - 1 + j, inside = at_least(at_most(x, r->w - 1), 0);
        to->column[j] = inside * r->x_pixel;
        to->of_column[j] = x == inside ? mask : 0;
    }
}

/* F(2,3) along the columns of these pixels, then F(4,3) along the rows, of sixteen channels: with `edge`
   where `at` says, else from x on. */
ALWAYS void block_in(const int edge, const seen *at, const float *x, int64_t row, int64_t pixel, float *to,
                     int64_t place) {
    floats d[4][6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++, x += edge ? 0 : row) {
        floats p[4];
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++)
            p[j] = !edge ? floats_loadu(x + j * pixel)
                         : floats_maskz_loadu(at->of_row[i] & at->of_column[j],
                                              x + at->row[i] + at->column[j]);
        d[0][i] = floats_sub(p[0], p[2]);
        d[1][i] = floats_add(p[1], p[2]);
        d[2][i] = floats_sub(p[2], p[1]);
        d[3][i] = floats_sub(p[1], p[3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        floats v[6];
        rows_in(d[j], v);
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) floats_store(to + (i * 4 + j) * place, v[i]);
    }
}

/* Calls of their own: in a loop the compiler would run out of registers. */
#define APART static __attribute__((noinline)) void

APART block_inside(const float *x, int64_t row, int64_t pixel, float *to, int64_t place) {
    block_in(0, NULL, x, row, pixel, to, place);
}

APART block_at_edge(const seen *at, const float *x, float *to, int64_t place) {
    block_in(1, at, x, 0, 0, to, place);
}

#undef APART

/* The inputs of a group, transformed, as [depth / 16][place][block][16]. */
static void transform(const winograd *o, const region *r, const grouping *g, int64_t group, float *to) {
    int64_t place = g->rows * LANES, row = r->w * r->x_pixel;
    int64_t whole = o->channels / LANES * LANES;
    site sites[MOST_ROWS];
    int64_t count = sites_of(g, r, group, sites);
    for (int64_t b = 0; b < count; b++, to += LANES) {
        const site *s = sites + b;
        const float *x = r->x + s->image * r->h * row;
        int64_t c = 0;
        seen edge;
        if (s->y > 0 && s->x > 0 && s->y + 4 < r->h && s->x + 2 < r->w) {
            const float *first = x + (s->y - 1) * row + (s->x - 1) * r->x_pixel;
            for (; c < whole; c += LANES)
                block_inside(first + c, row, r->x_pixel, to + c * PLACES * g->rows, place);
        } else {
            see(r, s, 0xffff, &edge);
            for (; c < whole; c += LANES) block_at_edge(&edge, x + c, to + c * PLACES * g->rows, place);
        }
        if (c < o->channels) {
            see(r, s, lanes(o->channels - c), &edge);
            block_at_edge(&edge, x + c, to + c * PLACES * g->rows, place);
        }
    }
}

/* The outputs of a group from its products [place][block][16]; n is the first. `plain`: the activation is
   none or a ReLU; `adds`: there is another map. */
ALWAYS void finish_some(const int plain, const int adds, const winograd *o, const region *r,
                        const grouping *g, int64_t group, const float *m, int64_t n) {
    const lane_mask mask = lanes(o->outputs - n);
    const floats floor = floats_set1(o->f.act == ACT_RELU ? 0 : -INFINITY);
    const floats bias = o->f.bias ? floats_maskz_loadu(mask, o->f.bias + n) : floats_setzero();
    const int64_t place = g->rows * LANES;
    site sites[MOST_ROWS];
    int64_t count = sites_of(g, r, group, sites);
    for (int64_t b = 0; b < count; b++, m += LANES) {
        const site *at = sites + b;
        floats s[2][6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; i++) {
            const float *from = m + 4 * i * place;
            floats p1 = floats_load(from + place), p2 = floats_load(from + 2 * place);
            s[0][i] = floats_add(floats_load(from), floats_add(p1, p2));
            s[1][i] = floats_sub(floats_sub(p1, p2), floats_load(from + 3 * place));
        }
        int64_t rows = at_most(r->row1 - at->y, BLOCK_H), columns = at_most(r->column1 - at->x, BLOCK_W);
        int64_t pixel = at->image * r->y_image + at->y * r->y_w + at->x;
        float *y = r->y + pixel * r->y_pixel + n;
#pragma GCC unroll 2
        for (int j = 0; j < BLOCK_W; j++) {
            const floats *t = s[j];
            floats v[BLOCK_H];
            rows_out(t, floats_add(t[1], bias), v);
#pragma GCC unroll 4
            for (int i = 0; i < BLOCK_H; i++)
                if (i < rows && j < columns) {
                    int64_t here = i * r->y_w + j;
                    if (adds) v[i] = floats_add(v[i], finish_other(&o->f, pixel + here, n, mask));
                    v[i] = plain ? floats_max(floor, v[i]) : activate(v[i], &o->f, n, mask);
                    floats_mask_storeu(y + here * r->y_pixel, mask, v[i]);
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

#endif
