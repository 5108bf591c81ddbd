/* The gradient of batch normalization (norm.h).

   With e the gradient that the activation lets through and z = (x - mean) / deviation:
   dshift = sum e, dscale = sum e z, and dx = factor (e - mean e - z mean (e z)); with stored statistics
   dx = factor e.  e is added up by eight rows in float, then in double precision. */

#include "norm.h"

#include <math.h>

/* How a pass goes over the map. */
typedef struct {
    int sums;   /* adds up e and e (x - mean) */
    int gives;  /* writes dx */
    int act;    /* 0: none; 1: what it lets through is known from x, 2: from y */
    int passed; /* 1: writes e, 2: reads it */
    int two;    /* gradients come from two readers */
    int stored;
} way;

ALWAYS void go(const norm *o, const shape *s, const terms *t, int64_t at, lane_mask mask, way k, floats *a,
               floats *b) {
    floats e, d = floats_sub(floats_maskz_loadu(mask, o->x + at), t->mean);
    if (k.passed == 2) {
        e = floats_maskz_loadu(mask, o->passed + at);
    } else {
        e = floats_maskz_loadu(mask, o->g + at);
        if (k.two) e = floats_add(e, floats_maskz_loadu(mask, o->h + at));
        if (k.act) {
            floats v = k.act == 2 ? floats_maskz_loadu(mask, o->y + at)
                                  : floats_fmadd(d, t->factor, t->offset);
            lane_mask above = floats_cmp(v, floats_set1(o->low), _CMP_NLE_UQ);
            e = floats_maskz_mov(
                floats_mask_cmp(above, v, floats_set1(o->high), _CMP_NGE_UQ), e);
        }
        if (k.passed && k.stored)
            norm_store(s, o->passed + at, mask, e);
        else if (k.passed) /* it is read again */
            floats_mask_storeu(o->passed + at, mask, e);
    }
    if (k.sums) {
        *a = floats_add(*a, e);
        *b = floats_mask3_fmadd(e, d, *b, mask);
    }
    if (k.gives) {
        floats dx = floats_mul(e, t->factor);
        if (!k.stored) dx = floats_add(dx, floats_fmadd(d, t->slope, t->level));
        norm_store(s, o->dx + at, mask, dx);
    }
}

ALWAYS void go_rows(const norm *o, const shape *s, int64_t chunk, way k) {
    double *sums = s->sums + 2 * chunk * s->width, *products = sums + s->width;
    if (k.sums) memset(sums, 0, (size_t)s->width * 16);
    int64_t end = at_most((chunk + 1) * s->chunk, s->rows);
    for (int64_t row = chunk * s->chunk; row < end; row += STEP) {
        int64_t begin = row * s->width, left = s->total - begin, rows = at_most(STEP, left / s->width);
        for (int64_t at = 0; at < s->width; at += LANES) {
            terms t = norm_terms(s, 1, at);
            floats a = floats_setzero(), b = a;
            for (int64_t r = 0; r < rows; r++) go(o, s, &t, begin + r * s->width + at, 0xffff, k, &a, &b);
            if (rows < STEP && rows * s->width + at < left) /* the last row, which is not whole */
                go(o, s, &t, begin + rows * s->width + at, lanes(left - rows * s->width - at), k, &a, &b);
            if (k.sums) {
                add_to(sums + at, a);
                add_to(products + at, b);
            }
        }
    }
}

ALWAYS void go_plane(const norm *o, const shape *s, int64_t row, way k) {
    terms t = norm_terms(s, 0, row % o->c);
    double sum = 0, product = 0;
    for (int64_t from = 0; from < s->width; from += STEP * LANES) {
        floats a = floats_setzero(), b = a;
        for (int64_t at = from; at < at_most(from + STEP * LANES, s->width); at += LANES)
            go(o, s, &t, row * s->width + at, lanes(s->width - at), k, &a, &b);
        if (k.sums) {
            sum += doubles_reduce_add(doubles_add(floats_lower(a), floats_upper(a)));
            product += doubles_reduce_add(doubles_add(floats_lower(b), floats_upper(b)));
        }
    }
    if (k.sums) s->sums[2 * row] = sum, s->sums[2 * row + 1] = product;
}

ALWAYS void go_chunks(const norm *o, const shape *s, worker *w, way k) {
    int64_t i;
    while ((i = worker_next(w, s->chunks)) < s->chunks) {
        if (!k.sums) i = norm_backwards(w, i, s->chunks);
        if (o->last) {
            go_rows(o, s, i, k);
            continue;
        }
        for (int64_t row = i * s->chunk; row < at_most((i + 1) * s->chunk, s->rows); row++)
            go_plane(o, s, row, k);
    }
    _mm_sfence();
}

/* One pass over the map: each way of it is compiled on its own. */
ALWAYS void go_by_act(const norm *o, const shape *s, worker *w, way k) {
    k.two = 0;
    if (k.passed == 2) {
        go_chunks(o, s, w, k);
    } else if (o->h) {
        k.two = 1, k.act = o->act ? 1 + (o->y != NULL) : 0;
        go_chunks(o, s, w, k);
    } else if (!o->act) {
        k.act = 0;
        go_chunks(o, s, w, k);
    } else if (!o->y) {
        k.act = 1;
        go_chunks(o, s, w, k);
    } else {
        k.act = 2;
        go_chunks(o, s, w, k);
    }
}

/* The gradients of scale and shift for this thread's channels, and what dx is made of. */
static void know_channels(const norm *o, const shape *s, worker *w) {
    int64_t from, to;
    double count = (double)o->n * o->area;
    norm_channels(o, w, &from, &to);
    for (int64_t c = from; c < to; c++) {
        double sum, product, inverse = o->kept[INVERSE * o->c + c], factor = o->kept[FACTOR * o->c + c];
        double rest = o->kept[REST * o->c + c];
        norm_sums(o, s, c, &sum, &product);
        product = (product - rest * sum) * inverse; /* the sum of e z */
        if (o->dscale) o->dscale[c] = (float)product;
        if (o->dshift) o->dshift[c] = (float)sum;
        double slope = -factor * inverse * product / count;
        norm_term(o, s, 3, c, (float)slope);
        norm_term(o, s, 4, c, (float)(-factor * sum / count - slope * rest));
    }
}

void norm_backward(const norm *o, worker *w) {
    size_t bytes;
    int64_t from, to;
    shape s = norm_shape(o, worker_shared(w), &bytes);
    norm_channels(o, w, &from, &to);
    for (int64_t c = from; c < to; c++) {
        norm_term(o, &s, 0, c, o->kept[MEAN * o->c + c]);
        norm_term(o, &s, 1, c, o->kept[FACTOR * o->c + c]);
        norm_term(o, &s, 2, c, o->kept[OFFSET * o->c + c]);
    }
    worker_meet(w);
    if (o->stored) {
        if (o->passed)
            go_by_act(o, &s, w, (way){.sums = 1, .gives = 1, .passed = 1, .stored = 1});
        else
            go_by_act(o, &s, w, (way){.sums = 1, .gives = 1, .stored = 1});
        worker_meet(w);
        know_channels(o, &s, w);
        return;
    }
    if (o->passed)
        go_by_act(o, &s, w, (way){.sums = 1, .passed = 1});
    else
        go_by_act(o, &s, w, (way){.sums = 1});
    worker_meet(w);
    know_channels(o, &s, w);
    worker_meet(w);
    if (o->passed)
        go_by_act(o, &s, w, (way){.gives = 1, .passed = 2});
    else
        go_by_act(o, &s, w, (way){.gives = 1});
}
