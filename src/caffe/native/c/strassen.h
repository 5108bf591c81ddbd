/* Pointwise convolutions by seven products in place of eight. */

#ifndef CAFFE_STRASSEN_H
#define CAFFE_STRASSEN_H

#include "native.h"

/* Whether this way is the fastest; false where the products are of another kind. */
int strassen_fits(const map *in, const map *out, const window *win, const float *weights, const finish *then);

/* Adds it, with copies of the weights; -1 without memory. */
int strassen_add(program *p, const map *in, const map *out, const float *weights, const finish *then);

#endif
