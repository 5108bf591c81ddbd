"""VideoData: the frames of a video file, resized and cropped as of AnnotatedData, each once."""

import numpy as np
import pytest
from harness import TEST, Rig

from caffe.errors import DataError, LayerError

av = pytest.importorskip("av", reason="needs the extra: pip install 'pycaffe-torch[video]'")

HEIGHT, WIDTH, COUNT = 32, 48, 7


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A film of seven grey frames, each brighter than the one before, with a blue corner."""
    path = tmp_path_factory.mktemp("video") / "film.avi"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "bgr0"
        for n in range(COUNT):
            frame = np.full((HEIGHT, WIDTH, 3), 30 * n, np.uint8)
            frame[:8, :8] = (255, 0, 0)
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")):
                file.mux(packet)
        for packet in stream.encode(None):
            file.mux(packet)
    return path


def rig(path, words="", transform="", batch=1, kind="VIDEO"):
    file = f'video_file: "{path}"' if path else ""
    text = f"""type: "VideoData" video_data_param {{ video_type: {kind} {file} {words} }}
        data_param {{ batch_size: {batch} }} transform_param {{ {transform} }}"""
    return Rig(text, tops=1, phase=TEST)


def levels(data):
    return data[:, 0, -1, -1].tolist()


def test_every_frame_once_and_then_an_error(video):
    layer = rig(video, batch=2, transform="mean_value: 10 scale: 2")
    found = [layer.forward() for _ in range(3)]
    assert [levels(data) for data in found] == [[-20, 40], [100, 160], [220, 280]]
    assert found[0].shape == (2, 3, HEIGHT, WIDTH)
    assert found[0][0, :, 0, 0].tolist() == [490, -20, -20]  # B, G, R
    with pytest.raises(DataError, match="film.avi, frame 7: the video has ended, with 7 frames"):
        layer.forward()


def test_frames_are_skipped_and_resized(video):
    layer = rig(video, "skip_frames: 2", "resize_param { height: 16 width: 20 } crop_size: 12")
    found = [layer.forward() for _ in range(3)]
    assert [levels(data) for data in found] == [[0], [90], [180]]
    assert found[0].shape == (1, 3, 12, 12)


def test_what_is_refused(video, tmp_path):
    with pytest.raises(LayerError, match="camera .* is not read: write an Input layer"):
        rig(video, kind="WEBCAM")
    with pytest.raises(LayerError, match="needs video_file"):
        rig("")
    with pytest.raises(DataError, match="cannot read the video .*none.avi"):
        rig(tmp_path / "none.avi")
    (tmp_path / "text.avi").write_text("no film")
    with pytest.raises(DataError, match="cannot read the video .*text.avi"):
        rig(tmp_path / "text.avi")
