"""Defects of the data layers that read arrays and windows."""

from defects.make import Defect

DEFECTS = [
    Defect(
        "HDF5Data drops the rest of a file that no batch fills",
        "layer/hdf5_data.py",
        "if self._row < len(self._row_order):",
        "if self._row + min(self.batch_size, 2) <= len(self._row_order):",
        ["HDF5Data"],
    ),
    Defect(
        "HDF5Data does not start over",
        "layer/hdf5_data.py",
        "following, order = 0, self._order(len(self.files))",
        "following, order = self._file, self._file_order",
        ["HDF5Data"],
    ),
    Defect(
        "HDF5Data shuffles each top by itself",
        "layer/hdf5_data.py",
        "row = self._row_order[self._row]\n            for array, rows in zip(values, self._rows):",
        "for k, (array, rows) in enumerate(zip(values, self._rows)):\n"
        "                row = self._row_order[(self._row + k) % len(rows)]",
        ["HDF5Data"],
    ),
    Defect(
        "HDF5Output keeps the blob's axes",
        "layer/hdf5_output.py",
        "shape = (blob.num, blob.channels, blob.height, blob.width)",
        "shape = blob.dims",
        ["HDF5Output"],
    ),
    Defect(
        "HDF5Output exchanges its bottoms",
        "layer/hdf5_output.py",
        'DATASETS = ("data", "label")',
        'DATASETS = ("label", "data")',
        ["HDF5Output"],
    ),
    Defect(
        "MemoryData copies the arrays",
        "layer/memory_data.py",
        "self._arrays = (data, labels)",
        "self._arrays = (data.copy(), labels.copy())",
        ["MemoryData"],
    ),
    Defect(
        "MemoryData's labels stay one axis",
        "layer/memory_data.py",
        "blob.use_memory(array[self._position : end])",
        "blob.use_memory(array[self._position : end].reshape(blob.dims))",
        ["MemoryData"],
    ),
    Defect(
        "MemoryData goes on where the arrays before ended",
        "layer/memory_data.py",
        "self._position = 0\n\n    def reshape_blobs",
        "self._position %= len(data)\n\n    def reshape_blobs",
        ["MemoryData"],
    ),
    Defect(
        "MemoryData draws nothing from Caffe's stream",
        "layer/memory_data.py",
        ".init_rand()",
        "",
        ["MemoryData"],
    ),
    Defect(
        "WindowData takes foreground windows first",
        "layer/window_data.py",
        "for _, windows, count in self._parts:",
        "for _, windows, count in reversed(self._parts):",
        ["WindowData"],
    ),
    Defect(
        "WindowData rounds the foreground's share",
        "layer/window_data.py",
        "foreground = int(np.float32(p.batch_size) * np.float32(p.fg_fraction))",
        "foreground = round(p.batch_size * p.fg_fraction)",
        ["WindowData"],
    ),
    Defect(
        "WindowData counts an overlap equal to fg_threshold as background",
        "layer/_window.py",
        "if overlap >= least:",
        "if overlap > least:",
        ["WindowData"],
    ),
    Defect(
        "WindowData's boxes end before their last pixel",
        "layer/window_data.py",
        "image[at.y1 : at.y2 + 1, at.x1 : at.x2 + 1]",
        "image[at.y1 : at.y2, at.x1 : at.x2]",
        ["WindowData"],
    ),
    Defect(
        "WindowData does not mirror the padding",
        "layer/_window.py",
        "_F32(right if mirror else left)",
        "_F32(left)",
        ["WindowData"],
    ),
    Defect(
        "WindowData rounds halves to even",
        "layer/_window.py",
        "return int(math.copysign(math.floor(abs(float(value)) + 0.5), value))",
        "return round(float(value))",
        ["WindowData"],
    ),
    Defect(
        "WindowData takes the corner of the mean image",
        "layer/window_data.py",
        "offset = (width - crop) // 2",
        "offset = 0 * width",
        ["WindowData"],
    ),
    Defect(
        "WindowData scales before it subtracts the mean",
        "layer/window_data.py",
        "values = pixels.transpose(2, 0, 1).astype(np.float32)\n",
        "values = pixels.transpose(2, 0, 1).astype(np.float32) * np.float32(p.scale)\n",
        ["WindowData"],
        [("layer/window_data.py", "values * np.float32(p.scale)", "values")],
    ),
    Defect(
        "WindowData takes the scale of transform_param",
        "layer/window_data.py",
        "np.float32(p.scale)",
        "np.float32(self.scale)",
        ["WindowData"],
        [
            (
                "layer/window_data.py",
                "self.pinned = False",
                "self.scale = transform.scale\n        self.pinned = False",
            )
        ],
    ),
    Defect(
        "WindowData draws from Caffe's own stream",
        "layer/window_data.py",
        "draws = rng.Generator(int(rng.get().u32(1)[0]))",
        "draws = rng.get()",
        ["WindowData"],
    ),
]
