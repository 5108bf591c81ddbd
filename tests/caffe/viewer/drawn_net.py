"""What the tests of the page of a net share: the net, and what a page holds."""

import json
import re

NET = """
name: "small <net>"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 32, 48] } } }
layer { name: "conv</script>" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {
    num_output: 4 kernel_size: 3 stride: 2 pad: 1 weight_filler { type: "xavier" }
  }
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 4 kernel_size: 4 stride: 2 } }
layer { name: "score" type: "Crop" bottom: "up" bottom: "data" top: "score"
  crop_param { offset: 1 } }
"""


def read(path):
    """The page, and what it knows of the boxes."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = re.search(r'id="layers">(.*?)</script>', text, re.S)
    return text, json.loads(found.group(1))
