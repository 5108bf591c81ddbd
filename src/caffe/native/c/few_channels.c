/* Convolutions of images of few channels, in training: the layer that sees the picture, forward and the
   gradients of weights and bias. The images are planes, as Caffe has them; outputs are channels last.

   Few numbers make an output, so AMX's steps of 32 would be empty for the most part. Vectors of float32
   are outputs' channels; numbers of the image are broadcast. The gradient is summed by rows, these in
   strips, the strips at the end: the same numbers for any number of threads. */

#include "finish.h"
#include "kind.h"
#include "tasks.h"

enum { PIXELS = BLOCK_WIDE > 1 ? 12 : 6, STRIP_ROWS = 8 };

/* Whether outputs are asked for before they are computed: else products of vectors wait for their memory. */
#ifdef CAFFE_AMX
enum { ASKS_AHEAD = 0 };
#else
enum { ASKS_AHEAD = 1 };
#endif

typedef struct {
    const float *x, *weights, *bias; /* weights: (out_c, c, kernel_h, kernel_w); bias: or NULL */
    float *y;                        /* forward; back: dy, which is read */
    float *dw, *db;                  /* back */
    int32_t n, c, h, w, out_c, out_h, out_w; /* out_w at least PIXELS */
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, relu;
} few_channels;
CROSSES(few_channels)

typedef struct {
    int64_t rows, taps, pairs, strips; /* rows of the kernel in all channels; pairs of vectors */
    int64_t plane, pitch;              /* of a padded image */
    float *image;                      /* all, with zeros around them */
    float *weights;                    /* [pair][tap][32] */
    float *sums;                       /* back: [image and strip][pair][tap, and dy itself][32] */
} laid;

static laid lay(const few_channels *o, float *at) {
    laid l = {.rows = (int64_t)o->c * o->kernel_h, .pairs = divide_up(o->out_c, 2 * LANES),
              .strips = divide_up(o->out_h, STRIP_ROWS), .pitch = o->w + 2 * o->pad_w};
    l.taps = l.rows * o->kernel_w, l.plane = l.pitch * (o->h + 2 * o->pad_h);
    l.weights = at, at += l.pairs * l.taps * 2 * LANES;
    l.sums = at, at += o->n * l.strips * l.pairs * (l.taps + 1) * 2 * LANES;
    l.image = at;
    return l;
}

static size_t shared_bytes(const few_channels *o) {
    laid l = lay(o, NULL);
    int64_t numbers = l.pairs * l.taps + o->n * l.strips * l.pairs * (l.taps + 1);
    return (size_t)(numbers * 2 * LANES + (int64_t)o->n * o->c * l.plane) * sizeof(float);
}

/* What is to be done comes in the first slot. */
static const few_channels *begin(worker *w, laid *l) {
    const few_channels *o = (const few_channels *)(const void *)worker_slot(w, 0);
    *l = lay(o, worker_shared(w));
    return o;
}

static void frame_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const few_channels *o = begin(w, &l);
    const int64_t height = o->h + 2 * o->pad_h;
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->n * o->c * height, &from, &to))
        for (int64_t row = from; row < to; row++) {
            float *at = l.image + row * l.pitch;
            int64_t y = row % height - o->pad_h;
            memset(at, 0, (size_t)l.pitch * sizeof *at);
            if (y < 0 || y >= o->h) continue;
            memcpy(at + o->pad_w, o->x + (row / height * o->h + y) * o->w, (size_t)o->w * sizeof *at);
        }
}

static void pack_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const few_channels *o = begin(w, &l);
    int64_t from, to;
    while (tasks_next(w, l.pairs * l.taps, &from, &to))
        for (int64_t k = from; k < to; k++)
            for (int64_t i = 0; i < 2 * LANES; i++) {
                int64_t output = k / l.taps * 2 * LANES + i;
                l.weights[k * 2 * LANES + i] =
                    output < o->out_c ? o->weights[output * l.taps + k % l.taps] : 0;
            }
}

/* Where the kernel's row k (of all channels) lies for a row of outputs. */
ALWAYS const float *row_at(const few_channels *o, const laid *l, int64_t image, int64_t y, int64_t k) {
    int64_t channel = k / o->kernel_h, row = y * o->stride_h + k % o->kernel_h;
    return l->image + (image * o->c + channel) * l->plane + row * l->pitch;
}

