/* Scratch memory of runs: one for each thread that calls, whatever programs it runs. */

#ifndef CAFFE_SCRATCH_H
#define CAFFE_SCRATCH_H

#include <stddef.h>

/* At least so many bytes, aligned to pages, with anything in them; NULL without memory. They are this
   thread's until it asks again or ends. */
char *scratch(size_t bytes);

#endif
