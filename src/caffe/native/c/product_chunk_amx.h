/* The chunks of a product (product_chunk.h) as bfloat16 parts, multiplied on AMX's tiles. */

#ifndef CAFFE_PRODUCT_CHUNK_AMX_H
#define CAFFE_PRODUCT_CHUNK_AMX_H


/* Sixteen rows of `have`, a chunk of so many numbers, as steps of rows x pairs (j, j + 16). */
static void lay_rows(const float *from, int64_t row, int64_t have, int64_t depth, number *to) {
    for (int64_t k = 0; k < depth; k += STEP, to += STEP_NUMBERS)
        for (int64_t i = 0; i < ROWS; i++) {
            __m512i words[PARTS];
            const float *at = from + i * row + k;
            int64_t left = i < have ? depth - k : 0;
            split_pair(some(at, left), some(at + SIDE, left - SIDE), words);
            for (int part = 0; part < PARTS; part++)
                _mm512_store_si512((__m512i *)(to + part * TILE + i * DEPTH), words[part]);
        }
}

/* A step of sixteen outputs takes four turns: one splits its numbers, the others lay out a part each
   as pairs x outputs. */
static void split_step(ahead *s, int64_t output, int64_t step) {
    const product *o = s->o;
    const float *from = o->weights + output * o->depth + s->k + step * STEP;
    /* What is read some steps later: of these outputs, or the first of the next ones. */
    int64_t later = step + 4 < s->steps ? 4 * STEP : 2 * ROWS * o->depth + (step + 4 - s->steps - step) * STEP;
    for (int64_t i = 0; i < ROWS; i++, from += o->depth) {
        int64_t left = output + i < o->outputs ? s->depth - step * STEP : 0;
        __m512i words[PARTS];
        split_pair(some(from, left), some(from + SIDE, left - SIDE), words);
        if (left) _mm_prefetch((const char *)(from + later), _MM_HINT_T1);
        if (left) _mm_prefetch((const char *)(from + later + SIDE), _MM_HINT_T1);
        for (int part = 0; part < PARTS; part++) s->words[part][i] = words[part];
    }
}

static void one_turn(ahead *s) {
    int64_t tile = s->at / TURNS, step = tile % s->steps, half = tile / s->steps;
    int part = (int)(s->at++ % TURNS) - 1;
    if (part < 0) {
        split_step(s, s->output + half * ROWS, step);
        return;
    }
    __m512 rows[ROWS];
    float *to = (float *)(s->to + tile * STEP_NUMBERS + part * TILE);
    for (int i = 0; i < ROWS; i++) rows[i] = _mm512_castsi512_ps(s->words[part][i]);
    turn(rows);
    for (int i = 0; i < ROWS; i++) _mm512_store_ps(to + i * SIDE, rows[i]);
}

#define LOAD(tile, at, part) _tile_loadd(tile, (at) + (part) * TILE, 64)
#define ALL_FOUR              \
    _tile_dpbf16ps(0, 4, 6);  \
    _tile_dpbf16ps(1, 4, 7);  \
    _tile_dpbf16ps(2, 5, 6);  \
    _tile_dpbf16ps(3, 5, 7)

/* Adds a chunk's 32 rows by 32 outputs to the sums: four tiles. a2 and b2 are the second sixteen of each.
   In each step `turns` of the weights ahead are taken, while the tiles multiply. */
static void add(const number *a, const number *a2, const number *b, const number *b2, int64_t steps,
                int64_t have, float *sums, ahead *next, int64_t turns) {
    (void)have; /* the tiles take no less time for fewer */
    _Alignas(64) float found[4 * TILE_FLOATS];
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k = 0; k < steps * STEP_NUMBERS; k += STEP_NUMBERS) {
        LOAD(4, a + k, 0);
        LOAD(5, a2 + k, 0);
        LOAD(6, b + k, 0);
        LOAD(7, b2 + k, 0);
        ALL_FOUR;
        LOAD(6, b + k, 2);
        LOAD(7, b2 + k, 2);
        ALL_FOUR;
        LOAD(6, b + k, 1);
        LOAD(7, b2 + k, 1);
        ALL_FOUR;
        LOAD(4, a + k, 1);
        LOAD(5, a2 + k, 1);
        ALL_FOUR;
        LOAD(6, b + k, 0);
        LOAD(7, b2 + k, 0);
        ALL_FOUR;
        LOAD(4, a + k, 2);
        LOAD(5, a2 + k, 2);
        ALL_FOUR;
        some_turns(next, turns);
    }
    _tile_stored(0, found, 64);
    _tile_stored(1, found + TILE_FLOATS, 64);
    _tile_stored(2, found + 2 * TILE_FLOATS, 64);
    _tile_stored(3, found + 3 * TILE_FLOATS, 64);
    tiles_fence();
    for (int i = 0; i < 4 * TILE_FLOATS; i += 16)
        _mm512_store_ps(sums + i, _mm512_add_ps(_mm512_load_ps(sums + i), _mm512_load_ps(found + i)));
}

#undef LOAD
#undef ALL_FOUR

#endif
