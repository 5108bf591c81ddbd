/* Pointwise convolutions of many channels by seven products in place of eight: Strassen's way, in
   Winograd's form.

   Pixels, inputs and outputs are halved. With the quarters A of the map, B of the weights and C of the
   results

     S1 = A21 + A22, S2 = S1 - A11, S3 = A11 - A21, S4 = A12 - S2
     T1 = B12 - B11, T2 = B22 - T1, T3 = B22 - B12, T4 = B21 - T2
     U1 = A11 B11, U2 = U1 + S2 T2, U3 = U2 + S3 T3, U4 = S1 T1
     C11 = U1 + A12 B21, C21 = U3 + A22 T4, C22 = U3 + U4, C12 = U2 + U4 + S4 B22.

   S is made for a tile of some pixels and as many of its lower half, T where the weights are few when the
   operation is made, else for two vectors of outputs each time, as more weights would have a longer way
   from memory. The sums of a block stay in registers from product to product, and of U little is stored,
   in the first cache: STEPS (strassen_block.h) has the order. Sums are half as long as those of a plain product, so that the
   rounding is about that of one. Outputs whose weights differ by magnitudes would mix: all are brought
   near to 1 by powers of two first, which the finish takes back. So would inputs, one large with small weights
   and one small with large ones: where the weights of some are small, all inputs are brought to the sizes
   with which they come into the sums, again by powers of two. */

#include "floats.h"
#include "kind.h"

#if !defined(CAFFE_AMX) && BLOCK_ROWS * BLOCK_WIDE >= 28 /* SEVEN_PRODUCTS */

#include "large.h"
#include "strassen.h"
#include "strassen_block.h"

#include <math.h>

#define BALANCED (1.0f / 8) /* of weights: sums of inputs lose few bits then */

enum { SUMS_OF_MAP = 4, SPACE = 16 /* numbers between rows of S */ };
enum { LEAST_ROWS = 7, LEAST_TILES = 4, FEW_TILES = 16, MOST_TOGETHER = 64 };
enum { LEAST_CHANNELS = 128, LEAST_CHANNELS_APART = 64 }; /* apart: run_apart() */

/* No tile has pixels of two images: one would have its rounding from the other. */
static int64_t first_of(const strassen *o, int64_t i) {
    return i / o->each * o->area + o->area * (i % o->each) / o->each;
}

static void find_tile(const strassen *o, int64_t i, float *sums, tile *t) {
    const int64_t pixel = first_of(o, i), lower = first_of(o, i + 1) - o->rows, out = o->out.c / 2;
    const float *upper_row = o->in.at + pixel * o->in.pixel, *lower_row = o->in.at + lower * o->in.pixel;
    t->of[A11] = upper_row, t->of[A12] = upper_row + o->half, t->of[A22] = lower_row + o->half;
    for (int k = 0; k < OPERANDS; k++) {
        t->row[k] = k < S1 && !o->copies ? o->in.pixel : o->row;
        if (k >= S1 || o->copies) t->of[k] = sums + (k - (o->copies ? 0 : S1)) * o->rows * o->row;
    }
    for (int k = 0; k < 4; k++) {
        int64_t at = k < C21 ? pixel : lower, channel = k % 2 * out;
        t->to[k] = o->out.at + at * o->out.pixel + channel;
        t->other[k] = o->done.other.at ? o->done.other.at + at * o->done.other.pixel + channel : NULL;
    }
    t->skipped = pixel + o->rows - lower;
}

