"""Small nets in the words of published prototxts.

Sizes and depths are small; types, fields, spellings and order are those of the published files.
LIST, ID_LIST and ROOT stand for lists of pictures and for their folder.
"""

CRF_RNN = """input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "splitting" type: "Split" bottom: "data" top: "unary" top: "Q0" }
layer { name: "inference1" type: "MultiStageMeanfield" bottom: "unary" bottom: "Q0" bottom: "data"
  top: "pred" param { lr_mult: 10000 }
  multi_stage_meanfield_param { num_iterations: 10 compatibility_mode: POTTS threshold: 2
    theta_alpha: 160 theta_beta: 3 theta_gamma: 3 spatial_filter_weight: 3
    bilateral_filter_weight: 5 } }
"""

CRF_RNN_V1 = """input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { type: SPLIT name: "splitting" bottom: "data" top: "unary" top: "Q0" }
layers { name: "inference1" type: MULTI_STAGE_MEANFIELD bottom: "unary" bottom: "Q0" bottom: "data"
  top: "pred" blobs_lr: 10000 blobs_lr: 10000 blobs_lr: 1000
  multi_stage_meanfield_param { num_iterations: 10 compatibility_mode: POTTS threshold: 2
    theta_alpha: 160 theta_beta: 3 theta_gamma: 3 spatial_filter_weight: 3
    bilateral_filter_weight: 5 } }
"""

INPUT = """input: "data" input_dim: 2 input_dim: 3 input_dim: 32 input_dim: 32
"""

SEGNET_V1 = """
layers { name: "data" type: DENSE_IMAGE_DATA top: "data" top: "label"
  dense_image_data_param { source: "LIST" root_folder: "ROOT" batch_size: 2 shuffle: true } }
layers { bottom: "data" top: "conv1_1" name: "conv1_1" type: CONVOLUTION
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param { weight_filler { type: "msra" } bias_filler { type: "constant" }
    num_output: 4 pad: 1 kernel_size: 3 } }
layers { bottom: "conv1_1" top: "conv1_1" name: "conv1_1_bn" type: BN
  blobs_lr: 1 blobs_lr: 1 weight_decay: 1 weight_decay: 0
  bn_param { scale_filler { type: "constant" value: 1 }
    shift_filler { type: "constant" value: 0.001 } } }
layers { bottom: "conv1_1" top: "conv1_1" name: "relu1_1" type: RELU }
layers { bottom: "conv1_1" top: "pool1" top: "pool1_mask" name: "pool1" type: POOLING
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { bottom: "pool1" top: "pool2" top: "pool2_mask" name: "pool2" type: POOLING
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "upsample2" type: UPSAMPLE bottom: "pool2" top: "pool2_D" bottom: "pool2_mask"
  upsample_param { scale: 2 pad_out_h: true } }
layers { name: "upsample1" type: UPSAMPLE bottom: "pool2_D" top: "pool1_D" bottom: "pool1_mask"
  upsample_param { scale: 2 } }
layers { bottom: "pool1_D" top: "conv1_1_D" name: "conv1_1_D" type: CONVOLUTION
  convolution_param { weight_filler { type: "msra" } num_output: 11 pad: 1 kernel_size: 3 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "conv1_1_D" bottom: "label" top: "loss"
  softmax_param { engine: CAFFE }
  loss_param { weight_by_label_freqs: true ignore_label: 11 WEIGHTS } }
layers { name: "accuracy" type: ACCURACY bottom: "conv1_1_D" bottom: "label" top: "accuracy"
  top: "per_class_accuracy" accuracy_param { ignore_label: 11 } }
"""

