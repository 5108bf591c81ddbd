/* What the files of the weights' gradient on AMX's tiles share: its plan, and how both sides are laid
   out. */

#ifndef CAFFE_WEIGHT_GRADIENT_AMX_H
#define CAFFE_WEIGHT_GRADIENT_AMX_H

#include "splitting.h"

enum {
    STRIP = 128, /* positions that are laid out by one task */
    SUMS = ROWS * ROWS,
};

/* One axis of the grid. */
typedef struct {
    int32_t pitch, phases, least, most; /* positions of a row; shifts of the taps */
    int32_t remainder[MOST_KERNEL];     /* of each phase */
    int32_t phase[MOST_KERNEL], shift[MOST_KERNEL]; /* of each tap */
} axis;

typedef struct {
    const weight_gradient *of;
    axis y, x;
    int64_t positions, lowest, halo; /* halo: how far the taps reach along the grid */
    int64_t chunk, row;              /* positions laid out at a time, and in a row of x with the halo */
    int32_t taps, phases, ins, outs; /* tiles of channels of a group */
    int32_t widest;                  /* tiles to a side that a task multiplies */
    int32_t at_once;                 /* one chunk, whose sums are given as soon as they are there */
    double cycles;                   /* of a processor, roughly, that it takes */
    /* in the shared memory */
    uint16_t *xs, *dys;
    float *sums, *bias, *strips;
} plan;

/* Lays out up to STRIP positions of a chunk that begins at `begin`, from the chunk's `from` on: of a
   phase of x, or of dy, whose `end` is the chunk's, and which are summed up, too. */
void weight_gradient_lay_x(const plan *p, int64_t begin, int phase, int64_t from, const float *x);
void weight_gradient_lay_dy(const plan *p, int64_t begin, int64_t from, int64_t end, const float *dy);

#endif
