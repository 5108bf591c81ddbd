/* How operations share their work among the threads of a program, and small arithmetic for it. */

#ifndef CAFFE_NATIVE_TASKS_H
#define CAFFE_NATIVE_TASKS_H

#include "native.h"

#define ALWAYS static inline __attribute__((always_inline))

enum { LANES = 16 }; /* of a vector: channels */

ALWAYS int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }
ALWAYS int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
ALWAYS int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* The address of a pixel. */
ALWAYS float *pixel_at(const map *m, int64_t image, int64_t y, int64_t x) {
    return m->at + ((image * m->h + y) * m->w + x) * m->pixel;
}

/* The next tasks *from to *to of `total` for this thread; 0 when all are given out. Each thread gets
   some four lots: one that is interrupted by other programs leaves the rest to the others. Lots differ by
   one task at most, so that no thread has more than its part of the total. */
static inline int tasks_next(worker *w, int64_t total, int64_t *from, int64_t *to) {
    int threads = worker_count(w);
    int64_t lots = threads == 1 ? 1 : at_most(total, 4 * threads);
    if (total <= 0) return 0;
    int64_t lot = worker_next(w, lots);
    *from = total * lot / lots, *to = total * (lot + 1) / lots;
    return lot < lots;
}

#endif
