/* The input of a convolution as entries of a band: parts in bfloat16, with padding. */

#include "convolution.h"
#include "tiles.h"

/* A pixel's channels of all groups to its entry, in planes. */
static inline void split_all(const convolution *o, const float *from, char *to) {
    int64_t next = o->phases * o->plane * PIXEL_BYTES;
    for (int64_t g = 0; g < o->win.groups; g++, from += o->in_channels, to += o->group_bytes)
        for (int64_t b = 0; b < o->blocks; b++)
            split_pixel(from + b * STEP, o->in_channels - b * STEP, to + b * next);
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

static inline void copy(const float *from, int64_t count, float *to) {
    for (int64_t i = 0; i < count; i += 16)
        _mm512_storeu_ps(to + i, _mm512_maskz_loadu_ps(lanes(count - i), from + i));
}

static inline void zeros(int64_t count, float *to) {
    for (int64_t i = 0; i < count; i += 16) _mm512_storeu_ps(to + i, _mm512_setzero_ps());
}

/* The inputs of a result, in the order taps, channels: from `channel` on. Up to 15 numbers behind are
   written too. */
static void gather(const convolution *o, int64_t image, int64_t oy, int64_t ox, int64_t channel,
                   float *to) {
    const window *w = &o->win;
    int64_t c = o->in_channels, left = ox * w->stride_w - w->pad_w;
    int joined = w->dilation_w == 1 && o->in.pixel == c;
    int64_t begin = 0, end = w->kernel_w; /* of the taps of a row that are inside */
    while (begin < end && left + begin * w->dilation_w < 0) begin++;
    while (end > begin && left + (end - 1) * w->dilation_w >= o->in.w) end--;
    for (int64_t ky = 0; ky < w->kernel_h; ky++, to += w->kernel_w * c) {
        int64_t y = oy * w->stride_h - w->pad_h + ky * w->dilation_h;
        if (y < 0 || y >= o->in.h) {
            zeros(w->kernel_w * c, to);
            continue;
        }
        const float *from = o->in.at + ((image * o->in.h + y) * o->in.w + left) * o->in.pixel + channel;
        zeros(begin * c, to);
        if (joined)
            copy(from + begin * c, (end - begin) * c, to + begin * c);
        else
            for (int64_t kx = begin; kx < end; kx++)
                copy(from + kx * w->dilation_w * o->in.pixel, c, to + kx * c);
        zeros((w->kernel_w - end) * c, to + end * c);
    }
}

/* Entries of unfolded results; eight at a time are gathered first, so that stores are done when they
   are read again. */
static void unfolded(const convolution *o, int64_t first, int64_t from, int64_t to, char *entries,
                     float *room) {
    int64_t next = o->plane * PIXEL_BYTES, size = o->taps * o->in_channels;
    int64_t stride = o->blocks * STEP + 16;
    for (int64_t g = 0; g < o->win.groups; g++)
        for (int64_t r = from; r < to; r += 8) {
            int64_t count = to - r < 8 ? to - r : 8;
            for (int64_t i = 0; i < count; i++) {
                int64_t at = first + r + i, area = (int64_t)o->out.h * o->out.w;
                gather(o, at / area, at % area / o->out.w, at % o->out.w, g * o->in_channels,
                       room + i * stride);
            }
            for (int64_t i = 0; i < count; i++)
                for (int64_t b = 0; b < o->blocks; b++)
                    split_pixel(room + i * stride + b * STEP, size - b * STEP,
                                entries + g * o->group_bytes + b * next + (r + i) * PIXEL_BYTES);
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
                       char *entries, float *room) {
    int64_t first = band_first(o, band);
    if (!o->unfolded)
        for (int64_t row = from; row < to; row++) shifted_row(o, image, first, row, entries);
    else if (o->taps == 1)
        pointwise(o, first, from, to, entries);
    else
        unfolded(o, first, from, to, entries, room);
}
