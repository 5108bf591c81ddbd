/* Batch normalization for training: the programs, and the forward pass (norm.h).

   Mean and variance come of one pass over the map, in double precision, from the differences to the
   channel's first number: a mean that is large beside the deviation loses nothing. */

#include "norm.h"

#include <math.h>

CROSSES(norm)

/* The sums of x - first and of its square for a chunk of rows, channels last. */
static void sum_rows(const norm *o, const shape *s, int64_t chunk) {
    double *sums = s->sums + 2 * chunk * s->width, *squares = sums + s->width;
    const float *first = s->terms; /* MEAN's place until the mean is known */
    memset(sums, 0, (size_t)s->width * 16);
    int64_t end = at_most((chunk + 1) * s->chunk, s->rows);
    for (int64_t row = chunk * s->chunk; row < end; row += STEP) {
        int64_t left = s->total - row * s->width, rows = at_most(STEP, left / s->width);
        const float *x = o->x + row * s->width;
        for (int64_t at = 0; at < s->width; at += LANES) {
            floats k = floats_loadu(first + at);
            doubles k0 = floats_lower(k), k1 = floats_upper(k);
            doubles a0 = doubles_setzero(), a1 = a0, b0 = a0, b1 = a0;
            for (int64_t r = 0; r < rows; r++) {
                const float *from = x + r * s->width + at;
                doubles d0 = doubles_sub(doubles_of(from), k0);
                doubles d1 = doubles_sub(doubles_of(from + 8), k1);
                a0 = doubles_add(a0, d0), a1 = doubles_add(a1, d1);
                b0 = doubles_fmadd(d0, d0, b0), b1 = doubles_fmadd(d1, d1, b1);
            }
            if (rows < STEP && rows * s->width + at < left) { /* the last row, which is not whole */
                lane_mask mask = lanes(left - rows * s->width - at);
                floats v = floats_mask_loadu(k, mask, x + rows * s->width + at);
                doubles d0 = doubles_sub(floats_lower(v), k0), d1 = doubles_sub(floats_upper(v), k1);
                a0 = doubles_add(a0, d0), a1 = doubles_add(a1, d1);
                b0 = doubles_fmadd(d0, d0, b0), b1 = doubles_fmadd(d1, d1, b1);
            }
            doubles_storeu(sums + at, doubles_add(doubles_loadu(sums + at), a0));
            doubles_storeu(sums + at + 8, doubles_add(doubles_loadu(sums + at + 8), a1));
            doubles_storeu(squares + at, doubles_add(doubles_loadu(squares + at), b0));
            doubles_storeu(squares + at + 8, doubles_add(doubles_loadu(squares + at + 8), b1));
        }
    }
}

/* The same for a plane, channels first. */
static void sum_plane(const norm *o, const shape *s, int64_t row) {
    const float *x = o->x + row * s->width;
    floats k = floats_set1(s->terms[row % o->c]);
    doubles k0 = floats_lower(k), a0 = doubles_setzero(), a1 = a0, b0 = a0, b1 = a0;
    for (int64_t at = 0; at < s->width; at += LANES) {
        floats v = floats_mask_loadu(k, lanes(s->width - at), x + at);
        doubles d0 = doubles_sub(floats_lower(v), k0), d1 = doubles_sub(floats_upper(v), k0);
        a0 = doubles_add(a0, d0), a1 = doubles_add(a1, d1);
        b0 = doubles_fmadd(d0, d0, b0), b1 = doubles_fmadd(d1, d1, b1);
    }
    s->sums[2 * row] = doubles_reduce_add(doubles_add(a0, a1));
    s->sums[2 * row + 1] = doubles_reduce_add(doubles_add(b0, b1));
}

/* What the channels of this thread have from the sums, or from what is stored. */
static void know_channels(const norm *o, const shape *s, worker *w) {
    int64_t from, to;
    double count = (double)o->n * o->area;
    float by = o->number[0] == 0 ? 0 : 1 / o->number[0];
    norm_channels(o, w, &from, &to);
    for (int64_t c = from; c < to; c++) {
        double mean, variance;
        if (o->stored) {
            mean = o->mean_sum[c] * by, variance = o->variance_sum[c] * by;
        } else {
            norm_sums(o, s, c, &mean, &variance);
            mean /= count;
            variance = variance / count - mean * mean;
            if (variance < 0) variance = 0; /* NaN stays, as in the mean */
            mean += s->terms[c];
            float whole = (float)(variance * (count > 1 ? count / (count - 1) : 1));
            o->mean_sum[c] = o->mean_sum[c] * o->decay + (float)mean;
            o->variance_sum[c] = o->variance_sum[c] * o->decay + whole;
        }
        double inverse = 1 / sqrt(variance + o->eps), factor = o->scale[c] * inverse;
        float rounded = (float)mean;
        double rest = mean - rounded;
        const float of[KEPT] = {
            rounded, (float)rest, (float)inverse, (float)factor,
            (float)((o->shift ? o->shift[c] : 0) - rest * factor),
        };
        for (int k = 0; k < KEPT; k++) o->kept[k * o->c + c] = of[k];
        norm_term(o, s, 0, c, of[MEAN]);
        norm_term(o, s, 1, c, of[FACTOR]);
        norm_term(o, s, 2, c, of[OFFSET]);
    }
}

