/* The products of a convolution, on what the processor has for them.

   One of two headers, by what the file is compiled for (setup.py): AMX's tiles, or multiplications
   of vectors.  Both have

   - STEP: the channels that a product takes at a time; PIXEL_BYTES and WEIGHT_BYTES: a pixel's step, and
     that of the weights for SIDE outputs;
   - write_pixel() and write_weights(), which lay them so;
   - MOST_TILE_ROWS: the pixels of a tile of results, at most, which has SIDE outputs; TILES_IN_PAIRS:
     whether their number should be even; DIRECT: whether maps can be read as they lie;
   - what multiplies them (convolution_multiply.h). It goes through `steps` steps: a pixel's is at a +
     offsets[step] bytes, the next pixel's PIXEL_BYTES after it, and the weights' steps follow each
     other;
   - tiles_begin(), tiles_end() around them, and tiles_fence() where memory that is written is read by
     products, or the other way round. */

#ifndef CAFFE_TILES_H
#define CAFFE_TILES_H

#include "floats.h"
#include "kind.h"

#include <stdint.h>
#include <string.h>

enum { SIDE = 16, TILE_FLOATS = SIDE * SIDE };

#define PRODUCT static inline __attribute__((always_inline)) void

#ifdef CAFFE_AMX
#include "tiles_amx.h"
#else
#include "tiles_vectors.h"
#endif

#undef PRODUCT

#endif
