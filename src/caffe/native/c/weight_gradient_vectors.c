#include "kind.h"

#ifndef CAFFE_AMX
/* The gradient of a convolution's weights by multiplications of vectors.

   dw[o][i] of a tap is a product of matrices whose sums run over the outputs' positions.  Both maps are
   read where they lie: a position's channels follow each other, so one map gives vectors, the other
   single numbers, and up to 28 sums stay in registers.  Runs of positions that see pixels are found for
   each tap, so what lies in the pad is not multiplied.

   A task has some channels of either map and goes through all positions, or a part of them, chunk by
   chunk: the chunk's numbers come from the cache for all taps.  What is summed in which order does not
   depend on the number of threads. */

#include "finish.h"
#include "weight_gradient.h"
#include "weight_gradient_give.h"
#include "weight_gradient_share.h"

/* The channels of dy that a task sums up for the bias, none for most tasks. */
typedef struct {
    int64_t first, end;
    float *to;
} bias_sums;

static bias_sums bias_of(const plan *p, const share *s) {
    int64_t first = s->group * (p->of->out_c / p->of->v.groups);
    bias_sums b = {.to = p->bias + s->part * weight_gradient_bias_sums(p)};
    if (!p->of->db || (p->swapped ? s->column : s->row) > 0) return b;
    b.first = first + (p->swapped ? s->row : s->column);
    b.end = first + (p->swapped ? s->row_end : s->column_end);
    memset(b.to + b.first, 0, (size_t)(b.end - b.first) * sizeof *b.to);
    return b;
}

/* Adds the positions [begin, end), which are summed apart: long sums would lose digits. */
static void add_bias(const plan *p, const bias_sums *b, int64_t begin, int64_t end) {
    const int64_t next = p->of->dy_pixel;
    for (int64_t c = b->first; c < b->end; c += 2 * LANES) {
        lane_mask mask = lanes(b->end - c), second_mask = lanes(at_least(b->end - c - LANES, 0));
        const float *dy = p->of->dy + begin * next + c;
        floats sum = floats_setzero(), second = sum;
        for (int64_t i = begin; i < end; i++, dy += next) {
            sum = floats_add(sum, floats_maskz_loadu(mask, dy));
            second = floats_add(second, floats_maskz_loadu(second_mask, dy + LANES));
        }
        sum = floats_add(sum, floats_maskz_loadu(mask, b->to + c));
        second = floats_add(second, floats_maskz_loadu(second_mask, b->to + c + LANES));
        floats_mask_storeu(b->to + c, mask, sum);
        floats_mask_storeu(b->to + c + LANES, second_mask, second);
    }
}

static void give_task(const plan *p, const share *s, const float *sums, float *turned) {
    int64_t next = weight_gradient_task_sums(p) / p->taps, row_next = p->wide * LANES;
    for (int64_t r = 0; s->row + r * LANES < s->row_end; r++)
        for (int64_t c = 0; s->column + c * LANES < s->column_end; c++)
            give(p, s, r, c, sums + (r * row_next + c) * LANES, next, row_next, turned);
}

static void run_task(const plan *p, worker *w, int64_t task) {
    share s = share_of(p, task);
    int64_t size = weight_gradient_task_sums(p), chunks = divide_up(p->positions, p->chunk);
    float *own = worker_own(w), *turned = own + size;
    run *runs = (run *)(void *)(turned + p->taps * TILE_FLOATS);
    bias_sums bias = bias_of(p, &s);
    block_sums sums = {p->parts > 1 ? p->sums + task * size : own, p->wide * LANES, 1};
    if (p->in_place) {
        int64_t output = s.group * p->rows.channels + s.row;
        sums = (block_sums){p->of->dw + output * p->columns.channels + s.column, p->columns.channels, 1};
        sums.begins = !p->of->add;
    }
    int64_t first = chunks * s.part / p->parts, last = chunks * (s.part + 1) / p->parts;
    for (int64_t chunk = first; chunk < last; chunk++, sums.begins = 0) {
        int64_t begin = chunk * p->chunk, end = at_most(begin + p->chunk, p->positions);
        for (int tap = 0; tap < p->taps; tap++) {
            block_sums of_tap = sums;
            of_tap.at += tap * (size / p->taps);
            int64_t count = weight_gradient_runs(p, tap, begin, end, runs);
            multiply_tap(p, &s, runs, count, &of_tap);
        }
        add_bias(p, &bias, begin, end);
    }
    if (p->parts == 1 && !p->in_place) give_task(p, &s, own, turned);
}

/* Adds up the parts of a tile of sums, and gives it. */
static void give_parts(const plan *p, worker *w, int64_t task) {
    int64_t column = task % p->wide, row = task / p->wide % p->high, of = task / p->wide / p->high;
    int64_t size = weight_gradient_task_sums(p), next = p->down * p->across; /* of a part */
    int64_t first = of / next * p->parts * next + of % next, row_next = p->wide * LANES;
    share s = share_of(p, first);
    float *own = worker_own(w);
    if (s.row + row * LANES >= s.row_end || s.column + column * LANES >= s.column_end) return;
    for (int tap = 0; tap < p->taps; tap++)
        for (int i = 0; i < LANES; i++) {
            int64_t at = ((tap * p->high + row) * LANES + i) * row_next + column * LANES;
            const float *from = p->sums + first * size + at;
            floats sum = floats_load(from);
            for (int64_t part = 1; part < p->parts; part++)
                sum = floats_add(sum, floats_load(from + part * next * size));
            floats_store(own + (tap * LANES + i) * LANES, sum);
        }
    give(p, &s, row, column, own, TILE_FLOATS, LANES, own + size);
}

static void give_bias(const plan *p) {
    int64_t next = weight_gradient_bias_sums(p);
    for (int64_t o = 0; o < p->of->out_c; o++) {
        float sum = p->bias[o];
        for (int64_t part = 1; part < p->parts; part++) sum += p->bias[part * next + o];
        p->of->db[o] = p->of->add ? p->of->db[o] + sum : sum;
    }
}

void weight_gradient_run(const void *none, worker *w) {
    (void)none;
    plan p = *(const plan *)(const void *)worker_slot(w, 0);
    weight_gradient_memory(&p, worker_shared(w));
    if (p.by_blocks) {
        weight_gradient_run_blocks(&p, w);
        if (p.of->db && worker_index(w) == 0) give_bias(&p);
        return;
    }
    int64_t shares = p.down * p.across * p.of->v.groups, tasks = shares * p.parts, task;
    while ((task = worker_next(w, tasks)) < tasks) run_task(&p, w, task);
    worker_meet(w);
    if (p.of->db && worker_index(w) == 0) give_bias(&p);
    if (p.parts == 1) return;
    tasks = shares * p.high * p.wide;
    while ((task = worker_next(w, tasks)) < tasks) give_parts(&p, w, task);
}

#endif
