/* Convolutions as matrix products (tiles.h). */

#define _GNU_SOURCE
#include "convolution_multiply.h"
#include "grouped.h"
#include "large.h"
#include "picture.h"
#include "product.h"
#include "spatial.h"
#include "strassen.h"

#include <stdlib.h>

static scratch scratch_of(const convolution *o, worker *w) {
    char *own = worker_own(w);
    scratch s;
    s.results = (float *)own, own += o->results_bytes;
    s.sums = (float *)own, own += 4 * TILE_FLOATS * sizeof(float);
    s.unfold = own, own += o->unfold_bytes;
    s.panel = own, own += o->panel_bytes;
    s.entries = own;
    memset(&s.beside, 0, sizeof s.beside);
    s.beside.o = o;
    return s;
}

static size_t own_bytes(const convolution *o) {
    return o->results_bytes + o->unfold_bytes + 4 * TILE_FLOATS * sizeof(float) + o->panel_bytes +
           o->entries_bytes;
}

/* Rows of entries that a band needs. */
static int64_t rows_to_split(const convolution *o, int64_t band) {
    if (o->direct) return 0;
    return o->unfolded ? band_height(o, band) : o->input_rows;
}

/* Pairs of tiles of outputs, or fours where there is one tile of results only. */
static int64_t width_of_share(const convolution *o) {
    return (o->band_rows - 1) * o->pitch + o->width > MOST_TILE_ROWS ? 2 : 4;
}

static void multiply_share(const convolution *o, int64_t image, int64_t band, int64_t share,
                           const char *entries, scratch *s) {
    int64_t width = width_of_share(o), shares = (o->tiles + width - 1) / width;
    int64_t group = share / shares, tile = share % shares * width;
    int count = (int)(o->tiles - tile < width ? o->tiles - tile : width);
    multiply(o, image, band, group, tile, count, entries, s);
}

/* Asks for the input of a band while the one before is computed, in two halves. Where there are few
   products for it, reading it twice costs more than waiting for it. */
static void input_ahead(const convolution *o, int64_t band, int64_t shares, side *d) {
    if (o->unfolded || band >= o->images * o->bands) return;
    int64_t first = band_first(o, band % o->bands) * o->win.stride_h;
    int64_t rows = o->band_rows * o->win.stride_h, left = o->in.h - first;
    if (rows > left) rows = left;
    if (rows <= 0) return;
    int64_t bytes = rows * o->in.w * o->in.pixel * (int64_t)sizeof(float);
    int64_t run = (o->band_rows - 1) * o->pitch + o->width, tiles = (run + o->rows - 1) / o->rows;
    int64_t asks = shares * asks_of(o, tiles);
    d->ahead = (const char *)(o->in.at + (band / o->bands * o->in.h + first) * o->in.w * o->in.pixel);
    d->next = bytes / 2, d->lines_left = bytes / 128, d->lines = (d->lines_left + asks - 1) / asks;
}

void convolution_run(const convolution *o, worker *w) {
    scratch s = scratch_of(o, w);
    int64_t bands = o->images * o->bands, width = width_of_share(o);
    int64_t shares = o->win.groups * ((o->tiles + width - 1) / width);
    tiles_begin(o->rows);
    int few = bands < 2 * worker_count(w) && !(o->apart && bands == worker_count(w));
    int shares_products = o->direct ? bands <= MOST_SHARED_BANDS : o->shared_bytes > 0;
    if (shares_products && worker_count(w) > 1 && few) {
        /* Few bands: all threads write the entries of all, then share the products. */
        char *shared = worker_shared(w);
        int64_t part = (o->input_rows + worker_count(w) - 1) / worker_count(w);
        for (int64_t i = 0; i < bands; i++) {
            int64_t rows = rows_to_split(o, i % o->bands), from = worker_index(w) * part;
            int64_t to = from + part < rows ? from + part : rows;
            if (from < to)
                convolution_split(o, i / o->bands, i % o->bands, from, to,
                                  shared + i * o->entries_bytes, s.unfold);
        }
        worker_meet(w);
        for (int64_t i; (i = worker_next(w, bands * shares)) < bands * shares;)
            multiply_share(o, i % bands / o->bands, i % bands % o->bands, i / bands,
                           shared + i % bands * o->entries_bytes, &s);
    } else {
        for (int64_t i; (i = worker_next(w, bands)) < bands;) {
            int64_t image = i / o->bands, band = i % o->bands;
            convolution_split(o, image, band, 0, rows_to_split(o, band), s.entries, s.unfold);
            input_ahead(o, i + 1, shares, &s.beside);
            for (int64_t share = 0; share < shares; share++)
                multiply_share(o, image, band, share, s.entries, &s);
        }
    }
    side_finish(&s.beside);
    tiles_end();
}

