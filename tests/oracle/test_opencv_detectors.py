"""Small detectors in the words of OpenCV's own files, as a whole, in OpenCV and here.

Its Faster R-CNN and R-FCN hand the regions to DetectionOutput as priors in pixels; its text
detector (TextBoxes) has every prior box at two centres a pixel.
"""

import numpy as np
import pytest

import caffe

cv2 = pytest.importorskip(
    "cv2", reason="needs pip install 'opencv-python-headless<5' (OpenCV 5 reads no Caffe models)"
)
if int(cv2.__version__.split(".")[0]) > 4:
    pytest.skip("OpenCV 5 reads no Caffe models", allow_module_level=True)

FASTER_RCNN = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 96 dim: 128 } } }
layer { name: "im_info" type: "Input" top: "im_info" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 5 pad: 2 stride: 16 } }
layer { name: "rpn_cls_score" type: "Convolution" bottom: "conv" top: "rpn_cls_score"
  convolution_param { num_output: 18 kernel_size: 1 } }
layer { name: "rpn_bbox_pred" type: "Convolution" bottom: "conv" top: "rpn_bbox_pred"
  convolution_param { num_output: 36 kernel_size: 1 } }
layer { name: "rpn_cls_score_reshape" type: "Reshape" bottom: "rpn_cls_score"
  top: "rpn_cls_score_reshape" reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } } }
layer { name: "rpn_cls_prob" type: "Softmax" bottom: "rpn_cls_score_reshape" top: "rpn_cls_prob" }
layer { name: "rpn_cls_prob_reshape" type: "Reshape" bottom: "rpn_cls_prob"
  top: "rpn_cls_prob_reshape" reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 0 } } }
layer { name: "proposal" type: "Proposal" bottom: "rpn_cls_prob_reshape" bottom: "rpn_bbox_pred"
  bottom: "im_info" top: "rois" proposal_param { ratio: 0.5 ratio: 1 ratio: 2 scale: 1 scale: 2
    scale: 4 base_size: 16 feat_stride: 16 pre_nms_topn: 100 post_nms_topn: 8 nms_thresh: 0.7
    min_size: 0 } }
layer { name: "roi_pool5" type: "ROIPooling" bottom: "conv" bottom: "rois" top: "pool5"
  roi_pooling_param { pooled_w: 3 pooled_h: 3 spatial_scale: 0.0625 } }
layer { name: "relu" type: "ReLU" bottom: "pool5" top: "pool5" }
layer { name: "cls_score" type: "InnerProduct" bottom: "pool5" top: "cls_score"
  inner_product_param { num_output: 4 } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "pool5" top: "bbox_pred"
  inner_product_param { num_output: 16 } }
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }
layer { name: "cls_prob_reshape" type: "Reshape" bottom: "cls_prob" top: "cls_prob_reshape"
  reshape_param { shape { dim: 1 dim: -1 dim: 1 dim: 1 } } }
layer { name: "bbox_pred_reshape" type: "Reshape" bottom: "bbox_pred" top: "bbox_pred_reshape"
  reshape_param { shape { dim: 1 dim: -1 dim: 1 dim: 1 } } }
layer { name: "rois_slice" type: "Slice" bottom: "rois" top: "rois_item" top: "rois_box"
  slice_param { axis: 1 slice_point: 1 } }
layer { name: "rois_reshape" type: "Reshape" bottom: "rois_box" top: "rois_reshape"
  reshape_param { shape { dim: 1 dim: 1 dim: -1 dim: 1 } } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "bbox_pred_reshape"
  bottom: "cls_prob_reshape" bottom: "rois_reshape" bottom: "data" top: "detection_out"
  detection_output_param { num_classes: 4 share_location: false background_label_id: 0
    nms_param { nms_threshold: 0.3 top_k: 400 } code_type: CENTER_SIZE keep_top_k: 100
    confidence_threshold: 0.05 normalized_bbox: false clip: true
    variance_encoded_in_target: true } }
"""

TEXT_BOXES = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 64 dim: 96 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "map"
  pooling_param { pool: AVE kernel_size: 16 stride: 16 } }
layer { name: "loc" type: "Convolution" bottom: "map" top: "loc" convolution_param {
  num_output: 24 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }
layer { name: "conf" type: "Convolution" bottom: "map" top: "conf" convolution_param {
  num_output: 12 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_reshape" type: "Reshape" bottom: "conf_perm" top: "conf_reshape"
  reshape_param { shape { dim: 0 dim: -1 dim: 2 } } }
layer { name: "conf_softmax" type: "Softmax" bottom: "conf_reshape" top: "conf_softmax"
  softmax_param { axis: 2 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_softmax" top: "conf_flat" }
layer { name: "prior" type: "PriorBox" bottom: "map" bottom: "data" top: "prior" prior_box_param {
  min_size: 15 aspect_ratio: 2 aspect_ratio: 5 flip: false clip: true variance: 0.1 variance: 0.1
  variance: 0.2 variance: 0.2 offset_h: 0.5 offset_w: 0.5 offset_h: 1 offset_w: 0.5 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "prior" top: "detection_out" detection_output_param { num_classes: 2
    share_location: true background_label_id: 0 nms_param { nms_threshold: 0.45 top_k: 400 }
    code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.1 } }
"""


def rows(detections):
    """Detections by label, score and place: programs order equal scores differently."""
    found = detections.reshape(-1, 7)
    found = found[found[:, 2] > 0]
    return found[np.lexsort((found[:, 3], -found[:, 2].round(4), found[:, 1]))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", [FASTER_RCNN, TEXT_BOXES], ids=["Faster R-CNN", "TextBoxes"])
def test_a_detector_in_opencvs_words(tmp_path, text, seed):
    rng = np.random.default_rng(seed)
    prototxt, weights = str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")
    with open(prototxt, "w") as file:
        file.write(text)
    net = caffe.Net(prototxt, caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            fan = blob.count // blob.dims[0] if len(blob.dims) > 1 else 1
            blob.data[...] = rng.standard_normal(blob.data.shape) / np.sqrt(fan)
    net.save(weights)
    inputs = {"data": rng.standard_normal(net.blobs["data"].data.shape).astype(np.float32)}
    if "im_info" in net.blobs:
        inputs["im_info"] = np.array([[96, 128, 1]], np.float32)
    other = cv2.dnn.readNetFromCaffe(prototxt, weights)
    for name, values in inputs.items():
        net.blobs[name].data[...] = values
        other.setInput(values, name)
    ours, theirs = rows(net.forward()["detection_out"]), rows(other.forward("detection_out"))
    assert len(ours) > 4 and ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
