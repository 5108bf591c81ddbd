/* Vectors of sixteen numbers, and what kernels do with them, in the words of AVX-512's instructions.

   `floats` are float32, `ints` are int32, `doubles` are eight float64, and bit i of a `lane_mask` is that
   lane i counts.  On processors without AVX-512 a vector is two of AVX2's registers. */

#ifndef CAFFE_FLOATS_H
#define CAFFE_FLOATS_H

#include <immintrin.h>
#include <stdint.h>

#ifdef __AVX512F__
#include "floats_avx512.h"
#else
#include "floats_avx2.h"
#endif

#endif
