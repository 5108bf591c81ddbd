/* Convolutions of maps of few channels in programs: the layer that sees the picture.

   A step of sixteen numbers would mix taps and channels, and putting such steps together takes longer
   than multiplications of vectors can wait for. Here the rows of the input that a row of results reads
   lie in a ring, as planes with zeros on either side; a number of a plane is multiplied with vectors
   of outputs. AMX's tiles have their own time for that (convolution.c). */

#include "kind.h"

#ifndef CAFFE_AMX

#include "picture.h"

#include "finish.h"
#include "large.h"
#include "tasks.h"
#include "tiles.h"

enum { MOST_FEW = 4 /* channels */, LEAST_PIXELS = 8, MOST_PIXELS = BLOCK_ROWS /* results of a block */, MOST_KERNEL = 16 };

typedef struct {
    map in, out;
    window win;
    finish done;
    int64_t pixels;               /* results of a block, the last of a row may be computed twice */
    int64_t slots, pitch, needed; /* rows of the ring; numbers of a plane's row, and those that are read */
    float *weights;               /* [outputs of a block][row, channel, column of the kernel][as many] */
    floats low, high;             /* of ReLU and Clamp */
    int bounded;                  /* whether the activation is no more than that */
    /* of sixteen pixels' channels: the lane that goes to a plane, and which planes' lanes are in a vector */
    int32_t lane[MOST_FEW][LANES];
    lane_mask of_vector[MOST_FEW][MOST_FEW];
} picture;

/* A row of results: the rows of the kernel that are in the image, and where they lie in the ring. */
typedef struct {
    const float *rows[MOST_KERNEL];
    int64_t first, end;
    float *to;
} row;

static size_t own_bytes(const picture *o) {
    return (size_t)(o->slots * (o->in.c * o->pitch + LANES)) * sizeof(float);
}

/* Sixteen pixels or fewer to planes. */
static inline void copy_pixels(const picture *o, const float *from, int64_t count, float *to) {
    const int64_t channels = o->in.c;
    floats given[MOST_FEW];
    for (int64_t j = 0; j < channels; j++)
        given[j] = floats_maskz_loadu(lanes(at_least(count * channels - j * LANES, 0)), from + j * LANES);
    for (int64_t i = 0; i < channels; i++) {
        const ints lane = ints_loadu(o->lane[i]);
        floats v = floats_setzero();
        for (int64_t j = 0; j < channels; j++)
            v = floats_mask_permutexvar(v, o->of_vector[i][j], lane, given[j]);
        floats_mask_storeu(to + i * o->pitch, lanes(count), v);
    }
}

static void copy_row(const picture *o, const float *from, float *to) {
    const map *m = &o->in;
    const int64_t begin = at_least(-o->win.pad_w, 0);
    const int64_t count = at_most(m->w, o->needed - o->win.pad_w) - begin;
    from += begin * m->pixel, to += o->win.pad_w + begin;
    if (m->pixel == m->c) {
        for (int64_t x = 0; x < count; x += LANES)
            copy_pixels(o, from + x * m->c, at_most(count - x, LANES), to + x);
        return;
    }
    for (int64_t x = 0; x < count; x++)
        for (int64_t c = 0; c < m->c; c++) to[c * o->pitch + x] = from[x * m->pixel + c];
}

/* The rows that the results of row y read; those that are not in the ring are copied. */
static void find_rows(const picture *o, int64_t image, int64_t y, float *ring, int64_t *numbers, row *r) {
    const window *w = &o->win;
    r->first = r->end = 0;
    for (int64_t k = 0; k < w->kernel_h; k++) {
        int64_t at = y * w->stride_h - w->pad_h + k * w->dilation_h, number = image * o->in.h + at;
        if (at < 0) r->first = k + 1;
        if (at < 0 || at >= o->in.h) continue;
        float *slot = ring + at % o->slots * o->in.c * o->pitch;
        if (numbers[at % o->slots] != number) {
            copy_row(o, o->in.at + number * o->in.w * o->in.pixel, slot);
            numbers[at % o->slots] = number;
        }
        r->rows[k] = slot, r->end = k + 1;
    }
    r->to = pixel_at(&o->out, image, y, 0);
}

