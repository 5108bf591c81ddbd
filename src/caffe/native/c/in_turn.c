/* Kernels one after the other in one call, and the small ones that only come so.

   Between two calls of its own an interpreter needs longer than such a kernel. */

#include "tasks.h"

/* A kernel that takes a structure; with a program it takes that and a number of threads before. */
typedef struct {
    void *run, *program;
    const void *of;
} call;
CROSSES(call)

typedef struct {
    const float *x;
    float *y;       /* max(x, 0); going back, the gradient where x is above 0: may be what it is made of */
    const float *g; /* the gradient of the top */
    int64_t count;
} small_relu;
CROSSES(small_relu)

/* 0, or the number of the first call, from 1, that did not return 0: it was the last one. */
int kernels_in_turn(const call *calls, int count) {
    for (int i = 0; i < count; i++) {
        const call *c = calls + i;
        int failed = c->program ? ((int (*)(void *, int, const void *))c->run)(c->program, 1, c->of)
                                : ((int (*)(const void *))c->run)(c->of);
        if (failed) return i + 1;
    }
    return 0;
}

/* NaN stays, as in PyTorch. */
int kernels_small_relu(const small_relu *o) {
    for (int64_t i = 0; i < o->count; i++) o->y[i] = o->x[i] < 0 ? 0 : o->x[i];
    return 0;
}

int kernels_small_relu_back(const small_relu *o) {
    for (int64_t i = 0; i < o->count; i++) o->y[i] = o->x[i] <= 0 ? 0 : o->g[i];
    return 0;
}
