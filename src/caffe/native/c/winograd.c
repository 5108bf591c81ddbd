#include "kind.h"
#ifdef CAFFE_AMX /* TODO port */
/* 3x3 convolution of stride 1 and pad 1 by Winograd's minimal filtering (Lavin and Gray, 2016).

   Blocks of 4 rows by 2 columns of outputs come from 6 by 4 inputs, F(4,3) down the rows and F(2,3)
   along the columns: 24 multiplications for 8 outputs where the direct way takes 72. With F(4,3) in one
   direction only the result stays at float32's rounding (caffe/kernels/winograd.py has the matrices).

   The 24 products over the channels run on tiles (splitting.h). A thread takes some blocks, transforms
   what they see, and for a number of outputs computes all 24 products and their transform, so that
   these stay in its cache. */

#include "finish.h"
#include "large.h"
#include "native.h"
#include "splitting.h"
#include "tiles.h"
#include "turn.h"

enum {
    PLACES = 24,       /* products of a block */
    BLOCK_H = 4,       /* outputs of a block */
    BLOCK_W = 2,
    MOST_BLOCKS = 128, /* taken at a time */
    MOST_OUTPUTS = 128,
    WIDE = 32, /* outputs of a step: two tiles */
};

/* Which outputs of an image are wanted, and where things lie: rows row0 to row1 - 1 and columns
   column0 to column1 - 1 of the convolution of (h, w) pixels. */
typedef struct {
    const float *x;
    float *y; /* row 0, column 0 */
    int64_t x_pixel, y_pixel;
    int32_t h, w, row0, row1, column0, column1;
    const float *bias; /* kernels_winograd_region() only: NULL for none */
    int32_t relu;      /* the same */
    int32_t y_w;       /* pixels of a row of y */
} region;

typedef struct {
    int32_t channels, outputs;
    int64_t depth, width; /* channels and outputs in whole tiles */
    bfloat *weights;      /* [place][width / 16][depth / 32][part][tile] */
    finish f;
} winograd;

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

static int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* The weights of a place, outputs x channels, as tiles: pairs of channels by outputs. */
static void pack(const winograd *o, const float *u, bfloat *to) {
    for (int64_t n = 0; n < o->width; n += ROWS)
        for (int64_t c = 0; c < o->depth; c += DEPTH, to += PARTS * TILE) {
            __m512 pairs[PARTS][ROWS];
            for (int64_t i = 0; i < ROWS; i++) {
                const float *at = u + (n + i) * o->channels + c;
                int64_t left = n + i < o->outputs ? o->channels - c : 0;
                __m512 low = _mm512_maskz_loadu_ps(lanes(left), at);
                __m512 high = _mm512_maskz_loadu_ps(left > 16 ? lanes(left - 16) : 0, at + 16);
                for (int part = 0; part < PARTS; part++) {
                    __m512i row = _mm512_castsi256_si512(cut(low, &low));
                    row = _mm512_inserti64x4(row, cut(high, &high), 1);
                    pairs[part][i] = _mm512_castsi512_ps(row);
                }
            }
            for (int part = 0; part < PARTS; part++) {
                turn(pairs[part]);
                for (int i = 0; i < ROWS; i++)
                    _mm512_store_ps((float *)(to + part * TILE + i * DEPTH), pairs[part][i]);
            }
        }
}

/* Packed weights from transformed ones, (24, outputs, channels). 0, or -1 without memory. */
static int prepare(winograd *o, int channels, int outputs, const float *u, const finish *f) {
    o->channels = channels, o->outputs = outputs;
    o->depth = up(channels, DEPTH), o->width = up(outputs, WIDE);
    int64_t place = PARTS * o->depth * o->width;
    o->weights = mapped_alloc((size_t)(PLACES * place) * sizeof(bfloat));
    if (!o->weights || finish_copy(&o->f, f, outputs)) {
        mapped_free(o->weights);
        return -1;
    }
    for (int p = 0; p < PLACES; p++)
        pack(o, u + (int64_t)p * outputs * channels, o->weights + p * place);
    return 0;
}

