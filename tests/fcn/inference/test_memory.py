"""How much memory a pass takes, and how much is free."""

import pytest
from labelling_helpers import _description

from fcn import catalog
from fcn.inference import memory, model

pytestmark = pytest.mark.usefixtures("_from_the_root")


@pytest.mark.slow
def test_predicted_memory_is_known_for_all_experiments():
    for name in catalog.EXPERIMENTS:
        ops = model.read_ops(_description(name))
        large = model.memory(ops, 3648, 5472, unrolled=False)
        assert 1e9 < large < 150e9, (name, large)


def test_free_memory_is_told():
    free = memory.available()
    assert free is None or free > 1e6
    assert memory.text(1.5e9) == "1.5 GB" and memory.text(2e6) == "2.0 MB"


def test_what_pytorch_keeps_of_a_gpu_counts_as_free(monkeypatch):
    torch = pytest.importorskip("torch")
    for name, answer in (
        ("mem_get_info", (3 << 30, 12 << 30)),
        ("memory_reserved", 8 << 30),
        ("memory_allocated", 1 << 30),
    ):
        monkeypatch.setattr(torch.cuda, name, lambda gpu, answer=answer: answer)
    assert memory.available(0) == 10 << 30
