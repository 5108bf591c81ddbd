"""Im2col."""

import numpy as np
import pytest
from harness import Rig, check_gradient, close, random

from caffe.errors import LayerError, ShapeError


def im2col(body: str, shape=(2, 3, 6, 5), **options) -> Rig:
    return Rig(f'type: "Im2col" convolution_param {{ {body} }}', shape, **options)


@pytest.mark.parametrize(
    "shape, body",
    [
        ((2, 3, 6, 5), "kernel_size: 3 stride: 2 pad: 1"),
        ((2, 3, 6, 5), "kernel_h: 2 kernel_w: 3 pad_h: 1 pad_w: 0"),
        ((2, 3, 7), "kernel_size: 3 dilation: 2"),
        ((1, 2, 4, 3, 5), "kernel_size: 2 kernel_size: 1 kernel_size: 3 stride: 2"),
        ((2, 2, 2, 4, 4), "kernel_size: 2 axis: 2"),
    ],
)
def test_its_product_with_the_weights_is_the_convolution(device, shape, body):
    x = random(*shape)
    columns = im2col(body, shape).forward(x)
    other = Rig(f'type: "Convolution" convolution_param {{ num_output: 4 {body} }}', shape)
    weights = random(*other.layer.blobs[0].dims, seed=1)
    other.layer.blobs[0].data[...] = weights
    axis = other.layer.channel_axis
    product = np.tensordot(weights.reshape(4, -1), columns, (1, axis))
    close(np.moveaxis(product, 0, axis), other.forward(x))
    if device == "cpu":
        check_gradient(im2col(body, shape), x)


def test_order_of_the_columns():
    """Channels first, then the kernel's places in raster order."""
    x = np.arange(8).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(
        im2col("kernel_size: 2", (1, 2, 2, 2)).forward(x).ravel(), range(8)
    )


def test_a_kernel_larger_than_the_bottom_reads_zeros():
    """Division that rounds toward zero leaves one place for it, as in Convolution."""
    rig = im2col("kernel_size: 3 stride: 2", (1, 1, 2, 2))
    y = rig.forward(np.array([[1, 2], [3, 4]]))
    np.testing.assert_array_equal(y.ravel(), [1, 2, 0, 3, 4, 0, 0, 0, 0])
    np.testing.assert_array_equal(rig.backward(y)[0].ravel(), [1, 2, 3, 4])


def test_the_diff_is_written_whatever_propagate_down_says():
    rig = im2col("kernel_size: 2")
    rig.forward(random(2, 3, 6, 5))
    rig.backward(1.0, bottoms=[False])
    assert rig.bottom[0].diff.any()


def test_bad_settings_are_refused():
    with pytest.raises(ShapeError, match="needs a spatial axis"):
        im2col("kernel_size: 2", (2, 3))
    with pytest.raises(LayerError, match="kernel_size must be given"):
        im2col("")
    with pytest.raises(LayerError, match="stride must be positive"):
        im2col("kernel_size: 2 stride: 0")
    with pytest.raises(ShapeError, match="does not fit"):
        im2col("kernel_size: 7")
    with pytest.raises(LayerError, match="in place"):
        im2col("kernel_size: 1", in_place=True)
    rig = im2col("kernel_size: 2")
    assert rig.reshape((1, 4, 3, 3)) == [(1, 16, 2, 2)]
    with pytest.raises(ShapeError, match="number of axes may not change"):
        rig.reshape((1, 4, 3))
