/* The gradient of a convolution's weights: dw[o][i][ky][kx] = sum over outputs of dy[o] x[i], where x
   is what the tap (ky, kx) saw.

   As products of matrices whose sums run over the outputs' positions. The positions of all images are
   numbered along one grid, whose rows and images are so far apart that a tap sees zeros where it
   sees no pixel: then a tap is a shift along the grid. With a stride there is one grid for each
   phase (remainder by the stride) of the image. Both sides are split in bfloat16 parts (splitting.h):
   x as rows of a channel's positions, which may begin anywhere; dy as pairs of positions, as AMX
   wants its second operand, with zeros where the grid has no output.

   A chunk of positions is laid out so by all threads together, then multiplied, so that it comes from
   the cache. Every sum is in the order of the positions whatever the number of threads. */

#include "native.h"
#include "splitting.h"
#include "tiles.h"
#include "turn.h"

#include <stdlib.h>

enum {
    MOST_TAPS = 1024,
    STRIP = 128,           /* positions that are laid out by one task */
    CHUNK_BYTES = 1 << 20, /* of what is laid out at a time: half of a processor's second cache */
    LEAST_CHUNK = 512,
    MOST_CHUNK = 8192,
    WIDEST = 8, /* tiles to a side that a task multiplies */
};

/* What the caller wants; all in float32, maps channels last. */
typedef struct {
    const float *x, *dy;
    float *dw, *db;             /* (out_c, c / groups, kernel_h, kernel_w); db: out_c numbers or NULL */
    int32_t n, h, w, c;         /* of x */
    int32_t out_h, out_w, out_c; /* of dy */
    int64_t x_pixel, dy_pixel;  /* floats from pixel to pixel */
    window v;
    int32_t add; /* 1: dw and db are added to */
} weight_gradient;

/* One axis of the grid. */
typedef struct {
    int32_t pitch, phases, least, most; /* positions of a row; shifts of the taps */
    int32_t remainder[64];              /* of each phase */
    int32_t phase[64], shift[64];       /* of each tap */
} axis;

typedef struct {
    const weight_gradient *of;
    axis y, x;
    int64_t positions, lowest, halo; /* halo: how far the taps reach along the grid */
    int64_t chunk, row;              /* positions laid out at a time, and in a row of x with the halo */
    int32_t taps, phases, ins, outs; /* tiles of channels of a group */
    /* in the shared memory */
    uint16_t *xs, *dys;
    float *sums, *bias, *strips;
} plan;

static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int lay_axis(axis *a, int size, int out, int kernel, int stride, int pad, int dilation) {
    if (kernel > 64) return -1;
    *a = (axis){.pitch = out};
    for (int k = 0; k < kernel; k++) {
        int at = k * dilation - pad, remainder = ((at % stride) + stride) % stride, found = 0;
        while (found < a->phases && a->remainder[found] != remainder) found++;
        if (found == a->phases) a->remainder[a->phases++] = remainder;
        a->phase[k] = found, a->shift[k] = (at - remainder) / stride;
        if (a->shift[k] < a->least) a->least = a->shift[k];
        if (a->shift[k] > a->most) a->most = a->shift[k];
        int seen = (size - remainder + stride - 1) / stride; /* pixels of the phase */
        a->pitch = (int)most(a->pitch, seen);
    }
    /* What lies before a row's first pixel, and after its last, is the space between two rows. */
    int widest = (size + stride - 1) / stride - a->least;
    a->pitch = (int)most(a->pitch, most(widest, out + a->most));
    return 0;
}

static size_t bytes_x(const plan *p, int64_t row) {
    return (size_t)p->phases * p->ins * PARTS * ROWS * row * 2;
}
static size_t bytes_dy(const plan *p, int64_t chunk) {
    return (size_t)p->outs * PARTS * chunk * ROWS * 2;
}
static size_t bytes_sums(const plan *p) {
    return (size_t)p->taps * p->ins * p->outs * ROWS * ROWS * 4;
}

/* A row of x of the shared memory: an odd multiple of 64 bytes, so that a tile's rows lie in
   different sets of the cache. */
static int64_t row_of(const plan *p, int64_t chunk) {
    int64_t row = up(chunk + p->halo, DEPTH);
    return row / DEPTH % 2 ? row : row + DEPTH;
}

