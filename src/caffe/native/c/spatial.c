/* Convolutions with kernels of one, three and five columns that read the map as it lies.

   A block is some results of a row by one or two vectors of outputs, whose sums stay in registers. Nothing is
   copied, and neither the padding nor channels that would fill a step are multiplied. */

#include "kind.h"

#ifndef CAFFE_AMX

#include "spatial.h"

#include "finish.h"
#include "large.h"
#include "tasks.h"
#include "tiles.h"

enum { MOST_PIXELS = BLOCK_ROWS /* results of a block */, MOST_ROW = 8 * MOST_PIXELS, MOST_SUMMED = 1536, TOGETHER = 3 /* addresses of a register */ };

/* Some outputs of a group: the vectors of a block, or fewer. */
typedef struct {
    int64_t input, output; /* channels */
    int64_t wide;          /* vectors */
    lane_mask mask[BLOCK_WIDE];
    const float *weights;  /* [row, column of the kernel][channel][wide * 16] */
} panel;

typedef struct {
    map in, out;
    window win;
    finish done;
    int64_t channels, pixels; /* of a group; results of a block, the last of a row may be computed twice */
    int64_t part, together;   /* channels, and rows of the kernel, that are summed at a time */
    int64_t panels, band;     /* rows for which a panel's weights are read, one after the other */
    panel *panel;
    float *weights;
    floats low, high; /* of ReLU and Clamp */
    int bounded;      /* whether the activation is no more than that */
    int left, right;  /* whether the kernel reaches beyond the map at the first and last result of a row */
    int64_t all;      /* of a kernel of one tap: all pixels, in rows of which the last two may overlap; or 0 */
} spatial;

/* A block, and what is summed at a time: long sums are made of shorter ones, which round less. */
typedef struct {
    const float *from, *weights; /* the first number that the kernel meets */
    float *to;
    const float *other;          /* what is added; or NULL */
    int64_t first, rows;         /* of the kernel */
    int64_t channels;
    int at_left, at_right;       /* whether its first and last column reach beyond the image */
    int earlier, later;          /* whether there are other sums before and after */
    float *before;               /* the earlier ones */
} place;

static __attribute__((noinline)) void finish_block(const spatial *o, const panel *s, const float *sums,
                                                   int64_t pixels, float *to) {
    for (int64_t i = 0; i < pixels * s->wide; i++) {
        int64_t n = i % s->wide;
        floats v = activate(floats_load(sums + i * LANES), &o->done, s->output + n * LANES, s->mask[n]);
        floats_mask_storeu(to + i / s->wide * o->out.pixel + n * LANES, s->mask[n], v);
    }
}

/* Adds what a column of the kernel gives to results `begin` to `end` of a block, from `channels` numbers
   of each pixel; `next` numbers are from a result's to the next one's. `ahead`: those of the next block
   are asked for. */
ALWAYS void add_column(const float *row, int64_t next, int64_t channels, const float *weights, const int begin,
                       const int end, const int wide, const int ahead, floats sums[][BLOCK_WIDE]) {
    const float *at[(MOST_PIXELS + TOGETHER - 1) / TOGETHER];
#pragma GCC unroll 5
    for (int g = begin / TOGETHER; g * TOGETHER < end; g++) at[g] = row + g * TOGETHER * next;
#pragma GCC unroll 1
    for (int64_t c = 0; c < channels; c++, weights += wide * LANES) {
        floats w[BLOCK_WIDE];
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++) w[n] = floats_load(weights + n * LANES);
        if (ahead) __builtin_prefetch(row + end * next + c * LANES);
#pragma GCC unroll 14
        for (int i = begin; i < end; i++) {
            floats v = floats_set1(at[i / TOGETHER][i % TOGETHER * next]);
#pragma GCC unroll 2
            for (int n = 0; n < wide; n++) sums[i][n] = floats_fmadd(v, w[n], sums[i][n]);
        }
#pragma GCC unroll 5
        for (int g = begin / TOGETHER; g * TOGETHER < end; g++) at[g]++;
    }
}

/* The results of a block. Left of the middle a column of the kernel misses the image for results on the
   left, right of it for those on the right, so there is code for both cases. */