SEGNET_V2 = """name: "segnet" input: "data" input_dim: 1 input_dim: 3 input_dim: 12 input_dim: 16
layer { bottom: "data" top: "conv1_1" name: "conv1_1" type: "Convolution"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { weight_filler { type: "msra" } num_output: 4 pad: 1 kernel_size: 3 } }
layer { bottom: "conv1_1" top: "conv1_1" name: "conv1_1_bn" type: "BN"
  bn_param { bn_mode: INFERENCE scale_filler { type: "constant" value: 1 }
    shift_filler { type: "constant" value: 0.001 } } }
layer { bottom: "conv1_1" top: "conv1_1" name: "relu1_1" type: "ReLU" }
layer { bottom: "conv1_1" top: "pool1" top: "pool1_mask" name: "pool1" type: "Pooling"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { bottom: "pool1" top: "pool1" name: "encdrop3" type: "Dropout"
  dropout_param { dropout_ratio: 0.5 sample_weights_test: true } }
layer { name: "upsample1" type: "Upsample" bottom: "pool1" top: "pool1_D" bottom: "pool1_mask"
  upsample_param { scale: 2 upsample_w: 16 upsample_h: 12 } }
layer { bottom: "pool1_D" top: "conv1_1_D" name: "conv1_1_D" type: "Convolution"
  convolution_param { weight_filler { type: "msra" } num_output: 11 pad: 1 kernel_size: 3 } }
layer { name: "prob" type: "Softmax" bottom: "conv1_1_D" top: "prob"
  softmax_param { engine: CAFFE } }
"""

DECONVNET = """
layers { name: "data" type: IMAGE_SEG_DATA top: "data" top: "seg-label"
  image_data_param { root_folder: "ROOT" source: "LIST" label_type: PIXEL batch_size: 2
    shuffle: true new_width: 20 new_height: 20 }
  transform_param { mean_value: 104.008 mean_value: 116.669 mean_value: 122.675 crop_size: 16
    mirror: true }
  include: { phase: PHASE } }
layers {  bottom: "data"  top: "conv1_1"  name: "conv1_1"  type: CONVOLUTION
  blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0
  convolution_param {    num_output: 4    pad: 1    kernel_size: 3
    weight_filler { type: "gaussian" std: 0.01 } }}
layers { bottom: 'conv1_1' top: 'conv1_1' name: 'bn1_1' type: BN
  bn_param { scale_filler { type: 'constant' value: 1 }
             shift_filler { type: 'constant' value: 0.001 } } }
layers {  bottom: "conv1_1"  top: "conv1_1"  name: "relu1_1"  type: RELU}
layers { bottom: "conv1_1"  top: "pool1" top:"pool1_mask"  name: "pool1"  type: POOLING
  pooling_param {    pool: MAX    kernel_size: 2    stride: 2  } }
layers { bottom: 'pool1' top: 'fc6' name: 'fc6' type: CONVOLUTION
  convolution_param { kernel_size: 8 num_output: 8 weight_filler { type: "xavier" } } }
layers { bottom: 'fc6' top: 'fc6-deconv' name: 'fc6-deconv' type: DECONVOLUTION
  convolution_param { num_output: 4 kernel_size: 8
    weight_filler {      type: "gaussian"      std: 0.01    }
    bias_filler {      type: "constant"      value: 0    }} }
layers { type: UNPOOLING  bottom: "fc6-deconv"  bottom: "pool1_mask"  top: "unpool1"
  name: "unpool1" unpooling_param {   unpool: MAX   kernel_size: 2    stride: 2  unpool_size: 16 }}
layers { bottom: 'unpool1' top: 'deconv1_1' name: 'deconv1_1' type: DECONVOLUTION
  convolution_param { num_output: 21 pad: 1 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "seg-accuracy" type: ELTWISE_ACCURACY bottom: "deconv1_1" bottom: "seg-label"
  top: "seg-accuracy" eltwise_accuracy_param { ignore_label: 255 } include: { phase: TEST } }
layers { name: "seg-loss" type: SOFTMAX_LOSS bottom: "deconv1_1" bottom: "seg-label"
  top: "seg-loss" loss_param { ignore_label: 255 } }
"""