static void discard(void *prepared) {
    winograd *o = prepared;
    mapped_free(o->weights);
    finish_free(&o->f);
}

/* The scratch of a thread: the transformed input of its blocks, and products. */
static size_t inputs_size(const winograd *o) {
    return (size_t)(PLACES * PARTS * MOST_BLOCKS * o->depth) * sizeof(bfloat);
}

static size_t scratch_size(const winograd *o) {
    return inputs_size(o) + (size_t)PLACES * MOST_BLOCKS * MOST_OUTPUTS * sizeof(float);
}

/* What F(4,3) makes of six rows. */
static inline void rows_in(const __m512 d[6], __m512 to[6]) {
    const __m512 four = _mm512_set1_ps(4), two = _mm512_set1_ps(2);
    __m512 a = _mm512_fnmadd_ps(four, d[2], d[4]); /* d4 - 4 d2 */
    __m512 b = _mm512_fnmadd_ps(four, d[1], d[3]); /* d3 - 4 d1 */
    __m512 c = _mm512_sub_ps(d[4], d[2]);
    __m512 e = _mm512_mul_ps(two, _mm512_sub_ps(d[3], d[1]));
    to[0] = _mm512_fmadd_ps(four, d[0], _mm512_fnmadd_ps(_mm512_set1_ps(5), d[2], d[4]));
    to[1] = _mm512_add_ps(a, b);
    to[2] = _mm512_sub_ps(a, b);
    to[3] = _mm512_add_ps(c, e);
    to[4] = _mm512_sub_ps(c, e);
    to[5] = _mm512_fmadd_ps(four, d[1], _mm512_fnmadd_ps(_mm512_set1_ps(5), d[3], d[5]));
}

/* The inputs of `count` blocks from number `first` on, transformed and split, as tiles
   [place][part][blocks / 16][depth / 32]; `part` numbers from part to part. */
static void transform(const winograd *o, const region *r, int64_t first, int64_t count,
                      int64_t across, bfloat *to, int64_t part) {
    int64_t place = PARTS * part;
    for (int64_t b = 0; b < count; b++) {
        int64_t y0 = r->row0 + (first + b) / across * BLOCK_H - 1;
        int64_t x0 = r->column0 + (first + b) % across * BLOCK_W - 1;
        for (int64_t c = 0; c < o->depth; c += ROWS) {
            __mmask16 mask = c < o->channels ? lanes(o->channels - c) : 0;
            __m512 d[4][6], row[4];
            for (int i = 0; i < 6; i++) {
                for (int j = 0; j < 4; j++) {
                    int64_t y = y0 + i, x = x0 + j;
                    int inside = y >= 0 && y < r->h && x >= 0 && x < r->w;
                    row[j] = _mm512_maskz_loadu_ps(inside ? mask : 0,
                                                   r->x + (y * r->w + x) * r->x_pixel + c);
                }
                d[0][i] = _mm512_sub_ps(row[0], row[2]);
                d[1][i] = _mm512_add_ps(row[1], row[2]);
                d[2][i] = _mm512_sub_ps(row[2], row[1]);
                d[3][i] = _mm512_sub_ps(row[1], row[3]);
            }
            bfloat *at = to + (b / ROWS * (o->depth / DEPTH) + c / DEPTH) * TILE + b % ROWS * DEPTH +
                         c % DEPTH;
            for (int j = 0; j < 4; j++) {
                __m512 v[6];
                rows_in(d[j], v);
                for (int i = 0; i < 6; i++)
                    split(v[i], at + (i * 4 + j) * place, part);
            }
        }
    }
}

/* Tiles are named by constants and no variables hold them: these are macros of need. */
#define PRODUCTS                 \
    _tile_dpbf16ps(0, 4, 6);     \
    _tile_dpbf16ps(1, 4, 7);     \
    _tile_dpbf16ps(2, 5, 6);     \
    _tile_dpbf16ps(3, 5, 7)
