#include "kind.h"

#ifdef CAFFE_AMX
/* Both sides of the weights' gradient, laid out for AMX's tiles. */

#include "weight_gradient.h"
#include "finish.h"

/* Where the pixels of `count` positions from `from` on lie; NULL where the grid has none. The grid's
   pixel (y, x) is the image's (y * stride + first). */
static void find_pixels(const plan *p, int64_t from, int count, const float *map, int64_t pixel,
                        int h, int w, int first_y, int first_x, int stride_y, int stride_x,
                        const float **at) {
    int64_t area = (int64_t)p->y.pitch * p->x.pitch;
    int64_t image = from >= 0 ? from / area : -((-from + area - 1) / area);
    int64_t rest = from - image * area, y = rest / p->x.pitch, x = rest % p->x.pitch;
    for (int i = 0; i < count;) {
        int64_t here = y * stride_y + first_y, run = at_most(count - i, p->x.pitch - x);
        int inside = image >= 0 && image < p->of->n && here >= 0 && here < h;
        const float *row = map + ((image * h + here) * w + first_x) * pixel;
        for (int64_t end = i + run; i < end; i++, x++) {
            int64_t column = x * stride_x + first_x;
            at[i] = inside && column >= 0 && column < w ? row + x * stride_x * pixel : NULL;
        }
        x = 0;
        if (++y == p->y.pitch) y = 0, image++;
    }
}

/* Sixteen channels of a pixel; the next sixteen will be wanted soon. */
static inline __m512 load(const float *at, int64_t channel, __mmask16 mask) {
    if (at) _mm_prefetch((const char *)(at + channel + ROWS), _MM_HINT_T0);
    return at ? _mm512_maskz_loadu_ps(mask, at + channel) : _mm512_setzero_ps();
}

void weight_gradient_lay_x(const plan *p, int64_t begin, int phase, int64_t from, const float *x) {
    const weight_gradient *of = p->of;
    const float *at[STRIP];
    int count = (int)at_most(STRIP, p->row - from), channels = of->c / of->v.groups;
    find_pixels(p, begin + p->lowest + from, count, x, of->x_pixel, of->h, of->w,
                p->y.remainder[phase / p->x.phases], p->x.remainder[phase % p->x.phases],
                of->v.stride_h, of->v.stride_w, at);
    for (int block = 0; block < p->ins; block++) {
        __mmask16 mask = lanes(channels - block * ROWS);
        uint16_t *to = p->xs + (int64_t)(phase * p->ins + block) * PARTS * ROWS * p->row + from;
        for (int i = 0; i < count; i += DEPTH) {
            __m512 rows[PARTS][ROWS];
            for (int k = 0; k < ROWS; k++) {
                __m512i words[PARTS];
                split_pair(load(at[i + 2 * k], block * ROWS, mask),
                           load(at[i + 2 * k + 1], block * ROWS, mask), words);
                for (int part = 0; part < PARTS; part++)
                    rows[part][k] = _mm512_castsi512_ps(words[part]);
            }
            for (int part = 0; part < PARTS; part++) {
                turn(rows[part]);
                for (int k = 0; k < ROWS; k++)
                    _mm512_store_ps(to + (part * ROWS + k) * p->row + i, rows[part][k]);
            }
        }
    }
}

void weight_gradient_lay_dy(const plan *p, int64_t begin, int64_t from, int64_t end, const float *dy) {
    const weight_gradient *of = p->of;
    const float *at[STRIP];
    int count = (int)at_most(STRIP, end - from), channels = of->out_c / of->v.groups;
    find_pixels(p, begin + from, count, dy, of->dy_pixel, of->out_h, of->out_w, 0, 0, 1, 1, at);
    for (int block = 0; block < p->outs; block++) {
        __mmask16 mask = lanes(channels - block * ROWS);
        uint16_t *to = p->dys + block * PARTS * p->chunk * ROWS + from * ROWS;
        __m512 sum = _mm512_setzero_ps(), second = sum;
        for (int i = 0; i < count; i += 2) {
            __m512i words[PARTS];
            __m512 a = load(at[i], block * ROWS, mask), b = load(at[i + 1], block * ROWS, mask);
            split_pair(a, b, words);
            for (int part = 0; part < PARTS; part++)
                _mm512_store_si512(to + part * p->chunk * ROWS + i * ROWS, words[part]);
            sum = _mm512_add_ps(sum, a), second = _mm512_add_ps(second, b);
        }
        _mm512_store_ps(p->strips + (from / STRIP * p->outs + block) * ROWS,
                        _mm512_add_ps(sum, second));
    }
}

#endif