/* S of a row of both halves. */
static void sum_row(const strassen *o, int64_t i, int64_t row, float *sums) {
    const int64_t pixel = first_of(o, i), lower = first_of(o, i + 1) - o->rows;
    const int64_t next = o->rows * o->row;
    const float *upper_row = o->in.at + (pixel + row) * o->in.pixel;
    const float *lower_row = o->in.at + (lower + row) * o->in.pixel;
    float *to = sums + row * o->row;
    for (int64_t c = 0; c < o->half; c += LANES, to += LANES) {
        floats a11 = floats_loadu(upper_row + c), a12 = floats_loadu(upper_row + o->half + c);
        floats a21 = floats_loadu(lower_row + c), a22 = floats_loadu(lower_row + o->half + c);
        if (o->balance) {
            floats left = floats_loadu(o->balance + c), right = floats_loadu(o->balance + o->half + c);
            a11 = floats_mul(a11, left), a12 = floats_mul(a12, right);
            a21 = floats_mul(a21, left), a22 = floats_mul(a22, right);
        }
        floats s1 = floats_add(a21, a22), s2 = floats_sub(s1, a11);
        float *at = to;
        if (o->copies) {
            floats_store(at, a11), floats_store(at + next, a12), floats_store(at + 2 * next, a22);
            at += S1 * next;
        }
        floats_store(at, s1), floats_store(at + next, s2);
        floats_store(at + 2 * next, floats_sub(a11, a21));
        floats_store(at + 3 * next, floats_sub(a12, s2));
    }
}

static int64_t wide_of(const strassen *o, int64_t panel) {
    return panel == o->panels - 1 && o->wide % 2 ? 3 : 2;
}

static const float *panel_at(const strassen *o, int64_t panel) {
    return o->weights + panel * 2 * LANES * (o->ready ? FACTORS : QUARTERS) * o->half;
}

/* T of so many weights. */
static void make_factors(const float *quarters, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i += LANES) {
        const float *from = quarters + i;
        floats b11 = floats_load(from), b21 = floats_load(from + count), b12 = floats_load(from + 2 * count);
        floats b22 = floats_load(from + 3 * count), t1 = floats_sub(b12, b11), t2 = floats_sub(b22, t1);
        floats_store(to + i, t1), floats_store(to + count + i, t2);
        floats_store(to + 2 * count + i, floats_sub(b22, b12));
        floats_store(to + 3 * count + i, floats_sub(b21, t2));
    }
}

/* The factors of a panel, T in `own` where it is not ready; the next panel is asked for while so many tiles
   are multiplied. */
static void find_factors(const strassen *o, int64_t panel, int64_t tiles, float *own, factors *f) {
    const int64_t count = wide_of(o, panel) * LANES * o->half;
    const float *at = panel_at(o, panel);
    if (!o->ready) make_factors(at, count, own);
    for (int k = 0; k < FACTORS; k++) f->of[k] = o->ready || k < T1 ? at + k * count : own + (k - T1) * count;
    f->ahead = (const char *)at, f->bytes = 0;
    if (o->ready || panel == o->panels - 1) return;
    f->ahead = (const char *)panel_at(o, panel + 1);
    f->bytes = QUARTERS * count * (int64_t)sizeof(float) / (tiles * PRODUCTS * o->half);
}

static void multiply_panel(const strassen *o, const tile *t, int64_t panel, factors *f) {
    if (wide_of(o, panel) == 3)
        block_of_three(o, t, panel * 2 * LANES, f);
    else
        block_of_two(o, t, panel * 2 * LANES, f);
}

/* Each thread takes tiles. */
static void run_apart(const strassen *o, worker *w) {
    float *sums = worker_own(w);
    tile t;
    factors f;
    for (int64_t i; (i = worker_next(w, o->tiles)) < o->tiles;) {
        for (int64_t row = 0; row < o->rows; row++) sum_row(o, i, row, sums);
        find_tile(o, i, sums, &t);
        for (int64_t panel = 0; panel < o->panels; panel++) {
            find_factors(o, panel, 1, NULL, &f);
            multiply_panel(o, &t, panel, &f);
        }
    }
}

/* The threads share tiles and panels: one panel after the other, as their weights come from memory. Each makes
   S of the tiles that it meets: to make them twice is faster than to wait for another core's. */
