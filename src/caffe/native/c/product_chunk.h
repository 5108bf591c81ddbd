/* A chunk of a product's depth: its rows and weights as they are multiplied, and their sums.

   One of two headers has how, by what the file is compiled for (setup.py).  Both have

   - lay_rows(): sixteen rows of `have`, a chunk of so many numbers, as steps;
   - one_turn(): the next turn of laying the weights ahead;
   - add(): adds the product of 32 rows, of which there are `have`, and 32 outputs to the sums. A chunk is
     summed by itself: shorter sums round less. */

#ifndef CAFFE_PRODUCT_CHUNK_H
#define CAFFE_PRODUCT_CHUNK_H

#include "floats.h"
#include "splitting.h"
#include "tiles.h"

typedef struct {
    int64_t rows, depth, outputs;
    const float *weights; /* outputs x depth, the caller's */
    const float *x;       /* of the run: rows x depth */
    float *y;             /* rows x outputs */
} product;

#ifdef CAFFE_AMX
typedef bfloat number;
enum {
    CHUNK = 512,                 /* of the depth */
    STEP_NUMBERS = PARTS * TILE, /* a step of sixteen outputs or rows */
    TURNS = 4,                   /* that lay a step of sixteen outputs */
};
#else
typedef float number;
/* A longer chunk: the sums, which come from beyond the second cache, take longer than the rows do. */
enum { CHUNK = 2048, STEP_NUMBERS = STEP * SIDE, TURNS = 1 };
#endif

/* The weights of 32 outputs for a chunk, which a thread lays while it multiplies those before. */
typedef struct {
    const product *o;
    int64_t output, k, depth, steps; /* the first output; from where in the depth, and how much */
    number *to;
    int64_t at, end; /* turns */
    ints words[PARTS][ROWS]; /* from turn to turn of a step */
} ahead;

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

static inline floats some(const float *from, int64_t count) {
    lane_mask mask = count >= 16 ? 0xffff : count > 0 ? (lane_mask)((1u << count) - 1) : 0;
    return floats_maskz_loadu(mask, from);
}

static void ahead_of(ahead *s, const product *o, int64_t output, int64_t k, number *to) {
    int64_t left = o->depth - k;
    s->o = o, s->output = output, s->k = k, s->to = to;
    s->depth = left < CHUNK ? left : CHUNK;
    s->steps = up(s->depth, STEP) / STEP;
    s->at = 0, s->end = 2 * TURNS * s->steps;
}

static void one_turn(ahead *s);

static inline void some_turns(ahead *s, int64_t most) {
    for (int64_t i = 0; i < most && s->at < s->end; i++) one_turn(s);
}

#ifdef CAFFE_AMX
#include "product_chunk_amx.h"
#else
#include "product_chunk_vectors.h"
#endif

#endif
