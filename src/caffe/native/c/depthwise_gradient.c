/* The gradients of a depthwise convolution of 3x3, stride 1 or 2, for training: of its input and of its
   weights in one pass over the memory, which is what takes the time. Dense maps, channels last.

   Both need the same pairs: a number x of the input at some position, and the output's gradients d
   that this position's outputs have, one for each tap of the kernel that meets them: dx += weight d,
   and dweight += x d. With stride 2 the taps that meet a position are those of its phase (odd rows,
   even rows; columns alike).

   The sums for the weights are made for each row by itself, added up in strips of rows, and the strips
   at the end: the same numbers for any number of threads, and short sums round less. */

#include "finish.h"
#include "tasks.h"

enum { TAPS = 9, STRIP_ROWS = 16, VECTORS = 4 /* of channels, in a task */ };

typedef struct {
    const float *x, *dy, *weights; /* weights, dw: (c, 1, 3, 3) */
    float *dx, *dw;                /* either may be NULL: is not wanted */
    int32_t n, h, w, c, out_h, out_w, stride, pad_h, pad_w; /* pads to 2 */
} depthwise_gradient;
CROSSES(depthwise_gradient)

/* How the work is shared. Rows are those of x; with stride 2, pairs of them. */
typedef struct {
    int64_t vectors, groups, first, rows, strips;
    float *weights, *sums; /* [vector][tap][16]; [image and strip][vector][tap][16] */
} shares;

static shares share(const depthwise_gradient *o) {
    shares s = {.vectors = divide_up(o->c, LANES)};
    s.groups = divide_up(s.vectors, VECTORS);
    s.rows = o->h;
    if (o->stride == 2) { /* pair i: rows 2 i - pad + 1 and + 2 */
        s.first = o->pad_h == 0 ? -1 : 0;
        s.rows = (o->h + o->pad_h) / 2 - s.first;
    }
    s.strips = divide_up(s.rows, STRIP_ROWS);
    return s;
}

static size_t lay_memory(shares *s, int64_t n, float *at) {
    float *begin = at;
    s->weights = at, at += s->vectors * TAPS * LANES;
    s->sums = at, at += n * s->strips * s->vectors * TAPS * LANES;
    return (size_t)(at - begin) * sizeof(float);
}

/* Sixteen channels of a row, or of a pair of rows. */
typedef struct {
    const float *weights, *dy[3], *x[2];
    float *sums, *dx[2];
    lane_mask of_dy[3], of_x[2]; /* none for rows that are not there */
    int64_t pixel;
    int w, out_w, pad;
} row;

ALWAYS floats column(const float *at, lane_mask mask, int64_t i, int64_t width, int64_t pixel) {
    return floats_maskz_loadu(i >= 0 && i < width ? mask : 0, at + i * pixel);
}

ALWAYS void load_taps(floats *taps, const float *from) {
#pragma GCC unroll 9
    for (int t = 0; t < TAPS; t++) taps[t] = floats_load(from + t * LANES);
}

ALWAYS void add_sums(const floats *sums, float *to) {
#pragma GCC unroll 9
    for (int t = 0; t < TAPS; t++)
        floats_store(to + t * LANES, floats_add(floats_load(to + t * LANES), sums[t]));
}

ALWAYS void clear(floats *sums) {
#pragma GCC unroll 9
    for (int t = 0; t < TAPS; t++) sums[t] = floats_setzero();
}

/* Row y of x meets dy's rows y + pad - ky, its column x the columns x + pad - kx. */
ALWAYS void row_of_one(const row *r, const int dx, const int dw) {
    const int64_t pixel = r->pixel;
    const float *x = r->x[0];
    float *to = r->dx[0];
    const lane_mask mask = r->of_x[0];
    floats taps[TAPS], sums[TAPS], d[TAPS];
    clear(sums);
    load_taps(taps, r->weights);
#pragma GCC unroll 3
    for (int k = 0; k < 3; k++) {
        d[3 * k] = column(r->dy[k], r->of_dy[k], r->pad - 1, r->out_w, pixel);
        d[3 * k + 1] = column(r->dy[k], r->of_dy[k], r->pad - 2, r->out_w, pixel);
    }
    for (int64_t i = 0; i < r->w; i++, x += pixel, to += pixel) {
#pragma GCC unroll 3
        for (int k = 0; k < 3; k++) {
            d[3 * k + 2] = d[3 * k + 1], d[3 * k + 1] = d[3 * k];
            d[3 * k] = column(r->dy[k], r->of_dy[k], i + r->pad, r->out_w, pixel);
        }
        if (dx) {
            floats sum = floats_mul(taps[0], d[0]), second = floats_mul(taps[1], d[1]);
#pragma GCC unroll 9
            for (int t = 2; t < TAPS; t += 2) {
                sum = floats_fmadd(taps[t], d[t], sum);
                if (t + 1 < TAPS) second = floats_fmadd(taps[t + 1], d[t + 1], second);
            }
            floats_mask_storeu(to, mask, floats_add(sum, second));
        }
        if (dw) {
            floats v = floats_maskz_loadu(mask, x);
#pragma GCC unroll 9
            for (int t = 0; t < TAPS; t++) sums[t] = floats_fmadd(v, d[t], sums[t]);
        }
    }
    if (dw) add_sums(sums, r->sums);
}

