"""Videos: as many frames as before at the same times, whole files whatever happens."""

import json
import os
import signal
import sys
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

import bootstrap
import caffe
import infer
from data import toy
from fcn import catalog, random_weights
from fcn.inference import labelling, loading, video

pytestmark = pytest.mark.slow

av = pytest.importorskip("av", reason="labelling videos needs the package av (extra: video)")

NET, FRAMES, RATE = "toy-fcn8s", 7, Fraction(30000, 1001)


@pytest.fixture(autouse=True)
def _from_the_root(monkeypatch):
    monkeypatch.chdir(bootstrap.ROOT)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    net = caffe.Net(os.path.join(bootstrap.ROOT, catalog.net_path(NET, "deploy")), caffe.TEST)
    random_weights.fill(net)
    path = str(tmp_path_factory.mktemp("weights") / "random.caffemodel")
    net.save(path)
    return path


def film(path, times=range(FRAMES), size=(96, 64), sound=False, dark=0, **more):
    """A video of moving toys, its frames at the given multiples of a frame's duration.

    ``dark``: how many columns on the left are black.
    """
    import random

    image, _ = toy.draw(size[0] + 40, size[1] + 40, random.Random(3))
    with av.open(path, "w", **more) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        kind = sound if isinstance(sound, str) else "aac"
        audio = container.add_stream(kind, rate=8000) if sound else None
        for number, moment in enumerate(times):
            part = image.crop((number, number, number + size[0], number + size[1]))
            pixels = np.array(part)
            pixels[:, :dark] = 0
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = moment, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio:  # a second of a tone
            wave = np.sin(np.arange(8192) / 5) * 0.5
            whole = kind.startswith("pcm")
            for part in ((wave * 32767).astype(np.int16) if whole else wave.astype(np.float32),):
                for block in part.reshape(8, 1, 1024):
                    tone = av.AudioFrame.from_ndarray(
                        block, format="s16" if whole else "fltp", layout="mono"
                    )
                    tone.rate = 8000
                    container.mux(audio.encode(tone))
            container.mux(audio.encode(None))
    return path


def run(weights, out, *arguments):
    options = ["--net", NET, "--weights", weights, "--out", str(out), "--cpu"]
    return infer.main(options + [str(a) for a in arguments])


def sound_of(path):
    """(codec, samples, whether any is loud) of a video's sound, None without any."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        frames = [frame.to_ndarray() for frame in container.decode(stream)]
        loud = any(np.abs(frame).max() > 0.1 for frame in frames)
        return stream.codec_context.name, sum(frame.shape[-1] for frame in frames), loud


def read(path):
    """[(seconds, RGB)] of a video's frames, and its stream's average rate."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(float(f.time), f.to_ndarray(format="rgb24")) for f in container.decode(stream)]
        return frames, stream.average_rate


def labels_in(folder):
    found = []
    for name in sorted(os.listdir(str(folder))):
        with Image.open(os.path.join(str(folder), name)) as image:
            found.append(np.array(image))
    return found


@pytest.mark.slow
def test_every_frame_is_labelled_as_a_photo_is(weights, tmp_path, capsys):
    path = film(str(tmp_path / "a.mp4"), sound=True)
    os.makedirs(str(tmp_path / "a_labels"))
    for name in ("000009_label.png", "mine.png"):  # of a longer video before, and somebody's
        Image.new("P", (1, 1)).save(str(tmp_path / "a_labels" / name))
    assert run(weights, tmp_path, path, "--batch", "3") == 0
    printed = capsys.readouterr().out
    assert f"a.mp4: 96x64, {FRAMES} frames of 29.97 a second" in printed
    assert "sound" not in printed
    assert sound_of(tmp_path / "a_overlay.mp4") == sound_of(path)
    os.remove(str(tmp_path / "a_labels" / "mine.png"))
    labels = labels_in(tmp_path / "a_labels")
    before, _ = read(path)
    after, rate = read(tmp_path / "a_overlay.mp4")
    assert len(labels) == len(after) == FRAMES and rate == RATE
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before])
    for number, (_, pixels) in enumerate(before):
        Image.fromarray(pixels).save(str(tmp_path / f"f{number}.png"))
    photos = [tmp_path / f"f{number}.png" for number in range(FRAMES)]
    assert run(weights, tmp_path, *photos, "--batch", "1") == 0
    for number, label in enumerate(labels):
        with Image.open(str(tmp_path / f"f{number}_label.png")) as image:
            assert (np.array(image) == label).mean() > 0.999  # rounding decides ties
        with Image.open(str(tmp_path / f"f{number}_overlay.jpg")) as image:
            wanted = np.array(image)[:64].astype(int)
        assert np.abs(after[number][1][:64] - wanted).mean() < 12