void convolution_pack_panel(const convolution *o, const float *weights, int64_t i, float *columns) {
    char *to = o->packed + i * o->steps * WEIGHT_BYTES;
    if (columns && convolution_columns_bytes(o))
        convolution_pack_columns(o, weights, i / o->tiles, i % o->tiles, to, columns);
    else
        convolution_pack(o, weights, i / o->tiles, i % o->tiles, 0, o->steps, to);
}

int convolution_weights(convolution *o, const float *weights) {
    o->weights = weights;
    if (o->keep) return 0;
    int64_t panels = o->win.groups * o->tiles;
    if (!o->packed) o->packed = large_alloc(panels * o->steps * WEIGHT_BYTES);
    if (!o->packed) return -1;
    for (int64_t i = 0; weights && i < panels; i++) convolution_pack_panel(o, weights, i, NULL);
    return 0;
}

convolution *convolution_new(program *p, operation run, const map *in, const map *out,
                             const window *win, const float *weights, int keep, const finish *done) {
    int64_t count = (int64_t)out->c * in->c / win->groups * win->kernel_h * win->kernel_w;
    convolution *o = convolution_plan(in, out, win, count > LEAST_KEPT ? keep : keep & PART_OF_MAPS);
    if (!o) return NULL;
    int64_t bands = o->images * o->bands;
    if (bands <= MOST_SHARED_BANDS) o->shared_bytes = bands * o->entries_bytes;
    if (finish_copy(&o->done, done, out->c) || convolution_weights(o, weights) ||
        program_add(p, run, o, convolution_free)) {
        convolution_free(o);
        free(o);
        return NULL;
    }
    program_reserve(p, o->shared_bytes, own_bytes(o));
    program_reserve(p, 0, convolution_columns_bytes(o));
    return o;
}

static void run(const void *prepared, worker *w) { convolution_run(prepared, w); }

/* Adds it by a way of its own, where products are of vectors; 1: none takes it. */
static int add_float_way(program *p, const map *in, const map *out, const window *win, const float *weights,
                         const finish *done) {
    if (FLOAT_WAYS && picture_fits(in, out, win, done))
        return picture_add(p, in, out, win, weights, done);
    if (FLOAT_WAYS && grouped_fits(in, out, win, done))
        return grouped_add(p, in, out, win, weights, done);
    if (SEVEN_PRODUCTS && strassen_fits(in, out, win, weights, done))
        return strassen_add(p, in, out, weights, done);
    if (FLOAT_WAYS && spatial_fits(in, out, win, done))
        return spatial_add(p, in, out, win, weights, done);
    return 1;
}

/* Adds a convolution. `weights` are Caffe's: outputs, inputs of a group, kernel_h, kernel_w. With `keep`
   they stay alive and unchanged as long as the program: large ones are then read in each run, and
   no copy is made. Returns 0, or -1 without memory or where the shapes do not fit each other. */
int kernels_convolution(program *p, const map *in, const map *out, const window *win,
                        const float *weights, int keep, const finish *done) {
    int64_t count = (int64_t)out->c * in->c * win->kernel_h * win->kernel_w;
    if (keep && count > LEAST_KEPT && product_fits(in, out, win))
        return product_add(p, in, out, win, weights, done);
    int many = keep && count > LEAST_KEPT, added = 1;
    if (!many && convolution_fits(in, out, win, 0)) added = add_float_way(p, in, out, win, weights, done);
    if (added <= 0) return added;
    return convolution_new(p, run, in, out, win, weights, keep ? KEEP_WEIGHTS : 0, done) ? 0 : -1;
}

/* The same where the maps are parts of an input and of its results, and copies of the weights. `out` has
   any size; its first pixel is what the kernel gives pad_h and pad_w before the first one of `in`,
   which may be negative. What lies outside `in` counts as zeros. */
int kernels_convolution_part(program *p, const map *in, const map *out, const window *win,
                             const float *weights, const finish *done) {
    int fits = convolution_fits(in, out, win, PART_OF_MAPS);
    int added = fits ? add_float_way(p, in, out, win, weights, done) : -1;
    if (added <= 0) return added;
    return convolution_new(p, run, in, out, win, weights, PART_OF_MAPS, done) ? 0 : -1;
}