/* The pair i of rows: 2 i - pad + 1 meets dy's row i (middle of the kernel); the one below meets i (last
   row) and i + 1 (first row). Columns alike: d[row][column] from (i, j) on. */
ALWAYS void row_of_two(const row *r, const int dx, const int dw) {
    const int64_t pixel = r->pixel;
    floats taps[TAPS], sums[TAPS], d[2][2];
    clear(sums);
    load_taps(taps, r->weights);
    int64_t j = r->pad == 0 ? -1 : 0, end = (r->w + r->pad) / 2;
    d[0][1] = column(r->dy[0], r->of_dy[0], j, r->out_w, pixel);
    d[1][1] = column(r->dy[1], r->of_dy[1], j, r->out_w, pixel);
    for (; j < end; j++) {
#pragma GCC unroll 2
        for (int k = 0; k < 2; k++) {
            d[k][0] = d[k][1];
            d[k][1] = column(r->dy[k], r->of_dy[k], j + 1, r->out_w, pixel);
        }
        const int64_t at = 2 * j - r->pad + 1;
        const int left = at >= 0 && at < r->w, right = at + 1 < r->w;
#pragma GCC unroll 2
        for (int k = 0; k < 2; k++) {
            /* row k, left and right: middle or last and first row of the kernel */
            const int row = k == 0 ? 3 : 6;
            const lane_mask of_left = left ? r->of_x[k] : 0, of_right = right ? r->of_x[k] : 0;
            if (dx) {
                floats a = floats_mul(taps[row + 1], d[0][0]);
                floats b = floats_mul(taps[row + 2], d[0][0]);
                b = floats_fmadd(taps[row], d[0][1], b);
                if (k == 1) {
                    a = floats_fmadd(taps[1], d[1][0], a);
                    b = floats_fmadd(taps[2], d[1][0], b);
                    b = floats_fmadd(taps[0], d[1][1], b);
                }
                floats_mask_storeu(r->dx[k] + at * pixel, of_left, a);
                floats_mask_storeu(r->dx[k] + (at + 1) * pixel, of_right, b);
            }
            if (dw) {
                floats a = floats_maskz_loadu(of_left, r->x[k] + at * pixel);
                floats b = floats_maskz_loadu(of_right, r->x[k] + (at + 1) * pixel);
                sums[row + 1] = floats_fmadd(a, d[0][0], sums[row + 1]);
                sums[row + 2] = floats_fmadd(b, d[0][0], sums[row + 2]);
                sums[row] = floats_fmadd(b, d[0][1], sums[row]);
                if (k == 1) {
                    sums[1] = floats_fmadd(a, d[1][0], sums[1]);
                    sums[2] = floats_fmadd(b, d[1][0], sums[2]);
                    sums[0] = floats_fmadd(b, d[1][1], sums[0]);
                }
            }
        }
    }
    if (dw) add_sums(sums, r->sums);
}

static void one_both(const row *r) { row_of_one(r, 1, 1); }
static void one_dx(const row *r) { row_of_one(r, 1, 0); }
static void one_dw(const row *r) { row_of_one(r, 0, 1); }
static void two_both(const row *r) { row_of_two(r, 1, 1); }
static void two_dx(const row *r) { row_of_two(r, 1, 0); }
static void two_dw(const row *r) { row_of_two(r, 0, 1); }

/* Where some channels of a row of dense maps begin; the mask is empty where there is no such row, and
   the address then any that is there. */
ALWAYS int64_t begin_of(int64_t image, int64_t y, int64_t h, int64_t w, int64_t c, lane_mask *mask) {
    if (y < 0 || y >= h) y = 0, *mask = 0;
    return (image * h + y) * w * c;
}

