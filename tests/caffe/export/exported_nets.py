"""What tests of whole exports share: a layer, a run by ONNX Runtime, the metadata of a file."""

import onnxruntime

CONV = "type: 'Convolution' convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def metadata(model):
    return {entry.key: entry.value for entry in model.metadata_props}
