/* The input of a convolution as entries of a band: as the products read them, with padding. */

#include "convolution.h"
#include "tiles.h"

/* A pixel's channels of all groups to its entry, in planes. */
static inline void split_all(const convolution *o, const float *from, char *to) {
    int64_t next = o->phases * o->plane * PIXEL_BYTES;
    for (int64_t g = 0; g < o->win.groups; g++, from += o->in_channels, to += o->group_bytes)
        for (int64_t b = 0; b < o->blocks; b++)
            write_pixel(from + b * STEP, o->in_channels - b * STEP, to + b * next);
}

static void clear(const convolution *o, int64_t entries, char *to) {
    int64_t next = o->phases * o->plane * PIXEL_BYTES;
    for (int64_t b = 0; b < o->win.groups * o->blocks; b++)
        memset(to + b * next, 0, (size_t)(entries * PIXEL_BYTES));
}

/* A row of entries of each phase. */
static void shifted_row(const convolution *o, int64_t image, int64_t first, int64_t row,
                        char *entries) {
    const window *w = &o->win;
    for (int64_t phase = 0; phase < o->phases; phase++) {
        char *to = entries + (phase * o->plane + row * o->pitch) * PIXEL_BYTES;
        int64_t y = (first + row) * w->stride_h + o->phase_y[phase] - w->pad_h;
        if (row == o->input_rows - 1 && o->left) clear(o, o->left, to + o->pitch * PIXEL_BYTES);
        if (y < 0 || y >= o->in.h) {
            clear(o, o->pitch, to);
            continue;
        }
        const float *from = o->in.at + (image * o->in.h + y) * o->in.w * o->in.pixel;
        int64_t x = o->phase_x[phase] - w->pad_w, begin = 0, end;
        if (x < 0) begin = (-x + w->stride_w - 1) / w->stride_w;
        end = x < o->in.w ? (o->in.w - 1 - x) / w->stride_w + 1 : 0;
        if (end > o->pitch) end = o->pitch;
        if (begin > end) begin = end;
        if (begin) clear(o, begin, to);
        for (int64_t i = begin; i < end; i++)
            split_all(o, from + (x + i * w->stride_w) * o->in.pixel, to + i * PIXEL_BYTES);
        if (end < o->pitch) clear(o, o->pitch - end, to + end * PIXEL_BYTES);
    }
}

enum { MOST_PIECES = SIDE, VECTORS = STEP / SIDE };

/* Memory for the unfolding of a band. */
typedef struct {
    const float **rows;
    int64_t *numbers; /* of the input rows that were copied */
    float *zeros, *copies;
} unfolding;

static unfolding begin_unfolding(const convolution *o, char *room) {
    unfolding u = {(const float **)room, NULL, NULL, NULL};
    if (!o->row_copies) return u;
    u.numbers = (int64_t *)(room + o->win.kernel_h * sizeof(void *));
    for (int64_t i = 0; i < o->row_copies; i++) u.numbers[i] = -1;
    size_t copies = (size_t)((o->row_copies + 1) * o->row_floats) * sizeof(float);
    u.zeros = (float *)(room + o->unfold_bytes - (copies + 63) / 64 * 64);
    u.copies = u.zeros + o->row_floats;
    memset(u.zeros, 0, copies);
    return u;
}

/* The input rows of a row of results: of the input, or copied between zeros. */
static void find_rows(const convolution *o, int64_t image, int64_t oy, unfolding *u) {
    const window *w = &o->win;
    for (int64_t ky = 0; ky < w->kernel_h; ky++) {
        int64_t y = oy * w->stride_h - w->pad_h + ky * w->dilation_h, number = image * o->in.h + y;
        const float *from = o->in.at + number * o->in.w * o->in.pixel;
        if (!o->row_copies) {
            u->rows[ky] = from;
        } else if (y < 0 || y >= o->in.h) {
            u->rows[ky] = u->zeros;
        } else {
            int64_t slot = number % o->row_copies;
            float *copy = u->copies + slot * o->row_floats;
            if (u->numbers[slot] != number) {
                float *to = copy + w->pad_w * o->row_pixel;
                if (o->in.pixel == o->in.c)
                    memcpy(to, from, (size_t)(o->in.w * o->in.c) * sizeof *to);
                else
                    for (int64_t x = 0; x < o->in.w; x++)
                        memcpy(to + x * o->in.c, from + x * o->in.pixel, (size_t)o->in.c * sizeof *to);
                u->numbers[slot] = number;
            }
            u->rows[ky] = copy;
        }
    }
}

