#include "kind.h"

#ifdef CAFFE_AMX
/* How the gradient of the weights becomes products of matrices: on which grid, in which chunks. */

#include "weight_gradient.h"

enum {
    CACHE_BYTES = 1 << 20, /* of a processor's second cache: about half */
    LEAST_CHUNK = 96,
    MOST_CHUNK = 8192,
    MOST_CHUNKS = 64, /* that are looked at one by one */
};

static int64_t up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

/* One grid for each remainder by the stride, along which taps shift. */
static void lay_axis(axis *a, int size, int out, int kernel, int stride, int pad, int dilation) {
    *a = (axis){.pitch = out};
    for (int k = 0; k < kernel; k++) {
        int at = k * dilation - pad, remainder = ((at % stride) + stride) % stride, found = 0;
        while (found < a->phases && a->remainder[found] != remainder) found++;
        if (found == a->phases) a->remainder[a->phases++] = remainder;
        a->phase[k] = found, a->shift[k] = (at - remainder) / stride;
        if (a->shift[k] < a->least) a->least = a->shift[k];
        if (a->shift[k] > a->most) a->most = a->shift[k];
        int seen = (size - remainder + stride - 1) / stride; /* pixels of the phase */
        a->pitch = (int)at_least(a->pitch, seen);
    }
    /* What lies before a row's first pixel, and after its last, is the space between two rows. */
    int widest = (size + stride - 1) / stride - a->least;
    a->pitch = (int)at_least(a->pitch, at_least(widest, out + a->most));
}

/* One grid for each tap, of nothing but outputs. */
static void lay_apart(axis *a, int out, int kernel, int pad, int dilation) {
    *a = (axis){.pitch = out, .phases = kernel};
    for (int k = 0; k < kernel; k++) a->remainder[k] = k * dilation - pad, a->phase[k] = k;
}

static int64_t bytes_x(const plan *p, int64_t row) {
    return (int64_t)p->phases * p->ins * PARTS * ROWS * row * 2;
}
static int64_t bytes_dy(const plan *p, int64_t chunk) {
    return (int64_t)p->outs * PARTS * chunk * ROWS * 2;
}
static int64_t bytes_sums(const plan *p) {
    return (int64_t)p->taps * p->ins * p->outs * SUMS * (int64_t)sizeof(float);
}

/* A row of x of the shared memory: an odd multiple of 64 bytes, so that a tile's rows lie in
   different sets of the cache. */
static int64_t row_of(const plan *p, int64_t chunk) {
    int64_t row = up(chunk + p->halo, DEPTH);
    return row / DEPTH % 2 ? row : row + DEPTH;
}

/* Tiles to a side whose parts stay in the cache while a task multiplies them. */
static int widest(const plan *p, int64_t chunk) {
    int64_t tile = PARTS * ROWS * 2 * (p->phases * row_of(p, chunk) + chunk);
    return (int)at_least(CACHE_BYTES / tile, 4) & ~1;
}

/* About how many of a processor's cycles it takes in chunks so long: the products of a position by a
   tile of both sides, 3, where the rows of x begin anywhere 4.5; a number that is laid out, 1.1; what
   comes from beyond the cache, some 4 bytes a cycle; sums that are added up, 60 for a tile. */
static double cycles(const plan *p, int64_t chunk) {
    double chunks = (double)divide_up(p->positions, chunk), positions = chunks * (double)chunk;
    double x = (double)bytes_x(p, row_of(p, chunk)), dy = (double)bytes_dy(p, chunk);
    double sums = (double)bytes_sums(p), tiles = sums / (SUMS * sizeof(float)), bytes = 0;
    int64_t w = widest(p, chunk);
    if (x + dy > CACHE_BYTES)
        bytes += chunks * (x * (double)divide_up(p->outs, w) + dy * (double)divide_up(p->ins, w));
    if (sums > CACHE_BYTES / 2) bytes += sums * (2 * chunks - 1);
    double numbers = positions * ROWS * (p->phases * p->ins + p->outs);
    return positions * (p->halo ? 4.5 : 3) * tiles + 1.1 * numbers + bytes / 4 +
           (chunks - 1) * 60 * tiles;
}

/* Finds the chunk that takes the least time. */
static void choose_chunk(plan *p) {
    int64_t few = at_least(LEAST_CHUNK, p->halo), from = divide_up(p->positions, MOST_CHUNK);
    p->chunk = 0;
    for (int64_t n = from; n < from + MOST_CHUNKS; n++) {
        int64_t chunk = up(divide_up(p->positions, n), DEPTH);
        double time = cycles(p, chunk);
        if (n == from || time < p->cycles) p->chunk = chunk, p->cycles = time;
        if (chunk <= few) break;
    }
}

static void make(plan *p, const weight_gradient *of, int apart) {
    const window *v = &of->v;
    *p = (plan){.of = of};
    if (apart) {
        lay_apart(&p->y, of->out_h, v->kernel_h, v->pad_h, v->dilation_h);
        lay_apart(&p->x, of->out_w, v->kernel_w, v->pad_w, v->dilation_w);
    } else {
        lay_axis(&p->y, of->h, of->out_h, v->kernel_h, v->stride_h, v->pad_h, v->dilation_h);
        lay_axis(&p->x, of->w, of->out_w, v->kernel_w, v->stride_w, v->pad_w, v->dilation_w);
    }
    p->taps = v->kernel_h * v->kernel_w;
    p->phases = p->y.phases * p->x.phases;
    p->ins = (int32_t)divide_up(of->c / v->groups, ROWS);
    p->outs = (int32_t)divide_up(of->out_c / v->groups, ROWS);
    p->positions = (int64_t)of->n * p->y.pitch * p->x.pitch;
    p->lowest = (int64_t)p->y.least * p->x.pitch + p->x.least;
    p->halo = (int64_t)p->y.most * p->x.pitch + p->x.most - p->lowest;
    choose_chunk(p);
}

int weight_gradient_plan(plan *p, const weight_gradient *of, int threads) {
    const window *v = &of->v;
    if (v->kernel_h > MOST_KERNEL || v->kernel_w > MOST_KERNEL) return -1;
    if (v->kernel_h * v->kernel_w > MOST_TAPS) return -1;
    make(p, of, 0);
    if (p->taps > 1) {
        plan apart;
        make(&apart, of, 1);
        if (apart.cycles < p->cycles) *p = apart;
    }
    p->row = row_of(p, p->chunk), p->widest = widest(p, p->chunk);
    int64_t pairs = divide_up(p->ins, 2) * divide_up(p->outs, 2);
    p->at_once = p->chunk >= p->positions && (threads == 1 || pairs >= 4 * threads);
    return 0;
}

size_t weight_gradient_memory(plan *p, char *at) {
    char *begin = at;
    p->xs = (uint16_t *)at, at += up(bytes_x(p, p->row), 64) + 64;
    p->dys = (uint16_t *)at, at += up(bytes_dy(p, p->chunk), 64) + 64;
    p->sums = (float *)at, at += p->at_once ? 0 : bytes_sums(p);
    p->bias = (float *)at, at += (size_t)p->outs * ROWS * sizeof(float);
    p->strips = (float *)at, at += (size_t)divide_up(p->chunk, STRIP) * p->outs * ROWS * sizeof(float);
    return (size_t)(at - begin);
}

size_t weight_gradient_own(const plan *p) { return (size_t)p->taps * 5 * SUMS * sizeof(float); }

#endif
