#include "kind.h"

#ifndef CAFFE_AMX
/* The gradient of the weights of a 3x3 kernel of stride 1 by Winograd's minimal filtering.

   The adjoint of winograd.c: a block of 4 by 2 outputs is the product, place by place, of 24 transformed
   inputs and 24 transformed weights.  So the transformed weights' gradient is a product of matrices for
   each place, whose sums run over the blocks: 24 multiplications where the direct way takes 72.  Both
   maps are transformed into memory, a chunk of blocks at a time; then the products are those of
   weight_gradient_share.h, with places for taps and blocks for positions. */

#include "finish.h"
#include "weight_gradient.h"
#include "weight_gradient_give.h"
#include "weight_gradient_share.h"
#include "winograd.h"

enum {
    STRIP = 16,           /* blocks that are transformed by one task */
    DEPTH = 256,          /* blocks whose products are summed before they are added to others */
    KERNEL = 9,           /* taps */
    CHUNK_FLOATS = 2 << 20, /* of both maps, transformed */
    MOST_FLOATS = 16 << 20,
    TASK_CHANNELS = 128,
};

/* Cycles of 16 channels of a block that is transformed, of x and of dy, and of 16 by 16 sums that become
   the gradient; numbers of memory beyond the second cache that come and go in a cycle. */
enum { OF_X = 140, OF_DY = 110, OF_TILE = 2400, FLOATS_A_CYCLE = 2 };

static int64_t odd(int64_t channels) { return divide_up(channels, LANES) * LANES | LANES; }

int weight_gradient_by_blocks(plan *p, const weight_gradient *of, int threads) {
    const window *v = &of->v;
    if (v->kernel_h != 3 || v->kernel_w != 3 || v->stride_h != 1 || v->stride_w != 1) return -1;
    if (v->dilation_h != 1 || v->dilation_w != 1 || v->groups != 1) return -1;
    *p = (plan){.of = of, .taps = PLACES, .by_blocks = 1, .parts = 1};
    p->swapped = weight_gradient_cost(of->out_c, of->c) < 0.97 * weight_gradient_cost(of->c, of->out_c);
    side x = {of->c, odd(of->c)}, dy = {of->out_c, odd(of->out_c)};
    p->rows = p->swapped ? dy : x, p->columns = p->swapped ? x : dy;
    p->row_blocks = divide_up(of->out_w, BLOCK_W);
    p->image_blocks = p->row_blocks * divide_up(of->out_h, BLOCK_H);
    p->positions = of->n * p->image_blocks;
    weight_gradient_tasks(p, TASK_CHANNELS, INT64_MAX);
    int64_t each = PLACES * (p->rows.next + p->columns.next);
    int64_t sums = (int64_t)PLACES * of->c * of->out_c;
    int64_t most = at_most(MOST_FLOATS, at_least(CHUNK_FLOATS, 2 * sums));
    int64_t chunks = at_least(divide_up(p->positions * each, most), 1);
    p->chunk = divide_up(divide_up(p->positions, chunks), STRIP) * STRIP;
    chunks = at_least(divide_up(p->positions, p->chunk), 1);
    p->in_place = chunks == 1 && (threads == 1 || p->down * p->across >= 4 * threads);
    double tiles_x = (double)divide_up(of->c, LANES), tiles_dy = (double)divide_up(of->out_c, LANES);
    double blocks = (double)p->positions;
    p->cycles = blocks * PLACES * weight_gradient_cost(p->rows.channels, p->columns.channels) +
                blocks * (OF_X * tiles_x + OF_DY * tiles_dy) + OF_TILE * tiles_x * tiles_dy +
                (double)(2 * chunks * sums + 2 * p->positions * each) / FLOATS_A_CYCLE / 8;
    return 0;
}

/* Numbers from a place to the next: with a gap, or all would fall on the same few lines of the cache. */
static int64_t place_of(const plan *p, const side *s) { return p->chunk * s->next + LANES; }

size_t weight_gradient_blocks_memory(plan *p, char *at) {
    int64_t rows = PLACES * place_of(p, &p->rows), columns = PLACES * place_of(p, &p->columns);
    int64_t sums = p->in_place ? 0 : p->down * p->across * weight_gradient_task_sums(p);
    int64_t outs = weight_gradient_bias_sums(p), strips = p->chunk / STRIP * outs;
    p->sums = (float *)(void *)at, p->bias = p->sums + sums, p->strips = p->bias + outs;
    p->of_rows = p->strips + strips, p->of_columns = p->of_rows + rows;
    return (size_t)(sums + outs + strips + rows + columns) * sizeof(float);
}

