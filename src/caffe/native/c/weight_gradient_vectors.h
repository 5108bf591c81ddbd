/* What the files of the weights' gradient by multiplications of vectors share: its plan. */

#ifndef CAFFE_WEIGHT_GRADIENT_VECTORS_H
#define CAFFE_WEIGHT_GRADIENT_VECTORS_H

/* One of the two maps. */
typedef struct {
    int64_t channels; /* of a group */
    int64_t next;     /* numbers from one position to the next */
} side;

/* One map gives single numbers: its channels are the rows of the products.  The other gives vectors: its
   channels are their columns. */
typedef struct {
    const weight_gradient *of;
    int32_t taps, swapped;    /* swapped: the rows are dy's channels */
    side rows, columns;
    int64_t blocks, pairs;    /* blocks of up to fourteen rows, pairs of vectors */
    int64_t down, across;     /* tasks: each has some blocks and some pairs ... */
    int64_t parts;            /* ... and one of so many parts of the chunks */
    int64_t positions, chunk; /* outputs of all images; those that are multiplied at a time */
    int64_t high, wide;       /* of a task, tiles of 16 by 16 sums */
    int32_t in_place;         /* dw's rows are those of the sums, which need no memory of their own */
    double cycles;            /* of a processor, roughly, that a group takes */
    /* Winograd's way (weight_gradient_winograd.c): its positions are blocks, its taps places */
    int32_t by_blocks;
    int64_t row_blocks, image_blocks;
    /* in the shared memory; the last three are Winograd's */
    float *sums, *bias;
    float *strips, *of_rows, *of_columns;
} plan;

/* Winograd's plan; -1 where it cannot.  Its memory and that of each thread, and its run but for the
   bias. */
int weight_gradient_by_blocks(plan *p, const weight_gradient *of, int threads);
size_t weight_gradient_blocks_memory(plan *p, char *at);
size_t weight_gradient_blocks_own(const plan *p);
void weight_gradient_run_blocks(const plan *p, worker *w);

/* Cycles of a position's products of so many rows and columns. */
double weight_gradient_cost(int64_t rows, int64_t columns);

/* Blocks and tasks, so that these have so many channels and sums at most. */
void weight_gradient_tasks(plan *p, int64_t channels, int64_t sums);

/* How many sums a task has, and a part for the bias. */
int64_t weight_gradient_task_sums(const plan *p);
int64_t weight_gradient_bias_sums(const plan *p);

/* Positions that follow each other, and where the first group's channels of the first one lie. */
typedef struct {
    const float *rows, *columns;
    int64_t count;
} run;

/* The runs of a tap's positions in [begin, end) that see a pixel; returns how many.  There is room for
   end - begin. */
int64_t weight_gradient_runs(const plan *p, int tap, int64_t begin, int64_t end, run *runs);

#endif
