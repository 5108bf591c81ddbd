/* The loss of few scores and its gradient, where calls of operators take longer than the numbers. */

#include "finish.h"
#include "tasks.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Rows of scores, one label each. */
typedef struct {
    const float *scores, *labels, *top_diff; /* top_diff: one number, of the gradient */
    float *prob, *logs, *loss, *diff;        /* logs: of each row's probability of its label */
    int64_t rows, classes, ignored;
    double divisor; /* of the sum of losses; 0: the rows that are not ignored, at least 1 */
    int32_t ignores;
} softmax_loss;
CROSSES(softmax_loss)

enum { IGNORED = -1, WRONG = -2 };

/* A label as an index, as it is truncated toward zero. */
static int64_t index_of(const softmax_loss *o, int64_t row) {
    float label = truncf(o->labels[row]);
    if (!(fabsf(label) < 1e18f)) return WRONG;
    int64_t index = (int64_t)label;
    if (o->ignores && index == o->ignored) return IGNORED;
    return index >= 0 && index < o->classes ? index : WRONG;
}

/* -1 where a label is wrong. */
static double divisor_of(const softmax_loss *o) {
    int64_t counted = 0;
    for (int64_t row = 0; row < o->rows; row++) {
        int64_t index = index_of(o, row);
        if (index == WRONG) return -1;
        counted += index != IGNORED;
    }
    if (o->divisor != 0) return o->divisor;
    return counted > 0 ? (double)counted : 1;
}

/* 0, or -1 where a score is not finite. */
static int softmax_row(const float *in, float *out, int64_t classes) {
    floats most = floats_set1(-FLT_MAX), sum = floats_setzero();
    const floats largest = floats_set1(FLT_MAX);
    for (int64_t c = 0; c < classes; c += LANES) {
        lane_mask mask = lanes(classes - c);
        floats x = floats_maskz_loadu(mask, in + c);
        if (floats_cmp(floats_abs(x), largest, _CMP_NLE_UQ)) return -1;
        most = floats_mask_max(most, mask, most, x);
    }
    most = floats_set1(floats_reduce_max(most));
    for (int64_t c = 0; c < classes; c += LANES) {
        lane_mask mask = lanes(classes - c);
        floats x = floats_sub(floats_maskz_loadu(mask, in + c), most);
        /* exp_vector() ends at e^-103, where e^x of float32 is 0. */
        lane_mask there = floats_mask_cmp(mask, x, floats_set1(-103), _CMP_GT_OQ);
        floats e = floats_maskz_mov(there, exp_vector(x));
        sum = floats_add(sum, e);
        floats_mask_storeu(out + c, mask, e);
    }
    floats total = floats_set1(floats_reduce_add(sum));
    for (int64_t c = 0; c < classes; c += LANES) {
        lane_mask mask = lanes(classes - c);
        floats_mask_storeu(out + c, mask, floats_div(floats_maskz_loadu(mask, out + c), total));
    }
    return 0;
}

/* Writes prob, logs and loss. 1, where a score is not finite or a label is wrong: what was written is
   of no use then; else 0. */
int kernels_softmax_loss(const softmax_loss *o) {
    double divisor = divisor_of(o), sum = 0;
    if (divisor < 0) return 1;
    for (int64_t row = 0; row < o->rows; row++) {
        float *prob = o->prob + row * o->classes;
        if (softmax_row(o->scores + row * o->classes, prob, o->classes)) return 1;
        int64_t index = index_of(o, row);
        o->logs[row] = index == IGNORED ? 0 : logf(fmaxf(prob[index], FLT_MIN));
        sum += o->logs[row];
    }
    *o->loss = (float)(-sum / divisor);
    return 0;
}

/* Writes the gradient of the scores from prob. 1 where a label is wrong, else 0. */
int kernels_softmax_loss_back(const softmax_loss *o) {
    double divisor = divisor_of(o);
    if (divisor < 0) return 1;
    float scale = *o->top_diff / (float)divisor;
    for (int64_t row = 0; row < o->rows; row++) {
        int64_t index = index_of(o, row);
        const float *prob = o->prob + row * o->classes;
        float *diff = o->diff + row * o->classes;
        if (index == IGNORED) { /* also where prob is not finite */
            memset(diff, 0, (size_t)o->classes * sizeof *diff);
            continue;
        }
        for (int64_t c = 0; c < o->classes; c++) diff[c] = prob[c] * scale;
        diff[index] -= scale;
    }
    return 0;
}
