/* What is done element by element: finishes on their own, sums, products, maxima, and copies. */

#include "finish.h"
#include "tasks.h"

#include <string.h>

enum { PIXELS = 32, PIECE = 4096 /* pixels, or floats of maps without gaps, in a task */ };
enum { PRODUCT = 0, SUM = 1, MAXIMUM = 2 };

/* One operation on the maps `out` and `ins`. */
typedef struct elementwise {
    void (*span)(const struct elementwise *, int64_t pixel, int64_t from, int64_t to);
    map out, *ins;
    int count, operation;
    int64_t pixels, flat; /* all elements where the maps have no gaps and channels do not matter, or 0 */
    float *numbers;       /* the coefficients of the maps, or the scales of the channels */
    finish then;
    int top, left;
} elementwise;

ALWAYS floats load(const map *m, int64_t pixel, int64_t c, lane_mask mask) {
    return floats_maskz_loadu(mask, m->at + pixel * m->pixel + c);
}

static void elementwise_free(void *prepared) {
    elementwise *o = prepared;
    free(o->ins);
    free(o->numbers);
    finish_free(&o->then);
}

static void elementwise_run(const void *prepared, worker *w) {
    const elementwise *o = prepared;
    int64_t from, to, tasks = o->flat ? divide_up(o->flat, PIECE) : divide_up(o->pixels, PIXELS);
    while (tasks_next(w, tasks, &from, &to)) {
        if (o->flat)
            o->span(o, 0, from * PIECE, at_most(to * PIECE, o->flat));
        else
            for (int64_t pixel = from * PIXELS; pixel < at_most(to * PIXELS, o->pixels); pixel++)
                o->span(o, pixel, 0, o->out.c);
    }
}

static int without_gaps(const map *m) { return !m->at || m->pixel == m->c; }

/* An operation with copies of its maps and numbers; NULL without memory. */
static elementwise *new_elementwise(int count, const map *ins, const map *out, const float *numbers,
                                    int64_t numbers_count, const finish *then) {
    elementwise *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->out = *out, o->count = count, o->pixels = (int64_t)out->n * out->h * out->w;
    o->ins = malloc((size_t)count * sizeof *ins);
    o->numbers = numbers ? malloc((size_t)numbers_count * sizeof *numbers) : NULL;
    if (finish_copy(&o->then, then, out->c) || !o->ins || (numbers && !o->numbers)) {
        elementwise_free(o);
        free(o);
        return NULL;
    }
    memcpy(o->ins, ins, (size_t)count * sizeof *ins);
    if (numbers) memcpy(o->numbers, numbers, (size_t)numbers_count * sizeof *numbers);
    int flat = without_gaps(out) && !o->then.bias && !o->then.slopes && without_gaps(&o->then.other);
    for (int i = 0; i < count; i++)
        flat = flat && without_gaps(&ins[i]);
    o->flat = flat ? o->pixels * out->c : 0;
    return o;
}

static int add(program *p, elementwise *o) {
    if (program_add(p, elementwise_run, o, elementwise_free) == 0) return 0;
    elementwise_free(o);
    free(o);
    return -1;
}

static void finish_span(const elementwise *o, int64_t pixel, int64_t from, int64_t to) {
    const finish *f = &o->then;
    for (int64_t c = from; c < to; c += LANES) {
        lane_mask mask = lanes(to - c);
        floats v = load(o->ins, pixel, c, mask);
        if (o->numbers) v = floats_mul(v, floats_maskz_loadu(mask, o->numbers + c));
        v = finish_vector(v, f, c, finish_other(f, pixel, c, mask), mask);
        floats_mask_storeu(o->out.at + pixel * o->out.pixel + c, mask, v);
    }
}

/* act(in * scale + bias + other); scale by channel, or NULL. `out` may be `in`, or the other map.
   -1: without memory. */
