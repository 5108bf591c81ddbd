/* Convolutions in groups of few channels. */

#ifndef CAFFE_GROUPED_H
#define CAFFE_GROUPED_H

#include "native.h"

/* Whether the groups are such; false where the products are of another kind. */
int grouped_fits(const map *in, const map *out, const window *win, const finish *then);

/* Adds it, with copies of the weights; -1 without memory. `out` and pads: as for a part (convolution.h). */
int grouped_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then);

#endif
