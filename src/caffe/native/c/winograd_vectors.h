/* Winograd's products by multiplications of vectors (multiply_step.h): a thread takes some groups of blocks,
   transforms what they see, and for each 32 outputs computes all 24 products and their transform. */

#ifndef CAFFE_WINOGRAD_VECTORS_H
#define CAFFE_WINOGRAD_VECTORS_H

#include "floats.h"
#include "multiply_step.h"
#include "winograd_blocks.h"

enum {
    MOST_GROUPS = 8, /* of a share, where weights are packed for each */
    SOME_GROUPS = 4, /* where they are only read */
    FEW_WEIGHTS = 7 << 20, /* bytes that are near enough to be read for each group */
    MOST_DEPTH = 128, /* channels whose products are summed before they are added to others: their weights
                         stay in the first cache, and sums of many would lose digits */
    WIDE = 2 * LANES,
    WEIGHT_STEP = WIDE,
    DEPTH_STEP = LANES,
};

/* The weights lie as [width / 32][place][2][depth][16], and after each place a gap: those of a channel
   for all places would lie a power of two apart. */
static int64_t place_floats(const winograd *o) { return (2 * o->depth + 1) * LANES; }

/* Those of 32 outputs, and where in them sixteen outputs begin. */
static int64_t panel_floats(const winograd *o) { return PLACES * place_floats(o); }
static float *panel_of(const winograd *o, int64_t n) {
    return (float *)o->weights + n / WIDE * panel_floats(o);
}
static int64_t within_panel(const winograd *o, int64_t n) { return n / LANES % 2 * o->depth * LANES; }

static size_t weights_size(const winograd *o) {
    return (size_t)(o->width / WIDE * panel_floats(o)) * sizeof(float);
}

/* Packs weights as caffe.kernels.winograd.transform_weights gives them, (24, outputs, channels). */
static void pack_weights(const winograd *o, const float *u) {
    for (int64_t p = 0; p < PLACES; p++, u += (int64_t)o->outputs * o->channels)
        for (int64_t n = 0; n < o->width; n += LANES)
            for (int64_t c = 0; c < o->depth; c += LANES) {
                floats rows[LANES];
                for (int64_t i = 0; i < LANES; i++)
                    rows[i] = floats_maskz_loadu(n + i < o->outputs ? lanes(o->channels - c) : 0,
                                                 u + (n + i) * o->channels + c);
                turn(rows);
                float *to = panel_of(o, n) + p * place_floats(o) + within_panel(o, n) + c * LANES;
                for (int i = 0; i < LANES; i++) floats_store(to + i * LANES, rows[i]);
            }
}

#include "winograd_weights.h"

/* The scratch of a thread: the transformed input of its groups, products, and for weights that are packed
   in each run a panel. */
static int64_t inputs_floats(const winograd *o) { return PLACES * MOST_ROWS * MOST_GROUPS * o->depth; }
static int64_t products_floats(void) { return PLACES * MOST_ROWS * MOST_GROUPS * WIDE; }

static size_t scratch_size(const winograd *o) {
    return (size_t)(inputs_floats(o) + products_floats() + panel_floats(o)) * sizeof(float);
}

/* Some of the depth of a product, added to what there is with `sum`. */
typedef struct {
    const float *a, *b;
    int64_t a_step, b_next, depth; /* from a's sixteen channels to the next; to b's next outputs */
    int64_t ahead;                 /* weights so far behind b are asked for; 0: none */
    float *to;
    int64_t to_next; /* to the next outputs */
    int sum;
} factors;

/* `rows` blocks by `wide` vectors of outputs of a place. */
ALWAYS void product_of(const int rows, const int wide, const factors *of) {
    floats sums[MOST_SUMS];
    const float *a = of->a, *b = of->b;
    begin_sums(rows * wide, sums);
    for (int64_t k = 0; k < of->depth; k += LANES, a += of->a_step, b += LANES * LANES) {
        if (of->ahead)
#pragma GCC unroll 32
            for (int i = 0; i < LANES * wide; i++)
                _mm_prefetch((const char *)(b + of->ahead + i / LANES * of->b_next + i % LANES * LANES),
                             _MM_HINT_T1);
        multiply_step(1, rows, wide, &a, LANES, 1, b, of->b_next, sums);
    }
#pragma GCC unroll 28
    for (int i = 0; i < rows * wide; i++) {
        float *to = of->to + i % wide * of->to_next + i / wide * LANES;
        floats_store(to, of->sum ? floats_add(sums[i], floats_load(to)) : sums[i]);
    }
}