ENET = """name: "ENet"
layer { name: "data" type: "DenseImageData" top: "data" top: "label"
  dense_image_data_param { source: "LIST" root_folder: "ROOT" batch_size: 2 shuffle: true
    new_height: 16 new_width: 24 } }
layer { name: "conv0_1" type: "Convolution" bottom: "data" top: "conv0_1"
  convolution_param { num_output: 5 bias_term: true pad: 1 kernel_size: 3 stride: 2
    weight_filler { type: "msra" } } }
layer { name: "pool0_1" type: "Pooling" bottom: "data" top: "pool0_1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "concat0_1" type: "Concat" bottom: "conv0_1" bottom: "pool0_1" top: "concat0_1"
  concat_param { axis: 1 } }
layer { name: "bn0_1" type: "BN" bottom: "concat0_1" top: "bn0_1"
  bn_param { scale_filler { type: "constant" value: 1 } shift_filler { type: "constant"
    value: 0.001 } } }
layer { name: "prelu0_1" type: "PReLU" bottom: "bn0_1" top: "bn0_1" }
layer { name: "pool1" type: "Pooling" bottom: "bn0_1" top: "pool1" top: "pool1_mask"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv1_a" type: "Convolution" bottom: "pool1" top: "conv1_a"
  convolution_param { num_output: 8 bias_term: false kernel_size: 3 pad: 2 dilation: 2
    weight_filler { type: "msra" } } }
layer { name: "drop1" type: "SpatialDropout" bottom: "conv1_a" top: "conv1_a"
  spatial_dropout_param { dropout_ratio: 0.01 } }
layer { name: "upsample1" type: "Upsample" bottom: "conv1_a" bottom: "pool1_mask"
  top: "upsample1" upsample_param { scale: 2 } }
layer { name: "deconv6" type: "Deconvolution" bottom: "upsample1" top: "deconv6"
  convolution_param { num_output: 19 bias_term: true kernel_size: 2 stride: 2
    weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "deconv6" bottom: "label" top: "loss"
  softmax_param { engine: CAFFE } loss_param { ignore_label: 255 } }
"""

DEEPLAB_V1 = """
layers { name: "data" type: IMAGE_SEG_DATA top: "data" top: "label" top: "data_dim"
  strict_dim: false
  image_data_param { root_folder: "ROOT" source: "LIST" label_type: PIXEL batch_size: 2
    shuffle: true strict_dim: false }
  transform_param { mean_value: 104.008 mean_value: 116.669 mean_value: 122.675 crop_size: 33
    mirror: true } }
layers { bottom: "data" top: "conv1_1" name: "conv1_1" type: CONVOLUTION strict_dim: false
  convolution_param { engine: CAFFE num_output: 4 pad: 2 kernel_size: 3 hole: 2 stride: 8
    weight_filler { type: "gaussian" std: 0.1 } } }
layers { bottom: "conv1_1" top: "pool5a" name: "pool5a" type: POOLING
  pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 } }
layers { bottom: "pool5a" top: "fc8" name: "fc8_voc12" type: CONVOLUTION strict_dim: false
  convolution_param { engine: CAFFE num_output: 21 kernel_size: 1
    weight_filler { type: "gaussian" std: 0.1 } } }
layers { bottom: "label" top: "label_shrink" name: "label_shrink" type: INTERP
  interp_param { shrink_factor: 8 pad_beg: 0 pad_end: 0 } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc8" bottom: "label_shrink" top: "loss"
  softmaxwithloss_param { ignore_label: 255 } include: { phase: TRAIN } }
layers { name: "accuracy" type: SEG_ACCURACY bottom: "fc8" bottom: "label_shrink" top: "accuracy"
  seg_accuracy_param { ignore_label: 255 } }
"""

