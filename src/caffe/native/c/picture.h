/* Convolutions of maps of few channels: the layer that sees the picture. */

#ifndef CAFFE_PICTURE_H
#define CAFFE_PICTURE_H

#include "native.h"

/* Whether this way is the fastest; false where the products are of another kind. */
int picture_fits(const map *in, const map *out, const window *win, const finish *then);

/* Adds it, with copies of the weights; -1 without memory. `out` and pads: as for a part (convolution.h). */
int picture_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then);

#endif
