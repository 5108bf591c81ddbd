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
    __m512 most = _mm512_set1_ps(-FLT_MAX), sum = _mm512_setzero_ps();
    const __m512 largest = _mm512_set1_ps(FLT_MAX);
    for (int64_t c = 0; c < classes; c += LANES) {
        __mmask16 mask = lanes(classes - c);
        __m512 x = _mm512_maskz_loadu_ps(mask, in + c);
        if (_mm512_cmp_ps_mask(_mm512_abs_ps(x), largest, _CMP_NLE_UQ)) return -1;
        most = _mm512_mask_max_ps(most, mask, most, x);
    }
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (int64_t c = 0; c < classes; c += LANES) {
        __mmask16 mask = lanes(classes - c);
        __m512 x = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, in + c), most);
        /* exp_vector() ends at e^-103, where e^x of float32 is 0. */
        __mmask16 there = _mm512_mask_cmp_ps_mask(mask, x, _mm512_set1_ps(-103), _CMP_GT_OQ);
        __m512 e = _mm512_maskz_mov_ps(there, exp_vector(x));
        sum = _mm512_add_ps(sum, e);
        _mm512_mask_storeu_ps(out + c, mask, e);
    }
    __m512 total = _mm512_set1_ps(_mm512_reduce_add_ps(sum));
    for (int64_t c = 0; c < classes; c += LANES) {
        __mmask16 mask = lanes(classes - c);
        _mm512_mask_storeu_ps(out + c, mask, _mm512_div_ps(_mm512_maskz_loadu_ps(mask, out + c), total));
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
