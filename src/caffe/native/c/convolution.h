/* What the files of the convolution share: its plan. */

#ifndef CAFFE_CONVOLUTION_H
#define CAFFE_CONVOLUTION_H

#include "finish.h"
#include "native.h"

/* Some of sixteen numbers that lie side by side: numbers `mask` of those at `offset` in an input row. */
typedef struct {
    int32_t row, offset;
    lane_mask mask;
} piece;

/* Two ways to turn a convolution into a matrix product.

   Shifted: the parts of the whole padded input are written once, in rows of `pitch` entries, and each
   tap of the kernel reads them shifted.  A run of results goes through whole rows, so a few columns
   of it are not stored.  With a stride there is a plane for each phase (y % stride, x % stride) that
   the taps read: entries that follow each other belong to results that follow each other.

   Unfolded: each result has its inputs of all taps as one row of numbers. For kernels of one tap,
   few channels, and kernels as large as the map. The results of the batch are one run.

   In both the results are computed in bands: some rows of an image (shifted), or some results. */
typedef struct {
    map in, out;
    window win;
    finish done;
    int unfolded, keep;
    int direct; /* no entries are written: the products read the map */
    int apart; /* weights are few: threads take bands of their own where there is one for each */
    int64_t taps, in_channels, out_channels; /* of a group */
    int64_t joined; /* groups of Caffe in a group here: small ones share a step, with zeros between */
    /* the entries of a band */
    int64_t images, height, width; /* of results: those of the batch, or 1, all, 1 where unfolded */
    int64_t pitch, left;           /* entries of a row; zeros after a plane's last row */
    int64_t band_rows, bands;      /* rows of results in a band; bands of an image */
    int64_t input_rows;            /* rows of entries in a plane of a band */
    int64_t phases, plane;         /* planes of STEP channels; entries in each */
    int32_t *phase_y, *phase_x, *phase_of, *row_of, *column_of; /* of a phase; of a tap */
    int64_t blocks, group_bytes, band_bytes; /* steps of a pixel; bytes */
    /* unfolded: the pieces of each sixteen numbers; rows are copied with padding first where there is any */
    piece *pieces;
    int32_t *first_piece;
    int64_t row_pixel, row_floats, row_copies; /* floats to the next pixel; in a copy; copies, 0: none */
    /* the product */
    int rows;                     /* results in a tile */
    int64_t steps, chunk, tiles;  /* steps of a result, of a pass; tiles of outputs, in a group */
    int32_t *offsets;             /* of a step's entries, in bytes */
    int32_t *places;              /* of the STEP weights of each step among an output's; -1: zero */
    int32_t *columns;             /* the same numbers, for convolution_pack_columns() */
    int32_t *group_of;            /* of those weights: which of the groups that are joined */
    int turned;                   /* convolution_turn() was called */
    int64_t weights_row;          /* numbers from an output's weights to the next one's */
    const float *weights;         /* Caffe's, where they are kept */
    char *packed;                 /* all tiles of outputs of all groups otherwise */
    size_t entries_bytes, results_bytes, panel_bytes, unfold_bytes, shared_bytes;
} convolution;

enum { LEAST_KEPT = 8000000, MOST_SHARED_BANDS = 32, LEAST_AHEAD = 512 << 10 };

/* With PART_OF_MAPS `out` may have any size, and pads be negative: they tell where its first pixel is. */
enum { KEEP_WEIGHTS = 1, PART_OF_MAPS = 2 };

/* Whether the maps are the window's; `part`: whether those are parts, of any size. */
int convolution_fits(const map *in, const map *out, const window *win, int part);

/* A plan, without weights; NULL without memory or where the shapes do not fit each other. */
convolution *convolution_plan(const map *in, const map *out, const window *win, int keep);
void convolution_free(void *planned);

/* Packs steps first to first + count of the 16 outputs of a tile of a group. */
void convolution_pack(const convolution *o, const float *weights, int64_t group, int64_t tile,
                      int64_t first, int64_t count, char *to);

/* Packs all steps in a fraction of that time; `columns` is scratch memory of the bytes that are told,
   0: not for this convolution. */
size_t convolution_columns_bytes(const convolution *o);
void convolution_pack_columns(const convolution *o, const float *weights, int64_t group, int64_t tile,
                              char *to, float *columns);

/* Writes the entries of some rows of a band to the band's entries. */
void convolution_split(const convolution *o, int64_t image, int64_t band, int64_t from, int64_t to,
                       char *entries, char *room);

/* Rows that convolution_split goes through, results in a band, and its first row of results. */
static inline int64_t band_first(const convolution *o, int64_t band) { return band * o->band_rows; }
static inline int64_t band_height(const convolution *o, int64_t band) {
    int64_t left = o->height - band_first(o, band);
    return left < o->band_rows ? left : o->band_rows;
}

/* A convolution that is part of a program, where run() runs it; NULL as above. */
convolution *convolution_new(program *p, operation run, const map *in, const map *out,
                             const window *win, const float *weights, int keep, const finish *done);
void convolution_run(const convolution *o, worker *w);

/* Other weights for it, or only memory for them where they are NULL. 0, or -1 without memory. */
int convolution_weights(convolution *o, const float *weights);

/* Packs the weights of the i-th of groups x tiles tiles of outputs; `columns` as above, or NULL. */
void convolution_pack_panel(const convolution *o, const float *weights, int64_t i, float *columns);

/* From here on weights are taken for the transpose, which gives the gradient of the input: outputs
   are what they call inputs, and the kernel is read from its end. */
void convolution_turn(convolution *o);

#endif
