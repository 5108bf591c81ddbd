"""Defects of the layers that read pictures: the files, the transformer, the order."""

from defects.make import Defect

BOTH = ["Data", "ImageData"]

DEFECTS = [
    Defect(
        "colours are R, G, B",
        "data/image_files.py",
        "return pixels[:, :, 2::-1] if color",
        "return pixels[:, :, :3] if color",
        BOTH,
    ),
    Defect(
        "PNG grey is rounded",
        "data/image_files.py",
        "(9797, 19234, 3737, 15, 0)",
        "(9797, 19234, 3737, 15, 1 << 14)",
        BOTH,
    ),
    Defect(
        "grey ignores the gamma of a PNG",
        "data/image_files.py",
        "gamma <= 0 or 95_000 <= gamma <= 105_000",
        "gamma",
        ["ImageData"],
    ),
    Defect(
        "EXIF rotation is ignored",
        "data/image_files.py",
        "if jpeg and color is not None else None",
        "if False else None",
        BOTH,
    ),
    Defect(
        "native channels drop alpha",
        "data/image_files.py",
        "pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]",
        "pixels[:, :, 2::-1]",
        ["Data"],
    ),
    Defect(
        "PNM values are stretched to 255",
        "data/image_files.py",
        '    "PPM": _pnm,\n',
        "",
        ["ImageData"],
    ),
    Defect(
        "resizing has no half-pixel centres",
        "data/image_files.py",
        "(np.arange(new) + 0.5) * scale - 0.5",
        "np.arange(new) * scale",
        ["ImageData"],
    ),
    Defect(
        "exact halves are interpolated away",
        "data/image_files.py",
        "quarters.sum((1, 3), dtype=np.uint16)",
        "4 * quarters[:, 0, :, 0].astype(np.uint16)",
        ["ImageData"],
    ),
    Defect(
        "the crop is central in training",
        "data/data_transformer.py",
        "if self.random_crop:",
        "if False:",
        BOTH,
    ),
    Defect(
        "the crop is random in testing",
        "data/data_transformer.py",
        "phase == TRAIN and param",
        "True and param",
        BOTH,
    ),
    Defect(
        "the crop is drawn before the mirror",
        "data/data_transformer.py",
        """        mirror = self.param.mirror and self._draw(2) == 1
        top, left = self._corner(pixels.shape[1], pixels.shape[2])
""",
        """        top, left = self._corner(pixels.shape[1], pixels.shape[2])
        mirror = self.param.mirror and self._draw(2) == 1
""",
        BOTH,
    ),
    Defect(
        "the column is drawn before the row",
        "data/data_transformer.py",
        "return row, self._draw(width - crop + 1)",
        "return self._draw(width - crop + 1) % (height - crop + 1), min(row, width - crop)",
        BOTH,
    ),
    Defect(
        "the mean is not cropped with the picture",
        "data/data_transformer.py",
        "self.mean[window]",
        "self.mean[:, : window[1].stop - window[1].start, : window[2].stop - window[2].start]",
        BOTH,
    ),
    Defect(
        "the scale comes before the mean",
        "data/data_transformer.py",
        "np.array(param.mean_value, np.float32)",
        "np.array(param.mean_value, np.float32) / np.float32(param.scale)",
        BOTH,
    ),
    Defect(
        "the transformer draws from Caffe's stream",
        "data/data_transformer.py",
        "rng.Generator(int(rng.get().u32(1)[0]))",
        "rng.get()",
        BOTH,
    ),
    Defect(
        "the transformer is seeded once",
        "layer/_prefetching.py",
        "        transformer.init_rand()\n        rng.get()",
        "        rng.get()",
        BOTH,
    ),
    Defect(
        "the thread takes no seed", "layer/_prefetching.py", "        rng.get().u32(1)\n", "", BOTH
    ),
    Defect(
        "a batch keeps the first batch's shape only",
        "layer/_prefetching.py",
        "pixels, *labels = batch\n",
        "pixels, *labels = batch\n        if pixels.shape != top[0].dims:\n"
        "            pixels = torch.zeros(top[0].dims)\n",
        BOTH,
        also=[("layer/_prefetching.py", "blob.set_dims(tuple(values.shape))", "pass")],
    ),
    Defect(
        "labels begin anew at each batch",
        "layer/_prefetching.py",
        "pixels, labels[item] = self.picture()",
        "pixels, labels[item] = self.picture()[0], item + 1",
        BOTH,
    ),
    Defect(
        "a batch ends with the database",
        "data/db.py",
        "return not self.next() and self.first()",
        "return not self.next() and self.first() and self.next()",
        ["Data"],
    ),
    Defect(
        "Data skips at random",
        "layer/data.py",
        "        cursor = db.open(p.source, backend).cursor()\n",
        "        cursor = db.open(p.source, backend).cursor()\n"
        "        for _ in range(p.rand_skip):\n            cursor.advance()\n",
        ["Data"],
    ),
    Defect(
        "the shuffle runs from the front",
        "rng.py",
        "zip(places.tolist(), chosen.tolist())",
        "zip(places.tolist()[::-1], chosen.tolist()[::-1])",
        ["ImageData"],
    ),
    Defect(
        "the shuffle takes remainders",
        "rng.py",
        "found = words // width[done:]",
        "found = words % (places[done:] + 1)",
        ["ImageData"],
    ),
    Defect(
        "the list is shuffled once only",
        "layer/image_data.py",
        "            self._number = 0\n            self._shuffle()\n",
        "            self._number = 0\n",
        ["ImageData"],
    ),
    Defect(
        "each pass shuffles the original list",
        "layer/image_data.py",
        "shuffled(self._order,",
        "shuffled(np.sort(self._order),",
        ["ImageData"],
    ),
    Defect(
        "rand_skip is ignored",
        "layer/image_data.py",
        "if not p.rand_skip:",
        "if True:",
        ["ImageData"],
    ),
    Defect(
        "skipping is drawn before shuffling",
        "layer/image_data.py",
        "        generator = None\n        if p.shuffle:",
        "        generator = rng.get().u32(1) if p.rand_skip else None\n        if p.shuffle:",
        ["ImageData"],
    ),
]