DEEPLAB_V2 = """name: "deeplab"
layer { name: "data" type: "ImageSegData" top: "data" top: "label" top: "data_dim"
  include { phase: TEST } transform_param { mirror: false crop_size: 33 mean_value: 104.008
    mean_value: 116.669 mean_value: 122.675 }
  image_data_param { root_folder: "ROOT" source: "LIST" batch_size: 1 label_type: PIXEL } }
layer { name: "data" type: "ImageSegData" top: "data" top: "label" top: "data_dim"
  include { phase: TRAIN } transform_param { mirror: true crop_size: 33 mean_value: 104.008
    mean_value: 116.669 mean_value: 122.675 }
  image_data_param { root_folder: "ROOT" source: "LIST" batch_size: 2 shuffle: true
    label_type: PIXEL } }
layer { bottom: "data" top: "data" name: "drop" type: "Dropout" dropout_param { dropout_ratio: 0 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 pad: 1 kernel_size: 3 stride: 8
    weight_filler { type: "msra" } } }
layer { name: "fc6_1" type: "Convolution" bottom: "conv1" top: "fc6_1"
  convolution_param { num_output: 21 pad: 6 kernel_size: 3 dilation: 6
    weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "fc6_2" type: "Convolution" bottom: "conv1" top: "fc6_2"
  convolution_param { num_output: 21 pad: 12 kernel_size: 3 dilation: 12
    weight_filler { type: "gaussian" std: 0.01 } } }
layer { bottom: "fc6_1" bottom: "fc6_2" top: "fc8" name: "fc8" type: "Eltwise"
  eltwise_param { operation: SUM } }
layer { bottom: "label" top: "label_shrink" name: "label_shrink" type: "Interp"
  interp_param { shrink_factor: 8 pad_beg: 0 pad_end: 0 } include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc8" bottom: "label_shrink" top: "loss"
  include { phase: TRAIN } loss_param { ignore_label: 255 } }
layer { bottom: "fc8" top: "fc8_interp" name: "fc8_interp" type: "Interp"
  interp_param { zoom_factor: 8 } include { phase: TEST } }
layer { name: "fc8_mat" type: "MatWrite" bottom: "fc8_interp" include { phase: TEST }
  mat_write_param { prefix: "ROOT/out_" source: "ID_LIST" strip: 0 period: 1 } }
layer { name: "accuracy" type: "SegAccuracy" bottom: "fc8_interp" bottom: "label" top: "accuracy"
  include { phase: TEST } seg_accuracy_param { ignore_label: 255 } }
layer { bottom: "data_dim" name: "silence" type: "Silence" }
"""

PSPNET = """name: "pspnet50"
input: "data" input_dim: 1 input_dim: 3 input_dim: 33 input_dim: 33
layer { name: "conv1_1_3x3_s2" type: "Convolution" bottom: "data" top: "conv1_1_3x3_s2"
  param { lr_mult: 1 decay_mult: 1 } convolution_param { num_output: 4 kernel_size: 3 stride: 2
    pad: 1 weight_filler { type: "msra" } bias_term: false } }
layer { name: "conv1_1_3x3_s2/bn" type: "BN" bottom: "conv1_1_3x3_s2" top: "conv1_1_3x3_s2"
  param { lr_mult: 1 decay_mult: 0 } param { lr_mult: 1 decay_mult: 0 }
  param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }
  bn_param { slope_filler { type: "constant" value: 1 } bias_filler { type: "constant" value: 0 }
    frozen: true momentum: 0.95 } }
layer { name: "relu" type: "ReLU" bottom: "conv1_1_3x3_s2" top: "conv1_1_3x3_s2" }
layer { name: "conv5_3_pool1" type: "Pooling" bottom: "conv1_1_3x3_s2" top: "conv5_3_pool1"
  pooling_param { pool: AVE kernel_size: 17 stride: 17 } }
layer { name: "conv5_3_pool1_interp" type: "Interp" bottom: "conv5_3_pool1"
  top: "conv5_3_pool1_interp" interp_param { height: 17 width: 17 } }
layer { name: "conv5_3_concat" type: "Concat" bottom: "conv1_1_3x3_s2"
  bottom: "conv5_3_pool1_interp" top: "conv5_3_concat" }
layer { name: "conv6" type: "Convolution" bottom: "conv5_3_concat" top: "conv6"
  convolution_param { num_output: 21 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "conv6_interp" type: "Interp" bottom: "conv6" top: "conv6_interp"
  interp_param { zoom_factor: 2 } }
"""

