#include "scratch.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)

typedef struct {
    char *memory;
    size_t size;
} holding;

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int keyed;

static void let_go(void *held) {
    free(((holding *)held)->memory);
    free(held);
}

static void make_key(void) { keyed = pthread_key_create(&key, let_go) == 0; }

char *scratch(size_t bytes) {
    static _Thread_local holding *held;
    pthread_once(&once, make_key);
    if (!held) {
        held = calloc(1, sizeof *held);
        if (!held) return NULL;
        if (keyed) pthread_setspecific(key, held);
    }
    if (held->size < bytes) {
        free(held->memory);
        held->size = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
        held->memory = aligned_alloc(LARGE_PAGE, held->size);
        if (!held->memory)
            held->size = 0;
        else
            madvise(held->memory, held->size, MADV_HUGEPAGE); /* fewer misses of the TLB */
    }
    return held->memory;
}
