/* The gradient of a convolution's weights: dw[o][i][ky][kx] = sum over outputs of dy[o] x[i], where x is
   what the tap (ky, kx) saw.

   One of two headers has the plan, by what the file is compiled for; the .c files of the same names
   compute it. */

#ifndef CAFFE_WEIGHT_GRADIENT_H
#define CAFFE_WEIGHT_GRADIENT_H

#include "kind.h"
#include "native.h"
#include "tasks.h"

enum {
    MOST_KERNEL = 64, /* of a side */
    MOST_TAPS = 1024,
};

/* The fastest way, or one of them. */
enum { FASTEST, DIRECTLY, BY_BLOCKS };

/* What the caller wants; all in float32, maps channels last. */
typedef struct {
    const float *x, *dy;
    float *dw, *db;             /* (out_c, c / groups, kernel_h, kernel_w); db: out_c numbers or NULL */
    int32_t n, h, w, c;         /* of x */
    int32_t out_h, out_w, out_c; /* of dy */
    int64_t x_pixel, dy_pixel;  /* floats from pixel to pixel */
    window v;
    int32_t add; /* 1: dw and db are added to */
    int32_t way; /* of these, where there are both */
} weight_gradient;

#ifdef CAFFE_AMX
#include "weight_gradient_amx.h"
#else
#include "weight_gradient_vectors.h"
#endif

/* A plan for so many threads; -1 where the kernel is too wide. */
int weight_gradient_plan(plan *p, const weight_gradient *of, int threads);

/* Gives the plan its shared memory, which begins at `at`; returns its bytes.  And those of each thread. */
size_t weight_gradient_memory(plan *p, char *at);
size_t weight_gradient_own(const plan *p);

/* The operation: what is to be done comes in the first slot, as a plan. */
void weight_gradient_run(const void *none, worker *w);

#endif