RPN = """
layer { name: "rpn_conv/3x3" type: "Convolution" bottom: "conv5" top: "rpn/output"
  param { lr_mult: 1.0 } param { lr_mult: 2.0 }
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 1
    weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "constant" value: 0 } } }
layer { name: "rpn_relu/3x3" type: "ReLU" bottom: "rpn/output" top: "rpn/output" }
layer { name: "rpn_cls_score" type: "Convolution" bottom: "rpn/output" top: "rpn_cls_score"
  convolution_param { num_output: 18   # 2(bg/fg) * 9(anchors)
    kernel_size: 1 pad: 0 stride: 1 weight_filler { type: "gaussian" std: 0.1 } } }
layer { name: "rpn_bbox_pred" type: "Convolution" bottom: "rpn/output" top: "rpn_bbox_pred"
  convolution_param { num_output: 36   # 4 * 9(anchors)
    kernel_size: 1 pad: 0 stride: 1 weight_filler { type: "gaussian" std: 0.1 } } }
layer { bottom: "rpn_cls_score" top: "rpn_cls_score_reshape" name: "rpn_cls_score_reshape"
   type: "Reshape" reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 0 } } }
layer { name: "rpn_cls_prob" type: "Softmax" bottom: "rpn_cls_score_reshape" top: "rpn_cls_prob" }
layer { name: 'rpn_cls_prob_reshape' type: 'Reshape' bottom: 'rpn_cls_prob'
  top: 'rpn_cls_prob_reshape' reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 0 } } }
layer { name: 'proposal' type: 'Python' bottom: 'rpn_cls_prob_reshape' bottom: 'rpn_bbox_pred'
  bottom: 'im_info' top: 'PROPOSALS'
  python_param { module: 'rpn.proposal_layer' layer: 'ProposalLayer'
    param_str: "'feat_stride': 16" } }
"""

# What trains a region proposal network; the data layer of py-faster-rcnn is an Input here.
RPN_TRAINING = """
layer { name: 'rpn-data' type: 'Python' bottom: 'rpn_cls_score' bottom: 'gt_boxes'
  bottom: 'im_info' bottom: 'data' top: 'rpn_labels' top: 'rpn_bbox_targets'
  top: 'rpn_bbox_inside_weights' top: 'rpn_bbox_outside_weights'
  python_param { module: 'rpn.anchor_target_layer' layer: 'AnchorTargetLayer'
    param_str: "'feat_stride': 16" } }
layer { name: "rpn_loss_cls" type: "SoftmaxWithLoss" bottom: "rpn_cls_score_reshape"
  bottom: "rpn_labels" propagate_down: 1 propagate_down: 0 top: "rpn_cls_loss" loss_weight: 1
  loss_param { ignore_label: -1 normalize: true } }
layer { name: "rpn_loss_bbox" type: "SmoothL1Loss" bottom: "rpn_bbox_pred"
  bottom: "rpn_bbox_targets" bottom: 'rpn_bbox_inside_weights' bottom: 'rpn_bbox_outside_weights'
  top: "rpn_loss_bbox" loss_weight: 1 smooth_l1_loss_param { sigma: 3.0 } }
layer { name: 'roi-data' type: 'Python' bottom: 'rpn_rois' bottom: 'gt_boxes' top: 'rois'
  top: 'labels' top: 'bbox_targets' top: 'bbox_inside_weights' top: 'bbox_outside_weights'
  python_param { module: 'rpn.proposal_target_layer' layer: 'ProposalTargetLayer'
    param_str: "'num_classes': CLASSES" } }
"""