static void run_together(const strassen *o, worker *w) {
    float *sums = worker_own(w), *factors_made = sums + o->together * o->tile_sums;
    tile t;
    factors f;
    for (int64_t from = 0; from < o->tiles; from += o->together) {
        int64_t count = at_most(o->together, o->tiles - from), there = -1;
        char made[MOST_TOGETHER] = {0};
        if (from) worker_meet(w);
        for (int64_t i; (i = worker_next(w, count * o->panels)) < count * o->panels;) {
            const int64_t panel = i / count, k = i % count;
            float *of_tile = sums + k * o->tile_sums;
            if (panel != there) find_factors(o, panel, count, factors_made, &f);
            if (!made[k])
                for (int64_t row = 0; row < o->rows; row++) sum_row(o, from + k, row, of_tile);
            there = panel, made[k] = 1;
            find_tile(o, from + k, of_tile, &t);
            multiply_panel(o, &t, panel, &f);
        }
    }
}

static void run(const void *prepared, worker *w) {
    const strassen *o = prepared;
    if (o->together)
        run_together(o, w);
    else
        run_apart(o, w);
}

/* Into how many tiles so many pixels are cut, such that few are computed twice; 0: there are too few. */
static int64_t tiles_of(int64_t pixels) {
    int64_t found = 0, least = INT64_MAX, begin = divide_up(at_least(pixels, 1), 2 * MOST_ROWS);
    for (int64_t n = begin; n < begin + 4; n++) {
        int64_t rows = divide_up(divide_up(pixels, n), 2);
        if (rows >= LEAST_ROWS && n * (2 * rows + 1) < least && pixels / n >= rows)
            found = n, least = n * (2 * rows + 1);
    }
    return found;
}

/* Whether weights and T stay in a core's cache. */
static int is_few(const map *in, const map *out) {
    return (int64_t)FACTORS * in->c * out->c <= CORE_CACHE / 2;
}

/* Whether each thread reads all weights for tiles of its own. */
static int is_apart(const map *in, const map *out, int64_t tiles) {
    return is_few(in, out) && tiles >= FEW_TILES;
}

/* Groups that are stored as one matrix have zeros between them: their inputs would be added to each other,
   however much these differ. */
static int is_dense(const float *weights, int64_t count) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < count; i++) zeros += weights[i] == 0;
    return 4 * zeros <= count;
}

int strassen_fits(const map *in, const map *out, const window *w, const float *weights, const finish *then) {
    float low, high;
    int plain = w->kernel_h == 1 && w->kernel_w == 1 && w->stride_h == 1 && w->stride_w == 1;
    if (!plain || w->groups != 1 || w->pad_h || w->pad_w) return 0;
    if (in->n != out->n || in->h != out->h || in->w != out->w) return 0;
    if (in->c % (2 * LANES) || out->c % (2 * LANES)) return 0;
    if (then && (!finish_limits(then, &low, &high) || then->other.at == out->at)) return 0;
    const int64_t tiles = in->n * tiles_of((int64_t)in->h * in->w), least = at_most(in->c, out->c);
    if (least < (is_apart(in, out, tiles) ? LEAST_CHANNELS_APART : LEAST_CHANNELS)) return 0;
    return tiles >= LEAST_TILES && is_dense(weights, (int64_t)in->c * out->c);
}

static void discard(void *prepared) {
    strassen *o = prepared;
    finish_free(&o->done);
    free(o->weights);
    free(o->scale);
    free(o->balance);
}

/* Brings weights of this size near to 1: the power of two above it; 0 where it is. */
static float scale_of(float most) {
    int exponent;
    if (most == 0 || !isfinite(most)) return most == 0 ? 0 : 1;
    frexpf(most, &exponent);
    return ldexpf(1, (int)at_most(exponent, 127));
}