/* Outputs x to x + PIXELS of a row, for vectors of channels of a pair: both, or the one at `vector`. */
ALWAYS void forward_pixels(const few_channels *o, const laid *l, int64_t image, int64_t y, int64_t x,
                           int64_t pair, int64_t vector, const int64_t stride) {
    const int64_t channel = (pair * 2 + vector) * LANES;
    const float *weights = l->weights + pair * l->taps * 2 * LANES + vector * LANES;
    lane_mask mask[BLOCK_WIDE];
    floats sums[PIXELS][BLOCK_WIDE];
#pragma GCC unroll 2
    for (int n = 0; n < BLOCK_WIDE; n++) {
        mask[n] = lanes(at_least(o->out_c - channel - n * LANES, 0));
        floats bias = floats_setzero();
        if (o->bias) bias = floats_maskz_loadu(mask[n], o->bias + channel + n * LANES);
#pragma GCC unroll 12
        for (int i = 0; i < PIXELS; i++) sums[i][n] = bias;
    }
    const float *plane = row_at(o, l, image, y, 0) + x * stride;
    float *out = o->y + ((image * o->out_h + y) * o->out_w + x) * o->out_c + channel;
    for (int i = 0; ASKS_AHEAD && i < PIXELS; i++) {
        for (int n = 0; n < BLOCK_WIDE; n++) __builtin_prefetch(out + i * o->out_c + n * LANES, 1);
    }
    const int kernel_h = o->kernel_h, kernel_w = o->kernel_w, channels = o->c;
    const int64_t pitch = l->pitch, next = l->plane;
    for (int c = 0; c < channels; c++, plane += next) {
        const float *row = plane;
        for (int k = 0; k < kernel_h; k++, row += pitch) {
            const float *at = row;
            for (int tap = 0; tap < kernel_w; tap++, at++, weights += 2 * LANES) {
                floats w[BLOCK_WIDE];
#pragma GCC unroll 2
                for (int n = 0; n < BLOCK_WIDE; n++) w[n] = floats_load(weights + n * LANES);
#pragma GCC unroll 12
                for (int i = 0; i < PIXELS; i++) {
                    floats v = floats_set1(at[i * stride]);
#pragma GCC unroll 2
                    for (int n = 0; n < BLOCK_WIDE; n++) sums[i][n] = floats_fmadd(v, w[n], sums[i][n]);
                }
            }
        }
    }
    const floats low = floats_set1(o->relu ? 0 : -__builtin_inff());
#pragma GCC unroll 12
    for (int i = 0; i < PIXELS; i++, out += o->out_c)
#pragma GCC unroll 2
        for (int n = 0; n < BLOCK_WIDE; n++)
            floats_mask_storeu(out + n * LANES, mask[n], floats_max(low, sums[i][n]));
}

static void forward_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const few_channels *o = begin(w, &l);
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->n * o->out_h, &from, &to))
        for (int64_t row = from; row < to; row++)
            for (int64_t i = 0; i < o->out_w; i += PIXELS) {
                int64_t x = at_most(i, o->out_w - PIXELS); /* the last ones may be computed twice */
                int64_t image = row / o->out_h, y = row % o->out_h;
                for (int64_t n = 0; n < 2 * l.pairs && n * LANES < o->out_c; n += BLOCK_WIDE)
                    if (o->stride_w == 1)
                        forward_pixels(o, &l, image, y, x, n / 2, n % 2, 1);
                    else if (o->stride_w == 2)
                        forward_pixels(o, &l, image, y, x, n / 2, n % 2, 2);
                    else
                        forward_pixels(o, &l, image, y, x, n / 2, n % 2, o->stride_w);
            }
}

/* Adds what a row of outputs gives to the sums of `rows` rows of the kernel, of `kernel` taps each. */
ALWAYS void backward_taps(const few_channels *o, const laid *l, int64_t image, int64_t y, int64_t row,
                          int64_t pair, float *to, const int rows, const int kernel) {
    const int64_t channel = pair * 2 * LANES, next = o->out_c, stride = o->stride_w;
    const lane_mask first = lanes(o->out_c - channel);
    const lane_mask second = o->out_c - channel > LANES ? lanes(o->out_c - channel - LANES) : 0;
    const float *dy = o->y + (image * o->out_h + y) * o->out_w * next + channel, *at[3];
    floats sums[12][2];
#pragma GCC unroll 12
    for (int t = 0; t < rows * kernel; t++) sums[t][0] = sums[t][1] = floats_setzero();
#pragma GCC unroll 3
    for (int r = 0; r < rows; r++) at[r] = row_at(o, l, image, y, row + r);
    for (int64_t x = 0; x < o->out_w; x++, dy += next) {
        floats d0 = floats_maskz_loadu(first, dy), d1 = floats_maskz_loadu(second, dy + LANES);
#pragma GCC unroll 3
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 12
            for (int t = 0; t < kernel; t++) {
                floats v = floats_set1(at[r][x * stride + t]);
                sums[r * kernel + t][0] = floats_fmadd(v, d0, sums[r * kernel + t][0]);
                sums[r * kernel + t][1] = floats_fmadd(v, d1, sums[r * kernel + t][1]);
            }
    }
#pragma GCC unroll 12
    for (int t = 0; t < rows * kernel; t++, to += 2 * LANES) {
        floats_store(to, floats_add(floats_load(to), sums[t][0]));
        floats_store(to + LANES, floats_add(floats_load(to + LANES), sums[t][1]));
    }
}

