"""Where values of a net lie in the image: sizes, strides, offsets, receptive fields, memory."""
