#include "kind.h"

#ifdef CAFFE_AMX
/* The gradient of a convolution's weights: dw[o][i][ky][kx] = sum over outputs of dy[o] x[i], where x
   is what the tap (ky, kx) saw.

   As products of matrices whose sums run over the outputs' positions. The positions of all images are
   numbered along one grid. Either its rows and images are so far apart that a tap sees zeros where it
   sees no pixel: then a tap is a shift along the grid, and with a stride there is one grid for each
   phase (remainder by the stride) of the image. Or each tap has a grid of its own with nothing but
   the outputs: more to lay out, but less to multiply (weight_gradient_amx_plan.c chooses). Both sides are
   split in bfloat16 parts (splitting.h): x as rows of a channel's positions, which may begin anywhere;
   dy as pairs of positions, as AMX wants its second operand, with zeros where the grid has no output.

   A chunk of positions is laid out so by all threads together, then multiplied, so that it comes from
   the cache. Every sum is in the order of the positions whatever the number of threads. */

#include "finish.h"
#include "tiles.h"
#include "weight_gradient.h"
#include "weight_gradient_give.h"

static inline void add_tile(float *to, const float *from) {
    for (int i = 0; i < SUMS; i += ROWS)
        _mm512_store_ps(to + i, _mm512_add_ps(_mm512_load_ps(to + i), _mm512_load_ps(from + i)));
}

/* Adds products to one tile of the sums, or to two by two: a: rows of x, b: pairs of dy. */
static inline __attribute__((always_inline)) void
multiply(const uint16_t *a0, const uint16_t *a1, const uint16_t *b0, const uint16_t *b1,
         int64_t row, int64_t chunk, int64_t count, float *c00, float *c01, float *c10, float *c11,
         int begins, const int two_a, const int two_b) {
    const int64_t a_part = ROWS * row, b_part = ROWS * chunk, a_bytes = row * 2;
    if (!begins)
        for (int i = 0; i < 2 * SUMS; i += ROWS) { /* the second two follow each other, too */
            if (two_b || i < SUMS) _mm_prefetch((const char *)(c00 + i), _MM_HINT_T0);
            if (two_a && (two_b || i < SUMS)) _mm_prefetch((const char *)(c10 + i), _MM_HINT_T0);
        }
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
    _Alignas(64) float found[4 * SUMS];
    _tile_stored(0, found, 64);
    _tile_stored(1, found + SUMS, 64);
    _tile_stored(2, found + 2 * SUMS, 64);
    _tile_stored(3, found + 3 * SUMS, 64);
    tiles_fence();
    add_tile(c00, found);
    if (two_b) add_tile(c01, found + SUMS);
    if (two_a) add_tile(c10, found + 2 * SUMS);
    if (two_a && two_b) add_tile(c11, found + 3 * SUMS);
}

/* Tiles of sums: [tap][ins][outs], from the tiles (i, o) on. */
typedef struct {
    float *at;
    int i, o, ins, outs;
} sums;

static float *sums_of(const sums *s, int tap, int i, int o) {
    return s->at + (((int64_t)tap * s->ins + i - s->i) * s->outs + o - s->o) * SUMS;
}

