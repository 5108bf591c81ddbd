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
ALWAYS __m512 average(__m512 h, __m512 g, float share, float rest) {
    __m512 part = _mm512_mul_ps(_mm512_set1_ps(rest), _mm512_mul_ps(g, g));
    return _mm512_fmadd_ps(_mm512_set1_ps(share), h, part);
}

/* rate v / (sqrt(h) + delta) */
ALWAYS __m512 by_root(__m512 v, __m512 h, const update *o, __m512 rate) {
    __m512 root = _mm512_add_ps(_mm512_sqrt_ps(h), _mm512_set1_ps(o->delta));
    return _mm512_mul_ps(_mm512_div_ps(v, root), rate);
}

ALWAYS __m512 sign(__m512 w) {
    const __m512 zero = _mm512_setzero_ps(), one = _mm512_set1_ps(1);
    __m512 above = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(w, zero, _CMP_GT_OQ), one);
    return _mm512_mask_mov_ps(above, _mm512_cmp_ps_mask(w, zero, _CMP_LT_OQ), _mm512_set1_ps(-1));
}

/* Numbers begin to end of a parameter. What was subtracted goes to g, but with SGD, whose history it
   is. */
ALWAYS void update_numbers(const update *o, const parameter *p, int64_t begin, int64_t end, int rule) {
    const __m512 rate = _mm512_set1_ps(p->rate), decay = _mm512_set1_ps(p->decay);
    const __m512 factor = _mm512_set1_ps(o->factor), momentum = _mm512_set1_ps(o->momentum);
    for (int64_t i = begin; i < end; i += LANES) {
        __mmask16 mask = lanes(end - i);
        __m512 w = _mm512_maskz_loadu_ps(mask, p->w + i), h = _mm512_maskz_loadu_ps(mask, p->h + i);
        __m512 g = _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(mask, p->g + i)), step;
        __m512 h2 = _mm512_setzero_ps();
        if (p->decay != 0) g = _mm512_fmadd_ps(decay, o->towards_zero ? sign(w) : w, g);
        switch (rule) {
        case SGD:
            h = step = _mm512_fmadd_ps(rate, g, _mm512_mul_ps(momentum, h));
            break;
        case NESTEROV: {
            __m512 before = _mm512_mul_ps(momentum, h);
            h = _mm512_fmadd_ps(rate, g, before);
            step = _mm512_mul_ps(_mm512_set1_ps(o->more), h);
            step = _mm512_sub_ps(step, before);
            break;
        }
        case ADAGRAD:
            h = _mm512_fmadd_ps(g, g, h);
            step = by_root(g, h, o, rate);
            break;
        case RMSPROP:
            h = average(h, g, o->momentum, o->rest);
            step = by_root(g, h, o, rate);
            break;
        case ADADELTA: {
            const __m512 delta = _mm512_set1_ps(o->delta);
            h = average(h, g, o->momentum, o->rest);
            h2 = _mm512_maskz_loadu_ps(mask, p->h2 + i);
            __m512 ratio = _mm512_div_ps(_mm512_add_ps(h2, delta), _mm512_add_ps(h, delta));
            step = _mm512_mul_ps(g, _mm512_sqrt_ps(ratio));
            h2 = average(h2, step, o->momentum, o->rest);
            step = _mm512_mul_ps(step, rate);
            break;
        }
        default: { /* ADAM: the rate has the correction in it */
            __m512 part = _mm512_mul_ps(_mm512_set1_ps(o->rest), g);
            h = _mm512_fmadd_ps(momentum, h, part);
            h2 = average(_mm512_maskz_loadu_ps(mask, p->h2 + i), g, o->momentum2, o->rest2);
            step = by_root(h, h2, o, rate);
        }
        }
        _mm512_mask_storeu_ps(p->h + i, mask, h);
        if (rule >= ADADELTA) _mm512_mask_storeu_ps(p->h2 + i, mask, h2);
        if (rule != SGD) _mm512_mask_storeu_ps(p->g + i, mask, step);
        _mm512_mask_storeu_ps(p->w + i, mask, _mm512_sub_ps(w, step));
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
