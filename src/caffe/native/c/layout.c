/* Between Caffe's layout, channels first, and the maps of programs, channels last. */

#include "finish.h"
#include "floats.h"
#include "native.h"
#include "tasks.h"

#include <stdlib.h>

enum { BLOCK = 16 /* pixels by channels that are turned at a time */, FEW = 4 /* channels */ };

typedef struct {
    int slot;
    map of;
    /* of few channels: which of sixteen pixels goes to each lane of a vector, and which lanes are of
       which channel */
    int32_t pixel[FEW][BLOCK];
    lane_mask of_channel[FEW][FEW];
} crossing;

static inline int all_finite(floats v) {
    const ints exponent = ints_set1(0x7f800000);
    ints bits = ints_and(floats_bits(v), exponent);
    return ints_cmpeq(bits, exponent) == 0;
}

/* Turns the block of `rows` rows and `columns` columns at `from` to `to`. */
static int turn_block(const float *from, int64_t from_row, float *to, int64_t to_row, int64_t rows,
                      int64_t columns) {
    floats r[16];
    int finite = 1;
    lane_mask have = lanes(columns), give = lanes(rows);
    for (int i = 0; i < 16; i++) {
        r[i] = i < rows ? floats_maskz_loadu(have, from + i * from_row) : floats_setzero();
        finite &= all_finite(r[i]);
    }
    turn(r);
    for (int i = 0; i < 16 && i < columns; i++)
        floats_mask_storeu(to + i * to_row, give, r[i]);
    return finite;
}

/* Up to sixteen pixels of few channels. */
static int interleave(const crossing *o, const float *planes, int64_t area, float *pixels,
                      int64_t count) {
    const int64_t c = o->of.c;
    floats plane[FEW];
    int finite = 1;
    for (int64_t i = 0; i < c; i++) {
        plane[i] = floats_maskz_loadu(lanes(count), planes + i * area);
        finite &= all_finite(plane[i]);
    }
    for (int64_t j = 0; j < c; j++) {
        ints from = ints_loadu(o->pixel[j]);
        floats v = floats_permutexvar(from, plane[0]);
        for (int64_t i = 1; i < c; i++)
            v = floats_mask_permutexvar(v, o->of_channel[j][i], from, plane[i]);
        floats_mask_storeu(pixels + j * BLOCK, lanes(at_least(count * c - j * BLOCK, 0)), v);
    }
    return finite;
}

/* The blocks of 16 pixels that this thread turns: tasks_next() gives them out. */
static void cross(const crossing *o, worker *w, int out) {
    const map *m = &o->of;
    float *tensor = worker_slot(w, o->slot);
    int64_t area = (int64_t)m->h * m->w, blocks = divide_up(area, BLOCK);
    int finite = 1, few = !out && m->c <= FEW && m->pixel == m->c;
    for (int64_t b, end; tasks_next(w, m->n * blocks, &b, &end);)
        for (; b < end; b++) {
            int64_t image = b / blocks, at = b % blocks * BLOCK;
            if (few) {
                finite &= interleave(o, tensor + image * m->c * area + at, area,
                                     m->at + (image * area + at) * m->c, at_most(area - at, BLOCK));
                continue;
            }
            for (int64_t c = 0; c < m->c; c += BLOCK) {
                float *planes = tensor + (image * m->c + c) * area + at;
                float *pixels = m->at + (image * area + at) * m->pixel + c;
                if (out)
                    finite &= turn_block(pixels, m->pixel, planes, area, area - at, m->c - c);
                else
                    finite &= turn_block(planes, area, pixels, m->pixel, m->c - c, area - at);
            }
        }
    if (!finite) worker_not_finite(w);
}

static void import_run(const void *prepared, worker *w) { cross(prepared, w, 0); }
static void export_run(const void *prepared, worker *w) { cross(prepared, w, 1); }

static int add_crossing(program *p, operation run, int slot, const map *of) {
    crossing *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = (crossing){.slot = slot, .of = *of};
    for (int j = 0; of->c <= FEW && j < of->c; j++)
        for (int lane = 0; lane < BLOCK; lane++) {
            int number = j * BLOCK + lane;
            o->pixel[j][lane] = number / of->c;
            o->of_channel[j][number % of->c] |= (lane_mask)(1u << lane);
        }
    if (program_add(p, run, o, NULL) == 0) return 0;
    free(o);
    return -1;
}

/* The map from the n c h w numbers that are given under a slot; notes what is not finite. */
int kernels_import(program *p, int slot, const map *to) {
    return add_crossing(p, import_run, slot, to);
}

/* The map as n c h w numbers to what is given under a slot; notes what is not finite. */
int kernels_export(program *p, const map *from, int slot) {
    return add_crossing(p, export_run, slot, from);
}