ALWAYS void apply(const norm *o, const shape *s, const terms *t, int64_t at, lane_mask mask, int added,
                  int act) {
    floats d = floats_sub(floats_maskz_loadu(mask, o->x + at), t->mean);
    floats v = floats_fmadd(d, t->factor, t->offset);
    if (added) v = floats_add(v, floats_maskz_loadu(mask, o->other + at));
    if (act) v = floats_min(floats_set1(o->high), floats_max(floats_set1(o->low), v));
    norm_store(s, o->y + at, mask, v);
}

ALWAYS void apply_rows(const norm *o, const shape *s, int64_t chunk, int added, int act) {
    int64_t end = at_most((chunk + 1) * s->chunk, s->rows);
    for (int64_t row = chunk * s->chunk; row < end; row += STEP) {
        int64_t begin = row * s->width, left = s->total - begin, rows = at_most(STEP, left / s->width);
        for (int64_t at = 0; at < s->width; at += LANES) {
            terms t = norm_terms(s, 1, at);
            for (int64_t r = 0; r < rows; r++)
                apply(o, s, &t, begin + r * s->width + at, 0xffff, added, act);
            if (rows < STEP && rows * s->width + at < left)
                apply(o, s, &t, begin + rows * s->width + at, lanes(left - rows * s->width - at), added,
                      act);
        }
    }
}

ALWAYS void apply_plane(const norm *o, const shape *s, int64_t row, int added, int act) {
    terms t = norm_terms(s, 0, row % o->c);
    for (int64_t at = 0; at < s->width; at += LANES)
        apply(o, s, &t, row * s->width + at, lanes(s->width - at), added, act);
}

ALWAYS void apply_chunk(const norm *o, const shape *s, int64_t chunk, int added, int act) {
    if (o->last) {
        apply_rows(o, s, chunk, added, act);
        return;
    }
    for (int64_t row = chunk * s->chunk; row < at_most((chunk + 1) * s->chunk, s->rows); row++)
        apply_plane(o, s, row, added, act);
}

static void find_sums(const norm *o, const shape *s, worker *w) {
    int64_t from, to, i;
    norm_channels(o, w, &from, &to);
    for (int64_t c = from; c < to; c++) norm_term(o, s, 0, c, o->x[o->last ? c : c * o->area]);
    worker_meet(w);
    while ((i = worker_next(w, s->chunks)) < s->chunks)
        if (o->last)
            sum_rows(o, s, i);
        else
            for (int64_t row = i * s->chunk; row < at_most((i + 1) * s->chunk, s->rows); row++)
                sum_plane(o, s, row);
    worker_meet(w);
}

static void forward_run(const void *unused, worker *w) {
    (void)unused;
    const norm *o = (const norm *)(const void *)worker_slot(w, 0);
    size_t bytes;
    int64_t i;
    shape s = norm_shape(o, worker_shared(w), &bytes);
    if (!o->stored) find_sums(o, &s, w);
    know_channels(o, &s, w);
    worker_meet(w);
    if (!o->stored && worker_index(w) == 0) o->number[0] = o->number[0] * o->decay + 1;
    while ((i = worker_next(w, s.chunks)) < s.chunks) {
        if (!o->stored) i = norm_backwards(w, i, s.chunks);
        if (o->other && o->act)
            apply_chunk(o, &s, i, 1, 1);
        else if (o->other)
            apply_chunk(o, &s, i, 1, 0);
        else if (o->act)
            apply_chunk(o, &s, i, 0, 1);
        else
            apply_chunk(o, &s, i, 0, 0);
    }
    _mm_sfence();
}

static void backward_run(const void *unused, worker *w) {
    (void)unused;
    norm_backward((const norm *)(const void *)worker_slot(w, 0), w);
}

/* A program for kernels_norm(), in one direction. */
program *kernels_norm_new(int back) {
    program *p = kernels_new();
    if (p && program_add(p, back ? backward_run : forward_run, NULL, NULL)) {
        kernels_free(p);
        return NULL;
    }
    return p;
}

/* Normalizes, or goes back, on so many threads; the result does not depend on their number. -1 without
   memory. Not for two callers at once with one program. */
int kernels_norm(program *p, int threads, const norm *of) {
    size_t bytes;
    norm_shape(of, NULL, &bytes);
    program_reserve(p, bytes, 0);
    float *slots[1] = {(float *)(void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