ALWAYS void block(const spatial *o, const panel *s, const place *p, const int columns, const int stride,
                  const int pixels, const int wide) {
    const int64_t channels = p->channels, pixel = o->in.pixel, line = o->in.w * pixel;
    const float *weights = p->weights;
    float *to = p->to;
    floats sums[MOST_PIXELS][BLOCK_WIDE];
#pragma GCC unroll 2
    for (int n = 0; n < wide; n++) {
        floats bias = floats_setzero();
        if (o->done.bias && !p->earlier)
            bias = floats_maskz_loadu(s->mask[n], o->done.bias + s->output + n * LANES);
#pragma GCC unroll 14
        for (int i = 0; i < pixels; i++) sums[i][n] = bias;
    }
    if (p->other && !p->earlier) {
        const float *other = p->other;
#pragma GCC unroll 14
        for (int i = 0; i < pixels; i++, other += o->done.other.pixel)
#pragma GCC unroll 2
            for (int n = 0; n < wide; n++)
                sums[i][n] = floats_add(sums[i][n], floats_maskz_loadu(s->mask[n], other + n * LANES));
        for (int i = 0; i < pixels; i++, other += o->done.other.pixel) /* the next block's */
            for (int n = 0; n < wide; n++) __builtin_prefetch(other + n * LANES);
    }
    for (int i = 0; i < pixels; i++) /* what is written next */
        for (int n = 0; n < wide; n++)
            __builtin_prefetch(to + (pixels + i) * o->out.pixel + n * LANES, 1);
    for (int64_t k = 0; k < p->rows; k++) {
        const float *row = p->from + k * line;
#pragma GCC unroll 5
        for (int column = 0; column < columns; column++, row += pixel, weights += channels * wide * LANES) {
            const int off = column - columns / 2, missing = ((off < 0 ? -off : off) + stride - 1) / stride;
            if (off < 0 && p->at_left)
                add_column(row, stride * pixel, channels, weights, missing, pixels, wide, 0, sums);
            else if (off > 0 && p->at_right)
                add_column(row, stride * pixel, channels, weights, 0, pixels - missing, wide, 0, sums);
            else
                add_column(row, stride * pixel, channels, weights, 0, pixels, wide, columns == 1, sums);
        }
    }
    if (p->earlier)
#pragma GCC unroll 28
        for (int i = 0; i < pixels * wide; i++)
            sums[i / wide][i % wide] = floats_add(sums[i / wide][i % wide], floats_load(p->before + i * LANES));
    if (p->later || !o->bounded) {
#pragma GCC unroll 28
        for (int i = 0; i < pixels * wide; i++) floats_store(p->before + i * LANES, sums[i / wide][i % wide]);
        if (!p->later) finish_block(o, s, p->before, pixels, to);
        return;
    }
#pragma GCC unroll 14
    for (int i = 0; i < pixels; i++, to += o->out.pixel)
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++)
            floats_mask_storeu(to + n * LANES, s->mask[n],
                               floats_min(o->high, floats_max(o->low, sums[i][n])));
}

/* All blocks of a row of results. */
ALWAYS void row_of_blocks(const spatial *o, const panel *s, place p, const int columns, const int stride,
                          const int pixels, const int wide) {
    const int64_t part = o->part, together = o->together, rows = p.rows, line = o->in.w * o->in.pixel;
    const float *weights = s->weights + p.first * columns * o->channels * wide * LANES;
    const float *from = p.from, *other = p.other;
    float *to = p.to;
    for (int64_t i = 0; i < o->out.w; i += pixels) {
        int64_t x = at_most(i, o->out.w - pixels), k = 0, c = 0;
        const float *corner = from + (x * stride - o->win.pad_w) * o->in.pixel;
        p.weights = weights, p.to = to + x * o->out.pixel;
        if (other) p.other = other + x * o->done.other.pixel;
        p.at_left = o->left && x == 0, p.at_right = o->right && x == o->out.w - pixels;
        do {
            p.from = corner + k * line + c, p.earlier = k > 0 || c > 0;
            p.rows = at_most(together, rows - k), p.channels = at_most(part, o->channels - c);
            c += part;
            if (c >= o->channels) c = 0, k += together;
            p.later = k < rows;
            block(o, s, &p, columns, stride, pixels, wide);
            p.weights += p.rows * columns * p.channels * wide * LANES;
        } while (p.later);
    }
}