/* The scales of outputs and, where the weights of an input are small beside those of another, of inputs. */
static void find_scales(strassen *o, const float *weights) {
    const int64_t inputs = 2 * o->half;
    float least = 1;
    for (int64_t n = 0; n < o->out.c; n++) {
        float most = 0;
        for (int64_t c = 0; c < inputs; c++) most = fmaxf(most, fabsf(weights[n * inputs + c]));
        o->scale[n] = scale_of(most);
    }
    for (int64_t c = 0; c < inputs; c++) {
        float most = 0;
        for (int64_t n = 0; n < o->out.c; n++)
            if (o->scale[n]) most = fmaxf(most, fabsf(weights[n * inputs + c] / o->scale[n]));
        o->balance[c] = scale_of(most);
        if (most) least = fminf(least, o->balance[c]);
    }
    if (least >= BALANCED) free(o->balance), o->balance = NULL;
}

static void lay_weights(const strassen *o, const float *weights, float *to) {
    const int64_t inputs = 2 * o->half, outputs = o->out.c / 2;
    for (int64_t panel = 0; panel < o->panels; panel++) {
        const int64_t wide = wide_of(o, panel) * LANES, count = wide * o->half;
        for (int64_t i = 0; i < QUARTERS * count; i++) {
            const int64_t quarter = i / count, channel = i % count / wide + quarter % 2 * o->half;
            const int64_t output = panel * 2 * LANES + i % wide + quarter / 2 * outputs;
            const float scale = o->scale[output], by = o->balance ? o->balance[channel] : 1;
            to[i] = scale == 0 || by == 0 ? 0 : weights[output * inputs + channel] / scale / by;
        }
        if (o->ready) make_factors(to, count, to + QUARTERS * count);
        to += (o->ready ? FACTORS : QUARTERS) * count;
    }
}

int strassen_add(program *p, const map *in, const map *out, const float *weights, const finish *then) {
    strassen *o = large_alloc(sizeof *o);
    if (!o) return -1;
    memset(o, 0, sizeof *o);
    o->in = *in, o->out = *out;
    o->area = (int64_t)in->h * in->w, o->half = in->c / 2, o->each = tiles_of(o->area);
    o->tiles = in->n * o->each, o->rows = divide_up(divide_up(o->area, o->each), 2);
    o->wide = out->c / 2 / LANES, o->panels = o->wide / 2;
    o->scale = large_alloc((size_t)out->c * sizeof(float));
    o->balance = large_alloc((size_t)in->c * sizeof(float));
    int failed = !o->scale || !o->balance;
    if (!failed) find_scales(o, weights);
    /* Rows of a block would meet in the same few lines of the first cache. */
    o->copies = in->pixel % 1024 == 0 || o->balance;
    o->row = o->half + SPACE, o->tile_sums = (SUMS_OF_MAP + (o->copies ? S1 : 0)) * o->rows * o->row;
    const int64_t bytes = o->tile_sums * (int64_t)sizeof(float), quarter = (int64_t)in->c / 2 * (out->c / 2);
    o->ready = is_few(in, out);
    if (!is_apart(in, out, o->tiles))
        o->together = at_most(at_most(o->tiles, MOST_TOGETHER), at_least(CORE_CACHE / 2 / bytes, 1));
    const int64_t numbers = (o->ready ? FACTORS : QUARTERS) * quarter;
    o->weights = large_alloc((size_t)numbers * sizeof(float));
    finish done = {0};
    if (then) done = *then;
    float *zeros = done.bias ? NULL : calloc((size_t)out->c, sizeof *zeros);
    if (!done.bias) done.bias = zeros;
    failed |= !o->weights || !done.bias || finish_copy(&o->done, &done, out->c);
    free(zeros);
    float low, high;
    finish_limits(&done, &low, &high);
    o->low = floats_set1(low), o->high = floats_set1(high);
    if (failed || program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    lay_weights(o, weights, o->weights);
    const int64_t own = (FACTORS - QUARTERS) * 3 * LANES * o->half * (int64_t)sizeof(float);
    program_reserve(p, 0, (size_t)(o->together ? o->together * bytes + own : bytes));
    return 0;
}

#endif
