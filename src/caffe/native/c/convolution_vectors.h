/* The products of a band by multiplications of vectors; part of convolution_multiply.h.

   A block is up to MOST_TILE_ROWS pixels by one or two times SIDE outputs, whose sums stay in registers. Where its
   pixels follow each other in the result it is finished there. Where the map of a pointwise
   convolution can be read as it lies (o->direct), no entries are written. */

/* Where a block's results go, when they need no more than a bias, a sum and limits. */
typedef struct {
    float *to;
    const float *other; /* NULL: none */
    int64_t pixel, other_pixel;
    floats bias[BLOCK_WIDE], low, high;
    lane_mask mask[BLOCK_WIDE];
} straight;

/* `rows` pixels, `row` numbers apart, by `wide` tiles of outputs, whose weights are `apart` numbers apart.
   With `sum` the results at c are added; `to` NULL: they go to c. */
ALWAYS void product_block(const int rows, const int wide, const int direct, const float *a, int64_t row,
                          const int32_t *offsets, int64_t steps, const float *b, int64_t apart, float *c,
                          int sum, const straight *to, side *d) {
    floats sums[MOST_SUMS];
    begin_sums(rows * wide, sums);
    for (int64_t s = 0; s < steps; s++, b += WEIGHT_BYTES / 4) {
        const float *here = a + offsets[s] / 4;
        ask_ahead(d);
        if (direct)
            multiply_far_rows(rows, wide, here, row, b, apart, sums);
        else
            multiply_step(1, rows, wide, &here, PIXEL_BYTES / 4, 1, b, apart, sums);
    }
    if (sum)
#pragma GCC unroll 28
        for (int i = 0; i < rows * wide; i++)
            sums[i] = floats_add(sums[i], floats_load(c + i % wide * TILE_FLOATS + i / wide * SIDE));
    if (!to) {
#pragma GCC unroll 28
        for (int i = 0; i < rows * wide; i++)
            floats_store(c + i % wide * TILE_FLOATS + i / wide * SIDE, sums[i]);
        return;
    }
    float *out = to->to;
    const float *other = to->other;
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++, out += to->pixel) {
#pragma GCC unroll 2
        for (int n = 0; n < wide; n++) {
            floats v = floats_add(sums[i * wide + n], to->bias[n]);
            if (other) v = floats_add(v, floats_maskz_loadu(to->mask[n], other + n * SIDE));
            v = floats_min(to->high, floats_max(to->low, v));
            floats_mask_storeu(out + n * SIDE, to->mask[n], v);
        }
        if (other) other += to->other_pixel;
    }
}