/* Constants of the code: the columns and stride of a kernel, a panel's vectors, the results of a block. */
#define OF_WIDE(of, wide) of(1, 1, wide) of(1, 2, wide) of(3, 1, wide) of(3, 2, wide) of(5, 1, wide)
#if BLOCK_WIDE > 1
#define KINDS(of) OF_WIDE(of, 1) OF_WIDE(of, 2)
#define SIZES(of, ...) \
    of(7, __VA_ARGS__) of(8, __VA_ARGS__) of(9, __VA_ARGS__) of(10, __VA_ARGS__) of(12, __VA_ARGS__) \
    of(13, __VA_ARGS__) of(14, __VA_ARGS__)
#else
#define KINDS(of) OF_WIDE(of, 1)
#define SIZES(of, ...) of(4, __VA_ARGS__) of(5, __VA_ARGS__) of(6, __VA_ARGS__)
#endif
#define SIZE(n, columns, stride, wide) \
    case n: row_of_blocks(o, s, p, columns, stride, n, wide); break;
#define KIND(columns, stride, wide)                                                                  \
    static __attribute__((noinline)) void row_##columns##_##stride##_##wide(const spatial *o,        \
                                                                            const panel *s, place p) { \
        switch (o->pixels) { SIZES(SIZE, columns, stride, wide) }                                    \
    }
KINDS(KIND)
#undef KIND
#undef SIZE

/* The size of blocks that suits a row of so many results, with a little for each block; 0: too few, or
   none does. Of five columns the last two results of a row miss the image: both must be the last
   block's, or the one before would read behind the map. */
static int64_t block_of(int64_t results, int64_t columns) {
    int64_t found = 0, least = INT64_MAX;
#define SIZE(n, of)                                                               \
    if (n <= of && !(columns > 3 && of > n && of % n == 1) &&                     \
        divide_up(of, n) * (2 * n + 1) <= least)                                  \
        found = n, least = divide_up(of, n) * (2 * n + 1);
    SIZES(SIZE, results)
#undef SIZE
    return found;
}

static void row_of(const spatial *o, const panel *s, int64_t image, int64_t y) {
    const window *w = &o->win;
    int64_t top = y * w->stride_h - w->pad_h, first = at_least(-top, 0);
    _Alignas(64) float before[MOST_PIXELS * BLOCK_WIDE * LANES];
    place p = {.before = before, .rows = at_most(w->kernel_h, o->in.h - top) - first, .first = first};
    int64_t in = (image * o->in.h + top + first) * o->in.w, out = (image * o->out.h + y) * o->out.w;
    if (o->all) in = out = at_most(out, o->all - o->out.w);
    p.from = o->in.at + in * o->in.pixel + s->input, p.to = o->out.at + out * o->out.pixel + s->output;
    if (o->done.other.at) p.other = o->done.other.at + out * o->done.other.pixel + s->output;
#define KIND(columns, stride, wide) \
    case columns * 100 + stride * 10 + wide: row_##columns##_##stride##_##wide(o, s, p); break;
    switch (w->kernel_w * 100 + w->stride_w * 10 + s->wide) { KINDS(KIND) }
#undef KIND
}

static void run(const void *prepared, worker *w) {
    const spatial *o = prepared;
    const int64_t rows = (int64_t)o->out.n * o->out.h, bands = divide_up(rows, o->band);
    int64_t from, to;
    while (tasks_next(w, bands * o->panels * o->band, &from, &to))
        for (int64_t task = from; task < to; task++) {
            int64_t panel = task / o->band % o->panels;
            int64_t row = task / o->band / o->panels * o->band + task % o->band;
            if (row < rows) row_of(o, o->panel + panel, row / o->out.h, row % o->out.h);
        }
}

/* How far the kernel reaches beyond the map at the last result of a row. */
static int64_t beyond(const map *in, const map *out, const window *w) {
    return (int64_t)(out->w - 1) * w->stride_w + w->kernel_w - w->pad_w - in->w;
}

/* Whether pixels do not meet others: a kernel of one tap goes through all as through one row. */
static int is_flat(const map *in, const map *out, const window *w) {
    int plain = w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1;
    return plain && !w->pad_h && !w->pad_w && in->h == out->h && in->w == out->w;
}

