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

#endif
