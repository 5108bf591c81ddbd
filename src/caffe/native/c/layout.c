/* Between Caffe's layout, channels first, and the maps of programs, channels last. */

#include "finish.h"
#include "native.h"
#include "tasks.h"
#include "turn.h"

#include <immintrin.h>
#include <stdlib.h>

typedef struct {
    int slot;
    map of;
} crossing;

/* A map of this shape as numbers in order: 16 pixels by 16 channels are turned at a time. */
enum { BLOCK = 16 };

static inline int all_finite(__m512 v) {
    const __m512i exponent = _mm512_set1_epi32(0x7f800000);
    __m512i bits = _mm512_and_si512(_mm512_castps_si512(v), exponent);
    return _mm512_cmpeq_epi32_mask(bits, exponent) == 0;
}

/* Turns the block of `rows` rows and `columns` columns at `from` to `to`. */
static int turn_block(const float *from, int64_t from_row, float *to, int64_t to_row, int64_t rows,
                      int64_t columns) {
    __m512 r[16];
    int finite = 1;
    __mmask16 have = lanes(columns), give = lanes(rows);
    for (int i = 0; i < 16; i++) {
        r[i] = i < rows ? _mm512_maskz_loadu_ps(have, from + i * from_row) : _mm512_setzero_ps();
        finite &= all_finite(r[i]);
    }
    turn(r);
    for (int i = 0; i < 16 && i < columns; i++)
        _mm512_mask_storeu_ps(to + i * to_row, give, r[i]);
    return finite;
}

/* The blocks of 16 pixels that this thread turns: tasks_next() gives them out. */
static void cross(const crossing *o, worker *w, int out) {
    const map *m = &o->of;
    float *tensor = worker_slot(w, o->slot);
    int64_t area = (int64_t)m->h * m->w, blocks = divide_up(area, BLOCK);
    int finite = 1;
    for (int64_t b, end; tasks_next(w, m->n * blocks, &b, &end);)
        for (; b < end; b++) {
            int64_t image = b / blocks, at = b % blocks * BLOCK;
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
    *o = (crossing){slot, *of};
    return program_add(p, run, o, NULL);
}

/* The map from the n c h w numbers that are given under a slot; notes what is not finite. */
int kernels_import(program *p, int slot, const map *to) {
    return add_crossing(p, import_run, slot, to);
}

/* The map as n c h w numbers to what is given under a slot; notes what is not finite. */
int kernels_export(program *p, const map *from, int slot) {
    return add_crossing(p, export_run, slot, from);
}
