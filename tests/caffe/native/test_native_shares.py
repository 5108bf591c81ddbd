"""How threads share the tasks of a phase: c/program.c."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Each thread notes which tasks it got; what is slow is thread 0.
PROGRAM = r"""
#include "native.h"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

int kernels_start(void (*)(void (*)(void *), void *, unsigned, unsigned), int (*)(void));
int kernels_run(program *, int, float **);
void kernels_clock(program *, int64_t *);

enum { THREADS = 3, TASKS = 10, ROUNDS = 200 };
static int given[TASKS], of[TASKS];
static int slow; /* microseconds */

static void run(const void *prepared, worker *w) {
    (void)prepared;
    for (int round = 0; round < 2; round++) {
        if (slow && worker_index(w) == 0) usleep(slow);
        for (int64_t i; (i = worker_next(w, TASKS)) < TASKS;) {
            __atomic_add_fetch(&given[i], 1, __ATOMIC_SEQ_CST);
            of[i] = worker_index(w);
        }
        worker_meet(w);
    }
}

typedef struct { void (*f)(void *); void *data; } call;
static void *begin(void *c) { ((call *)c)->f(((call *)c)->data); return NULL; }
static void together(void (*f)(void *), void *data, unsigned threads, unsigned flags) {
    (void)flags;
    pthread_t t[THREADS];
    call c = {f, data};
    for (unsigned i = 1; i < threads; i++) pthread_create(&t[i], NULL, begin, &c);
    f(data);
    for (unsigned i = 1; i < threads; i++) pthread_join(t[i], NULL);
}
static int count(void) { return THREADS; }

int main(void) {
    kernels_start(together, count);
    program *p = kernels_new();
    program_add(p, run, NULL, NULL);
    int64_t ticks[1] = {0};
    kernels_clock(p, ticks);
    for (int r = 0; r < ROUNDS; r++) {
        slow = r % 20 == 0 ? 1000 : 0;
        kernels_run(p, THREADS, NULL);
    }
    int once = 1;
    for (int i = 0; i < TASKS; i++) once &= given[i] == 2 * ROUNDS;
    int others = 0;
    for (slow = 1000; !others && slow < 1000000; slow *= 2) { /* more where the machine is busy */
        kernels_run(p, THREADS, NULL);
        for (int i = 0; i < TASKS / THREADS; i++) others += of[i] != 0;
    }
    printf("%d %d %d\n", once, others > 0, ticks[0] > 0);
    kernels_free(p);
    return 0;
}
"""


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine != "x86_64" or not shutil.which("gcc"),
    reason="the native kernels are built with a C compiler on x86-64 Linux",
)
def test_each_task_is_given_once_and_a_slow_threads_to_others(tmp_path):
    (tmp_path / "shares.c").write_text(PROGRAM)
    c = ROOT / "src" / "caffe" / "native" / "c"
    subprocess.run(
        [
            *("gcc", "-O2", "-std=gnu11", "-mavx512f", f"-I{c}", "-pthread"),
            *(str(tmp_path / "shares.c"), str(c / "program.c"), str(c / "scratch.c")),
            *("-o", str(tmp_path / "shares")),
        ],
        check=True,
    )
    done = subprocess.run(
        [str(tmp_path / "shares")], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1 1 1\n"
