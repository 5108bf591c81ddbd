"""The means that are subtracted from images, of each dataset: B, G, R from 0 to 255 unless said.

The data layers, the catalog and the classifiers read them here, so that a net is trained, scored
and used with one mean.
"""

__all__ = [
    "CAMVID",
    "EFFICIENTNET",
    "ILSVRC",
    "MEMBRANE",
    "MOBILENET",
    "NYUD_COLOR",
    "NYUD_HHA",
    "NYUD_LOG_DEPTH",
    "PASCALCONTEXT",
    "SIFTFLOW",
    "VGG",
]

#: Of the ILSVRC images, to the decimals of the published VOC prototxts.
ILSVRC = (104.00699, 116.66877, 122.67892)

#: The same, to the decimals of the published PASCAL-Context layer.
PASCALCONTEXT = (104.007, 116.669, 122.679)

#: That of the published layer.
SIFTFLOW = (114.578, 115.294, 108.353)

#: Those of the published layer. That of colour looks like R, G, B, but the published weights were
#: trained with it in this order; HHA is in file order, depth the natural logarithm of millimetres.
NYUD_COLOR = (116.190, 97.203, 92.318)
NYUD_HHA = (132.431, 94.076, 118.477)
NYUD_LOG_DEPTH = 7.844

#: Of the CamVid training images.
CAMVID = (107.0, 108.0, 104.0)

#: Of the membrane training images, grey values in all three channels.
MEMBRANE = (126.563, 126.563, 126.563)

#: What VGG's and MobileNet's authors subtracted.
VGG = (103.939, 116.779, 123.68)
MOBILENET = (103.94, 116.78, 123.68)

#: EfficientNet-Lite's, whose images are also divided by 128.
EFFICIENTNET = (127.0, 127.0, 127.0)