/* Step `block` of `count` entries, `stride` floats of the input apart, from `most` pieces a vector: with
   a constant their masks and addresses stay in registers. */
static inline __attribute__((always_inline)) void unfold_step(const convolution *o, int64_t block,
                                                              int most, const float **rows, int64_t at,
                                                              int64_t stride, int64_t count, char *to) {
    const float *from[VECTORS][MOST_PIECES];
    lane_mask mask[VECTORS][MOST_PIECES];
    for (int half = 0; half < VECTORS; half++) {
        const int32_t *first = o->first_piece + VECTORS * block + half;
        for (int i = 0; i < most; i++) {
            const piece *p = o->pieces + first[0] + i;
            int there = first[0] + i < first[1];
            from[half][i] = there ? rows[p->row] + at + p->offset : rows[0];
            mask[half][i] = there ? p->mask : 0;
        }
    }
    for (int64_t n = 0; n < count; n++, to += PIXEL_BYTES) {
        floats v[VECTORS];
        for (int half = 0; half < VECTORS; half++) {
            v[half] = floats_maskz_loadu(mask[half][0], from[half][0] + n * stride);
            for (int i = 1; i < most; i++)
                v[half] = floats_mask_loadu(v[half], mask[half][i], from[half][i] + n * stride);
        }
        write_step(v, to);
    }
}

/* Entries of unfolded results. */
static void unfolded(const convolution *o, int64_t first, int64_t from, int64_t to, char *entries,
                     char *room) {
    int64_t next = o->plane * PIXEL_BYTES, area = (int64_t)o->out.h * o->out.w;
    unfolding u = begin_unfolding(o, room);
    for (int64_t r = from, end; r < to; r = end) {
        int64_t at = first + r, x = at % o->out.w;
        end = r + o->out.w - x < to ? r + o->out.w - x : to;
        find_rows(o, at / area, at % area / o->out.w, &u);
        int64_t stride = o->win.stride_w * o->row_pixel;
        for (int64_t g = 0; g < o->win.groups; g++)
            for (int64_t b = 0; b < o->blocks; b++) {
                const int32_t *p = o->first_piece + VECTORS * b;
                int most = p[1] - p[0];
                if (p[VECTORS] - p[VECTORS - 1] > most) most = p[VECTORS] - p[VECTORS - 1];
                int64_t pixel = x * stride + g * o->in_channels;
                char *entry = entries + g * o->group_bytes + b * next + r * PIXEL_BYTES;
                if (most == 1)
                    unfold_step(o, b, 1, u.rows, pixel, stride, end - r, entry);
                else if (most == 2)
                    unfold_step(o, b, 2, u.rows, pixel, stride, end - r, entry);
                else if (most <= 4)
                    unfold_step(o, b, 4, u.rows, pixel, stride, end - r, entry);
                else
                    unfold_step(o, b, MOST_PIECES, u.rows, pixel, stride, end - r, entry);
            }
    }
}

static void pointwise(const convolution *o, int64_t first, int64_t from, int64_t to, char *entries) {
    int64_t area = (int64_t)o->out.h * o->out.w;
    int strided = o->win.stride_h != 1 || o->win.stride_w != 1;
    for (int64_t r = from; r < to; r++) {
        int64_t at = first + r;
        if (strided)
            at = (at / area * o->in.h + at % area / o->out.w * o->win.stride_h) * o->in.w +
                 at % o->out.w * o->win.stride_w;
        split_all(o, o->in.at + at * o->in.pixel, entries + r * PIXEL_BYTES);
    }
}

void convolution_split(const convolution *o, int64_t image, int64_t band, int64_t from, int64_t to,
                       char *entries, char *room) {
    int64_t first = band_first(o, band);
    if (!o->unfolded)
        for (int64_t row = from; row < to; row++) shifted_row(o, image, first, row, entries);
    else if (o->taps == 1)
        pointwise(o, first, from, to, entries);
    else
        unfolded(o, first, from, to, entries, room);
}
