/* How a convolution becomes a matrix product. */

#include "convolution.h"
#include "tasks.h"
#include "tiles.h"

#include <stdlib.h>

/* Entries of a band and weights of a pass share a core's second cache. Smaller
   bands are better where all weights are few. */
#define BAND_BYTES (CORE_CACHE / 1024 * 500)
#define SMALL_BAND_BYTES (CORE_CACHE / 8)
#define FEW_WEIGHTS (CORE_CACHE / 8)
#define WEIGHTS_FOR_EACH (CORE_CACHE / 1024 * 350)
#define PASS_BYTES (CORE_CACHE / 1024 * 200)

enum { PAIR = 2 * MOST_TILE_ROWS, MOST_DIRECT = 512 };

static int64_t reach_h(const window *w) { return (int64_t)(w->kernel_h - 1) * w->dilation_h; }

static int64_t reach_w(const window *w) { return (int64_t)(w->kernel_w - 1) * w->dilation_w; }

int convolution_fits(const map *in, const map *out, const window *w, int part) {
    if (in->n != out->n || w->groups < 1 || in->c % w->groups || out->c % w->groups) return 0;
    return part || ((in->h + 2 * w->pad_h - reach_h(w) - 1) / w->stride_h + 1 == out->h &&
                    (in->w + 2 * w->pad_w - reach_w(w) - 1) / w->stride_w + 1 == out->w);
}

/* How far the last results of a row and a column reach beyond the input. */
static int64_t beyond_h(const convolution *o) {
    return (int64_t)(o->out.h - 1) * o->win.stride_h + reach_h(&o->win) + 1 - o->win.pad_h - o->in.h;
}

static int64_t beyond_w(const convolution *o) {
    return (int64_t)(o->out.w - 1) * o->win.stride_w + reach_w(&o->win) + 1 - o->win.pad_w - o->in.w;
}

/* Whether a part of the results begins or ends elsewhere than those of the whole input. */
static int is_shifted(const convolution *o) {
    const window *w = &o->win;
    return w->pad_h < 0 || w->pad_w < 0 || beyond_h(o) > w->pad_h || beyond_w(o) > w->pad_w ||
           beyond_h(o) <= w->pad_h - w->stride_h || beyond_w(o) <= w->pad_w - w->stride_w;
}

/* Processor cycles for a result, measured roughly with AMX (where the ways without it, spatial.c and
   others, take most convolutions, the same choice did well): a step of a result by 16 outputs costs 8 cycles, 10
   where it is unfolded, as the taps then share nothing in the first cache; to write a step of an
   entry 10, 13 where it is unfolded. */
static int unfolds(const convolution *o) {
    const window *w = &o->win;
    if (w->pad_h < 0 || w->pad_w < 0) return 0;
    /* A kernel of one tap is unfolded without looking for the edges of the image. */
    if (o->taps == 1 && (w->pad_h || w->pad_w || is_shifted(o))) return 0;
    if (!w->pad_h && !w->pad_w &&
        (o->taps == 1 || (w->kernel_h == o->in.h && w->kernel_w == o->in.w)))
        return 1;
    if (o->keep) return 0;
    double unfolded = (double)divide_up(o->taps * o->in_channels, STEP);
    double shifted = (double)divide_up(o->in_channels, STEP);
    double waste = 1 + (double)((w->kernel_w - 1) * w->dilation_w - w->pad_w) / w->stride_w / o->out.w;
    double entries = (double)o->in.h * o->in.w / ((double)o->out.h * o->out.w);
    return unfolded * (10.0 * o->tiles + 13) <
           shifted * (o->taps * waste * 8.0 * o->tiles + 10 * entries);
}

/* Whether the products read the map itself: a pixel's channels are whole steps, and those of a tile's
   pixels do not meet in the same few lines of the first cache. */
static int reads_directly(const convolution *o) {
    const window *w = &o->win;
    int plain = o->unfolded && o->taps == 1 && w->stride_h == 1 && w->stride_w == 1;
    return DIRECT && plain && o->joined == 1 && o->in_channels % STEP == 0 && o->in.pixel <= MOST_DIRECT;
}

/* The phases that taps read, and where: returns how many rows the last tap reads further down. */
static int64_t find_phases(convolution *o) {
    const window *w = &o->win;
    int64_t down = 0, right = 0;
    for (int64_t t = 0; t < o->taps; t++) {
        int32_t y = t / w->kernel_w * w->dilation_h, x = t % w->kernel_w * w->dilation_w;
        int32_t phase = 0;
        while (phase < o->phases &&
               (o->phase_y[phase] != y % w->stride_h || o->phase_x[phase] != x % w->stride_w))
            phase++;
        if (phase == o->phases) {
            o->phase_y[phase] = y % w->stride_h, o->phase_x[phase] = x % w->stride_w;
            o->phases++;
        }
        o->phase_of[t] = phase, o->row_of[t] = y / w->stride_h, o->column_of[t] = x / w->stride_w;
        if (o->row_of[t] > down) down = o->row_of[t];
        if (o->column_of[t] > right) right = o->column_of[t];
    }
    o->pitch = o->width + right;
    if (w->stride_w == 1 && right >= w->pad_w && w->pad_w >= 0 && beyond_w(o) >= w->pad_w) {
        /* The zeros left of a row are those right of the row before. */
        o->pitch -= w->pad_w;
        o->left = w->pad_w;
    }
    return down;
}