size_t weight_gradient_blocks_own(const plan *p) {
    size_t sums = p->in_place ? (size_t)weight_gradient_task_sums(p) : 0;
    return (sums + 2 * KERNEL * TILE_FLOATS) * sizeof(float);
}

/* Where a map's transformed channels of a block of the chunk lie. */
static float *block_at(const plan *p, int of_rows, int64_t block) {
    return of_rows ? p->of_rows + block * p->rows.next : p->of_columns + block * p->columns.next;
}

static void lay_x(const plan *p, int64_t block, float *to, int64_t place) {
    const weight_gradient *of = p->of;
    int64_t image = block / p->image_blocks, within = block % p->image_blocks;
    int64_t y = within / p->row_blocks * BLOCK_H - of->v.pad_h;
    int64_t x = within % p->row_blocks * BLOCK_W - of->v.pad_w;
    region r = {.x = of->x + image * of->h * of->w * of->x_pixel, .x_pixel = of->x_pixel};
    r.h = of->h, r.w = of->w;
    for (int64_t c = 0; c < of->c; c += LANES) {
        floats d[4][6];
        columns_in(&r, y, x, c, lanes(of->c - c), d);
        for (int j = 0; j < 4; j++) {
            floats v[6];
            rows_in(d[j], v);
            for (int i = 0; i < 6; i++) floats_store(to + (i * 4 + j) * place + c, v[i]);
        }
    }
}

/* The adjoint of F(4,3)'s output transform: six rows of four. */
static inline void rows_back(const floats d[4], floats to[6]) {
    const floats two = floats_set1(2), four = floats_set1(4);
    floats even = floats_add(d[0], d[2]), odd = floats_add(d[1], d[3]);
    floats far = floats_fmadd(four, d[2], d[0]);
    floats farther = floats_mul(two, floats_fmadd(four, d[3], d[1]));
    to[0] = d[0];
    to[1] = floats_add(even, odd), to[2] = floats_sub(even, odd);
    to[3] = floats_add(far, farther), to[4] = floats_sub(far, farther);
    to[5] = d[3];
}

/* Adds up the outputs of the block, too. */
static void lay_dy(const plan *p, int64_t block, float *to, int64_t place, float *sums) {
    const weight_gradient *of = p->of;
    int64_t image = block / p->image_blocks, within = block % p->image_blocks;
    int64_t y0 = within / p->row_blocks * BLOCK_H, x0 = within % p->row_blocks * BLOCK_W;
    const float *at = of->dy + ((image * of->out_h + y0) * of->out_w + x0) * of->dy_pixel;
    for (int64_t c = 0; c < of->out_c; c += LANES) {
        lane_mask mask = lanes(of->out_c - c);
        floats d[4][BLOCK_H], sum = floats_load(sums + c);
        for (int i = 0; i < BLOCK_H; i++) {
            int inside = y0 + i < of->out_h;
            const float *row = at + i * of->out_w * of->dy_pixel + c;
            floats a = floats_maskz_loadu(inside ? mask : 0, row);
            floats b = floats_maskz_loadu(inside && x0 + 1 < of->out_w ? mask : 0, row + of->dy_pixel);
            sum = floats_add(sum, floats_add(a, b));
            d[0][i] = a, d[1][i] = floats_add(a, b), d[2][i] = floats_sub(a, b);
            d[3][i] = floats_sub(floats_setzero(), b);
        }
        floats_store(sums + c, sum);
        for (int j = 0; j < 4; j++) {
            floats v[6];
            rows_back(d[j], v);
            for (int i = 0; i < 6; i++) floats_store(to + (i * 4 + j) * place + c, v[i]);
        }
    }
}

static void lay_chunk(const plan *p, worker *w, int64_t begin, int64_t count) {
    int64_t strips = divide_up(count, STRIP), outs = weight_gradient_bias_sums(p), task;
    int64_t rows = place_of(p, &p->rows), columns = place_of(p, &p->columns);
    while ((task = worker_next(w, 2 * strips)) < 2 * strips) {
        int64_t first = task / 2 * STRIP, end = at_most(first + STRIP, count);
        float *sums = p->strips + task / 2 * outs;
        if (task % 2)
            for (int64_t b = first; b < end; b++)
                lay_x(p, begin + b, block_at(p, !p->swapped, b), p->swapped ? columns : rows);
        else {
            memset(sums, 0, (size_t)outs * sizeof *sums);
            for (int64_t b = first; b < end; b++)
                lay_dy(p, begin + b, block_at(p, p->swapped, b), p->swapped ? rows : columns, sums);
        }
    }
    worker_meet(w);
    if (worker_index(w) > 0) return;
    for (int64_t o = 0; o < outs; o++)
        for (int64_t s = 0; s < strips; s++)
            p->bias[o] = (begin + s ? p->bias[o] : 0) + p->strips[s * outs + o];
}

