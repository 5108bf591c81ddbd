/* Memory that is read from end to end: in large pages where the system gives them. */

#ifndef CAFFE_LARGE_H
#define CAFFE_LARGE_H

#include <stdlib.h>
#include <sys/mman.h>

/* Memory for free(); NULL without memory. */
static inline void *large_alloc(size_t bytes) {
    const size_t page = 2 << 20;
    size_t align = bytes >= page ? page : 4096;
    bytes = (bytes + align - 1) / align * align;
    void *found = aligned_alloc(align, bytes);
    if (found && align == page) madvise(found, bytes, MADV_HUGEPAGE);
    return found;
}

/* Memory of its own from the system, which has it back at once: weights that come and go by tens of
   megabytes leave holes in the C library's. NULL without memory. */
static inline void *mapped_alloc(size_t bytes) {
    const size_t page = 2 << 20;
    size_t size = (bytes + 2 * page - 1) / page * page; /* what is needed, and the size before it */
    char *found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) return NULL;
    *(size_t *)(void *)found = size;
    madvise(found, size, MADV_HUGEPAGE);
    return found + 4096;
}

static inline void mapped_free(void *memory) {
    char *found = (char *)memory - 4096;
    if (memory) munmap(found, *(size_t *)(void *)found);
}

#endif