@pytest.mark.slow
def test_times_that_are_not_even_are_kept(weights, tmp_path):
    path = film(str(tmp_path / "a.mkv"), times=(0, 1, 2, 9, 10, 30))
    assert run(weights, tmp_path, path, "--video-labels", "none") == 0
    before, after = (read(p)[0] for p in (path, tmp_path / "a_overlay.mp4"))
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=2e-3)
    assert not (tmp_path / "a_labels").exists()


def test_a_telephones_video_is_turned_upright(weights, tmp_path):
    """It stores frames as its sensor lies, and in the track's header how to turn them."""
    path = film(str(tmp_path / "a.mp4"), dark=40)
    with open(path, "r+b") as file:
        content = file.read()
        one, identity = (1 << 16).to_bytes(4, "big"), content.index(b"tkhd") + 44
        assert content[identity : identity + 4] == one
        file.seek(identity)  # a quarter turn clockwise: a, b, u, c, d
        file.write(bytes(4) + one + bytes(4) + (-(1 << 16)).to_bytes(4, "big", signed=True))
        file.write(bytes(4))
    assert run(weights, tmp_path, path, "--video-labels", "none", "--opacity", "0") == 0
    shown = read(tmp_path / "a_overlay.mp4")[0][0][1]
    top, bottom = shown[:36, :64].mean(), shown[44:96, :64].mean()
    assert top < 30 and bottom > 60, (top, bottom)  # left became top


def test_sound_that_mp4_does_not_hold_is_encoded(weights, tmp_path):
    path = film(str(tmp_path / "a.mkv"), sound="pcm_s16le")
    assert sound_of(path)[0] == "pcm_s16le"
    assert run(weights, tmp_path, path, "--video-labels", "none") == 0
    kind, samples, loud = sound_of(tmp_path / "a_overlay.mp4")
    assert kind == "aac" and samples >= 8000 and loud


def test_sound_begins_where_the_pictures_do(weights, tmp_path):
    """A second of sound, and pictures from its middle on: the first half is dropped."""
    path = film(str(tmp_path / "a.mkv"), times=range(15, 30), sound="pcm_s16le")
    assert run(weights, tmp_path, path, "--video-labels", "none", "--batch", "2") == 0
    _, samples, _ = sound_of(tmp_path / "a_overlay.mp4")
    assert 3000 <= samples <= 6200  # AAC comes in blocks of 1024
    assert read(tmp_path / "a_overlay.mp4")[0][0][0] == 0


def test_each_head_has_its_video(weights, tmp_path, monkeypatch, capsys):
    """As of SIFT Flow's nets; here the second head says the opposite of the first."""
    options = infer.parse([film(str(tmp_path / "a.mp4"), sound="aac"), "--net", NET, "--weights",
                           weights, "--out", str(tmp_path), "--cpu", "--json"])  # fmt: skip
    loaded = loading.load(options)
    (first,) = loaded.heads
    two = loaded._replace(heads=[first, first._replace(prefix="geo")])
    label = labelling.label

    def both(images, _, *rest):
        return [
            one._replace(labels=[one.labels[0], 4 - one.labels[0]], found=one.found * 2)
            for one in label(images, loaded, *rest)
        ]

    monkeypatch.setattr(video.labelling, "label", both)
    infer.Run(two, options).all()
    first, second = (labels_in(tmp_path / name) for name in ("a_labels", "a_geo_labels"))
    assert len(first) == len(second) == FRAMES and (first[3] == 4 - second[3]).all()
    assert len(read(tmp_path / "a_geo_overlay.mp4")[0]) == FRAMES
    assert sound_of(tmp_path / "a_overlay.mp4") and not sound_of(tmp_path / "a_geo_overlay.mp4")
    value = json.loads(capsys.readouterr().out)
    assert value["heads"]["geo"] == value["classes"] and len(value["files"]) == 4