static __attribute__((noinline)) void finish_block(const picture *o, const float *sums, int64_t channel,
                                                   int64_t pixels, int64_t wide, float *to) {
    for (int64_t i = 0; i < pixels * wide; i++) {
        int64_t at = i % wide * LANES;
        lane_mask mask = lanes(o->out.c - channel - at);
        floats v = activate(floats_load(sums + i * LANES), &o->done, channel + at, mask);
        floats_mask_storeu(to + i / wide * o->out.pixel + at, mask, v);
    }
}

/* Results x to x + pixels of a row by one or two vectors of outputs. */
ALWAYS void block(const picture *o, const row *r, int64_t x, int64_t channel, const int pixels,
                  const int wide, const int stride) {
    const int64_t channels = o->in.c, taps = o->win.kernel_w, dilation = o->win.dilation_w;
    const float *weights = o->weights + channel * o->win.kernel_h * channels * taps;
    weights += r->first * channels * taps * BLOCK_WIDE * LANES;
    float *to = r->to + x * o->out.pixel + channel;
    lane_mask mask[BLOCK_WIDE];
    floats sums[MOST_PIXELS][BLOCK_WIDE];
#pragma GCC unroll 2
    for (int n = 0; n < wide; n++) {
        mask[n] = lanes(o->out.c - channel - n * LANES);
        floats bias = floats_setzero();
        if (o->done.bias) bias = floats_maskz_loadu(mask[n], o->done.bias + channel + n * LANES);
#pragma GCC unroll 14
        for (int i = 0; i < pixels; i++) sums[i][n] = bias;
    }
    /* What is written next. */
    for (int i = 0; i < pixels; i++)
        for (int n = 0; n < wide; n++)
            __builtin_prefetch(to + (pixels + i) * o->out.pixel + n * LANES, 1);
    for (int64_t k = r->first; k < r->end; k++) {
        const float *plane = r->rows[k] + x * stride;
        for (int64_t c = 0; c < channels; c++, plane += o->pitch) {
            const float *at = plane;
            for (int64_t t = 0; t < taps; t++, at += dilation, weights += BLOCK_WIDE * LANES) {
                floats w[BLOCK_WIDE];
#pragma GCC unroll 2
                for (int n = 0; n < wide; n++) w[n] = floats_load(weights + n * LANES);
#pragma GCC unroll 14
                for (int i = 0; i < pixels; i++) {
                    floats v = floats_set1(at[i * stride]);
#pragma GCC unroll 2
                    for (int n = 0; n < wide; n++) sums[i][n] = floats_fmadd(v, w[n], sums[i][n]);
                }
            }
        }
    }
    if (!o->bounded) {
        _Alignas(64) float found[MOST_PIXELS * BLOCK_WIDE * LANES];
#pragma GCC unroll 28
        for (int i = 0; i < pixels * wide; i++) floats_store(found + i * LANES, sums[i / wide][i % wide]);
        finish_block(o, found, channel, pixels, wide, to);
        return;
    }
#pragma GCC unroll 14
    for (int i = 0; i < pixels; i++, to += o->out.pixel)
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++)
            floats_mask_storeu(to + n * LANES, mask[n],
                               floats_min(o->high, floats_max(o->low, sums[i][n])));
}

ALWAYS void row_of_blocks(const picture *o, const row *r, const int pixels, const int stride) {
    for (int64_t channel = 0; channel < o->out.c; channel += BLOCK_WIDE * LANES)
        for (int64_t i = 0; i < o->out.w; i += pixels) {
            int64_t x = at_most(i, o->out.w - pixels);
            if (o->out.c - channel > LANES)
                block(o, r, x, channel, pixels, BLOCK_WIDE, stride);
            else
                block(o, r, x, channel, pixels, 1, stride);
        }
}

/* Constants of the code: the strides of kernels of pictures, the results of a block. */
#define STRIDES(of) of(1) of(2) of(4)
#if BLOCK_WIDE > 1
#define SIZES(of, stride) \
    of(8, stride) of(9, stride) of(10, stride) of(11, stride) of(12, stride) of(13, stride) of(14, stride)
#else
#define SIZES(of, stride) of(4, stride) of(5, stride) of(6, stride)
#endif

