/* Convolutions by themselves, on whatever memory is given: for layers outside programs. */

#include "convolution.h"
#include "learning.h"

#include <stdlib.h>

typedef struct {
    program *p;
    convolution *of;
} convolver;

static void run_on_slots(const void *prepared, worker *w) {
    convolution here = *(const convolution *)prepared;
    here.in.at = worker_slot(w, IN), here.out.at = worker_slot(w, OUT);
    here.done.other.at = worker_slot(w, OTHER);
    const float *weights = worker_slot(w, WEIGHTS);
    if (weights) {
        here.done.bias = worker_slot(w, BIAS);
        int64_t panels = here.win.groups * here.tiles;
        for (int64_t i; (i = worker_next(w, panels)) < panels;)
            convolution_pack_panel(&here, weights, i, worker_own(w));
        worker_meet(w);
    }
    convolution_run(&here, w);
}

void kernels_release(void *prepared) {
    convolver *c = prepared;
    if (c && c->p) kernels_free(c->p);
    free(c);
}

/* A convolution for kernels_convolve(); as kernels_convolution(), but where the maps are is not looked
   at. With the finish's other map (its `pixel` counts) each run may be given one. NULL without memory
   or where the shapes do not fit. */
void *kernels_prepare_convolution(const map *in, const map *out, const window *win,
                                  const float *weights, int keep, const finish *done) {
    convolver *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->p = kernels_new();
    if (c->p) c->of = convolution_new(c->p, run_on_slots, in, out, win, weights, keep, done);
    if (c->of) {
        if (!done || !done->other.pixel) c->of->done.other.pixel = out->c;
        return c;
    }
    if (c->p) kernels_free(c->p);
    free(c);
    return NULL;
}

/* Other weights; and another bias, where the first was not NULL. Returns 0, or -1 without memory. */
int kernels_repack(void *prepared, const float *weights, const float *bias) {
    convolution *o = ((convolver *)prepared)->of;
    if (bias && o->done.bias)
        memcpy((float *)o->done.bias, bias, (size_t)o->out.c * sizeof *bias);
    return convolution_weights(o, weights);
}

/* Runs on n h w c numbers (a pixel's are in.pixel and out.pixel apart); `other` may be NULL. Returns 0,
   or -1 without memory. Not for two callers at once. */
int kernels_convolve(void *prepared, int threads, const float *in, float *out, const float *other) {
    float *slots[SLOTS] = {(float *)in, out, (float *)other, NULL, NULL};
    return kernels_run(((convolver *)prepared)->p, threads, slots);
}

/* A convolution for kernels_convolve_learning(), which brings the weights. `turned`: they are those of
   another convolution, of stride 1, and this is the gradient of its input: `in` is its output's
   gradient, and the window has its kernel, dilation and groups and the pad dilation * (kernel - 1) -
   its pad. */
void *kernels_prepare_learning(const map *in, const map *out, const window *win, int turned, int act) {
    finish done = {.act = act};
    convolver *c = kernels_prepare_convolution(in, out, win, NULL, 0, &done);
    if (c && turned) convolution_turn(c->of);
    return c;
}

/* The same by Winograd's way; NULL also where that does not know the window. */
void *kernels_prepare_learning_winograd(const map *in, const map *out, const window *win, int turned,
                                        int act) {
    convolver *c = calloc(1, sizeof *c);
    if (c && (c->p = kernels_new()) && winograd_learning(c->p, in, out, win, turned, act) == 0) return c;
    kernels_release(c);
    return NULL;
}

/* As kernels_convolve(), with weights that are packed first, by all threads; `bias` may be NULL. */
int kernels_convolve_learning(void *prepared, int threads, const float *in, const float *weights,
                              const float *bias, float *out) {
    float *slots[SLOTS] = {(float *)in, out, NULL, (float *)weights, (float *)bias};
    return kernels_run(((convolver *)prepared)->p, threads, slots);
}