IMAGES = """
input: "data" input_shape { dim: 1 dim: 3 dim: 192 dim: 256 }
input: "im_info" input_shape { dim: 1 dim: 3 }
"""

TRUTH = 'input: "gt_boxes" input_shape { dim: 2 dim: 5 }\n'

CONV5 = """
layer { name: "conv5" type: "Convolution" bottom: "data" top: "conv5"
  convolution_param { num_output: 6 kernel_size: 16 stride: 16
    weight_filler { type: "gaussian" std: 0.01 } } }
"""

FAST_RCNN = """
layer { name: "roi_pool5" type: "ROIPooling" bottom: "conv5" bottom: "rois" top: "pool5"
  roi_pooling_param { pooled_w: 7 pooled_h: 7 spatial_scale: 0.0625 # 1/16
  } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool5" top: "fc6"
  inner_product_param { num_output: 16 weight_filler { type: "xavier" } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6"
  dropout_param { dropout_ratio: 0.5 scale_train: false } }
layer { name: "cls_score" type: "InnerProduct" bottom: "fc6" top: "cls_score"
  inner_product_param { num_output: 21 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "bbox_pred" type: "InnerProduct" bottom: "fc6" top: "bbox_pred"
  inner_product_param { num_output: 84 weight_filler { type: "gaussian" std: 0.001 } } }
"""

FASTER_RCNN_TEST = (
    IMAGES
    + CONV5
    + RPN.replace("PROPOSALS", "rois")
    + FAST_RCNN
    + 'layer { name: "cls_prob" type: "Softmax" bottom: "cls_score" top: "cls_prob" }\n'
)

FASTER_RCNN_TRAIN = (
    IMAGES
    + TRUTH
    + CONV5
    + RPN.replace("PROPOSALS", "rpn_rois")
    + RPN_TRAINING.replace("CLASSES", "21")
    + FAST_RCNN
    + """
layer { name: "loss_cls" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels"
  propagate_down: 1 propagate_down: 0 top: "loss_cls" loss_weight: 1 }
layer { name: "loss_bbox" type: "SmoothL1Loss" bottom: "bbox_pred" bottom: "bbox_targets"
  bottom: "bbox_inside_weights" bottom: "bbox_outside_weights" top: "loss_bbox" loss_weight: 1 }
"""
)

RFCN = """
layer { bottom: "conv5" top: "rfcn_cls" name: "rfcn_cls" type: "Convolution"
  convolution_param { num_output: 189 #21*(3^2) cls_num*(score_maps_size^2)
    kernel_size: 1 pad: 0 weight_filler { type: "gaussian" std: 0.01 } } }
layer { bottom: "conv5" top: "rfcn_bbox" name: "rfcn_bbox" type: "Convolution"
  convolution_param { num_output: 72 #8*(3^2) cls_num*(score_maps_size^2)
    kernel_size: 1 pad: 0 weight_filler { type: "gaussian" std: 0.01 } } }
layer { bottom: "rfcn_cls" bottom: "rois" top: "psroipooled_cls_rois"
  name: "psroipooled_cls_rois" type: "PSROIPooling"
  psroi_pooling_param { spatial_scale: 0.0625 output_dim: 21 group_size: 3 } }
layer { bottom: "psroipooled_cls_rois" top: "cls_score" name: "ave_cls_score_rois"
  type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 3 } }
layer { bottom: "rfcn_bbox" bottom: "rois" top: "psroipooled_loc_rois"
  name: "psroipooled_loc_rois" type: "PSROIPooling"
  psroi_pooling_param { spatial_scale: 0.0625 output_dim: 8 group_size: 3 } }
layer { bottom: "psroipooled_loc_rois" top: "bbox_pred" name: "ave_bbox_pred_rois"
  type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 3 } }
"""

