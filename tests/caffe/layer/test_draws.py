"""Random numbers drawn on a GPU: one number of Caffe's stream decides each pass."""

import pytest
import torch

import caffe
from caffe.device import current
from caffe.layer._draws import DeviceDraws


@pytest.mark.cpu_only
def test_on_the_cpu_nothing_is_drawn():
    caffe.set_random_seed(1)
    before = caffe.get_random_state()
    draws = DeviceDraws()
    draws.seed()
    assert draws.current() == [] and caffe.get_random_state() == before


def test_the_streams_state_decides_each_pass(pretend):
    draws, device = DeviceDraws(), current().torch_device
    seeds = []
    for seed in (3, 3, 4):
        caffe.set_random_seed(seed)
        draws.seed()
        seeds.append(draws.on(device).initial_seed())
    draws.seed()  # the stream has gone on
    assert seeds[0] == seeds[1] != seeds[2] != draws.on(device).initial_seed()


def test_renewed_generators_have_the_same_seeds(pretend):
    draws = DeviceDraws()
    draws.seed()
    (old,) = draws.current()
    draws.renew()
    (new,) = draws.current()
    assert new is not old and new.initial_seed() == old.initial_seed()
    assert isinstance(new, torch.Generator)
