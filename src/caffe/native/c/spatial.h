/* Convolutions with kernels of one, three and five columns that read the map as it lies. */

#ifndef CAFFE_SPATIAL_H
#define CAFFE_SPATIAL_H

#include "native.h"

/* Whether this way is the fastest; false where the products are of another kind. */
int spatial_fits(const map *in, const map *out, const window *win, const finish *then);

/* Adds it, with copies of the weights; -1 without memory. */
int spatial_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then);

#endif
