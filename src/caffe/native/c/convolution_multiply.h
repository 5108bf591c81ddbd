/* The products of a band: multiply(), in one of two ways, by what the file is compiled for (tiles.h). */

#ifndef CAFFE_CONVOLUTION_MULTIPLY_H
#define CAFFE_CONVOLUTION_MULTIPLY_H

#include "convolution_side.h"
#include "tasks.h"

/* Memory of a thread while it runs. */
typedef struct {
    char *entries, *panel, *unfold;
    float *results, *sums; /* sums: those of product_1x1 */
    side beside;
} scratch;

/* The weights that a thread reads after `tile` and `first`: they are asked for while it computes. NULL
   where all weights stay in the cache anyway. */
static const char *weights_ahead(const convolution *o, int64_t group, int64_t tile, int count,
                                 int64_t first) {
    int64_t panel = o->steps * WEIGHT_BYTES, panels = o->win.groups * o->tiles;
    if (o->keep || panels * panel < LEAST_AHEAD) return NULL;
    int64_t at = group * o->tiles + tile;
    if (first + o->chunk < o->steps) return o->packed + at * panel + (first + o->chunk) * WEIGHT_BYTES;
    return o->packed + (at + count < panels ? at + count : 0) * panel;
}

/* The weights of `count` tiles of outputs for some steps: those that were packed, or, where Caffe's are kept,
   packed now. */
static const char *weights_of(const convolution *o, int64_t group, int64_t tile, int count, int64_t first,
                              int64_t steps, char *panel) {
    if (!o->keep)
        return o->packed + ((group * o->tiles + tile) * o->steps + first) * WEIGHT_BYTES;
    for (int i = 0; i < count; i++)
        convolution_pack(o, o->weights, group, tile + i, first, steps, panel + i * o->chunk * WEIGHT_BYTES);
    return panel;
}

#ifdef CAFFE_AMX
#include "convolution_amx.h"
#else
#include "convolution_vectors.h"
#endif

#endif