/* Results in a tile: such that the tiles of a run are about equally full. */
static int tile_rows(int64_t run) {
    int64_t tiles = divide_up(run, MOST_TILE_ROWS);
    if (TILES_IN_PAIRS && tiles > 1) tiles += tiles & 1;
    return (int)divide_up(run, tiles);
}

static void cut_bands(convolution *o, int64_t down) {
    int64_t row_bytes = o->blocks * o->win.groups * o->phases * o->pitch * PIXEL_BYTES;
    int64_t weights = o->tiles * o->win.groups * o->steps * WEIGHT_BYTES;
    int64_t most = o->unfolded && weights <= FEW_WEIGHTS ? SMALL_BAND_BYTES : BAND_BYTES;
    int64_t rows = most / row_bytes - down;
    if (rows < 4) rows = 4;
    if (o->unfolded && rows < 4 * MOST_TILE_ROWS) rows = 4 * MOST_TILE_ROWS;
    /* Where each thread can read all weights it takes rows of its own, near those it made before. */
    if (o->unfolded && weights <= WEIGHTS_FOR_EACH && o->height >= 2 * PAIR) {
        int64_t parts = o->height >= 8 * 2 * PAIR ? 8 : o->height >= 4 * PAIR ? 4 : 2;
        rows = at_most(rows, divide_up(o->height, parts));
        if (parts == 8) rows = divide_up(rows, PAIR) * PAIR;
    }
    o->apart = weights <= WEIGHTS_FOR_EACH;
    if (o->keep) rows = o->height;
    o->bands = divide_up(o->height, at_most(rows, o->height));
    o->band_rows = divide_up(o->height, o->bands);
    if (o->unfolded && o->bands > 3) o->band_rows = divide_up(o->band_rows, PAIR) * PAIR;
    o->bands = divide_up(o->height, o->band_rows);
    o->rows = tile_rows((o->band_rows - 1) * o->pitch + o->width);
    o->input_rows = o->band_rows + down;
    o->plane = o->input_rows * o->pitch + o->left;
    o->group_bytes = o->blocks * o->phases * o->plane * PIXEL_BYTES;
    o->band_bytes = o->win.groups * o->group_bytes;
}

/* Where the entries and weights of each step are. */
static void list_steps(convolution *o) {
    int64_t c = o->in_channels, of_group = c / o->joined;
    for (int64_t s = 0; s < o->steps; s++) {
        int64_t block = o->unfolded ? s : s / o->taps, t = o->unfolded ? 0 : s % o->taps;
        int64_t entry = o->direct ? block : block * o->phases * o->plane;
        if (!o->unfolded)
            entry += o->phase_of[t] * o->plane + o->row_of[t] * o->pitch + o->column_of[t];
        o->offsets[s] = (int32_t)(entry * PIXEL_BYTES);
        for (int64_t j = 0; j < STEP; j++) {
            int64_t k = block * STEP + j, place = -1;
            int64_t channel = o->unfolded ? k % c : k, tap = o->unfolded ? k / c : t;
            if (o->unfolded ? k < o->taps * c : k < c) place = channel % of_group * o->taps + tap;
            o->places[s * STEP + j] = o->columns[s * STEP + j] = (int32_t)place;
            o->group_of[s * STEP + j] = (int32_t)(channel / of_group);
        }
    }
}

/* How each sixteen numbers of an unfolded result are put together. Returns -1 without memory. */
static int list_pieces(convolution *o) {
    const window *w = &o->win;
    int64_t c = o->in_channels, vectors = STEP / SIDE * o->blocks, count = 0;
    int64_t behind = beyond_w(o) > w->pad_w ? beyond_w(o) : w->pad_w;
    if (w->pad_h || behind > 0 || beyond_h(o) > 0) o->row_copies = reach_h(w) + 1;
    o->row_pixel = o->row_copies ? o->in.c : o->in.pixel;
    o->row_floats = (o->in.w + w->pad_w + behind) * o->row_pixel;
    o->pieces = malloc((size_t)(vectors * SIDE) * sizeof *o->pieces);
    o->first_piece = malloc((size_t)(vectors + 1) * sizeof *o->first_piece);
    if (!o->pieces || !o->first_piece) return -1;
    for (int64_t v = 0; v < vectors; v++) {
        o->first_piece[v] = (int32_t)count;
        for (int64_t lane = 0; lane < SIDE; lane++) {
            int64_t k = v * SIDE + lane, tap = k / c;
            if (tap >= o->taps) break;
            int32_t row = (int32_t)(tap / w->kernel_w);
            int32_t at = (int32_t)(tap % w->kernel_w * w->dilation_w * o->row_pixel + k % c - lane);
            piece *last = o->pieces + count - 1;
            if (count == o->first_piece[v] || last->row != row || last->offset != at)
                o->pieces[count++] = (piece){row, at, (lane_mask)(1u << lane)};
            else
                last->mask |= (lane_mask)(1u << lane);
        }
    }
    o->first_piece[vectors] = (int32_t)count;
    /* Addresses and numbers of the rows; a row of zeros and the copies. */
    o->unfold_bytes = (size_t)(w->kernel_h * sizeof(void *) + o->row_copies * sizeof(int64_t) + 63) / 64 * 64;
    if (o->row_copies)
        o->unfold_bytes += (size_t)((o->row_copies + 1) * o->row_floats * sizeof(float) + 63) / 64 * 64;
    return 0;
}