def test_one_file_of_labels_and_json(weights, tmp_path, capsys):
    path = film(str(tmp_path / "a.mp4"))
    assert run(weights, tmp_path, path, "--video-labels", "npz", "--side-by-side", "--json") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["frames"] == FRAMES and value["complete"] and not value["audio_left_out"]
    with np.load(str(tmp_path / "a_labels.npz")) as file:
        assert sorted(file.files) == [f"{i:06d}" for i in range(FRAMES)] + ["seconds"]
        labels = [file[f"{i:06d}"] for i in range(FRAMES)]
        np.testing.assert_allclose(file["seconds"], np.arange(FRAMES) / float(RATE), atol=1e-3)
    for found in value["classes"]:
        assert found["pixels"] == sum((label == found["number"]).sum() for label in labels)
        assert found["frames"] == sum((label == found["number"]).any() for label in labels)
    frames, _ = read(tmp_path / "a_side.mp4")
    assert frames[0][1].shape[1] == 2 * ((96 + 6 + 160 + 1) // 2)  # the legend needs 160


@pytest.mark.slow
def test_frames_are_never_many_in_memory(weights, tmp_path, monkeypatch):
    seen, label = [], labelling.label

    def watch(images, *rest):
        seen.append(len(images))
        return label(images, *rest)

    monkeypatch.setattr(video.labelling, "label", watch)
    assert run(weights, tmp_path, film(str(tmp_path / "a.mp4")), "--batch", "2") == 0
    assert seen == [2, 2, 2, 1]


def test_ctrl_c_leaves_whole_files(weights, tmp_path, capsys, monkeypatch):
    seen, label = [], labelling.label

    def stop(images, *rest):
        seen.append(0)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return label(images, *rest)

    monkeypatch.setattr(video.labelling, "label", stop)
    path = film(str(tmp_path / "a.mp4"))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(weights, tmp_path, path, "--batch", "1", "--video-labels", "npz")
    assert signal.getsignal(signal.SIGINT) is before
    frames, _ = read(tmp_path / "a_overlay.mp4")
    with np.load(str(tmp_path / "a_labels.npz")) as file:
        assert len(file.files) == 1 + len(frames) and 3 <= len(frames) < FRAMES
    assert f"{len(frames)} frames" in capsys.readouterr().out
    assert not [name for name in os.listdir(str(tmp_path)) if "tmp" in name]


def test_what_is_no_video_is_one_line(weights, tmp_path, capsys):
    (tmp_path / "a.mp4").write_bytes(b"no video at all" * 99)
    assert run(weights, tmp_path, tmp_path / "a.mp4", tmp_path / "missing.avi") == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith("error: cannot read the video") and "a.mp4" in errors[0]
    assert "missing.avi" in errors[1]
    assert sorted(os.listdir(str(tmp_path))) == ["a.mp4"]


@pytest.mark.slow
def test_a_video_that_breaks_off_keeps_what_was_read(weights, tmp_path, capsys, monkeypatch):
    decoded = video._decoded

    def breaks(*arguments):
        frames = decoded(*arguments)
        yield next(frames)
        yield next(frames)
        raise av.error.InvalidDataError(1094995529, "Invalid data found")

    monkeypatch.setattr(video, "_decoded", breaks)
    assert run(weights, tmp_path, film(str(tmp_path / "a.mp4")), "--json") == 1
    printed = capsys.readouterr()
    value = json.loads(printed.out)
    assert value["frames"] == 2 and value["complete"] is False
    assert "cannot be read further" in printed.err
    assert len(read(tmp_path / "a_overlay.mp4")[0]) == 2


def test_the_package_is_named_where_it_is_missing(weights, tmp_path, capsys, monkeypatch):
    path = film(str(tmp_path / "a.mp4"))
    monkeypatch.setitem(sys.modules, "av", None)
    assert run(weights, tmp_path, path) == 1
    assert "pip install av" in capsys.readouterr().err
