"""The sections of gpu_check.py, one file each.

A section's module has `run(record)`, where `record` is a `record.Record`: it says what holds, what
was only measured, and knows the options. A section runs in a process of its own.
"""

from collections import OrderedDict

__all__ = ["SECTIONS", "Section"]


class Section:
    """How a section is run.

    title: for people; limit: seconds after which its process is ended; parts: processes that share
    its work; alone: nothing else may run meanwhile, because it measures times.
    """

    def __init__(self, title, limit, parts=1, alone=False):
        self.title, self.limit, self.parts, self.alone = title, limit, parts, alone


#: name -> Section, in the order in which they start and are reported; `name` is the module's.
SECTIONS = OrderedDict(
    [
        ("environment", Section("Versions, switches and the card", 40)),
        ("parity", Section("FCN-8s against the CPU and against float64", 110)),
        ("golden", Section("Golden cases of every layer type", 110, parts=4)),
        ("layers", Section("Layers of forks against the CPU", 90, parts=2)),
        ("ways", Section("Every way to a convolution against float64", 60)),
        ("data", Section("Pictures go up as bytes", 60)),
        ("graphs", Section("CUDA graphs on and off give the same", 100)),
        ("solvers", Section("Six solvers, clipping, iter_size", 90)),
        ("switching", Section("From the CPU to the GPU and back", 90)),
        ("resume", Section("Resuming, deterministic, bit for bit", 90)),
        ("dropout", Section("Dropout's masks", 60)),
        ("synchronisation", Section("No synchronisation in five steps", 60, parts=2)),
        ("memory", Section("Training FCN-8s under memory caps", 60, parts=5)),
        ("speed", Section("Speed against plain PyTorch", 120, parts=3, alone=True)),
        ("training", Section("CamVid steps and the wait for data", 60, alone=True)),
        ("border", Section("The pad of 100 computed once, against all rows", 100, alone=True)),
        ("sizes", Section("Images of ever-changing sizes", 60, alone=True)),
        ("inference", Section("infer.py on 20 pictures", 60, alone=True)),
    ]
)
