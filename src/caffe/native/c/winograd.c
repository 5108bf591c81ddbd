/* 3x3 convolution of stride 1 and pad 1 by Winograd's minimal filtering (Lavin and Gray, 2016).

   Blocks of 4 rows by 2 columns of outputs come from 6 by 4 inputs, F(4,3) down the rows and F(2,3)
   along the columns: 24 multiplications for 8 outputs where the direct way takes 72. With F(4,3) in one
   direction only the result stays at float32's rounding (caffe/kernels/winograd.py has the matrices).

   The 24 products over the channels run on what the processor has for them: one of two headers. Both
   have compute(), weights_size() and pack_weights(), scratch_size(), and the steps of channels and
   outputs. */

#include "kind.h"
#include "large.h"
#include "learning.h"
#include "winograd.h"

#ifdef CAFFE_AMX
#include "winograd_amx.h"
#else
#include "winograd_vectors.h"
#endif

CROSSES(region)

/* Which part of the result is computed: its rows row0 to row1 - 1, columns column0 to column1 - 1. Row r
   and column c of it lie over row r + down and column c + right of the input. */
typedef struct {
    int32_t down, right, row0, row1, column0, column1;
} part;

typedef struct {
    winograd of;
    map in, out;
    part wanted;
} operation_of;

static void size_up(winograd *o, int channels, int outputs) {
    o->channels = channels, o->outputs = outputs;
    o->depth = up(channels, DEPTH_STEP), o->width = up(outputs, WEIGHT_STEP);
}

/* Packed weights from transformed ones, (24, outputs, channels). 0, or -1 without memory. */
static int prepare(winograd *o, int channels, int outputs, const float *u, const finish *f) {
    size_up(o, channels, outputs);
    o->weights = mapped_alloc(weights_size(o));
    if (!o->weights || finish_copy(&o->f, f, outputs)) {
        mapped_free(o->weights);
        return -1;
    }
    pack_weights(o, u);
    return 0;
}

static void discard(void *prepared) {
    winograd *o = prepared;
    mapped_free(o->weights);
    finish_free(&o->f);
}

static void run(const void *prepared, worker *w) {
    const operation_of *o = prepared;
    const map *in = &o->in, *out = &o->out;
    const part *part = &o->wanted;
    /* In the input's rows and columns: those of the result begin so much before. */
    int64_t before = (int64_t)part->down * out->w + part->right;
    region r = {in->at, out->at - before * out->pixel, in->pixel, out->pixel, in->h, in->w,
                part->row0 + part->down, part->row1 + part->down,
                part->column0 + part->right, part->column1 + part->right,
                NULL, 0, out->w, in->n, out->h * out->w};
    winograd of = o->of;
    if (of.f.other.at) of.f.other.at -= before * of.f.other.pixel;
    compute(&of, &r, w);
}

/* in * weights, or a part of it: kernel 3x3, stride 1, no groups or holes. `wanted` may be NULL: all, with
   pad 1. `u` are the weights transformed by caffe.kernels.winograd.transform_weights:
   (24, outputs, channels). -1 without memory. */
int kernels_winograd(program *p, const map *in, const map *out, const part *wanted, const float *u,
                     const finish *f) {
    operation_of *o = calloc(1, sizeof *o);
    if (!o) return -1;
    if (prepare(&o->of, in->c, out->c, u, f)) {
        free(o);
        return -1;
    }
    const part all = {0, 0, 0, in->h, 0, in->w};
    o->in = *in, o->out = *out, o->wanted = wanted ? *wanted : all;
    if (program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    program_reserve(p, 0, scratch_size(&o->of));
    return 0;
}

#ifndef CAFFE_AMX
static void run_learning(const void *prepared, worker *w) {
    operation_of here = *(const operation_of *)prepared;
    here.in.at = worker_slot(w, IN), here.out.at = worker_slot(w, OUT);
    here.of.weights = worker_shared(w);
    here.of.taps = worker_slot(w, WEIGHTS);
    here.of.f.bias = worker_slot(w, BIAS);
    run(&here, w);
}
#endif

int winograd_learning(program *p, const map *in, const map *out, const window *win, int turned, int act) {
#ifdef CAFFE_AMX
    (void)p, (void)in, (void)out, (void)win, (void)turned, (void)act;
    return -1;
#else
    const window *o = win;
    if (o->kernel_h != 3 || o->kernel_w != 3 || o->stride_h != 1 || o->stride_w != 1) return -1;
    if (o->dilation_h != 1 || o->dilation_w != 1 || o->groups != 1) return -1;
    operation_of *l = calloc(1, sizeof *l);
    if (!l) return -1;
    const part all = {1 - o->pad_h, 1 - o->pad_w, 0, out->h, 0, out->w};
    *l = (operation_of){{.f.act = act, .turned = turned}, *in, *out, all};
    size_up(&l->of, in->c, out->c);
    if (program_add(p, run_learning, l, NULL)) {
        free(l);
        return -1;
    }
    program_reserve(p, weights_size(&l->of), scratch_size(&l->of));
    return 0;
#endif
}

typedef struct {
    winograd of;
    region wanted;
} regional;

static void run_region(const void *prepared, worker *w) {
    const regional *o = prepared;
    winograd one = o->of;
    region r = o->wanted;
    one.f.bias = r.bias;
    one.f.act = r.relu ? ACT_RELU : ACT_NONE;
    r.y_w = r.w, r.images = 1;
    compute(&one, &r, w);
}

/* The same for maps and regions that change: fill in *wanted, then run the program, and again.
   NULL without memory. */
program *kernels_winograd_region(int channels, int outputs, const float *u, region **wanted) {
    program *p = kernels_new();
    regional *o = calloc(1, sizeof *o);
    if (!p || !o || prepare(&o->of, channels, outputs, u, NULL)) {
        free(o);
        if (p) kernels_free(p);
        return NULL;
    }
    program_reserve(p, 0, scratch_size(&o->of));
    if (program_add(p, run_region, o, discard)) {
        discard(o);
        free(o);
        kernels_free(p);
        return NULL;
    }
    *wanted = &o->wanted;
    return p;
}
