/* Deconvolutions whose windows do not overlap, as U-Net's by 2: kernel and stride are the same.

   Each input makes a square of outputs by itself. So the whole is a convolution by one pixel whose channels are the places of the square, and a copy that puts the places where they
   belong. */

#include "upconvolution.h"

#include "finish.h"
#include "tasks.h"

int kernels_convolution(program *p, const map *in, const map *out, const window *win,
                        const float *weights, int keep, const finish *then);

enum { LEAST_INPUTS = 32, LEAST_OUTPUTS = 16 }; /* channels: with fewer the tiles are too empty */

typedef struct {
    map squares, out; /* squares.c: kernel row, kernel column, channel of out */
    int kernel_h, kernel_w;
} spreading;

static void spreading_free(void *prepared) {
    spreading *o = prepared;
    free(o->squares.at);
}

static void spreading_run(const void *prepared, worker *w) {
    const spreading *o = prepared;
    const map *squares = &o->squares, *out = &o->out;
    int64_t from, to;
    while (tasks_next(w, (int64_t)out->n * out->h, &from, &to))
        for (int64_t row = from; row < to; row++) {
            int64_t image = row / out->h, y = row % out->h;
            const float *square = pixel_at(squares, image, y / o->kernel_h, 0) +
                                  y % o->kernel_h * o->kernel_w * out->c;
            float *pixel = pixel_at(out, image, y, 0);
            for (int64_t x = 0; x < squares->w; x++, square += squares->pixel)
                for (int64_t k = 0; k < o->kernel_w; k++, pixel += out->pixel)
                    for (int64_t c = 0; c < out->c; c += LANES) {
                        lane_mask mask = lanes(out->c - c);
                        floats v = floats_maskz_loadu(mask, square + k * out->c + c);
                        floats_mask_storeu(pixel + c, mask, v);
                    }
        }
}

int upconvolution_fits(const map *in, const map *out, const window *win, const finish *then) {
    return win->kernel_h == win->stride_h && win->kernel_w == win->stride_w && !win->pad_h &&
           !win->pad_w && out->h == in->h * win->stride_h && out->w == in->w * win->stride_w &&
           in->c >= LEAST_INPUTS && out->c >= LEAST_OUTPUTS && !(then && then->other.at);
}

/* `count` times the same numbers. */
static float *repeated(const float *from, int64_t channels, int64_t count, int *failed) {
    if (!from) return NULL;
    float *to = malloc((size_t)(channels * count) * sizeof *to);
    if (!to) *failed = 1;
    for (int64_t i = 0; to && i < count; i++)
        memcpy(to + i * channels, from, (size_t)channels * sizeof *to);
    return to;
}

int upconvolution_add(program *p, const map *in, const map *out, const window *win,
                      const float *weights, const finish *then) {
    int64_t places = win->kernel_h * win->kernel_w, channels = out->c, wide = places * channels;
    int64_t pixels = (int64_t)in->n * in->h * in->w;
    int failed = 0;
    finish each = {0};
    if (then) each = *then;
    each.bias = then ? repeated(then->bias, channels, places, &failed) : NULL;
    each.slopes = each.act == ACT_PRELU ? repeated(then->slopes, channels, places, &failed) : NULL;
    float *turned = malloc((size_t)(wide * in->c) * sizeof *turned);
    float *squares = aligned_alloc(64, (size_t)divide_up(pixels * wide, LANES) * LANES * sizeof *squares);
    spreading *o = malloc(sizeof *o);
    if (!turned || !squares || !o) failed = 1;
    if (!failed) {
        for (int64_t i = 0; i < in->c; i++)
            for (int64_t c = 0; c < channels; c++)
                for (int64_t t = 0; t < places; t++)
                    turned[(t * channels + c) * in->c + i] = weights[(i * channels + c) * places + t];
        *o = (spreading){{squares, in->n, in->h, in->w, (int32_t)wide, wide}, *out,
                         win->kernel_h, win->kernel_w};
        window one = {1, 1, 1, 1, 0, 0, 1, 1, 1};
        failed = kernels_convolution(p, in, &o->squares, &one, turned, 0, &each) != 0 ||
                 program_add(p, spreading_run, o, spreading_free) != 0;
    }
    finish_free(&each);
    free(turned);
    if (!failed) return 0;
    free(squares);
    free(o);
    return -1;
}