RFCN_TEST = (
    IMAGES
    + CONV5
    + RPN.replace("PROPOSALS", "rois")
    + RFCN.replace('top: "cls_score"', 'top: "cls_score_pre"')
    + """
layer { name: "cls_prob" type: "Softmax" bottom: "cls_score_pre" top: "cls_prob_pre" }
layer { name: "cls_prob_reshape" type: "Reshape" bottom: "cls_prob_pre" top: "cls_prob"
  reshape_param { shape { dim: -1 dim: 21 } } }
layer { name: "bbox_pred_reshape" type: "Reshape" bottom: "bbox_pred" top: "bbox_pred_reshape"
  reshape_param { shape { dim: -1 dim: 8 } } }
"""
)

RFCN_TRAIN_OHEM = (
    IMAGES
    + TRUTH
    + CONV5
    + RPN.replace("PROPOSALS", "rpn_rois")
    + RPN_TRAINING.replace("CLASSES", "2\\n'AGONISTIC': True\\n'BATCH_SIZE': -1")
    + RFCN
    + """
layer { name: "per_roi_loss_cls" type: "SoftmaxWithLossOHEM" bottom: "cls_score" bottom: "labels"
  top: "temp_loss_cls" top: "temp_prob_cls" top: "per_roi_loss_cls" loss_weight: 0 loss_weight: 0
  loss_weight: 0 propagate_down: false propagate_down: false }
layer { name: "per_roi_loss_bbox" type: "SmoothL1LossOHEM" bottom: "bbox_pred"
  bottom: "bbox_targets" bottom: "bbox_inside_weights" top: "temp_loss_bbox"
  top: "per_roi_loss_bbox" loss_weight: 0 loss_weight: 0 propagate_down: false
  propagate_down: false propagate_down: false }
layer { name: "per_roi_loss" type: "Eltwise" bottom: "per_roi_loss_cls"
  bottom: "per_roi_loss_bbox" top: "per_roi_loss" propagate_down: false propagate_down: false }
layer { bottom: "rois" bottom: "per_roi_loss" bottom: "labels" bottom: "bbox_inside_weights"
  top: "labels_ohem" top: "bbox_loss_weights_ohem" name: "annotator_detector"
  type: "BoxAnnotatorOHEM" propagate_down: false propagate_down: false propagate_down: false
  propagate_down: false box_annotator_ohem_param { roi_per_img: 16 ignore_label: -1 } }
layer { name: "silence" type: "Silence" bottom: "bbox_outside_weights" bottom: "temp_loss_cls"
  bottom: "temp_prob_cls" bottom: "temp_loss_bbox" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "cls_score" bottom: "labels_ohem"
  top: "loss_cls" loss_weight: 1 loss_param { ignore_label: -1 } propagate_down: true
  propagate_down: false }
layer { name: "accuarcy" type: "Accuracy" bottom: "cls_score" bottom: "labels_ohem"
  top: "accuarcy" propagate_down: false propagate_down: false
  accuracy_param { ignore_label: -1 } }
layer { name: "loss_bbox" type: "SmoothL1LossOHEM" bottom: "bbox_pred" bottom: "bbox_targets"
  bottom: "bbox_loss_weights_ohem" top: "loss_bbox" loss_weight: 1
  loss_param { normalization: PRE_FIXED pre_fixed_normalizer: 128 } propagate_down: true
  propagate_down: false propagate_down: false }
"""
)