/* So many groups become one that its channels fill a step. */
static int64_t join_groups(const map *in, const window *w) {
    int64_t channels = in->c / w->groups, most = 1;
    for (int64_t n = 2; n * channels <= STEP && n <= w->groups; n++)
        if (w->groups % n == 0) most = n;
    return most;
}

void convolution_free(void *planned) {
    convolution *o = planned;
    finish_free(&o->done);
    free(o->phase_y);
    free(o->offsets);
    free(o->places);
    free(o->pieces);
    free(o->first_piece);
    free(o->packed);
}

convolution *convolution_plan(const map *in, const map *out, const window *win, int keep) {
    int part = keep & PART_OF_MAPS;
    if (!convolution_fits(in, out, win, part)) return NULL;
    keep &= KEEP_WEIGHTS;
    convolution *o = calloc(1, sizeof *o);
    if (!o) return NULL;
    o->in = *in, o->out = *out, o->win = *win, o->keep = keep;
    o->joined = keep ? 1 : join_groups(in, win);
    o->win.groups /= (int32_t)o->joined;
    o->taps = (int64_t)win->kernel_h * win->kernel_w;
    o->in_channels = in->c / o->win.groups, o->out_channels = out->c / o->win.groups;
    o->tiles = divide_up(o->out_channels, SIDE);
    o->unfolded = unfolds(o);
    o->direct = reads_directly(o);
    o->images = o->unfolded ? 1 : out->n;
    o->height = o->unfolded ? (int64_t)out->n * out->h * out->w : out->h;
    o->width = o->unfolded ? 1 : out->w;
    o->blocks = divide_up(o->unfolded ? o->taps * o->in_channels : o->in_channels, STEP);
    o->steps = o->unfolded ? o->blocks : o->blocks * o->taps;
    o->phase_y = calloc((size_t)(5 * o->taps), sizeof *o->phase_y);
    o->offsets = malloc((size_t)o->steps * sizeof *o->offsets);
    o->places = malloc((size_t)(3 * o->steps * STEP) * sizeof *o->places);
    if (o->places) o->group_of = o->places + o->steps * STEP, o->columns = o->group_of + o->steps * STEP;
    int64_t down = 0;
    if (o->phase_y && o->offsets && o->places) {
        o->phase_x = o->phase_y + o->taps, o->phase_of = o->phase_x + o->taps;
        o->row_of = o->phase_of + o->taps, o->column_of = o->row_of + o->taps;
        o->phases = o->unfolded, o->pitch = 1;
        if (!o->unfolded) down = find_phases(o);
        cut_bands(o, down);
    }
    int failed = !o->phase_y || !o->offsets || !o->places || o->group_bytes > INT32_MAX;
    if (!failed && o->unfolded && o->taps > 1) failed = list_pieces(o);
    if (failed) {
        convolution_free(o);
        free(o);
        return NULL;
    }
    o->weights_row = o->in_channels / o->joined * o->taps;
    list_steps(o);
    /* One pass where the weights of two tiles fit: else as few as do, of equal length. */
    o->chunk = divide_up(o->steps, divide_up(o->steps * 2 * WEIGHT_BYTES, PASS_BYTES));
    int64_t run = (o->band_rows - 1) * o->pitch + o->width;
    int64_t passes = divide_up(o->steps, o->chunk), group = run > MOST_TILE_ROWS ? 2 : 4;
    /* What lies behind the last entry is read too: tiles are filled up, and shifted by taps. */
    o->entries_bytes = (size_t)(o->band_bytes + (4 * SIDE + o->pitch) * PIXEL_BYTES + 4095) / 4096 * 4096;
    if (o->direct) o->entries_bytes = 0;
    o->results_bytes = (passes > 1 ? divide_up(run, o->rows) + 4 : 4) * group * TILE_FLOATS * sizeof(float);
    o->panel_bytes = keep ? (size_t)(group * o->chunk * WEIGHT_BYTES) : 0;
    return o;
}
