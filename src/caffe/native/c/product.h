/* Convolutions whose many weights are read where they lie, as one matrix product. */

#ifndef CAFFE_PRODUCT_H
#define CAFFE_PRODUCT_H

#include "native.h"

/* Whether the shapes fit and there are few enough results. */
int product_fits(const map *in, const map *out, const window *win);

/* Adds it; the weights stay the caller's. -1 without memory. */
int product_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then);

#endif
