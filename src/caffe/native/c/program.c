/* Programs: lists of operations, and the threads that run them.

   The threads are those of PyTorch's OpenMP library, so that no second pool fights for the
   processors: GOMP_parallel comes from the library that PyTorch has loaded. */

#define _GNU_SOURCE
#include "kind.h"
#include "native.h"
#include "scratch.h"

#include <immintrin.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define XFEATURE_TILE_DATA 18
#define ARCH_REQ_XCOMP_PERM 0x1023
#define MOST_THREADS 256
#define SPINS 4000 /* looks at a flag, some 40 µs, before others may have the processor */

typedef void (*parallel)(void (*run)(void *), void *data, unsigned threads, unsigned flags);
typedef int (*count)(void);

typedef struct {
    operation run;
    void *prepared;
    void (*free_prepared)(void *);
} entry;

typedef struct {
    _Alignas(64) atomic_llong taken;
} counter;

struct program {
    entry *entries;
    int count, room;
    size_t shared_size, own_size;
    /* of the run */
    char *memory; /* the shared part, then one for each thread */
    int64_t *clock;
    int threads;
    float **slots;
    atomic_int started, not_finite;
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_uint phase;
    counter shares[MOST_THREADS]; /* of worker_next(), one for each thread */
};

struct worker {
    program *p;
    int index, count;
    unsigned phase;
};

CROSSES(map)
CROSSES(window)
CROSSES(finish)

static parallel run_parallel;
static count threads_at_work;

#ifdef CAFFE_AMX
#define KERNELS_KIND "amx"
#elif defined(__AVX512F__)
#define KERNELS_KIND "avx512"
#else
#define KERNELS_KIND "avx2"
#endif

#ifndef KERNELS_SOURCES
#define KERNELS_SOURCES "" /* setup.py gives it */
#endif

/* Tells from which sources the kernels were built. */
const char *kernels_sources(void) { return KERNELS_SOURCES; }

/* Which of the kinds of native/__init__.py this is. */
const char *kernels_kind(void) { return KERNELS_KIND; }

/* Called once: GOMP_parallel and omp_get_num_threads of the OpenMP library in use. Returns 0 where the
   system lets the process use what the kernels need of the processor. */
int kernels_start(parallel with, count threads) {
    run_parallel = with, threads_at_work = threads;
#if defined(CAFFE_AMX) && !defined(TILES_EMULATED)
    return (int)syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA);
#else
    return 0;
#endif
}

program *kernels_new(void) {
    program *p = aligned_alloc(64, (sizeof(program) + 63) / 64 * 64);
    if (p) memset(p, 0, sizeof *p);
    return p;
}

void kernels_free(program *p) {
    for (int i = 0; i < p->count; i++) {
        if (p->entries[i].free_prepared) p->entries[i].free_prepared(p->entries[i].prepared);
        free(p->entries[i].prepared);
    }
    free(p->entries);
    free(p);
}

int program_add(program *p, operation run, void *prepared, void (*free_prepared)(void *)) {
    if (p->count == p->room) {
        int room = p->room ? 2 * p->room : 32;
        entry *entries = realloc(p->entries, room * sizeof(entry));
        if (!entries) return -1;
        p->entries = entries, p->room = room;
    }
    p->entries[p->count++] = (entry){run, prepared, free_prepared};
    return 0;
}

static size_t up(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

void program_reserve(program *p, size_t shared, size_t own) {
    if (up(shared) > p->shared_size) p->shared_size = up(shared);
    if (up(own) > p->own_size) p->own_size = up(own);
}

int worker_index(const worker *w) { return w->index; }
int worker_count(const worker *w) { return w->count; }
void *worker_shared(const worker *w) { return w->p->memory; }
void *worker_own(const worker *w) {
    return w->p->memory + w->p->shared_size + w->index * w->p->own_size;
}
float *worker_slot(const worker *w, int slot) { return w->p->slots[slot]; }
void worker_not_finite(worker *w) { atomic_store(&w->p->not_finite, 1); }

int64_t worker_next(worker *w, int64_t total) {
    for (int k = 0; k < w->count; k++) {
        int of = (w->index + k) % w->count;
        int64_t begin = total * of / w->count, end = total * (of + 1) / w->count;
        atomic_llong *taken = &w->p->shares[of].taken;
        if (begin + atomic_load_explicit(taken, memory_order_relaxed) >= end) continue;
        int64_t i = begin + atomic_fetch_add_explicit(taken, 1, memory_order_relaxed);
        if (i < end) return i;
    }
    return total;
}

static void begin_phase(program *p, int threads) {
    for (int i = 0; i < threads; i++)
        atomic_store_explicit(&p->shares[i].taken, 0, memory_order_relaxed);
}

void worker_meet(worker *w) {
    program *p = w->p;
    unsigned phase = ++w->phase;
    if (atomic_fetch_add(&p->arrived, 1) == w->count - 1) {
        atomic_store(&p->arrived, 0);
        begin_phase(p, w->count);
        atomic_store(&p->phase, phase);
        return;
    }
    for (long spins = 0; atomic_load_explicit(&p->phase, memory_order_acquire) != phase; spins++) {
        if (spins < SPINS)
            _mm_pause();
        else
            sched_yield(); /* the other thread may need this processor */
    }
}

static void work(void *data) {
    program *p = data;
    /* OpenMP may give fewer threads than were asked for: within another parallel region, or where the
       environment limits them. Who waited for the others would wait for ever. */
    int count = p->threads == 1 ? 1 : threads_at_work();
    worker w = {p, atomic_fetch_add(&p->started, 1), count, 0};
    for (int i = 0; i < p->count; i++) {
        int64_t begin = p->clock && w.index == 0 ? (int64_t)__rdtsc() : 0;
        p->entries[i].run(p->entries[i].prepared, &w);
        worker_meet(&w);
        if (p->clock && w.index == 0) p->clock[i] = (int64_t)__rdtsc() - begin;
    }
}

/* The processor's ticks so far. */
int64_t kernels_ticks(void) { return (int64_t)__rdtsc(); }

/* From now on each run writes how long each operation took, in the processor's ticks; NULL: no more. */
void kernels_clock(program *p, int64_t *ticks) { p->clock = ticks; }

/* Runs the program on so many threads. Returns 0; 1 where an operation saw a number that is not
   finite; -1 without memory. Not for two callers at once with the same program. */
int kernels_run(program *p, int threads, float **slots) {
    if (threads < 1) threads = 1;
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    p->memory = scratch(p->shared_size + threads * p->own_size + 64);
    if (!p->memory) return -1;
    p->threads = threads, p->slots = slots;
    atomic_store(&p->started, 0);
    atomic_store(&p->not_finite, 0);
    atomic_store(&p->arrived, 0);
    begin_phase(p, threads);
    atomic_store(&p->phase, 0);
    if (threads == 1)
        work(p);
    else
        run_parallel(work, p, (unsigned)threads, 0);
    return atomic_load(&p->not_finite);
}