static int make_plan(plan *p, const weight_gradient *of) {
    const window *v = &of->v;
    *p = (plan){.of = of};
    if (lay_axis(&p->y, of->h, of->out_h, v->kernel_h, v->stride_h, v->pad_h, v->dilation_h) ||
        lay_axis(&p->x, of->w, of->out_w, v->kernel_w, v->stride_w, v->pad_w, v->dilation_w))
        return -1;
    p->taps = v->kernel_h * v->kernel_w;
    if (p->taps > MOST_TAPS) return -1;
    p->phases = p->y.phases * p->x.phases;
    p->ins = (of->c / v->groups + ROWS - 1) / ROWS;
    p->outs = (of->out_c / v->groups + ROWS - 1) / ROWS;
    p->positions = (int64_t)of->n * p->y.pitch * p->x.pitch;
    p->lowest = (int64_t)p->y.least * p->x.pitch + p->x.least;
    p->halo = (int64_t)p->y.most * p->x.pitch + p->x.most - p->lowest;
    int64_t a = (int64_t)p->phases * p->ins, b = p->outs;
    int64_t chunk = (CHUNK_BYTES / (PARTS * ROWS * 2) - a * p->halo) / (a + b);
    chunk = least(most(chunk, most(LEAST_CHUNK, p->halo)), MOST_CHUNK);
    int64_t chunks = (p->positions + chunk - 1) / chunk;
    p->chunk = up((p->positions + chunks - 1) / chunks, STRIP);
    p->row = row_of(p, p->chunk);
    return 0;
}

static size_t lay_memory(plan *p, char *at) {
    char *begin = at;
    p->xs = (uint16_t *)at, at += up((int64_t)bytes_x(p, p->row), 64) + 64;
    p->dys = (uint16_t *)at, at += up((int64_t)bytes_dy(p, p->chunk), 64) + 64;
    p->sums = (float *)at, at += bytes_sums(p);
    p->bias = (float *)at, at += (size_t)p->outs * ROWS * 4;
    p->strips = (float *)at, at += (size_t)p->chunk / STRIP * p->outs * ROWS * 4;
    return (size_t)(at - begin);
}

/* Where the pixels of `count` positions from `from` on lie; NULL where the grid has none. The grid's
   pixel (y, x) is the image's (y * stride + first). */
static void find_pixels(const plan *p, int64_t from, int count, const float *map, int64_t pixel,
                        int h, int w, int first_y, int first_x, int stride_y, int stride_x,
                        const float **at) {
    int64_t area = (int64_t)p->y.pitch * p->x.pitch;
    int64_t image = from >= 0 ? from / area : -((-from + area - 1) / area);
    int64_t rest = from - image * area, y = rest / p->x.pitch, x = rest % p->x.pitch;
    for (int i = 0; i < count;) {
        int64_t here = y * stride_y + first_y, run = least(count - i, p->x.pitch - x);
        int inside = image >= 0 && image < p->of->n && here < h;
        const float *row = map + ((image * h + here) * w + first_x) * pixel;
        for (int64_t end = i + run; i < end; i++, x++)
            at[i] = inside && x * stride_x + first_x < w ? row + x * stride_x * pixel : NULL;
        x = 0;
        if (++y == p->y.pitch) y = 0, image++;
    }
}

/* Sixteen channels of a pixel; the next sixteen will be wanted soon. */
static inline __m512 load(const float *at, int64_t channel, __mmask16 mask) {
    if (at) _mm_prefetch((const char *)(at + channel + ROWS), _MM_HINT_T0);
    return at ? _mm512_maskz_loadu_ps(mask, at + channel) : _mm512_setzero_ps();
}

static __mmask16 mask_of(int64_t channels) {
    return channels >= ROWS ? 0xffff : (__mmask16)((1u << channels) - 1);
}