static void backward_bias(const few_channels *o, int64_t image, int64_t y, int64_t pair, float *to) {
    const int64_t channel = pair * 2 * LANES;
    const float *dy = o->y + (image * o->out_h + y) * o->out_w * o->out_c + channel;
    const lane_mask first = lanes(o->out_c - channel);
    const lane_mask second = o->out_c - channel > LANES ? lanes(o->out_c - channel - LANES) : 0;
    floats a = floats_setzero(), b = a;
    for (int64_t x = 0; x < o->out_w; x++, dy += o->out_c) {
        a = floats_add(a, floats_maskz_loadu(first, dy));
        b = floats_add(b, floats_maskz_loadu(second, dy + LANES));
    }
    floats_store(to, floats_add(floats_load(to), a));
    floats_store(to + LANES, floats_add(floats_load(to + LANES), b));
}

static void backward_row(const few_channels *o, const laid *l, int64_t image, int64_t y, float *sums) {
    const int several = l->rows % 3 == 0 && o->kernel_w <= 4, by = several ? 3 : 1;
    for (int64_t pair = 0; pair < l->pairs; pair++) {
        float *to = sums + pair * (l->taps + 1) * 2 * LANES;
        for (int64_t row = 0; row < l->rows; row += by, to += by * o->kernel_w * 2 * LANES)
            switch (o->kernel_w + 100 * several) {
            case 3: backward_taps(o, l, image, y, row, pair, to, 1, 3); break;
            case 4: backward_taps(o, l, image, y, row, pair, to, 1, 4); break;
            case 103: backward_taps(o, l, image, y, row, pair, to, 3, 3); break;
            case 104: backward_taps(o, l, image, y, row, pair, to, 3, 4); break;
            case 5: backward_taps(o, l, image, y, row, pair, to, 1, 5); break;
            case 7: backward_taps(o, l, image, y, row, pair, to, 1, 7); break;
            default: backward_taps(o, l, image, y, row, pair, to, 1, 11);
            }
        if (o->db) backward_bias(o, image, y, pair, to);
    }
}

static void backward_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const few_channels *o = begin(w, &l);
    const int64_t numbers = l.pairs * (l.taps + 1) * 2 * LANES;
    int64_t from, to;
    while (tasks_next(w, o->n * l.strips, &from, &to))
        for (int64_t task = from; task < to; task++) {
            float *sums = l.sums + task * numbers;
            int64_t y = task % l.strips * STRIP_ROWS, end = at_most(y + STRIP_ROWS, o->out_h);
            memset(sums, 0, (size_t)numbers * sizeof *sums);
            for (; y < end; y++) backward_row(o, &l, task / l.strips, y, sums);
        }
}

static void sums_run(const void *unused, worker *w) {
    (void)unused;
    laid l;
    const few_channels *o = begin(w, &l);
    const int64_t numbers = l.pairs * (l.taps + 1) * 2 * LANES;
    int64_t from, to;
    while (tasks_next(w, l.pairs * (l.taps + 1), &from, &to))
        for (int64_t k = from; k < to; k++) {
            _Alignas(64) float found[2 * LANES];
            floats a = floats_setzero(), b = a;
            for (int64_t strip = 0; strip < o->n * l.strips; strip++) {
                const float *at = l.sums + strip * numbers + k * 2 * LANES;
                a = floats_add(a, floats_load(at)), b = floats_add(b, floats_load(at + LANES));
            }
            floats_store(found, a);
            floats_store(found + LANES, b);
            int64_t tap = k % (l.taps + 1), output = k / (l.taps + 1) * 2 * LANES;
            for (int64_t i = 0; i < at_most(2 * LANES, o->out_c - output); i++)
                if (tap < l.taps)
                    o->dw[(output + i) * l.taps + tap] = found[i];
                else if (o->db)
                    o->db[output + i] = found[i];
        }
}

/* A program for kernels_few_channels(), in one direction. */
program *kernels_few_channels_new(int back) {
    program *p = kernels_new();
    if (!p) return NULL;
    int failed = program_add(p, frame_run, NULL, NULL);
    if (!failed && back)
        failed = program_add(p, backward_run, NULL, NULL) || program_add(p, sums_run, NULL, NULL);
    else if (!failed)
        failed = program_add(p, pack_run, NULL, NULL) || program_add(p, forward_run, NULL, NULL);
    if (!failed) return p;
    kernels_free(p);
    return NULL;
}

/* Convolves, or computes the gradients, on so many threads: the direction is the program's. -1 without
   memory. Not for two callers at once with one program. */
int kernels_few_channels(program *p, int threads, const few_channels *of) {
    program_reserve(p, shared_bytes(of), 0);
    float *slots[1] = {(float *)(const void *)of};
    return kernels_run(p, threads, slots) < 0 ? -1 : 0;
}