/* The products of a place for a task's channels. */
static void multiply_place(const plan *p, const share *s, int place, int64_t count, block_sums sums) {
    for (int64_t b = 0; b < count; b += DEPTH, sums.begins = 0) {
        run blocks = {block_at(p, 1, b) + place * place_of(p, &p->rows),
                      block_at(p, 0, b) + place * place_of(p, &p->columns), at_most(count - b, DEPTH)};
        multiply_tap(p, s, &blocks, 1, &sums);
    }
}

/* The adjoint of the weights' transform: nine taps of the 24 places' sums. */
static inline void weights_back(const floats u[PLACES], floats to[KERNEL]) {
    const floats half = floats_set1(0.5f), quarter = floats_set1(0.25f);
    const floats sixth = floats_set1(1 / 6.0f), twelfth = floats_set1(1 / 12.0f);
    const floats small = floats_set1(1 / 24.0f);
    floats t[6][3];
    for (int i = 0; i < 6; i++) {
        const floats *r = u + 4 * i;
        floats both = floats_mul(half, floats_add(r[1], r[2]));
        t[i][0] = floats_add(r[0], both);
        t[i][1] = floats_mul(half, floats_sub(r[1], r[2]));
        t[i][2] = floats_add(r[3], both);
    }
    for (int l = 0; l < 3; l++) {
        floats near = floats_mul(sixth, floats_add(t[1][l], t[2][l]));
        floats far = floats_add(t[3][l], t[4][l]);
        floats differ = floats_mul(sixth, floats_sub(t[2][l], t[1][l]));
        to[l] = floats_fmadd(small, far, floats_fmsub(quarter, t[0][l], near));
        to[3 + l] = floats_fmadd(twelfth, floats_sub(t[3][l], t[4][l]), differ);
        to[6 + l] = floats_add(floats_fmsub(sixth, far, near), t[5][l]);
    }
}

static void give_blocks(const plan *p, const share *s, int64_t row, int64_t column, const float *sums,
                        float *own) {
    int64_t next = weight_gradient_task_sums(p) / PLACES, row_next = p->wide * LANES;
    plan direct = *p;
    if (s->row + row * LANES >= s->row_end || s->column + column * LANES >= s->column_end) return;
    sums += row * LANES * row_next + column * LANES;
    for (int i = 0; i < LANES; i++) {
        floats u[PLACES], taps[KERNEL];
        for (int k = 0; k < PLACES; k++) u[k] = floats_load(sums + k * next + i * row_next);
        weights_back(u, taps);
        for (int k = 0; k < KERNEL; k++) floats_store(own + (k * LANES + i) * LANES, taps[k]);
    }
    direct.taps = KERNEL;
    give(&direct, s, row, column, own, TILE_FLOATS, LANES, own + KERNEL * TILE_FLOATS);
}

static void multiply_and_give(const plan *p, worker *w, int64_t count) {
    int64_t tasks = p->down * p->across, size = weight_gradient_task_sums(p), task;
    float *own = worker_own(w);
    while ((task = worker_next(w, tasks)) < tasks) {
        share s = share_of(p, task);
        for (int place = 0; place < PLACES; place++)
            multiply_place(p, &s, place, count,
                           (block_sums){own + place * (size / PLACES), p->wide * LANES, 1});
        for (int64_t i = 0; i < p->high * p->wide; i++)
            give_blocks(p, &s, i / p->wide, i % p->wide, own, own + size);
    }
}

void weight_gradient_run_blocks(const plan *p, worker *w) {
    int64_t shares = p->down * p->across, size = weight_gradient_task_sums(p), task;
    int64_t tasks = shares * PLACES, tiles = p->high * p->wide;
    for (int64_t begin = 0; begin < p->positions; begin += p->chunk) {
        int64_t count = at_most(p->chunk, p->positions - begin);
        lay_chunk(p, w, begin, count);
        if (p->in_place) multiply_and_give(p, w, count);
        while (!p->in_place && (task = worker_next(w, tasks)) < tasks) {
            share s = share_of(p, task % shares);
            float *sums = p->sums + task % shares * size + task / shares * (size / PLACES);
            multiply_place(p, &s, (int)(task / shares), count,
                           (block_sums){sums, p->wide * LANES, begin == 0});
        }
        worker_meet(w);
    }
    if (p->in_place) return;
    tasks = shares * tiles;
    while ((task = worker_next(w, tasks)) < tasks) {
        share s = share_of(p, task / tiles);
        give_blocks(p, &s, task % tiles / p->wide, task % p->wide, p->sums + task / tiles * size,
                    worker_own(w));
    }
}

#endif
