/* A solver's update of all parameters in one pass over their memory: regularize, rule, subtract.

   The rules are those of solver/rules.py, with the same order of operations for each number. */

#include "finish.h"
#include "tasks.h"

enum { BLOCK = 4096 /* numbers in a task: of w, g and the histories some 64 KB */ };

enum { SGD, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM };

typedef struct {
    float *w, *g, *h, *h2; /* h2: of the rules with two histories */
    int64_t count, first;  /* numbers; the block that it begins with, of those of all parameters */
    float rate, decay;
} parameter;
CROSSES(parameter)

typedef struct {
    parameter *parameters;
    int64_t blocks;
    int32_t count, rule, towards_zero; /* 1: decay times the sign of w, not w */
    float factor, momentum, momentum2, delta;
    float rest, rest2, more; /* 1 - momentum, 1 - momentum2, 1 + momentum, rounded once */
} update;
CROSSES(update)

/* share h + rest g^2 */
ALWAYS floats average(floats h, floats g, float share, float rest) {
    floats part = floats_mul(floats_set1(rest), floats_mul(g, g));
    return floats_fmadd(floats_set1(share), h, part);
}

/* rate v / (sqrt(h) + delta) */
ALWAYS floats by_root(floats v, floats h, const update *o, floats rate) {
    floats root = floats_add(floats_sqrt(h), floats_set1(o->delta));
    return floats_mul(floats_div(v, root), rate);
}

ALWAYS floats sign(floats w) {
    const floats zero = floats_setzero(), one = floats_set1(1);
    floats above = floats_maskz_mov(floats_cmp(w, zero, _CMP_GT_OQ), one);
    return floats_mask_mov(above, floats_cmp(w, zero, _CMP_LT_OQ), floats_set1(-1));
}

/* Numbers begin to end of a parameter. What was subtracted goes to g, but with SGD, whose history it
   is. */
ALWAYS void update_numbers(const update *o, const parameter *p, int64_t begin, int64_t end, int rule) {
    const floats rate = floats_set1(p->rate), decay = floats_set1(p->decay);
    const floats factor = floats_set1(o->factor), momentum = floats_set1(o->momentum);
    for (int64_t i = begin; i < end; i += LANES) {
        lane_mask mask = lanes(end - i);
        floats w = floats_maskz_loadu(mask, p->w + i), h = floats_maskz_loadu(mask, p->h + i);
        floats g = floats_mul(factor, floats_maskz_loadu(mask, p->g + i)), step;
        floats h2 = floats_setzero();
        if (p->decay != 0) g = floats_fmadd(decay, o->towards_zero ? sign(w) : w, g);
        switch (rule) {
        case SGD:
            h = step = floats_fmadd(rate, g, floats_mul(momentum, h));
            break;
        case NESTEROV: {
            floats before = floats_mul(momentum, h);
            h = floats_fmadd(rate, g, before);
            step = floats_mul(floats_set1(o->more), h);
            step = floats_sub(step, before);
            break;
        }
        case ADAGRAD:
            h = floats_fmadd(g, g, h);
            step = by_root(g, h, o, rate);
            break;
        case RMSPROP:
            h = average(h, g, o->momentum, o->rest);
            step = by_root(g, h, o, rate);
            break;
        case ADADELTA: {
            const floats delta = floats_set1(o->delta);
            h = average(h, g, o->momentum, o->rest);
            h2 = floats_maskz_loadu(mask, p->h2 + i);
            floats ratio = floats_div(floats_add(h2, delta), floats_add(h, delta));
            step = floats_mul(g, floats_sqrt(ratio));
            h2 = average(h2, step, o->momentum, o->rest);
            step = floats_mul(step, rate);
            break;
        }
        default: { /* ADAM: the rate has the correction in it */
            floats part = floats_mul(floats_set1(o->rest), g);
            h = floats_fmadd(momentum, h, part);
            h2 = average(floats_maskz_loadu(mask, p->h2 + i), g, o->momentum2, o->rest2);
            step = by_root(h, h2, o, rate);
        }
        }
        floats_mask_storeu(p->h + i, mask, h);
        if (rule >= ADADELTA) floats_mask_storeu(p->h2 + i, mask, h2);
        if (rule != SGD) floats_mask_storeu(p->g + i, mask, step);
        floats_mask_storeu(p->w + i, mask, floats_sub(w, step));
    }
}

static void update_some(const update *o, const parameter *p, int64_t begin, int64_t end) {
    switch (o->rule) {
    case SGD: update_numbers(o, p, begin, end, SGD); break;
    case NESTEROV: update_numbers(o, p, begin, end, NESTEROV); break;
    case ADAGRAD: update_numbers(o, p, begin, end, ADAGRAD); break;
    case RMSPROP: update_numbers(o, p, begin, end, RMSPROP); break;
    case ADADELTA: update_numbers(o, p, begin, end, ADADELTA); break;
    default: update_numbers(o, p, begin, end, ADAM);
    }
}

static void update_run(const void *unused, worker *w) {
    (void)unused;
    const update *o = (const update *)(const void *)worker_slot(w, 0);
    int64_t from, to;
    while (tasks_next(w, o->blocks, &from, &to)) {
        const parameter *p = o->parameters;
        for (int64_t block = from; block < to; block++) {
            while (block >= p->first + divide_up(p->count, BLOCK)) p++;
            int64_t begin = (block - p->first) * BLOCK;
            update_some(o, p, begin, at_most(begin + BLOCK, p->count));
        }
    }
}

/* A program for kernels_update(). */
program *kernels_update_new(int back) {
    (void)back;
    program *p = kernels_new();
    if (!p || program_add(p, update_run, NULL, NULL) == 0) return p;
    kernels_free(p);
    return NULL;
}

/* Updates on so many threads. -1 without memory. Not for two callers at once with one program. */
int kernels_update(program *p, int threads, update *of) {
    of->blocks = 0;
    for (int32_t i = 0; i < of->count; i++) {
        of->parameters[i].first = of->blocks;
        of->blocks += divide_up(of->parameters[i].count, BLOCK);
    }
    float *slots[1] = {(float *)(void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
