/* The frame of a map: what lies around a part of it and is the same in every run.

   FCN pads its image by 100 pixels. What its first layers make far from the image depends on the
   weights alone, so that a program computes what depends on the image and copies the rest. */

#include "finish.h"
#include "tasks.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    map of;
    int32_t row0, row1, column0, column1; /* of the part */
    const float *numbers;
} frame;

/* Pixels of the frame in the rows before `y`. */
static int64_t before(const frame *o, int64_t y) {
    int64_t inside = at_most(at_least(y - o->row0, 0), o->row1 - o->row0);
    return y * o->of.w - inside * (o->column1 - o->column0);
}

static void put(const frame *o, float *to, const float *from, int64_t pixels) {
    const map *m = &o->of;
    if (m->pixel == m->c) {
        memcpy(to, from, (size_t)(pixels * m->c) * sizeof *to);
        return;
    }
    for (int64_t i = 0; i < pixels; i++)
        memcpy(to + i * m->pixel, from + i * m->c, (size_t)m->c * sizeof *to);
}

static void frame_run(const void *prepared, worker *w) {
    const frame *o = prepared;
    const map *m = &o->of;
    int64_t from, to;
    while (tasks_next(w, (int64_t)m->n * m->h, &from, &to))
        for (int64_t row = from; row < to; row++) {
            int64_t image = row / m->h, y = row % m->h;
            const float *numbers = o->numbers + before(o, y) * m->c;
            if (y < o->row0 || y >= o->row1) {
                put(o, pixel_at(m, image, y, 0), numbers, m->w);
                continue;
            }
            put(o, pixel_at(m, image, y, 0), numbers, o->column0);
            put(o, pixel_at(m, image, y, o->column1), numbers + o->column0 * m->c, m->w - o->column1);
        }
}

/* Writes the pixels outside rows row0 to row1 - 1 and columns column0 to column1 - 1 of each image:
   `numbers` has their channels, row by row. They are read in each run, and stay the caller's.
   -1: without memory, or a part that is not in the map. */
int kernels_frame(program *p, const map *of, const int32_t part[4], const float *numbers) {
    if (part[0] < 0 || part[1] < part[0] || part[1] > of->h) return -1;
    if (part[2] < 0 || part[3] < part[2] || part[3] > of->w) return -1;
    frame *o = malloc(sizeof *o);
    if (!o) return -1;
    *o = (frame){*of, part[0], part[1], part[2], part[3], numbers};
    if (program_add(p, frame_run, o, NULL) == 0) return 0;
    free(o);
    return -1;
}