#if BLOCK_WIDE > 1
static void product(int64_t rows, int64_t wide, const factors *of) {
#define OF(n)                                     \
    case 2 * n: product_of(n, 1, of); break;      \
    case 2 * n + 1: product_of(n, 2, of); break;
    switch (2 * rows + wide - 1) { FOR_BLOCK_ROWS(OF) }
#undef OF
}
#else
/* The rows in one or two parts, and each vector of outputs alone. */
static void product(int64_t rows, int64_t wide, const factors *of) {
    int64_t parts = divide_up(rows, BLOCK_ROWS);
    for (int64_t n = 0; n < wide; n++)
        for (int64_t i = 0; i < parts; i++) {
            int64_t first = rows * i / parts;
            factors some = *of;
            some.a += first * LANES, some.to += n * of->to_next + first * LANES, some.b += n * of->b_next;
            if (i > 0) some.ahead = 0;
#define OF(n) \
    case n: product_of(n, 1, &some); break;
            switch (rows * (i + 1) / parts - first) { FOR_BLOCK_ROWS(OF) }
#undef OF
        }
}
#endif

/* How a region is shared out: shares of groups, and parts of the outputs of each. The inputs of a share are
   transformed by each thread that takes parts of it. */
typedef struct {
    int64_t size, shares; /* groups of a share, shares */
    int64_t wide, parts;  /* outputs of a part, parts */
} sharing;

static sharing share_out(const winograd *o, const grouping *g, int threads) {
    sharing s;
    s.size = weights_size(o) <= FEW_WEIGHTS ? 1 : o->taps ? MOST_GROUPS : SOME_GROUPS;
    s.shares = divide_up(g->groups, s.size);
    if (s.shares) s.size = divide_up(g->groups, s.shares), s.shares = divide_up(g->groups, s.size);
    int64_t panels = divide_up(o->outputs, WIDE), parts = 1;
    if (threads > 1 && s.shares) parts = at_most(panels, divide_up(4 * threads, s.shares));
    s.wide = divide_up(panels, parts) * WIDE;
    s.parts = divide_up(o->outputs, s.wide);
    return s;
}

/* Outputs n to n + WIDE - 1 of `count` groups. `far`: the weights may be in memory still. */
static void compute_panel(const winograd *o, const region *r, const grouping *g, int64_t first,
                          int64_t count, int64_t n, const float *panel, int far, const float *inputs,
                          float *products) {
    int64_t chunk = up(divide_up(o->depth, divide_up(o->depth, MOST_DEPTH)), LANES);
    int64_t place = g->rows * LANES, of_channels = PLACES * place, of_inputs = o->depth * PLACES * g->rows;
    int64_t wide = divide_up(at_most(o->outputs - n, WIDE), LANES);
    for (int64_t p = 0; p < PLACES; p++)
        for (int64_t k = 0; k < o->depth; k += chunk)
            for (int64_t i = 0; i < count; i++) {
                factors of = {inputs + i * of_inputs + k * of_channels / LANES + p * place,
                              panel + p * place_floats(o) + k * LANES,
                              of_channels, o->depth * LANES, at_most(chunk, o->depth - k),
                              far && i == 0 ? place_floats(o) : 0,
                              products + i * 2 * of_channels + p * place, of_channels, k > 0};
                product(blocks_of(g, first + i), wide, &of);
            }
    for (int64_t i = 0; i < count; i++)
        for (int64_t t = 0; t < wide; t++)
            finish_group(o, r, g, first + i, products + (2 * i + t) * of_channels, n + t * LANES);
}

/* Computes the region with all threads. */
static void compute(const winograd *o, const region *r, worker *w) {
    grouping g = group_blocks(r);
    sharing s = share_out(o, &g, worker_count(w));
    float *inputs = worker_own(w), *products = inputs + inputs_floats(o);
    float *own = products + products_floats();
    int at_once = o->taps && s.shares == 1; /* panels are read once: each is packed just before */
    if (o->taps && !at_once) {
        pack_panels(o, w);
        worker_meet(w);
    }
    int64_t tasks = s.shares * s.parts, there = -1; /* the share whose inputs are there */
    int far = !o->taps;
    for (int64_t t; (t = worker_next(w, tasks)) < tasks;) {
        int64_t share = t / s.parts, first = share * s.size, count = at_most(s.size, g.groups - first);
        if (there >= 0 && share != there) far = weights_size(o) > FEW_WEIGHTS;
        if (share != there)
            for (int64_t i = 0; i < count; i++)
                transform(o, r, &g, first + i, inputs + i * o->depth * PLACES * g.rows);
        there = share;
        int64_t n = t % s.parts * s.wide, end = at_most(n + s.wide, o->outputs);
        for (; n < end; n += WIDE) {
            if (at_once) pack_panel(o, n, own);
            const float *panel = at_once ? own : panel_of(o, n);
            compute_panel(o, r, &g, first, count, n, panel, far, inputs, products);
        }
    }
}

#endif
