#include "kind.h"

#ifndef CAFFE_AMX
/* How the gradient of the weights becomes products of blocks, and which positions they sum over. */

#include "floats.h"
#include "weight_gradient.h"

enum {
    MOST_ROWS = BLOCK_ROWS,
    TASK_FLOATS = 40 << 10,  /* sums of a task, which stay in the second cache beside a chunk */
    MOST_CHANNELS = 128,     /* of a task, on either side */
    CHUNK_FLOATS = 48 << 10, /* of both maps' channels of a task */
    LEAST_CHUNK = 64,
    MOST_CHUNK = 512,
    MOST_PARTS = 16,
    TASKS = 16, /* that many are enough for the threads */
};

/* Cycles of a position: those of the multiplications or, of small blocks, of the loads and the sums that
   wait for the one before. */
double weight_gradient_cost(int64_t rows, int64_t columns) {
    double blocks = (double)divide_up(rows, MOST_ROWS), high = (double)rows / blocks;
    int64_t vectors = divide_up(columns, LANES);
    double pair = high * 2 > 5 ? high * 2 : 5, single = high + 1 > 5 ? high + 1 : 5;
    if (BLOCK_WIDE == 1) pair = 2 * single; /* each vector is multiplied alone */
    return blocks * ((double)(vectors / 2) * pair + (double)(vectors % 2) * single);
}

void weight_gradient_tasks(plan *p, int64_t channels, int64_t sums) {
    p->blocks = divide_up(p->rows.channels, MOST_ROWS);
    p->pairs = divide_up(p->columns.channels, 2 * LANES);
    p->down = divide_up(p->rows.channels, channels);
    p->across = divide_up(p->columns.channels, channels);
    for (;;) {
        int64_t blocks = divide_up(p->blocks, p->down), pairs = divide_up(p->pairs, p->across);
        p->high = divide_up(divide_up(p->rows.channels, p->blocks) * blocks, LANES);
        p->wide = 2 * pairs;
        if (weight_gradient_task_sums(p) <= sums || (blocks == 1 && pairs == 1)) return;
        if (pairs == 1 || (blocks > 1 && p->high > p->wide))
            p->down++;
        else
            p->across++;
    }
}

/* Where the tasks are few, each is done in parts, by positions. */
static void choose_parts(plan *p) {
    int64_t tasks = p->down * p->across * p->of->v.groups, chunks = divide_up(p->positions, p->chunk);
    double sums = (double)weight_gradient_task_sums(p) * (double)(p->down * p->across);
    p->parts = 1;
    while (p->parts * tasks < TASKS && p->parts < MOST_PARTS && 2 * p->parts <= chunks &&
           (double)p->parts * sums < p->cycles / 20)
        p->parts *= 2;
}

/* Outputs along one axis whose tap at `at` sees a pixel: from the first on, and their end. */
static void seen(int at, int stride, int size, int out, int64_t *from, int64_t *end) {
    *from = at < 0 ? divide_up(-at, stride) : 0;
    *end = size > at ? at_most(divide_up(size - at, stride), out) : 0;
}

/* How many outputs the taps along one axis see pixels for, all taps together. */
static double seen_by_all(int kernel, int stride, int pad, int dilation, int size, int out) {
    double all = 0;
    for (int k = 0; k < kernel; k++) {
        int64_t from, end;
        seen(k * dilation - pad, stride, size, out, &from, &end);
        all += (double)at_least(end - from, 0);
    }
    return all;
}