/* Lays out positions of x, from the chunk's `from` on. */
static void lay_x(const plan *p, int64_t begin, int phase, int64_t from, const float *x) {
    const weight_gradient *of = p->of;
    const float *at[STRIP];
    int count = (int)least(STRIP, p->row - from), channels = of->c / of->v.groups;
    find_pixels(p, begin + p->lowest + from, count, x, of->x_pixel, of->h, of->w,
                p->y.remainder[phase / p->x.phases], p->x.remainder[phase % p->x.phases],
                of->v.stride_h, of->v.stride_w, at);
    for (int block = 0; block < p->ins; block++) {
        __mmask16 mask = mask_of(channels - block * ROWS);
        uint16_t *to = p->xs + (int64_t)(phase * p->ins + block) * PARTS * ROWS * p->row + from;
        for (int i = 0; i < count; i += DEPTH) {
            __m512 rows[PARTS][ROWS];
            for (int k = 0; k < ROWS; k++) {
                __m512i words[PARTS];
                split_pair(load(at[i + 2 * k], block * ROWS, mask),
                           load(at[i + 2 * k + 1], block * ROWS, mask), words);
                for (int part = 0; part < PARTS; part++)
                    rows[part][k] = _mm512_castsi512_ps(words[part]);
            }
            for (int part = 0; part < PARTS; part++) {
                turn(rows[part]);
                for (int k = 0; k < ROWS; k++)
                    _mm512_store_ps(to + (part * ROWS + k) * p->row + i, rows[part][k]);
            }
        }
    }
}

/* Lays out positions of dy, and sums them. */
static void lay_dy(const plan *p, int64_t begin, int64_t from, const float *dy) {
    const weight_gradient *of = p->of;
    const float *at[STRIP];
    int channels = of->out_c / of->v.groups;
    find_pixels(p, begin + from, STRIP, dy, of->dy_pixel, of->out_h, of->out_w, 0, 0, 1, 1, at);
    for (int block = 0; block < p->outs; block++) {
        __mmask16 mask = mask_of(channels - block * ROWS);
        uint16_t *to = p->dys + block * PARTS * p->chunk * ROWS + from * ROWS;
        __m512 sum = _mm512_setzero_ps(), second = sum;
        for (int i = 0; i < STRIP; i += 2) {
            __m512i words[PARTS];
            __m512 a = load(at[i], block * ROWS, mask), b = load(at[i + 1], block * ROWS, mask);
            split_pair(a, b, words);
            for (int part = 0; part < PARTS; part++)
                _mm512_store_si512(to + part * p->chunk * ROWS + i * ROWS, words[part]);
            sum = _mm512_add_ps(sum, a), second = _mm512_add_ps(second, b);
        }
        _mm512_store_ps(p->strips + (from / STRIP * p->outs + block) * ROWS,
                        _mm512_add_ps(sum, second));
    }
}

static inline void add_tile(float *to, const float *from) {
    for (int i = 0; i < ROWS * ROWS; i += ROWS)
        _mm512_store_ps(to + i, _mm512_add_ps(_mm512_load_ps(to + i), _mm512_load_ps(from + i)));
}

/* Adds products to one tile of the sums, or to two by two: a: rows of x, b: pairs of dy. */
static inline __attribute__((always_inline)) void
multiply(const uint16_t *a0, const uint16_t *a1, const uint16_t *b0, const uint16_t *b1,
         int64_t row, int64_t chunk, int64_t count, float *c00, float *c01, float *c10, float *c11,
         int begins, const int two_a, const int two_b) {
    const int64_t a_part = ROWS * row, b_part = ROWS * chunk, a_bytes = row * 2;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < count; k += DEPTH) {
#define LOAD_A(part)                                                                                \
    _tile_loadd(4, a0 + (part) * a_part + k, a_bytes);                                              \
    if (two_a) _tile_loadd(5, a1 + (part) * a_part + k, a_bytes);
#define LOAD_B(part)                                                                                \
    _tile_loadd(6, b0 + (part) * b_part + k * ROWS, 64);                                            \
    if (two_b) _tile_loadd(7, b1 + (part) * b_part + k * ROWS, 64);
#define MULTIPLY                                                                                    \
    _tile_dpbf16ps(0, 4, 6);                                                                        \
    if (two_b) _tile_dpbf16ps(1, 4, 7);                                                             \
    if (two_a) _tile_dpbf16ps(2, 5, 6);                                                             \
    if (two_a && two_b) _tile_dpbf16ps(3, 5, 7);
        LOAD_A(0) LOAD_B(0) MULTIPLY
        LOAD_B(2) MULTIPLY
        LOAD_B(1) MULTIPLY
        LOAD_A(1) MULTIPLY
        LOAD_B(0) MULTIPLY
        LOAD_A(2) MULTIPLY
#undef LOAD_A
#undef LOAD_B
#undef MULTIPLY
    }
    if (begins) {
        _tile_stored(0, c00, 64);
        if (two_b) _tile_stored(1, c01, 64);
        if (two_a) _tile_stored(2, c10, 64);
        if (two_a && two_b) _tile_stored(3, c11, 64);
        return;
    }
    /* Chunks are summed by themselves: shorter sums round less. */
    _Alignas(64) float found[4 * ROWS * ROWS];
    _tile_stored(0, found, 64);
    _tile_stored(1, found + ROWS * ROWS, 64);
    _tile_stored(2, found + 2 * ROWS * ROWS, 64);
    _tile_stored(3, found + 3 * ROWS * ROWS, 64);
    tiles_fence();
    add_tile(c00, found);
    if (two_b) add_tile(c01, found + ROWS * ROWS);
    if (two_a) add_tile(c10, found + 2 * ROWS * ROWS);
    if (two_a && two_b) add_tile(c11, found + 3 * ROWS * ROWS);
}