static void run_rows(const depthwise_gradient *o, const shares *s, int64_t image, int64_t y,
                     int64_t from, int64_t to, float *sums) {
    void (*run)(const row *) = o->stride == 1 ? (!o->dw ? one_dx : !o->dx ? one_dw : one_both)
                                              : (!o->dw ? two_dx : !o->dx ? two_dw : two_both);
    for (int64_t v = from; v < to; v++) {
        int64_t channel = v * LANES;
        lane_mask mask = lanes(o->c - channel);
        row r = {.weights = s->weights + v * TAPS * LANES, .sums = sums + v * TAPS * LANES,
                 .pixel = o->c, .w = o->w, .out_w = o->out_w, .pad = o->pad_w};
        for (int k = 0; k < 3; k++) {
            int64_t at = o->stride == 1 ? y + o->pad_h - k : y + k;
            r.of_dy[k] = mask;
            r.dy[k] = o->dy + begin_of(image, at, o->out_h, o->out_w, o->c, &r.of_dy[k]) + channel;
        }
        for (int k = 0; k < o->stride; k++) {
            int64_t at = o->stride == 1 ? y : 2 * y - o->pad_h + 1 + k;
            r.of_x[k] = mask;
            int64_t begin = begin_of(image, at, o->h, o->w, o->c, &r.of_x[k]) + channel;
            r.x[k] = o->dw ? o->x + begin : NULL;
            r.dx[k] = o->dx ? o->dx + begin : NULL;
        }
        run(&r);
    }
}

/* What is to be done comes in the first slot. */
static const depthwise_gradient *begin(worker *w, shares *s) {
    const depthwise_gradient *o = (const depthwise_gradient *)(const void *)worker_slot(w, 0);
    *s = share(o);
    lay_memory(s, o->n, worker_shared(w));
    return o;
}

static void pack_run(const void *unused, worker *w) {
    (void)unused;
    shares s;
    const depthwise_gradient *o = begin(w, &s);
    int64_t from, to;
    while (o->dx && tasks_next(w, s.vectors, &from, &to))
        for (int64_t c = from * LANES; c < to * LANES; c++)
            for (int t = 0; t < TAPS; t++)
                s.weights[(c / LANES * TAPS + t) * LANES + c % LANES] =
                    c < o->c ? o->weights[c * TAPS + t] : 0;
}

static void strips_run(const void *unused, worker *w) {
    (void)unused;
    shares s;
    const depthwise_gradient *o = begin(w, &s);
    int64_t from, to;
    while (tasks_next(w, o->n * s.strips * s.groups, &from, &to))
        for (int64_t task = from; task < to; task++) {
            int64_t group = task % s.groups, strip = task / s.groups;
            int64_t first = group * VECTORS, end = at_most(first + VECTORS, s.vectors);
            int64_t y = strip % s.strips * STRIP_ROWS, last = at_most(y + STRIP_ROWS, s.rows);
            float *sums = s.sums + strip * s.vectors * TAPS * LANES;
            memset(sums + first * TAPS * LANES, 0,
                   (size_t)(end - first) * TAPS * LANES * sizeof *sums);
            for (; y < last; y++)
                run_rows(o, &s, strip / s.strips, s.first + y, first, end, sums);
        }
}

static void sums_run(const void *unused, worker *w) {
    (void)unused;
    shares s;
    const depthwise_gradient *o = begin(w, &s);
    int64_t from, to;
    while (o->dw && tasks_next(w, s.vectors, &from, &to))
        for (int64_t v = from; v < to; v++) {
            _Alignas(64) float found[TAPS * LANES] = {0};
            for (int64_t strip = 0; strip < o->n * s.strips; strip++) {
                floats sums[TAPS];
                load_taps(sums, s.sums + (strip * s.vectors + v) * TAPS * LANES);
                add_sums(sums, found);
            }
            for (int64_t c = v * LANES; c < at_most(v * LANES + LANES, o->c); c++)
                for (int t = 0; t < TAPS; t++) o->dw[c * TAPS + t] = found[t * LANES + c % LANES];
        }
}

/* The program that kernels_depthwise_gradient() runs. */
program *kernels_depthwise_gradient_new(void) {
    program *p = kernels_new();
    if (!p) return NULL;
    if (!program_add(p, pack_run, NULL, NULL) && !program_add(p, strips_run, NULL, NULL) &&
        !program_add(p, sums_run, NULL, NULL))
        return p;
    kernels_free(p);
    return NULL;
}

/* Computes gradients on so many threads; they do not depend on the number. -1 without memory. Not for
   two callers at once with one program. */
int kernels_depthwise_gradient(program *p, int threads, const depthwise_gradient *of) {
    shares s = share(of);
    program_reserve(p, lay_memory(&s, of->n, NULL), 0);
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