#define LOAD(a, b, at, half)     \
    _tile_loadd(a, at, 64);      \
    _tile_loadd(b, (at) + (half), 64)

/* 32 blocks by 32 outputs of one place. a and b are the tiles of the upper or left half; so far behind
   lie those of the other half, and the other parts. */
static void product(const bfloat *a, int64_t a_half, int64_t a_part, const bfloat *b, int64_t b_half,
                    int64_t depth, float *to, int64_t to_row) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < depth; k += DEPTH, a += TILE, b += PARTS * TILE) {
        LOAD(4, 5, a, a_half);
        LOAD(6, 7, b, b_half);
        PRODUCTS;
        LOAD(6, 7, b + 2 * TILE, b_half);
        PRODUCTS;
        LOAD(6, 7, b + TILE, b_half);
        PRODUCTS;
        LOAD(4, 5, a + a_part, a_half);
        PRODUCTS;
        LOAD(6, 7, b, b_half);
        PRODUCTS;
        LOAD(4, 5, a + 2 * a_part, a_half);
        PRODUCTS;
    }
    _tile_stored(0, to, to_row * 4);
    _tile_stored(1, to + 16, to_row * 4);
    _tile_stored(2, to + 16 * to_row, to_row * 4);
    _tile_stored(3, to + 16 * to_row + 16, to_row * 4);
}

/* The outputs of the blocks from the products [place][block][outputs], of which there are `wide`. */
static void finish_blocks(const winograd *o, const region *r, int64_t first, int64_t count,
                          int64_t across, const float *m, int64_t place, int64_t n, int64_t wide) {
    for (int64_t b = 0; b < count; b++) {
        int64_t y0 = r->row0 + (first + b) / across * BLOCK_H;
        int64_t x0 = r->column0 + (first + b) % across * BLOCK_W;
        for (int64_t c = 0; c < wide && n + c < o->outputs; c += ROWS) {
            __mmask16 mask = lanes(o->outputs - n - c);
            const float *from = m + b * wide + c;
            __m512 s[2][6];
            for (int i = 0; i < 6; i++) {
                __m512 p0 = _mm512_loadu_ps(from + (4 * i) * place);
                __m512 p1 = _mm512_loadu_ps(from + (4 * i + 1) * place);
                __m512 p2 = _mm512_loadu_ps(from + (4 * i + 2) * place);
                __m512 p3 = _mm512_loadu_ps(from + (4 * i + 3) * place);
                s[0][i] = _mm512_add_ps(p0, _mm512_add_ps(p1, p2));
                s[1][i] = _mm512_sub_ps(_mm512_sub_ps(p1, p2), p3);
            }
            for (int j = 0; j < BLOCK_W && x0 + j < r->column1; j++) {
                const __m512 *t = s[j];
                __m512 a = _mm512_add_ps(t[1], t[2]), e = _mm512_sub_ps(t[1], t[2]);
                __m512 f = _mm512_add_ps(t[3], t[4]), g = _mm512_sub_ps(t[3], t[4]);
                __m512 v[BLOCK_H];
                v[0] = _mm512_add_ps(t[0], _mm512_add_ps(a, f));
                v[1] = _mm512_fmadd_ps(_mm512_set1_ps(2), g, e);
                v[2] = _mm512_fmadd_ps(_mm512_set1_ps(4), f, a);
                v[3] = _mm512_add_ps(_mm512_fmadd_ps(_mm512_set1_ps(8), g, e), t[5]);
                for (int i = 0; i < BLOCK_H && y0 + i < r->row1; i++) {
                    int64_t pixel = (y0 + i) * r->y_w + x0 + j;
                    __m512 other = finish_other(&o->f, pixel, n + c, mask);
                    _mm512_mask_storeu_ps(r->y + pixel * r->y_pixel + n + c, mask,
                                          finish_vector(v[i], &o->f, n + c, other, mask));
                }
            }
        }
    }
}

