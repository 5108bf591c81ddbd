/* Convolutions in groups of four or eight channels (ResNeXt's).

   Sixteen channels are two or four groups, and their outputs the same lanes of a vector: each lane needs
   the numbers of its own group.  A permutation gives every lane its group's first number, the next
   one its second, and so on, so that nothing is multiplied with zeros. */

#include "kind.h"

#ifndef CAFFE_AMX

#include "grouped.h"

#include "finish.h"
#include "large.h"
#include "tasks.h"

enum { FEW_PIXELS = BLOCK_WIDE > 1 ? 7 : 4, PIXELS = BLOCK_WIDE * FEW_PIXELS /* results of a block */ };
enum { MOST_OF_GROUP = 8 };

typedef struct {
    map in, out;
    window win;
    finish done;
    int64_t of_group;
    float *weights; /* [sixteen channels][tap][channel of a group][16] */
} grouped;

ALWAYS void finish_pixels(const grouped *o, const float *sums, int64_t pixel, int64_t count, int64_t channel,
                          int act) {
    finish f = o->done;
    f.act = act;
    for (int64_t i = 0; i < count; i++) {
        floats other = finish_other(&f, pixel + i, channel, 0xffff);
        floats_storeu(o->out.at + (pixel + i) * o->out.pixel + channel,
                      finish_vector(floats_load(sums + i * LANES), &f, channel, other, 0xffff));
    }
}

/* Each lane gets number j of its group. */
ALWAYS floats number_of(floats v, const int of_group, const int j) {
    if (of_group == 4) {
        if (j == 0) return floats_permute(v, 0x00);
        if (j == 1) return floats_permute(v, 0x55);
        return j == 2 ? floats_permute(v, 0xaa) : floats_permute(v, 0xff);
    }
    return floats_of_eights(v, j);
}

/* Results x to x + pixels of a row. `edge`: some of what they are made of is beyond the image. */
ALWAYS void block(const grouped *o, int64_t image, int64_t y, int64_t x, int64_t channel, const int pixels,
                  const int of_group, const int edge) {
    const window *w = &o->win;
    const int64_t step = w->stride_w * o->in.pixel;
    const float *weights = o->weights + channel * w->kernel_h * w->kernel_w * of_group;
    floats sums[PIXELS];
#pragma GCC unroll 14
    for (int i = 0; i < pixels; i++) sums[i] = floats_setzero();
    for (int64_t row = 0; row < w->kernel_h; row++) {
        int64_t iy = y * w->stride_h - w->pad_h + row * w->dilation_h;
        if (iy < 0 || iy >= o->in.h) {
            weights += w->kernel_w * of_group * LANES;
            continue;
        }
        for (int64_t column = 0; column < w->kernel_w; column++, weights += of_group * LANES) {
            const int64_t ix = x * w->stride_w - w->pad_w + column * w->dilation_w;
            const float *from = o->in.at + ((image * o->in.h + iy) * o->in.w + ix) * o->in.pixel + channel;
            floats factor[MOST_OF_GROUP];
#pragma GCC unroll 8
            for (int j = 0; j < of_group; j++) factor[j] = floats_load(weights + j * LANES);
#pragma GCC unroll 14
            for (int i = 0; i < pixels; i++, from += step) {
                const int64_t at = ix + i * w->stride_w;
                if (edge && (at < 0 || at >= o->in.w)) continue;
                floats v = floats_loadu(from);
#pragma GCC unroll 8
                for (int j = 0; j < of_group; j++)
                    sums[i] = floats_fmadd(number_of(v, of_group, j), factor[j], sums[i]);
            }
        }
    }
    _Alignas(64) float found[PIXELS * LANES];
#pragma GCC unroll 14
    for (int i = 0; i < pixels; i++) floats_store(found + i * LANES, sums[i]);
    int64_t pixel = (image * o->out.h + y) * o->out.w + x;
    if (o->done.act == ACT_RELU)
        finish_pixels(o, found, pixel, pixels, channel, ACT_RELU);
    else
        finish_pixels(o, found, pixel, pixels, channel, o->done.act);
}

/* The last block of a row may compute results again. */
ALWAYS void row_of_blocks(const grouped *o, int64_t image, int64_t y, int64_t channel, const int pixels,
                          const int of_group) {
    const window *w = &o->win;
    for (int64_t i = 0; i < o->out.w; i += pixels) {
        int64_t x = at_most(i, o->out.w - pixels), left = x * w->stride_w - w->pad_w;
        int64_t right = left + (pixels - 1) * w->stride_w + (w->kernel_w - 1) * w->dilation_w;
        if (left < 0 || right >= o->in.w)
            block(o, image, y, x, channel, pixels, of_group, 1);
        else
            block(o, image, y, x, channel, pixels, of_group, 0);
    }
}

static void run(const void *prepared, worker *w) {
    const grouped *o = prepared;
    int64_t from, to;
    while (tasks_next(w, (int64_t)o->out.n * o->out.h, &from, &to))
        for (; from < to; from++) {
            int64_t image = from / o->out.h, y = from % o->out.h;
            for (int64_t channel = 0; channel < o->out.c; channel += LANES)
                if (o->of_group == 4 && o->out.w >= PIXELS)
                    row_of_blocks(o, image, y, channel, PIXELS, 4);
                else if (o->of_group == 4)
                    row_of_blocks(o, image, y, channel, FEW_PIXELS, 4);
                else
                    row_of_blocks(o, image, y, channel, FEW_PIXELS, 8);
        }
}

int grouped_fits(const map *in, const map *out, const window *w, const finish *then) {
    int few = in->c == 4 * w->groups || in->c == 8 * w->groups;
    if (in->c != out->c || !few || in->c % LANES || in->n != out->n) return 0;
    return out->w >= FEW_PIXELS && !(then && then->other.at == out->at);
}

static void discard(void *prepared) {
    grouped *o = prepared;
    finish_free(&o->done);
    free(o->weights);
}

int grouped_add(program *p, const map *in, const map *out, const window *win, const float *weights,
                const finish *then) {
    const int64_t taps = (int64_t)win->kernel_h * win->kernel_w, of_group = in->c / win->groups;
    grouped *o = calloc(1, sizeof *o);
    if (!o) return -1;
    *o = (grouped){.in = *in, .out = *out, .win = *win, .of_group = of_group};
    o->weights = large_alloc((size_t)(in->c * taps * of_group) * sizeof(float));
    if (finish_copy(&o->done, then, out->c) || !o->weights || program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    float *to = o->weights;
    for (int64_t channel = 0; channel < in->c; channel += LANES)
        for (int64_t k = 0; k < taps * of_group; k++)
            for (int64_t n = channel; n < channel + LANES; n++)
                *to++ = weights[(n * of_group + k % of_group) * taps + k / of_group];
    return 0;
}

#endif