int kernels_finish(program *p, const map *in, const map *out, const float *scale,
                   const finish *then) {
    elementwise *o = new_elementwise(1, in, out, scale, out->c, then);
    if (!o) return -1;
    if (scale) o->flat = 0;
    o->span = finish_span;
    return add(p, o);
}

ALWAYS void combine(const elementwise *o, int64_t pixel, int64_t from, int64_t to, int operation) {
    for (int64_t c = from; c < to; c += LANES) {
        lane_mask mask = lanes(to - c);
        floats v = load(o->ins, pixel, c, mask);
        if (o->numbers) v = floats_mul(v, floats_set1(o->numbers[0]));
        for (int i = 1; i < o->count; i++) {
            floats next = load(o->ins + i, pixel, c, mask);
            if (operation == PRODUCT)
                v = floats_mul(v, next);
            else if (operation == MAXIMUM)
                v = floats_max(v, next);
            else if (o->numbers)
                v = floats_fmadd(next, floats_set1(o->numbers[i]), v);
            else
                v = floats_add(v, next);
        }
        floats_mask_storeu(o->out.at + pixel * o->out.pixel + c, mask, v);
    }
}

static void product_span(const elementwise *o, int64_t pixel, int64_t from, int64_t to) {
    combine(o, pixel, from, to, PRODUCT);
}

static void sum_span(const elementwise *o, int64_t pixel, int64_t from, int64_t to) {
    combine(o, pixel, from, to, SUM);
}

static void maximum_span(const elementwise *o, int64_t pixel, int64_t from, int64_t to) {
    combine(o, pixel, from, to, MAXIMUM);
}

/* Caffe's Eltwise of `count` maps: 0 product, 1 sum, with `count` coefficients or NULL, 2 maximum.
   `out` may be one of `ins`. -1: without memory, or another operation. */
int kernels_eltwise(program *p, int operation, int count, const map *ins, const float *coefficients,
                    const map *out) {
    if (operation < PRODUCT || operation > MAXIMUM || count < 1) return -1;
    elementwise *o = new_elementwise(count, ins, out, operation == SUM ? coefficients : NULL, count, NULL);
    if (!o) return -1;
    o->span = operation == PRODUCT ? product_span : operation == SUM ? sum_span : maximum_span;
    return add(p, o);
}

/* `out` is the part of `in` that begins at row `top` and column `left`. */
static void crop_span(const elementwise *o, int64_t pixel, int64_t from, int64_t to) {
    const map *in = o->ins, *out = &o->out;
    int64_t x = pixel % out->w, y = pixel / out->w % out->h, image = pixel / out->w / out->h;
    const float *at = pixel_at(in, image, y + o->top, x + o->left);
    for (int64_t c = from; c < to; c += LANES) {
        lane_mask mask = lanes(to - c);
        floats_mask_storeu(out->at + pixel * out->pixel + c, mask,
                           floats_maskz_loadu(mask, at + c));
    }
}

/* Whole rows, where neither map has gaps: `pixel` is a row then. */
static void crop_row(const elementwise *o, int64_t row, int64_t from, int64_t to) {
    const map *in = o->ins, *out = &o->out;
    (void)from, (void)to;
    const float *at = pixel_at(in, row / out->h, row % out->h + o->top, o->left);
    memcpy(pixel_at(out, 0, row, 0), at, (size_t)out->w * (size_t)out->c * sizeof(float));
}

/* The part of `in` of the size of `out` whose first pixel is (top, left). -1: without memory, or a part
   that is not in the map. */
int kernels_crop(program *p, const map *in, const map *out, int top, int left) {
    if (top < 0 || left < 0 || top + out->h > in->h || left + out->w > in->w) return -1;
    elementwise *o = new_elementwise(1, in, out, NULL, 0, NULL);
    if (!o) return -1;
    o->top = top, o->left = left;
    o->span = crop_span;
    if (o->flat) o->span = crop_row, o->pixels = (int64_t)out->n * out->h;
    o->flat = 0;
    return add(p, o);
}
