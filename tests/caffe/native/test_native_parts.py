"""Which parts of maps are held and computed, against what single pixels depend on."""

import torch

from caffe.native.parts import Geometry, Link, Rectangle, parts_of

KERNELS = [((3, 3), (1, 1), (30, 28)), ((2, 2), (2, 2), (0, 0)), ((5, 3), (1, 2), (2, 1))]


def chain():
    """The links of a chain of kernels over an image of 20 x 17, and the sizes of the values."""
    sizes, links = {0: (20, 17)}, []
    for v, kernel in enumerate(KERNELS):
        size = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in zip(sizes[v], *kernel))
        sizes[v + 1] = size
        links.append(Link([v], [v + 1], Geometry(*kernel)))
    return links, sizes


def inside(rectangle, shape):
    found = torch.zeros(shape, dtype=torch.bool)
    found[slice(*rectangle.rows), slice(*rectangle.columns)] = True
    return found


def test_what_depends_on_the_image_is_computed():
    links, sizes = chain()
    parts = parts_of(links, sizes, {0, len(KERNELS)})
    image = torch.ones(1, 1, *sizes[0])
    for v, (kernel, stride, pad) in enumerate(KERNELS, 1):
        image = torch.conv2d(image, torch.ones(1, 1, *kernel), None, stride, pad)
        computed = parts.framed.get(v, parts.held[v])
        assert torch.equal(image[0, 0] > 0, inside(computed, sizes[v]))


def test_what_is_read_is_held():
    links, sizes = chain()
    parts = parts_of(links, sizes, {0, len(KERNELS)})
    assert parts.held[0] == Rectangle((0, 20), (0, 17))
    for v, kernel in list(enumerate(KERNELS, 1))[1:]:
        seen = inside(parts.framed.get(v, parts.held[v]), sizes[v])[None, None].float()
        read = torch.zeros(1, 1, *sizes[v - 1], requires_grad=True)
        torch.conv2d(read, torch.ones(1, 1, *kernel[0]), None, *kernel[1:]).backward(seen)
        assert torch.equal(
            (read.grad[0, 0] > 0) | inside(parts.framed[v - 1], sizes[v - 1]),
            inside(parts.held[v - 1], sizes[v - 1]),
        )


def test_a_link_without_a_geometry_needs_all():
    links, sizes = chain()
    links.append(Link([2], []))
    parts = parts_of(links, sizes, {0, 3})
    assert parts.held[2] == Rectangle((0, sizes[2][0]), (0, sizes[2][1]))


def test_without_padding_nothing_is_cut():
    sizes = {0: (9, 9), 1: (9, 9), 2: (9, 9)}
    links = [Link([v], [v + 1], Geometry((3, 3), (1, 1), (1, 1))) for v in (0, 1)]
    parts = parts_of(links, sizes, {0, 2})
    assert not parts.framed and not parts.places