/* The products of one tap for tiles [i, i_end) of x's channels and [o, o_end) of dy's. */
static void multiply_tap(const plan *p, int tap, int i_begin, int i_end, int o_begin, int o_end,
                         int64_t count, const sums *to, int begins) {
    int ky = tap / p->of->v.kernel_w, kx = tap % p->of->v.kernel_w;
    int phase = p->y.phase[ky] * p->x.phases + p->x.phase[kx];
    int64_t shift = (int64_t)p->y.shift[ky] * p->x.pitch + p->x.shift[kx] - p->lowest;
    int64_t x_tile = PARTS * ROWS * p->row, dy_tile = PARTS * ROWS * p->chunk;
    for (int i = i_begin; i < i_end; i += 2)
        for (int o = o_begin; o < o_end; o += 2) {
            const uint16_t *a = p->xs + (phase * p->ins + i) * x_tile + shift;
            const uint16_t *b = p->dys + o * dy_tile;
            float *c = sums_of(to, tap, i, o), *below = c + (int64_t)to->outs * SUMS;
            int two_a = i + 1 < i_end, two_b = o + 1 < o_end;
#define GO(m, n)                                                                                    \
    multiply(a, a + x_tile, b, b + dy_tile, p->row, p->chunk, count, c, c + SUMS, below,            \
             below + SUMS, begins, m, n)
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

/* Gives the caller the sums of a tile of inputs and a tile of outputs, for all taps. */
static void give(const plan *p, int in, int out, int group, const sums *from, float *turned) {
    const weight_gradient *of = p->of;
    int taps = p->taps, ins = of->c / of->v.groups, outs = of->out_c / of->v.groups;
    for (int tap = 0; tap < taps; tap++) {
        const float *tile = sums_of(from, tap, in, out);
        __m512 rows[ROWS];
        for (int i = 0; i < ROWS; i++) rows[i] = _mm512_load_ps(tile + i * ROWS);
        turn(rows);
        for (int o = 0; o < ROWS; o++) _mm512_store_ps(turned + (o * taps + tap) * ROWS, rows[o]);
    }
    for (int o = 0; o < ROWS && out * ROWS + o < outs; o++) {
        int64_t output = group * outs + out * ROWS + o, left = ins - in * ROWS;
        give_output(taps, of->add, turned + o * taps * ROWS,
                    of->dw + (output * ins + in * ROWS) * taps, left);
    }
}

/* All taps of up to two by two tiles, in one chunk, multiplied and given. */
static void multiply_and_give(const plan *p, int i, int o, int64_t count, int group, float *own) {
    sums here = {own, i, o, 2, 2};
    int i_end = (int)at_most(i + 2, p->ins), o_end = (int)at_most(o + 2, p->outs);
    for (int tap = 0; tap < p->taps; tap++)
        multiply_tap(p, tap, i, i_end, o, o_end, count, &here, 1);
    tiles_fence();
    for (int k = i; k < i_end; k++)
        for (int m = o; m < o_end; m++) give(p, k, m, group, &here, own + 4 * SUMS * p->taps);
}

static void add_strips(const plan *p, int64_t count, int begins) {
    for (int block = 0; block < p->outs; block++) {
        float *to = p->bias + block * ROWS;
        __m512 sum = begins ? _mm512_setzero_ps() : _mm512_load_ps(to);
        for (int64_t s = 0; s < divide_up(count, STRIP); s++)
            sum = _mm512_add_ps(sum, _mm512_load_ps(p->strips + (s * p->outs + block) * ROWS));
        _mm512_store_ps(to, sum);
    }
}

static void lay_chunk(const plan *p, worker *w, int64_t begin, int64_t count, const float *x,
                      const float *dy) {
    int64_t x_strips = divide_up(p->row, STRIP), x_tasks = x_strips * p->phases;
    int64_t tasks = x_tasks + divide_up(count, STRIP), task;
    while ((task = worker_next(w, tasks)) < tasks)
        if (task < x_tasks)
            weight_gradient_lay_x(p, begin, (int)(task / x_strips), task % x_strips * STRIP, x);
        else
            weight_gradient_lay_dy(p, begin, (task - x_tasks) * STRIP, count, dy);
    worker_meet(w);
}

/* A chunk's products, block by block of tiles, and in it tap by tap. Each sum is computed in the same
   order whatever the blocks are. */
static void multiply_chunk(const plan *p, worker *w, int64_t count, int begins) {
    const sums to = {p->sums, 0, 0, p->ins, p->outs};
    int ins = p->widest, outs = p->widest, threads = worker_count(w);
    int64_t across, along, tasks, task;
    for (;;) { /* some tasks for each thread */
        across = divide_up(p->ins, ins), along = divide_up(p->outs, outs);
        tasks = across * along * p->taps + 1;
        if (threads == 1 || tasks > 4 * threads || (ins == 2 && outs == 2)) break;
        if (ins >= outs)
            ins = (ins / 2 + 1) & ~1;
        else
            outs = (outs / 2 + 1) & ~1;
    }
    while ((task = worker_next(w, tasks)) < tasks) {
        if (task == 0) {
            add_strips(p, count, begins);
            continue;
        }
        int64_t t = task - 1;
        int i = (int)(t / p->taps / along) * ins, o = (int)(t / p->taps % along) * outs;
        multiply_tap(p, (int)(t % p->taps), i, (int)at_most(i + ins, p->ins), o,
                     (int)at_most(o + outs, p->outs), count, &to, begins);
    }
    worker_meet(w);
}

/* The only chunk's products; each thread takes blocks whose parts stay in its cache. */
static void multiply_at_once(const plan *p, worker *w, int64_t count, int group) {
    int64_t half = p->widest / 2, ins = divide_up(p->ins, 2), outs = divide_up(p->outs, 2), task;
    if (worker_index(w) == 0) add_strips(p, count, 1);
    while ((task = worker_next(w, ins * outs)) < ins * outs) {
        int64_t begin = task / (half * outs) * half, high = at_most(half, ins - begin);
        int64_t rest = task - begin * outs, o = rest / (high * half) * half;
        int64_t wide = at_most(half, outs - o);
        rest -= o * high;
        multiply_and_give(p, (int)(begin + rest / wide) * 2, (int)(o + rest % wide) * 2, count, group,
                          worker_own(w));
    }
    worker_meet(w);
}

static void give_all(const plan *p, worker *w, int group) {
    const sums from = {p->sums, 0, 0, p->ins, p->outs};
    int64_t task, pairs = (int64_t)p->ins * p->outs;
    while ((task = worker_next(w, pairs)) < pairs)
        give(p, (int)(task / p->outs), (int)(task % p->outs), group, &from, worker_own(w));
}

static void give_bias(const plan *p, int group) {
    int outs = p->of->out_c / p->of->v.groups;
    float *to = p->of->db + group * outs;
    for (int o = 0; o < outs; o++) to[o] = p->of->add ? to[o] + p->bias[o] : p->bias[o];
}

/* What is to be done comes in the first slot, as a plan. */
void weight_gradient_run(const void *none, worker *w) {
    (void)none;
    const plan *p = (const plan *)(const void *)worker_slot(w, 0);
    plan mine = *p;
    weight_gradient_memory(&mine, worker_shared(w));
    int groups = p->of->v.groups;
    tiles_begin(ROWS);
    for (int group = 0; group < groups; group++) {
        const float *x = p->of->x + group * (p->of->c / groups);
        const float *dy = p->of->dy + group * (p->of->out_c / groups);
        for (int64_t begin = 0; begin < p->positions; begin += p->chunk) {
            int64_t count = divide_up(at_most(p->chunk, p->positions - begin), DEPTH) * DEPTH;
            lay_chunk(&mine, w, begin, count, x, dy);
            if (p->at_once)
                multiply_at_once(&mine, w, count, group);
            else
                multiply_chunk(&mine, w, count, begin == 0);
        }
        if (!p->at_once) give_all(&mine, w, group);
        if (p->of->db && worker_index(w) == 0) give_bias(&mine, group);
        worker_meet(w);
    }
    tiles_end();
}

#endif