/* Computes the region with all threads. */
static void compute(const winograd *o, const region *r, worker *w) {
    int64_t across = (r->column1 - r->column0 + BLOCK_W - 1) / BLOCK_W;
    int64_t blocks = across * ((r->row1 - r->row0 + BLOCK_H - 1) / BLOCK_H);
    int64_t shares = up(blocks, MOST_BLOCKS) / MOST_BLOCKS;
    shares = up(shares, worker_count(w));
    int64_t size = up((blocks + shares - 1) / shares, 2 * ROWS);
    if (size > MOST_BLOCKS) size = MOST_BLOCKS;
    bfloat *inputs = worker_own(w);
    float *products = (float *)((char *)worker_own(w) + inputs_size(o));
    int64_t row = o->depth / DEPTH * TILE; /* sixteen blocks or outputs, one part */
    tiles_begin(ROWS);
    shares = (blocks + size - 1) / size;
    for (int64_t s; (s = worker_next(w, shares)) < shares;) {
        int64_t first = s * size, count = blocks - first < size ? blocks - first : size;
        int64_t rows = up(count, 2 * ROWS), part = rows * o->depth;
        transform(o, r, first, count, across, inputs, part);
        tiles_fence();
        for (int64_t n = 0; n < o->width; n += MOST_OUTPUTS) {
            int64_t wide = o->width - n < MOST_OUTPUTS ? o->width - n : MOST_OUTPUTS;
            for (int p = 0; p < PLACES; p++) {
                const bfloat *a = inputs + p * PARTS * part;
                const bfloat *b = o->weights + (p * o->width + n) * PARTS * o->depth;
                float *to = products + p * rows * wide;
                for (int64_t i = 0; i < wide; i += WIDE)
                    for (int64_t k = 0; k < rows; k += 2 * ROWS)
                        product(a + k / ROWS * row, row, part, b + i / ROWS * PARTS * row,
                                PARTS * row, o->depth, to + k * wide + i, wide);
            }
            tiles_fence();
            finish_blocks(o, r, first, count, across, products, rows * wide, n, wide);
        }
    }
    tiles_end();
}

static void run(const void *prepared, worker *w) {
    const operation_of *o = prepared;
    const map *in = &o->in, *out = &o->out;
    const part *part = &o->wanted;
    for (int64_t i = 0; i < in->n; i++) {
        /* In the input's rows and columns: those of the result begin so much before. */
        int64_t pixels = i * out->h * out->w - (int64_t)part->down * out->w - part->right;
        region r = {in->at + i * in->h * in->w * in->pixel, out->at + pixels * out->pixel,
                    in->pixel, out->pixel, in->h, in->w,
                    part->row0 + part->down, part->row1 + part->down,
                    part->column0 + part->right, part->column1 + part->right, NULL, 0, out->w};
        winograd one = o->of;
        if (one.f.other.at) one.f.other.at += pixels * one.f.other.pixel;
        compute(&one, &r, w);
        worker_meet(w);
    }
}

/* A part of in * weights, kernel 3x3, stride 1, pad 1, no groups or holes. `u` are the weights transformed
   by caffe.kernels.winograd.transform_weights: (24, outputs, channels). -1 without memory. */
int kernels_winograd_part(program *p, const map *in, const map *out, const part *wanted, const float *u,
                          const finish *f) {
    operation_of *o = calloc(1, sizeof *o);
    if (!o) return -1;
    if (prepare(&o->of, in->c, out->c, u, f)) {
        free(o);
        return -1;
    }
    o->in = *in, o->out = *out, o->wanted = *wanted;
    if (program_add(p, run, o, discard)) {
        discard(o);
        free(o);
        return -1;
    }
    program_reserve(p, 0, scratch_size(&o->of));
    return 0;
}

/* The same for the whole. */
int kernels_winograd(program *p, const map *in, const map *out, const float *u, const finish *f) {
    part all = {0, 0, 0, in->h, 0, in->w};
    return kernels_winograd_part(p, in, out, &all, u, f);
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
    r.y_w = r.w;
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

#endif
