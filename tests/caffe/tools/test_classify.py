"""The tool classify: files in, files out, the numbers of caffe.Classifier."""

import numpy as np

import caffe
from caffe.tools import classify


def test_classify(model, arguments, photos, tmp_path, capsys):
    out = str(tmp_path / "out.npy")
    mean = np.array([104.0, 117.0, 123.0])
    np.save(str(tmp_path / "mean.npy"), mean)
    options = [*arguments, "--mean_file", str(tmp_path / "mean.npy"), "--images_dim", "12,10"]
    assert classify.main([str(tmp_path / "photos"), out, "--ext", "png", *options]) == 0
    printed = capsys.readouterr().out
    assert "CPU mode" in printed and "Classifying 2 inputs." in printed
    net = caffe.Classifier(
        *model, image_dims=(12, 10), mean=mean, raw_scale=255.0, channel_swap=(2, 1, 0)
    )
    images = [caffe.io.load_image(path) for path in photos]
    assert np.array_equal(np.load(out), net.predict(images))

    assert classify.main([photos[1], out, "--center_only", *options]) == 0
    assert np.array_equal(np.load(out), net.predict(images[1:], False))
    np.save(str(tmp_path / "images.npy"), np.stack(images))
    assert classify.main([str(tmp_path / "images.npy"), out, *options]) == 0
    assert np.array_equal(np.load(out), net.predict(images))


def test_a_mean_of_binaryproto(tmp_path):
    mean = np.random.RandomState(0).rand(3, 8, 8).astype(np.float32)
    blob = caffe.io.array_to_blobproto(mean[None])
    (tmp_path / "mean.binaryproto").write_bytes(blob.SerializeToString())
    assert np.array_equal(classify.read_mean(str(tmp_path / "mean.binaryproto")), mean)
    assert classify.read_mean("") is None
