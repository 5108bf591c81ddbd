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
            __m512 k = _mm512_loadu_ps(first + at);
            __m512d k0 = lower(k), k1 = upper(k);
            __m512d a0 = _mm512_setzero_pd(), a1 = a0, b0 = a0, b1 = a0;
            for (int64_t r = 0; r < rows; r++) {
                const float *from = x + r * s->width + at;
                __m512d d0 = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_loadu_ps(from)), k0);
                __m512d d1 = _mm512_sub_pd(_mm512_cvtps_pd(_mm256_loadu_ps(from + 8)), k1);
                a0 = _mm512_add_pd(a0, d0), a1 = _mm512_add_pd(a1, d1);
                b0 = _mm512_fmadd_pd(d0, d0, b0), b1 = _mm512_fmadd_pd(d1, d1, b1);
            }
            if (rows < STEP && rows * s->width + at < left) { /* the last row, which is not whole */
                __mmask16 mask = lanes(left - rows * s->width - at);
                __m512 v = _mm512_mask_loadu_ps(k, mask, x + rows * s->width + at);
                __m512d d0 = _mm512_sub_pd(lower(v), k0), d1 = _mm512_sub_pd(upper(v), k1);
                a0 = _mm512_add_pd(a0, d0), a1 = _mm512_add_pd(a1, d1);
                b0 = _mm512_fmadd_pd(d0, d0, b0), b1 = _mm512_fmadd_pd(d1, d1, b1);
            }
            _mm512_storeu_pd(sums + at, _mm512_add_pd(_mm512_loadu_pd(sums + at), a0));
            _mm512_storeu_pd(sums + at + 8, _mm512_add_pd(_mm512_loadu_pd(sums + at + 8), a1));
            _mm512_storeu_pd(squares + at, _mm512_add_pd(_mm512_loadu_pd(squares + at), b0));
            _mm512_storeu_pd(squares + at + 8, _mm512_add_pd(_mm512_loadu_pd(squares + at + 8), b1));
        }
    }
}

/* The same for a plane, channels first. */
static void sum_plane(const norm *o, const shape *s, int64_t row) {
    const float *x = o->x + row * s->width;
    __m512 k = _mm512_set1_ps(s->terms[row % o->c]);
    __m512d k0 = lower(k), a0 = _mm512_setzero_pd(), a1 = a0, b0 = a0, b1 = a0;
    for (int64_t at = 0; at < s->width; at += LANES) {
        __m512 v = _mm512_mask_loadu_ps(k, lanes(s->width - at), x + at);
        __m512d d0 = _mm512_sub_pd(lower(v), k0), d1 = _mm512_sub_pd(upper(v), k0);
        a0 = _mm512_add_pd(a0, d0), a1 = _mm512_add_pd(a1, d1);
        b0 = _mm512_fmadd_pd(d0, d0, b0), b1 = _mm512_fmadd_pd(d1, d1, b1);
    }
    s->sums[2 * row] = _mm512_reduce_add_pd(_mm512_add_pd(a0, a1));
    s->sums[2 * row + 1] = _mm512_reduce_add_pd(_mm512_add_pd(b0, b1));
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

ALWAYS void apply(const norm *o, const shape *s, const terms *t, int64_t at, __mmask16 mask, int added,
                  int act) {
    __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, o->x + at), t->mean);
    __m512 v = _mm512_fmadd_ps(d, t->factor, t->offset);
    if (added) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, o->other + at));
    if (act) v = _mm512_min_ps(_mm512_set1_ps(o->high), _mm512_max_ps(_mm512_set1_ps(o->low), v));
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