YOLO_V2 = (
    INPUT
    + """
layer { bottom: "data" top: "layer1-conv" name: "layer1-conv" type: "Convolution"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 4 bias_term: false
    weight_filler { type: "xavier" } } }
layer { bottom: "layer1-conv" top: "layer1-conv" name: "layer1-bn" type: "BatchNorm"
  batch_norm_param { use_global_stats: true } }
layer { bottom: "layer1-conv" top: "layer1-conv" name: "layer1-scale" type: "Scale"
  scale_param { bias_term: true } }
layer { bottom: "layer1-conv" top: "layer1-conv" name: "layer1-act" type: "ReLU"
  relu_param { negative_slope: 0.1 } }
layer { bottom: "layer1-conv" top: "layer2-maxpool" name: "layer2-maxpool" type: "Pooling"
  pooling_param { kernel_size: 2 stride: 2 pool: MAX } }
layer { bottom: "layer1-conv" top: "reorg" name: "reorg" type: "Reorg" reorg_param { stride: 2 } }
layer { bottom: "reorg" bottom: "layer2-maxpool" top: "concat" name: "concat" type: "Concat" }
"""
)

SHUFFLENET = (
    INPUT
    + """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 24 kernel_size: 3 stride: 2 pad: 1 bias_term: false
    weight_filler { type: "msra" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "resx1_conv1" type: "Convolution" bottom: "pool1" top: "resx1_conv1"
  convolution_param { num_output: 24 kernel_size: 1 group: 3 bias_term: false
    weight_filler { type: "msra" } } }
layer { name: "shuffle1" type: "ShuffleChannel" bottom: "resx1_conv1" top: "shuffle1"
  shuffle_channel_param { group: 3 } }
layer { name: "resx1_conv2" type: "ConvolutionDepthwise" bottom: "shuffle1" top: "resx1_conv2"
  convolution_param { num_output: 24 kernel_size: 3 pad: 1 stride: 1 bias_term: false
    weight_filler { type: "msra" } } }
"""
)

MOBILENET = (
    INPUT
    + """
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 bias_term: false pad: 1 kernel_size: 3 stride: 2
    weight_filler { type: "msra" } } }
layer { name: "relu1" type: "ReLU6" bottom: "conv1" top: "conv1" }
layer { name: "conv2_1/dw" type: "DepthwiseConvolution" bottom: "conv1" top: "conv2_1/dw"
  convolution_param { num_output: 8 bias_term: false pad: 1 kernel_size: 3 group: 8 engine: CAFFE
    weight_filler { type: "msra" } } }
layer { name: "hswish" type: "HSwish" bottom: "conv2_1/dw" top: "conv2_1/dw" }
"""
)

SENET = (
    INPUT
    + """
layer { name: "conv2_1_1x1_increase" type: "Convolution" bottom: "data" top: "increase"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "conv2_1_1x1_proj" type: "Convolution" bottom: "data" top: "proj"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "conv2_1_global_pool" type: "Pooling" bottom: "increase" top: "global_pool"
  pooling_param { pool: AVE engine: CAFFE global_pooling: true } }
layer { name: "conv2_1_1x1_up" type: "Convolution" bottom: "global_pool" top: "up"
  convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "conv2_1_prob" type: "Sigmoid" bottom: "up" top: "up" }
layer { name: "conv2_1" type: "Axpy" bottom: "up" bottom: "increase" bottom: "proj"
  top: "conv2_1" }
"""
)

NETS = {
    "SegNet, training, V1": SEGNET_V1.replace("WEIGHTS", "class_weighting: 0.5 " * 11),
    "SegNet, inference": SEGNET_V2,
    "DeconvNet, training": DECONVNET.replace("PHASE", "TRAIN"),
    "DeconvNet, test": DECONVNET.replace("PHASE", "TEST"),
    "ENet, training": ENET,
    "DeepLab v1": DEEPLAB_V1,
    "DeepLab v2": DEEPLAB_V2,
    "PSPNet": PSPNET,
    "Faster R-CNN, test": FASTER_RCNN_TEST,
    "Faster R-CNN, training": FASTER_RCNN_TRAIN,
    "R-FCN, test": RFCN_TEST,
    "R-FCN, training with OHEM": RFCN_TRAIN_OHEM,
    "YOLO v2": YOLO_V2,
    "ShuffleNet": SHUFFLENET,
    "MobileNet": MOBILENET,
    "SENet": SENET,
}