static int plan_directly(plan *p, const weight_gradient *of) {
    const window *v = &of->v;
    int64_t ins = of->c / v->groups, outs = of->out_c / v->groups;
    if (v->kernel_h > MOST_KERNEL || v->kernel_w > MOST_KERNEL) return -1;
    if (v->kernel_h * v->kernel_w > MOST_TAPS) return -1;
    *p = (plan){.of = of, .taps = v->kernel_h * v->kernel_w};
    double of_x = weight_gradient_cost(ins, outs), of_dy = weight_gradient_cost(outs, ins);
    p->swapped = of_dy < of_x * (p->taps == 1 ? 1.03 : 0.97);
    side x = {ins, v->stride_w * of->x_pixel}, dy = {outs, of->dy_pixel};
    p->rows = p->swapped ? dy : x, p->columns = p->swapped ? x : dy;
    p->positions = (int64_t)of->n * of->out_h * of->out_w;
    p->cycles = of->n * (p->swapped ? of_dy : of_x) *
                seen_by_all(v->kernel_h, v->stride_h, v->pad_h, v->dilation_h, of->h, of->out_h) *
                seen_by_all(v->kernel_w, v->stride_w, v->pad_w, v->dilation_w, of->w, of->out_w);
    weight_gradient_tasks(p, MOST_CHANNELS, TASK_FLOATS);
    p->chunk = CHUNK_FLOATS / (p->high * LANES + p->wide * LANES);
    p->chunk = at_least(LEAST_CHUNK, at_most(MOST_CHUNK, p->chunk));
    if (of->out_w <= p->chunk) p->chunk -= p->chunk % of->out_w;
    choose_parts(p);
    p->in_place = p->taps == 1 && p->swapped && p->parts == 1;
    return 0;
}

int weight_gradient_plan(plan *p, const weight_gradient *of, int threads) {
    plan blocks;
    if (of->way == BY_BLOCKS) return weight_gradient_by_blocks(p, of, threads);
    if (plan_directly(p, of)) return -1; /* the parts of the sums are the same for any number of threads */
    if (of->way == DIRECTLY || weight_gradient_by_blocks(&blocks, of, threads)) return 0;
    if (blocks.cycles < 0.9 * p->cycles) *p = blocks;
    return 0;
}

int64_t weight_gradient_task_sums(const plan *p) {
    return p->taps * p->high * p->wide * LANES * LANES;
}

int64_t weight_gradient_bias_sums(const plan *p) {
    return divide_up(p->of->out_c, LANES) * LANES;
}

size_t weight_gradient_memory(plan *p, char *at) {
    if (p->by_blocks) return weight_gradient_blocks_memory(p, at);
    int64_t tasks = p->down * p->across * p->parts * p->of->v.groups;
    int64_t sums = p->parts > 1 ? tasks * weight_gradient_task_sums(p) : 0;
    int64_t bias = p->parts * weight_gradient_bias_sums(p);
    p->sums = (float *)(void *)at, p->bias = p->sums + sums;
    return (size_t)(sums + bias) * sizeof(float);
}

size_t weight_gradient_own(const plan *p) {
    if (p->by_blocks) return weight_gradient_blocks_own(p);
    size_t sums = (size_t)weight_gradient_task_sums(p) + (size_t)p->taps * LANES * LANES;
    return sums * sizeof(float) + (size_t)p->chunk * sizeof(run);
}

int64_t weight_gradient_runs(const plan *p, int tap, int64_t begin, int64_t end, run *runs) {
    const weight_gradient *of = p->of;
    const window *v = &of->v;
    int at_y = tap / v->kernel_w * v->dilation_h - v->pad_h;
    int at_x = tap % v->kernel_w * v->dilation_w - v->pad_w;
    int64_t top, bottom, left, right, found = 0;
    seen(at_y, v->stride_h, of->h, of->out_h, &top, &bottom);
    seen(at_x, v->stride_w, of->w, of->out_w, &left, &right);
    for (int64_t row = begin / of->out_w; row * of->out_w < end; row++) {
        int64_t image = row / of->out_h, y = row % of->out_h, first = row * of->out_w;
        int64_t from = at_least(begin - first, left), to = at_most(end - first, right);
        if (y < top || y >= bottom || from >= to) continue;
        int64_t x_row = image * of->h + y * v->stride_h + at_y, x_column = from * v->stride_w + at_x;
        const float *x = of->x + (x_row * of->w + x_column) * of->x_pixel;
        const float *dy = of->dy + (first + from) * of->dy_pixel;
        const float *rows = p->swapped ? dy : x, *columns = p->swapped ? x : dy;
        run *last = runs + found - 1;
        if (found && last->rows + last->count * p->rows.next == rows &&
            last->columns + last->count * p->columns.next == columns)
            last->count += to - from;
        else
            runs[found++] = (run){rows, columns, to - from};
    }
    return found;
}

#endif
