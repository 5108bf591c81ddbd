/* Batch normalization with a scale by channel, a sum and an activation after it, for training: what its
   two directions share. */

#ifndef CAFFE_NORM_H
#define CAFFE_NORM_H

#include "finish.h"
#include "tasks.h"

/* y = act((x - mean) factor + offset + other), in dense maps: channels last or channels first, all of
   them alike.  mean, factor and offset are of the channel: from the batch, or stored. */
typedef struct {
    const float *x, *other; /* other: NULL where nothing is added */
    float *y;               /* forward: the result.  Back: the result where `other` was added, else NULL */
    const float *g, *h;     /* the gradient of y; of two readers: the sum of both, else h is NULL */
    float *dx, *passed;     /* passed: where the gradient goes that the activation lets through, or NULL */
    const float *scale, *shift;           /* shift may be NULL */
    float *mean_sum, *variance_sum, *number; /* Caffe's three blobs */
    float *kept;                          /* KEPT numbers for each channel: from forward to backward */
    float *dscale, *dshift;               /* NULL: not wanted */
    int64_t n, c, area;
    int32_t last, stored, act; /* channels last; statistics: stored or of the batch; an activation */
    float low, high, eps, decay; /* of the activation; of BatchNorm */
} norm;

/* What is kept: the mean and what its rounding has left out, 1 / deviation, and factor and offset. */
enum { MEAN, REST, INVERSE, FACTOR, OFFSET, KEPT };
enum { TERMS = 5 }; /* mean, factor, offset, and for the gradient: slope and level */
enum { STEP = 8 };  /* rows that are taken together */

/* A map as the threads share it.  Channels last it is rows of `width` numbers, whole pixels that fill
   whole vectors: number i of a row is of channel i % c.  Channels first a row is a plane. */
typedef struct {
    int64_t rows, width, total, chunk; /* rows of a chunk: the task of a thread */
    int64_t chunks;
    double *sums; /* [chunk][2][width], or [row][2] */
    float *terms; /* [TERMS][wide] */
    int64_t wide; /* floats of one of the terms: width, or c and more */
    int streams;  /* whether results go past the cache */
} shape;

/* The shape, laid out in memory that begins at `memory`; *bytes: how much it is. */
static inline shape norm_shape(const norm *o, char *memory, size_t *bytes) {
    enum { CHUNKS = 64, LEAST = 8192, LEAST_ROWS = 64 }; /* fewer rows: many sums for few numbers */
    /* Larger results than half of a core's cache have left it when they are read; written past it they
       leave room there, and their old numbers need not be read: 5 to 8 % of MobileNets' steps. */
    enum { STREAMED = 1 << 18 };
    shape s = {0};
    s.total = o->n * o->c * o->area;
    if (o->last) {
        int64_t pixels = 1;
        while (pixels * o->c % LANES) pixels *= 2;
        s.width = pixels * o->c;
        s.wide = s.width;
    } else {
        s.width = o->area;
        s.wide = (o->c + LANES - 1) / LANES * LANES;
    }
    s.rows = divide_up(s.total, s.width);
    s.chunk = at_least(divide_up(s.rows, CHUNKS), divide_up(LEAST, s.width));
    if (o->last) s.chunk = divide_up(at_least(s.chunk, LEAST_ROWS), STEP) * STEP;
    s.chunks = divide_up(s.rows, s.chunk);
    s.streams = s.total > STREAMED;
    s.sums = (double *)(void *)memory;
    size_t sums = (size_t)(o->last ? s.chunks * s.width : divide_up(s.rows, 4) * 4) * 16;
    s.terms = (float *)(void *)(memory + sums);
    *bytes = sums + (size_t)s.wide * TERMS * sizeof(float);
    return s;
}

/* Chunk number i for a second pass over what the threads have just been over: each goes back through its
   share, from the end, which its cache still holds. */
static inline int64_t norm_backwards(const worker *w, int64_t i, int64_t total) {
    int count = worker_count(w);
    for (int k = 0; k < count; k++) {
        int64_t begin = total * k / count, end = total * (k + 1) / count;
        if (i < end) return begin + end - 1 - i;
    }
    return i;
}

/* The two sums of a channel. */
static inline void norm_sums(const norm *o, const shape *s, int64_t channel, double *a, double *b) {
    *a = *b = 0;
    if (o->last) {
        for (int64_t k = 0; k < s->chunks; k++)
            for (int64_t at = channel; at < s->width; at += o->c) {
                *a += s->sums[2 * k * s->width + at];
                *b += s->sums[(2 * k + 1) * s->width + at];
            }
    } else {
        for (int64_t row = channel; row < s->rows; row += o->c) {
            *a += s->sums[2 * row];
            *b += s->sums[2 * row + 1];
        }
    }
}

/* Gives one of the terms of a channel its value. */
static inline void norm_term(const norm *o, const shape *s, int term, int64_t channel, float value) {
    float *terms = s->terms + term * s->wide;
    for (int64_t at = channel; at < (o->last ? s->width : channel + 1); at += o->c) terms[at] = value;
}

/* The channels [*from, *to) of this thread. */
static inline void norm_channels(const norm *o, const worker *w, int64_t *from, int64_t *to) {
    *from = o->c * worker_index(w) / worker_count(w);
    *to = o->c * (worker_index(w) + 1) / worker_count(w);
}

typedef struct {
    floats mean, factor, offset, slope, level;
} terms;

/* The terms of sixteen numbers of a row, or of a plane. */
ALWAYS terms norm_terms(const shape *s, int last, int64_t at) {
    const float *t = s->terms + at;
    if (last)
        return (terms){floats_loadu(t), floats_loadu(t + s->wide), floats_loadu(t + 2 * s->wide),
                       floats_loadu(t + 3 * s->wide), floats_loadu(t + 4 * s->wide)};
    return (terms){floats_set1(t[0]), floats_set1(t[s->wide]), floats_set1(t[2 * s->wide]),
                   floats_set1(t[3 * s->wide]), floats_set1(t[4 * s->wide])};
}

/* Adds sixteen numbers to as many sums. */
ALWAYS void add_to(double *sums, floats v) {
    doubles_storeu(sums, doubles_add(doubles_loadu(sums), floats_lower(v)));
    doubles_storeu(sums + 8, doubles_add(doubles_loadu(sums + 8), floats_upper(v)));
}

/* Stores sixteen numbers of a result. */
ALWAYS void norm_store(const shape *s, float *to, lane_mask mask, floats v) {
    if (s->streams && mask == 0xffff && ((uintptr_t)to & 63) == 0)
        floats_stream(to, v);
    else
        floats_mask_storeu(to, mask, v);
}

void norm_backward(const norm *o, worker *w);

#endif