#define BLOCK(name, wide, direct)                                                                  \
    static void name(int rows, const float *a, int64_t row, const int32_t *offsets, int64_t steps, \
                     const float *b, int64_t apart, float *c, int sum, const straight *to, side *d) { \
        switch (rows) {                                                                            \
            FOR_BLOCK_ROWS(CASE_##wide##_##direct)                                                       \
        }                                                                                          \
    }
#define CASE(n, wide, direct) \
    case n: product_block(n, wide, direct, a, row, offsets, steps, b, apart, c, sum, to, d); break;
#define CASE_1_0(n) CASE(n, 1, 0)
#define CASE_2_0(n) CASE(n, 2, 0)
#define CASE_1_1(n) CASE(n, 1, 1)
#define CASE_2_1(n) CASE(n, 2, 1)
BLOCK(by_one, 1, 0)
BLOCK(by_one_direct, 1, 1)
#if BLOCK_WIDE > 1
BLOCK(by_two, 2, 0)
BLOCK(by_two_direct, 2, 1)
#endif
typedef void block_product(int, const float *, int64_t, const int32_t *, int64_t, const float *, int64_t,
                           float *, int, const straight *, side *);
static block_product *const BLOCKS[2][BLOCK_WIDE] = {
#if BLOCK_WIDE > 1
    {by_one, by_two}, {by_one_direct, by_two_direct}
#else
    {by_one}, {by_one_direct}
#endif
};

/* The finish of `count` tiles of outputs from `channel` on, of which `left` are there; 0 where it needs
   more than a straight one. */
static int straight_of(const convolution *o, int64_t channel, int64_t left, int count, straight *to) {
    const finish *f = &o->done;
    float low, high;
    if (!finish_limits(f, &low, &high)) return 0;
    to->low = floats_set1(low), to->high = floats_set1(high);
    to->pixel = o->out.pixel, to->other_pixel = f->other.pixel;
    for (int n = 0; n < count; n++) {
        to->mask[n] = lanes(at_least(left - n * SIDE, 0));
        to->bias[n] = floats_setzero();
        if (f->bias) to->bias[n] = floats_maskz_loadu(to->mask[n], f->bias + channel + n * SIDE);
    }
    return 1;
}

/* How often memory is asked for in a run of so many tiles. */
static int64_t asks_of(const convolution *o, int64_t tiles) {
    return tiles * o->steps;
}

/* The results of a band for tiles of outputs of a group, from `tile` on: as many as a block has. */
static void multiply_some(const convolution *o, int64_t image, int64_t band, int64_t group, int64_t tile,
                          int count, const char *entries, scratch *s) {
    int64_t run = (band_height(o, band) - 1) * o->pitch + o->width;
    int64_t channel = group * o->out_channels + tile * SIDE, left = o->out_channels - tile * SIDE;
    int64_t begin = (image * o->height + band_first(o, band)) * o->width; /* the first pixel */
    const float *a = (const float *)(entries + group * o->group_bytes);
    int64_t row = PIXEL_BYTES / 4;
    if (o->direct) row = o->in.pixel, a = o->in.at + begin * row + group * o->in_channels;
    block_product *block = BLOCKS[o->direct][count - 1];
    straight to;
    int easy = straight_of(o, channel, left, count, &to), many = o->chunk < o->steps;
    for (int64_t first = 0; first < o->steps; first += o->chunk) {
        int64_t steps = at_most(o->steps - first, o->chunk);
        int sum = first > 0, last = first + steps == o->steps;
        int64_t panel = (o->keep ? o->chunk : o->steps) * WEIGHT_BYTES;
        const char *b = weights_of(o, group, tile, count, first, steps, s->panel);
        side *d = &s->beside;
        const char *ahead = weights_ahead(o, group, tile, count, first);
        if (ahead) {
            d->ahead = ahead, d->next = panel, d->lines_left = steps * WEIGHT_BYTES / 64;
            d->lines = divide_up(WEIGHT_BYTES / 64, divide_up(run, o->rows));
        }
        for (int64_t at = 0, m = 0; at < run; at += o->rows, m++) {
            int64_t rows = at_most(o->rows, run - at), x = at % o->pitch;
            float *c = s->results + (many ? m * count * TILE_FLOATS : 0);
            int in_line = last && easy && (o->pitch == 1 || x + rows <= o->width);
            if (in_line) {
                int64_t pixel = begin + (o->pitch == 1 ? at : at / o->pitch * o->width + x);
                to.to = o->out.at + pixel * o->out.pixel + channel;
                to.other = o->done.other.at;
                if (to.other) to.other += pixel * o->done.other.pixel + channel;
            }
            block((int)rows, a + at * row, row, o->offsets + first, steps, (const float *)b, panel / 4, c,
                  sum, in_line ? &to : NULL, d);
            if (last && !in_line) {
                side_results(d, image, band, m, 1, channel, left, count, c);
                side_finish(d);
            }
        }
    }
}

/* The same for any number of tiles. */
static void multiply(const convolution *o, int64_t image, int64_t band, int64_t group, int64_t tile,
                     int count, const char *entries, scratch *s) {
    for (int n = 0; n < count; n += BLOCK_WIDE)
        multiply_some(o, image, band, group, tile + n, (int)at_most(count - n, BLOCK_WIDE), entries, s);
}