int spatial_fits(const map *in, const map *out, const window *w, const finish *then) {
    const int half = w->kernel_w / 2, right = (int)at_most(at_least(beyond(in, out, w), 0), half + 1);
    if (w->dilation_h != 1 || w->dilation_w != 1 || in->n != out->n) return 0;
    if (w->kernel_w != 1 && w->kernel_w != 3 && w->kernel_w != 5) return 0;
    if (w->stride_w > (w->kernel_w == 5 ? 1 : 2) || (then && then->other.at == out->at)) return 0;
    /* The numbers of a block would meet in the same few lines of the first cache. */
    if (w->kernel_w == 1 && in->pixel * w->stride_w % 1024 == 0) return 0;
    if ((w->pad_w > 0 && w->pad_w != half) || (right && right != half)) return 0;
    int64_t row = is_flat(in, out, w) ? (int64_t)out->n * out->h * out->w : out->w;
    return block_of(row, w->kernel_w) != 0;
}

static void discard(void *prepared) {
    spatial *o = prepared;
    finish_free(&o->done);
    free(o->panel);
    free(o->weights);
}

static void lay_weights(const spatial *o, const panel *s, const float *weights, float *to) {
    const int64_t taps = (int64_t)o->win.kernel_h * o->win.kernel_w;
    for (int64_t tap = 0; tap < taps; tap++)
        for (int64_t c = 0; c < o->channels; c++)
            for (int64_t n = 0; n < s->wide * LANES; n++, to++)
                if (s->mask[n / LANES] >> n % LANES & 1)
                    *to = weights[((s->output + n) * o->channels + c) * taps + tap];
}

int spatial_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then) {
    const int64_t groups = win->groups, outputs = out->c / groups, each = divide_up(outputs, BLOCK_WIDE * LANES);
    spatial *o = large_alloc(sizeof *o);
    if (!o) return -1;
    memset(o, 0, sizeof *o);
    o->in = *in, o->out = *out, o->win = *win;
    if (is_flat(in, out, win)) {
        o->all = (int64_t)out->n * out->h * out->w;
        o->in.n = o->out.n = 1, o->in.h = o->out.h = divide_up(o->all, MOST_ROW);
        o->in.w = o->out.w = divide_up(o->all, o->out.h);
    }
    o->channels = in->c / groups, o->panels = groups * each;
    o->pixels = block_of(o->out.w, win->kernel_w), o->left = win->pad_w > 0, o->right = beyond(in, out, win) > 0;
    const int64_t depth = o->channels * win->kernel_h * win->kernel_w;
    o->part = win->kernel_w == 1 ? at_most(o->channels, MOST_SUMMED) : o->channels;
    o->together = at_least(MOST_SUMMED / (o->channels * win->kernel_w), 1);
    o->band = 1;
    if (o->panels * depth * BLOCK_WIDE * LANES * 4 > CORE_CACHE / 4) {
        int64_t most = at_least(CORE_CACHE / 4 / ((int64_t)o->in.w * in->c * 4), 1);
        o->band = divide_up(o->out.h, divide_up(o->out.h, most));
    }
    size_t bytes = (size_t)(o->panels * depth * BLOCK_WIDE * LANES) * sizeof(float);
    o->weights = large_alloc(bytes);
    o->panel = malloc((size_t)o->panels * sizeof *o->panel);
    int failed = !o->weights || !o->panel || finish_copy(&o->done, then, out->c);
    float low, high;
    o->bounded = finish_limits(&o->done, &low, &high);
    o->low = floats_set1(low), o->high = floats_set1(high);
    if (failed || program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    memset(o->weights, 0, bytes);
    float *to = o->weights;
    for (int64_t i = 0; i < o->panels; i++) {
        int64_t at = i % each * BLOCK_WIDE * LANES, left = outputs - at;
        int64_t wide = at_most(divide_up(left, LANES), BLOCK_WIDE);
        panel *s = o->panel + i;
        *s = (panel){i / each * o->channels, i / each * outputs + at, wide, {lanes(left)}, to};
        for (int64_t n = 1; n < wide; n++) s->mask[n] = lanes(left - n * LANES);
        lay_weights(o, s, weights, to);
        to += depth * wide * LANES;
    }
    return 0;
}

#endif
