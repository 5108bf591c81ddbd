"""A Convolution or Deconvolution alone."""

from harness import Rig

FILL = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def conv(body: str, *shapes, kind: str = "Convolution", **options) -> Rig:
    text = f'type: "{kind}" convolution_param {{ {FILL} {body} }}'
    return Rig(text, *shapes, tops=len(shapes), **options)