/* The products of one tap for tiles [i, i_end) of x's channels and [o, o_end) of dy's. */
static void multiply_tap(const plan *p, int tap, int i_begin, int i_end, int o_begin, int o_end,
                         int64_t count, int begins) {
    int ky = tap / p->of->v.kernel_w, kx = tap % p->of->v.kernel_w;
    int phase = p->y.phase[ky] * p->x.phases + p->x.phase[kx];
    int64_t shift = (int64_t)p->y.shift[ky] * p->x.pitch + p->x.shift[kx] - p->lowest;
    int64_t x_tile = PARTS * ROWS * p->row, dy_tile = PARTS * ROWS * p->chunk;
    for (int i = i_begin; i < i_end; i += 2)
        for (int o = o_begin; o < o_end; o += 2) {
            const uint16_t *a = p->xs + (phase * p->ins + i) * x_tile + shift;
            const uint16_t *b = p->dys + o * dy_tile;
            float *c = p->sums + ((int64_t)(tap * p->ins + i) * p->outs + o) * ROWS * ROWS;
            float *below = c + (int64_t)p->outs * ROWS * ROWS;
            int two_a = i + 1 < i_end, two_b = o + 1 < o_end;
#define GO(m, n)                                                                                    \
    multiply(a, a + x_tile, b, b + dy_tile, p->row, p->chunk, count, c, c + ROWS * ROWS, below,     \
             below + ROWS * ROWS, begins, m, n)
            if (two_a && two_b)
                GO(1, 1);
            else if (two_a)
                GO(1, 0);
            else if (two_b)
                GO(0, 1);
            else
                GO(0, 0);
#undef GO
        }
}

static void add_strips(const plan *p, int64_t count, int begins) {
    for (int block = 0; block < p->outs; block++) {
        float *to = p->bias + block * ROWS;
        __m512 sum = begins ? _mm512_setzero_ps() : _mm512_load_ps(to);
        for (int64_t s = 0; s < (count + STRIP - 1) / STRIP; s++)
            sum = _mm512_add_ps(sum, _mm512_load_ps(p->strips + (s * p->outs + block) * ROWS));
        _mm512_store_ps(to, sum);
    }
}

/* Lays out a chunk of positions and multiplies it. */
static void run_chunk(const plan *p, worker *w, int64_t begin, const float *x, const float *dy) {
    int64_t count = up(least(p->chunk, p->positions - begin), STRIP), task;
    int64_t x_strips = (p->row + STRIP - 1) / STRIP, x_tasks = x_strips * p->phases;
    int64_t tasks = x_tasks + count / STRIP;
    while ((task = worker_next(w, tasks)) < tasks)
        if (task < x_tasks)
            lay_x(p, begin, (int)(task / x_strips), task % x_strips * STRIP, x);
        else
            lay_dy(p, begin, (task - x_tasks) * STRIP, dy);
    worker_meet(w);
    int ins = WIDEST, outs = WIDEST, threads = worker_count(w);
    for (;;) { /* some tasks for each thread; each sum is computed in the same order in any case */
        int64_t tasks = (up(p->ins, ins) / ins) * (up(p->outs, outs) / outs) * p->taps;
        if (threads == 1 || tasks >= 4 * threads || (ins == 2 && outs == 2)) break;
        if (ins >= outs)
            ins /= 2;
        else
            outs /= 2;
    }
    int64_t across = up(p->ins, ins) / ins, along = up(p->outs, outs) / outs;
    tasks = across * along * p->taps + 1;
    while ((task = worker_next(w, tasks)) < tasks) {
        if (task == 0) {
            add_strips(p, count, begin == 0);
            continue;
        }
        int64_t t = task - 1;
        int i = (int)(t / p->taps / along) * ins, o = (int)(t / p->taps % along) * outs;
        multiply_tap(p, (int)(t % p->taps), i, (int)least(i + ins, p->ins), o,
                     (int)least(o + outs, p->outs), count, begin == 0);
    }
    worker_meet(w);
}

