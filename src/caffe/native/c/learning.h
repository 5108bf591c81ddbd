/* Convolutions whose weights are others in each run: what kernels_convolve_learning() of convolve.c runs. */

#ifndef CAFFE_LEARNING_H
#define CAFFE_LEARNING_H

#include "native.h"

/* The slots of such a program. */
enum { IN, OUT, OTHER, WEIGHTS, BIAS, SLOTS };

/* Adds one by Winograd's way: kernel 3x3, stride 1, no groups or holes. `turned` as for
   kernels_prepare_learning(). Returns -1 without memory, and where the kind has none or the window is
   another. */
int winograd_learning(program *p, const map *in, const map *out, const window *win, int turned, int act);

#endif
