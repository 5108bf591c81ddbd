/* The products of a band on AMX's tiles; part of convolution_multiply.h. */

/* How often memory is asked for in a run of so many tiles. */
static int64_t asks_of(const convolution *o, int64_t tiles) { return (tiles + 1) / 2 * o->steps; }

/* The results of a band for `count` tiles of outputs of a group, from `tile` on. */
static void multiply(const convolution *o, int64_t image, int64_t band, int64_t group, int64_t tile,
                     int count, const char *entries, scratch *s) {
    int64_t run = (band_height(o, band) - 1) * o->pitch + o->width;
    int64_t tiles = (run + o->rows - 1) / o->rows, next = o->rows * PIXEL_BYTES;
    int64_t channel = group * o->out_channels + tile * SIDE, left = o->out_channels - tile * SIDE;
    const char *a = entries + group * o->group_bytes;
    for (int64_t first = 0; first < o->steps; first += o->chunk) {
        int64_t steps = o->steps - first < o->chunk ? o->steps - first : o->chunk;
        int sum = first > 0, last = first + steps == o->steps, many = o->chunk < o->steps;
        int64_t panel = (o->keep ? o->chunk : o->steps) * WEIGHT_BYTES;
        const char *b = weights_of(o, group, tile, count, first, steps, s->panel);
        const int32_t *offsets = o->offsets + first;
        side *d = &s->beside;
        const char *ahead = weights_ahead(o, group, tile, count, first);
        if (ahead) {
            d->ahead = ahead, d->next = panel, d->lines_left = steps * WEIGHT_BYTES / 64;
            d->lines = (2 * WEIGHT_BYTES / 64 + tiles - 1) / tiles;
        }
        for (int64_t m = 0; m < tiles;) {
            float *c = s->results + (many ? m * count * TILE_FLOATS : 0);
            const char *am = a + m * next;
            int done = 1;
            d->quota = (d->end - d->at + steps - 1) / steps;
            if (d->quota < 8) d->quota = 8;
            if (count == 2 && m + 1 < tiles) {
                product_2x2(am, am + next, offsets, steps, b, b + panel, c, sum, side_step, d);
                done = 2;
            } else if (count == 1 && m + 3 < tiles) {
                product_4x1(am, next, offsets, steps, b, c, sum, side_step, d);
                done = 4;
            } else if (count == 4) {
                product_1x4(am, offsets, steps, b, panel, c, sum, side_step, d);
            } else {
                side_finish(d);
                for (int i = 0; i < count; i++)
                    product_1x1(am, offsets, steps, b + i * panel, c + i * TILE_FLOATS, s->sums, sum,
                                side_step, d);
            }
            if (last) side_results(d, image, band, m, done, channel, left, count, c);
            m += done;
        }
    }
}
