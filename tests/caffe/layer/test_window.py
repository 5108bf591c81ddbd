"""Where the windows of WindowData go in their crops."""

from caffe.layer._window import place


def test_places():
    # 10 x 10 at (10, 10) warped to 16 with a context of 3 on each side: 16 around (15, 15).
    at = place((10, 10, 19, 19), (40, 40), 16, context=3)
    assert at[:4] == (7, 7, 23, 23) and at[4:] == (16, 16, 0, 0)
    # The same in the corner: 3 of 17 pixels lie outside, 3 * 16/17 = 2.8 rows stay zero.
    at = place((0, 0, 9, 9), (40, 40), 16, context=3)
    assert at == (0, 0, 13, 13, 13, 13, 3, 3)
    # Mirrored, the zeros to the left are those that were to the right: none.
    assert place((0, 0, 9, 9), (40, 40), 16, context=3, mirror=True).left == 0
    # A square around 10 wide x 20 high.
    assert place((10, 10, 19, 29), (40, 40), 8, square=True)[:4] == (5, 10, 25, 30)
    assert place((1, 2, 3, 4), (40, 40), 8) == (1, 2, 3, 4, 8, 8, 0, 0)
