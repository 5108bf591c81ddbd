/* Deconvolutions whose windows do not overlap, as convolutions by one pixel. */

#ifndef CAFFE_NATIVE_UPCONVOLUTION_H
#define CAFFE_NATIVE_UPCONVOLUTION_H

#include "native.h"

/* Whether a deconvolution can be computed so, and is worth it. */
int upconvolution_fits(const map *in, const map *out, const window *win, const finish *then);

/* Adds it, with weights as kernels_deconvolution() takes them. The results of the convolution take as
   much memory as the output, for the program's life. -1: without memory; the program is not to be
   run then. */
int upconvolution_add(program *p, const map *in, const map *out, const window *win,
                      const float *weights, const finish *then);

#endif