#define SIZE(n, stride) \
    case n: row_of_blocks(o, r, n, stride); break;
#define STRIDE(stride)                                                                        \
    static __attribute__((noinline)) void row_of_stride_##stride(const picture *o, const row *r) { \
        switch (o->pixels) { SIZES(SIZE, stride) }                                            \
    }
STRIDES(STRIDE)
#undef SIZE
#undef STRIDE

static void run(const void *prepared, worker *w) {
    const picture *o = prepared;
    float *ring = worker_own(w);
    int64_t numbers[MOST_KERNEL * MOST_KERNEL], from, to;
    memset(ring, 0, own_bytes(o));
    for (int64_t i = 0; i < o->slots; i++) numbers[i] = -1;
    while (tasks_next(w, (int64_t)o->out.n * o->out.h, &from, &to))
        for (int64_t at = from; at < to; at++) {
            row r;
            find_rows(o, at / o->out.h, at % o->out.h, ring, numbers, &r);
#define STRIDE(stride) \
    case stride: row_of_stride_##stride(o, &r); break;
            switch (o->win.stride_w) { STRIDES(STRIDE) }
#undef STRIDE
        }
}

int picture_fits(const map *in, const map *out, const window *w, const finish *then) {
    int stride = w->stride_w == 1 || w->stride_w == 2 || w->stride_w == 4;
    if (in->c > MOST_FEW || w->groups != 1 || !stride || out->w < LEAST_PIXELS) return 0;
    if (in->n != out->n || (then && then->other.at)) return 0;
    return w->kernel_h <= MOST_KERNEL && w->kernel_h * w->dilation_h <= MOST_KERNEL * MOST_KERNEL;
}

static void discard(void *prepared) {
    picture *o = prepared;
    finish_free(&o->done);
    free(o->weights);
}

static void lay_weights(const picture *o, const float *weights, float *to) {
    const int64_t height = o->win.kernel_h, width = o->win.kernel_w, channels = o->in.c;
    for (int64_t first = 0; first < o->out.c; first += BLOCK_WIDE * LANES)
        for (int64_t k = 0; k < height * channels * width; k++, to += BLOCK_WIDE * LANES)
            for (int64_t n = first; n < at_most(first + BLOCK_WIDE * LANES, o->out.c); n++) {
                int64_t x = k % width, c = k / width % channels, y = k / width / channels;
                to[n - first] = weights[((n * channels + c) * height + y) * width + x];
            }
}

/* How sixteen pixels become planes. */
static void list_lanes(picture *o) {
    const int channels = o->in.c;
    for (int i = 0; i < channels; i++)
        for (int pixel = 0; pixel < LANES; pixel++) {
            int number = pixel * channels + i;
            o->lane[i][pixel] = number % LANES;
            o->of_vector[i][number / LANES] |= (lane_mask)(1u << pixel);
        }
}

int picture_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then) {
    int64_t count = divide_up(out->c, BLOCK_WIDE * LANES) * BLOCK_WIDE * LANES * in->c * win->kernel_h * win->kernel_w;
    picture *o = large_alloc(sizeof *o);
    if (!o) return -1;
    memset(o, 0, sizeof *o);
    o->in = *in, o->out = *out, o->win = *win;
    o->pixels = divide_up(out->w, divide_up(out->w, MOST_PIXELS));
    o->slots = (win->kernel_h - 1) * win->dilation_h + 1;
    o->needed = (int64_t)(out->w - 1) * win->stride_w + (int64_t)(win->kernel_w - 1) * win->dilation_w + 1;
    o->pitch = divide_up(at_least(o->needed, 0), LANES) * LANES;
    o->weights = large_alloc((size_t)count * sizeof(float));
    int failed = !o->weights || finish_copy(&o->done, then, out->c);
    float low, high;
    o->bounded = finish_limits(&o->done, &low, &high);
    o->low = floats_set1(low), o->high = floats_set1(high);
    list_lanes(o);
    if (failed || program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    memset(o->weights, 0, (size_t)count * sizeof(float));
    lay_weights(o, weights, o->weights);
    program_reserve(p, 0, own_bytes(o));
    return 0;
}

#endif
