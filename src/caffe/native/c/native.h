/* What the parts of the native kernels share: maps, programs, and how their threads work together.

   A program is a list of operations on maps in float32.  kernels_run() goes through the list on all
   threads at once; the operations are made once, with everything that depends on shapes and weights. */

#ifndef CAFFE_NATIVE_H
#define CAFFE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

/* A feature map of n images, channels last: element (i, y, x, c) is
   at[((i * h + y) * w + x) * pixel + c].  With pixel > c it is a slice of a wider map: what lies
   between the slices is other operations', not to be written. No alignment beyond 4 bytes is
   promised and c may be any number: use masks for the last channels. */
typedef struct {
    float *at;
    int32_t n, h, w, c;
    int64_t pixel;
} map;

/* One of the threads that run a program. */
typedef struct worker worker;

/* An operation: what every thread calls, with what was prepared. */
typedef void (*operation)(const void *prepared, worker *w);

typedef struct program program;

program *kernels_new(void);
void kernels_free(program *p);
int kernels_run(program *p, int threads, float **slots);

/* Adds an operation.  `prepared` is the program's from now on: free_prepared (may be NULL) and then
   free() get it in the end. Returns 0, or -1 without memory. */
int program_add(program *p, operation run, void *prepared, void (*free_prepared)(void *));

/* Asks for scratch memory: `shared` bytes for all threads together, `own` bytes for each. */
void program_reserve(program *p, size_t shared, size_t own);

/* For operations that run. Scratch memory begins at a multiple of 64 and holds anything at first. */
int worker_index(const worker *w);
int worker_count(const worker *w);
void *worker_shared(const worker *w);
void *worker_own(const worker *w);

/* The tensor that the caller of the run gave under this number. */
float *worker_slot(const worker *w, int slot);

/* Notes that a number that is not finite was seen (the run then returns 1). */
void worker_not_finite(worker *w);

/* The next of `total` tasks of this phase, or `total` when all are given out. A thread first gets those
   of its own share, one after the other, then what others have left: so neighbouring tasks of one
   operation and of the next find their numbers in the same cache. */
int64_t worker_next(worker *w, int64_t total);

/* Waits for the other threads and begins a new phase: worker_next() begins anew.
   The program does so after every operation. All threads must call it equally often. */
void worker_meet(worker *w);

/* What is done to a result before it is stored, in this order: + bias[channel] (NULL: none),
   + other (at == NULL: none; same n, h, w, c), then the activation. */
enum { ACT_NONE = 0, ACT_RELU = 1, ACT_LEAKY = 2, ACT_CLAMP = 3, ACT_PRELU = 4, ACT_SIGMOID = 5, ACT_TANH = 6 };

typedef struct {
    const float *bias;   /* c numbers or NULL */
    map other;           /* a sum with another map */
    int32_t act;         /* ACT_ */
    float low, high;     /* LEAKY: low is the slope; CLAMP: both */
    const float *slopes; /* PRELU: c numbers */
} finish;

/* How a kernel of a convolution or pooling moves over a map. */
typedef struct {
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
} window;

/* Tells how large a structure is that Python makes too: tests compare the two. */
#define CROSSES(type) \
    int kernels_size_of_##type(void) { return (int)sizeof(type); }

#endif