/* Gives the caller the sums of a tile of inputs and a tile of outputs, for all taps. */
static void give(const plan *p, int in, int out, int group, float *turned) {
    const weight_gradient *of = p->of;
    int taps = p->taps, ins = of->c / of->v.groups, outs = of->out_c / of->v.groups;
    __m512i every = _mm512_mullo_epi32(
        _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
        _mm512_set1_epi32(taps));
    for (int tap = 0; tap < taps; tap++) {
        const float *from = p->sums + ((int64_t)(tap * p->ins + in) * p->outs + out) * ROWS * ROWS;
        __m512 rows[ROWS];
        for (int i = 0; i < ROWS; i++) rows[i] = _mm512_load_ps(from + i * ROWS);
        turn(rows);
        for (int o = 0; o < ROWS; o++)
            if (taps == 1)
                _mm512_store_ps(turned + o * ROWS, rows[o]);
            else
                _mm512_i32scatter_ps(turned + o * ROWS * taps + tap, every, rows[o], 4);
    }
    int64_t numbers = least(ROWS, ins - in * ROWS) * taps;
    for (int o = 0; o < ROWS && out * ROWS + o < outs; o++) {
        float *to = of->dw + ((int64_t)(group * outs + out * ROWS + o) * ins + in * ROWS) * taps;
        for (int64_t k = 0; k < numbers; k += ROWS) {
            __mmask16 mask = mask_of(numbers - k);
            __m512 v = _mm512_load_ps(turned + o * ROWS * taps + k);
            if (of->add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, to + k));
            _mm512_mask_storeu_ps(to + k, mask, v);
        }
    }
}

static void give_bias(const plan *p, int group) {
    int outs = p->of->out_c / p->of->v.groups;
    float *to = p->of->db + group * outs;
    for (int o = 0; o < outs; o++) to[o] = p->of->add ? to[o] + p->bias[o] : p->bias[o];
}

/* What is to be done comes in the first slot, as a plan. */
static void weight_gradient_run(const void *none, worker *w) {
    (void)none;
    const plan *p = (const plan *)(const void *)worker_slot(w, 0);
    plan mine = *p;
    lay_memory(&mine, worker_shared(w));
    int groups = p->of->v.groups;
    tiles_begin(ROWS);
    for (int group = 0; group < groups; group++) {
        const float *x = p->of->x + group * (p->of->c / groups);
        const float *dy = p->of->dy + group * (p->of->out_c / groups);
        for (int64_t begin = 0; begin < p->positions; begin += p->chunk)
            run_chunk(&mine, w, begin, x, dy);
        int64_t task, pairs = (int64_t)p->ins * p->outs;
        while ((task = worker_next(w, pairs)) < pairs)
            give(&mine, (int)(task / p->outs), (int)(task % p->outs), group, worker_own(w));
        if (p->of->db && worker_index(w) == 0) give_bias(&mine, group);
        worker_meet(w);
    }
    _tile_release();
}

/* The program that kernels_weight_gradient() runs: scratch memory that its calls share. */
program *kernels_weight_gradient_new(void) {
    program *p = kernels_new();
    if (p && program_add(p, weight_gradient_run, NULL, NULL)) {
        kernels_free(p);
        return NULL;
    }
    return p;
}

/* Computes a gradient on so many threads. The result does not depend on their number. Returns -1
   without memory, or where the kernel is wider than 64. Not for two callers at once with one
   program. */
int kernels_weight_gradient(program *scratch, int threads, const weight_gradient *of) {
    plan p;
    if (make_plan(&p, of)) return -1;
    program_reserve(scratch, lay_memory(&p, NULL), (size_t)p.taps * ROWS * ROWS * 4);
    float *slots[1] = {(float *)(void *)&p};
    return kernels_run(scratch, threads, slots) < 0 ? -1 : 0;
}
