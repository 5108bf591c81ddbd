/* What a thread does beside the products: it stores the results of the last ones, and asks for memory
   that it will read next.  AMX's unit multiplies on while it does so. */

#ifndef CAFFE_CONVOLUTION_SIDE_H
#define CAFFE_CONVOLUTION_SIDE_H

#include "convolution.h"
#include "tiles.h"

typedef struct {
    const convolution *o;
    /* results to be finished: rows at to end of a run, `count` tiles side by side */
    const float *c;
    int64_t at, end, turn, x, pixel, channel, left;
    int count;
    int64_t quota; /* rows in a step */
    /* memory to be asked for, at two addresses */
    const char *ahead;
    int64_t next, lines, lines_left;
} side;

/* Finishes `n` rows of results for pixels that follow each other. `act` is done->act: a constant
   where the call is compiled. */
static inline __attribute__((always_inline)) void finish_pixels(const side *d, int64_t pixel, int64_t n,
                                                                int count, int act) {
    const convolution *o = d->o;
    finish f = o->done;
    f.act = act;
    const float *c = d->c, *other = f.other.at;
    float *to = o->out.at + pixel * o->out.pixel + d->channel;
    int64_t again = 2 * o->rows * o->out.pixel;
    floats bias[4];
    lane_mask mask[4];
    for (int i = 0; i < count; i++) {
        mask[i] = lanes(d->left - i * SIDE);
        bias[i] = floats_setzero();
        if (f.bias) bias[i] = floats_maskz_loadu(mask[i], f.bias + d->channel + i * SIDE);
    }
    if (other) other += pixel * f.other.pixel + d->channel;
    for (; n; n--, c += SIDE, to += o->out.pixel) {
        for (int i = 0; i < count; i++) {
            floats v = floats_add(floats_load(c + i * TILE_FLOATS), bias[i]);
            if (other) v = floats_add(v, floats_maskz_loadu(mask[i], other + i * SIDE));
            v = activate(v, &f, d->channel + i * SIDE, mask[i]);
            floats_mask_storeu(to + i * SIDE, mask[i], v);
        }
        /* The same rows of the next results: they are written one product later. */
        __builtin_prefetch(to + again, 1);
        __builtin_prefetch(to + again + SIDE, 1);
        if (other) other += f.other.pixel;
    }
}

static inline void finish_kinds(const side *d, int64_t pixel, int64_t n) {
    if (d->count == 2 && d->o->done.act == ACT_RELU)
        finish_pixels(d, pixel, n, 2, ACT_RELU);
    else if (d->count == 2 && d->o->done.act == ACT_NONE)
        finish_pixels(d, pixel, n, 2, ACT_NONE);
    else if (d->count == 2 && d->o->done.act == ACT_CLAMP)
        finish_pixels(d, pixel, n, 2, ACT_CLAMP);
    else if (d->count == 1 && d->o->done.act == ACT_RELU)
        finish_pixels(d, pixel, n, 1, ACT_RELU);
    else
        finish_pixels(d, pixel, n, d->count, d->o->done.act);
}

/* Finishes up to so many rows of results. */
static void finish_some(side *d, int64_t most) {
    const convolution *o = d->o;
    int64_t stop = d->at + most < d->end ? d->at + most : d->end;
    while (d->at < stop) {
        /* To the end of the tile or of the row of results; then what is not stored. */
        int64_t n = (stop < d->turn ? stop : d->turn) - d->at, in_row = o->width - d->x;
        if (o->pitch == 1) {
            finish_kinds(d, d->pixel, n);
            d->pixel += n;
        } else if (in_row > 0) {
            if (n > in_row) n = in_row;
            finish_kinds(d, d->pixel + d->x, n);
            d->x += n;
        } else {
            if (n > o->pitch - d->x) n = o->pitch - d->x;
            d->x += n;
        }
        if (d->x == o->pitch) d->x = 0, d->pixel += o->width;
        d->at += n, d->c += n * SIDE;
        if (d->at == d->turn) d->turn += o->rows, d->c += (d->count * SIDE - o->rows) * SIDE;
    }
}

/* Asks for some of the memory. */
static inline __attribute__((always_inline)) void ask_ahead(side *d) {
    if (d->lines_left <= 0) return;
    d->lines_left -= d->lines;
    for (int64_t i = 0; i < d->lines; i++, d->ahead += 64) {
        _mm_prefetch(d->ahead, _MM_HINT_T1);
        _mm_prefetch(d->ahead + d->next, _MM_HINT_T1);
    }
}

/* What belongs to one step. */
static inline __attribute__((always_inline)) void side_step(void *data) {
    side *d = data;
    if (d->at < d->end) finish_some(d, d->quota);
    ask_ahead(d);
}

/* All that is left of the results. */
static inline void side_finish(side *d) { finish_some(d, d->end - d->at); }

/* Gives the side `tiles` tiles of results of a run, from m on, which are stored from the next step on. */
static inline void side_results(side *d, int64_t image, int64_t band, int64_t m, int64_t tiles,
                                int64_t channel, int64_t left, int count, const float *c) {
    const convolution *o = d->o;
    int64_t run = (band_height(o, band) - 1) * o->pitch + o->width, at = m * o->rows;
    side_finish(d);
    d->c = c, d->at = at, d->turn = at + o->rows, d->count = count;
    d->end = at + tiles * o->rows < run ? at + tiles * o->rows : run;
    d->x = at % o->pitch, d->channel = channel, d->left = left;
    d->pixel = (image * o->height + band_first(o, band) + at / o->pitch) * o->width;
}

#endif
