/* What callers see of the gradient of a convolution's weights. */

#include "weight_gradient.h"

#include <string.h>

CROSSES(weight_gradient)

/* The program that kernels_weight_gradient() runs: scratch memory that its calls share. */
program *kernels_weight_gradient_new(void) {
    program *p = kernels_new();
    if (p && program_add(p, weight_gradient_run, NULL, NULL)) {
        kernels_free(p);
        return NULL;
    }
    return p;
}

static int is_empty(const weight_gradient *of) { return !of->n || !of->out_h || !of->out_w; }

/* The sums of nothing. */
static void give_zeros(const weight_gradient *of) {
    if (of->add) return;
    int64_t weights = (int64_t)of->out_c * of->c / of->v.groups * of->v.kernel_h * of->v.kernel_w;
    memset(of->dw, 0, (size_t)weights * sizeof *of->dw);
    if (of->db) memset(of->db, 0, (size_t)of->out_c * sizeof *of->db);
}

/* Computes a gradient on so many threads. The result does not depend on their number. Returns -1
   without memory, or where the kernel is wider than 64. Not for two callers at once with one
   program. */
int kernels_weight_gradient(program *scratch, int threads, const weight_gradient *of) {
    plan p;
    if (is_empty(of)) return give_zeros(of), 0;
    if (weight_gradient_plan(&p, of, threads)) return -1;
    program_reserve(scratch, weight_gradient_memory(&p, NULL), weight_gradient_own(&p));
    float *slots[1] = {(float *)(void *)&p};
    return kernels_run(scratch, threads, slots) < 0 ? -1 : 0;
}

/* About how many of a processor's cycles that takes on one thread, in thousands; -1 where it cannot. */
int kernels_weight_gradient_cycles(const weight_gradient *of) {
    plan p;
    if (is_empty(of)) return 0;
    if (weight_gradient_plan(&p, of, 1)) return -1;
    return (int)at_most((int64_t)(p.cycles * of->v.groups / 1000), INT32_MAX);
}
