"""Which test file a module has: the rule, and a table of the modules that are tested elsewhere.

A module is tested elsewhere where its tests are those of what uses it: helpers of layers by the
layers, commands by the command line, rows of a table by tests of all rows. Whoever adds to the
table has looked that the functions of the module are called there.
"""

import pathlib

ROOT = pathlib.Path(__file__).parent.parent
TESTS = ROOT / "tests"
#: Where modules are → the folder of their tests below tests/.
HOMES = {
    "src/caffe": "caffe",
    "fcn": "fcn",
    "layers": "layers",
    "data": "data",
    "nets": "nets",
    "papers": "papers",
}
#: A package's __init__ of fewer lines says what is in it, and does nothing.
SAYS_ONLY = 15


#: Test file → the modules without a file of their own name that it tests; folders end with "/".
ELSEWHERE = {
    "caffe/data/test_db.py": (
        "src/caffe/data/db_leveldb.py",
        "src/caffe/data/db_lmdb.py",
    ),
    "caffe/kernels/test_convolution.py": ("src/caffe/kernels/ways/__init__.py",),
    "caffe/kernels/test_winograd.py": (
        "src/caffe/kernels/__init__.py",
        "src/caffe/kernels/scratch.py",
        "src/caffe/_intervals.py",
        "src/caffe/kernels/window.py",
    ),
    "caffe/net/test_border_step.py": ("src/caffe/net/border_forms.py",),
    "caffe/net/test_compiled_step.py": (
        "src/caffe/net/native_program.py",
        "src/caffe/net/onednn_program.py",
        "src/caffe/net/stretch_program.py",
    ),
    "caffe/net/test_folding.py": ("src/caffe/layer/_affine.py",),
    "caffe/net/test_native_layers.py": (
        "src/caffe/net/native_forms.py",
        "src/caffe/net/native_windows.py",
    ),
    "caffe/net/test_norm_step.py": (
        "src/caffe/kernels/norm.py",
        "src/caffe/net/norm_forms.py",
    ),
    "caffe/net/test_replay.py": (
        "src/caffe/net/algorithms.py",
        "src/caffe/net/recording.py",
        "src/caffe/storage/watcher.py",
    ),
    "caffe/net/test_plan.py": ("src/caffe/net/plan_steps.py",),
    "caffe/net/test_small_training.py": (
        "src/caffe/native/outer.py",
        "src/caffe/net/small_kernels.py",
        "src/caffe/solver/known_update.py",
        "src/caffe/storage/many.py",
    ),
    "caffe/proto/test_caffe_pb2.py": ("src/caffe/proto/build.py",),
    "caffe/prototxt/test_forks.py": ("src/caffe/prototxt/scan.py",),
    "caffe/prototxt/test_upgrade.py": ("src/caffe/prototxt/upgrade_v0.py",),
    "caffe/test_lazy_imports.py": ("src/caffe/__init__.py",),
    "caffe/test_pycaffe_interface.py": ("src/caffe/_caffe.py",),
    "caffe/test_rng.py": ("src/caffe/ziggurat.py",),
    "caffe/test_solver.py": ("src/caffe/solver/testing.py",),
    "caffe/weights/test_loading_weights.py": ("src/caffe/weights/__init__.py",),
    "data/preparing/test_archives.py": ("data/preparing/archive_formats.py",),
    "data/test_check.py": ("data/preparing/label_checks.py",),
    "data/test_dataset_names.py": ("data/__init__.py",),
    "data/test_folder.py": (
        "data/preparing/folder.py",
        "data/preparing/masks.py",
        "data/preparing/read_all.py",
    ),
    "data/test_from_archives.py": ("data/preparing/sbd.py",),
    "data/test_nyud.py": ("data/preparing/nyud_official.py",),
    "fcn/inference/test_video.py": ("fcn/inference/sound.py",),
    "fcn/own/test_own_command.py": (
        "fcn/own/dataset.py",
        "fcn/own/result.py",
    ),
    "fcn/page/test_page_server.py": ("fcn/page/nets.py",),
    "fcn/report/test_run.py": ("fcn/scoring/results.py",),
    "fcn/scoring/test_predictions.py": ("fcn/scoring/command.py",),
    "fcn/weights/test_download.py": ("nets/weights.py",),
    "layers/segdata/test_images.py": ("layers/segdata/loader.py",),
    "layers/segdata/test_processes.py": ("layers/segdata/worker.py",),
    "layers/test_voc_layers.py": ("layers/segdata/layer.py",),
    "papers/test_studies.py": (
        "papers/_training.py",
        "papers/datasets.py",
        "papers/pretraining.py",
    ),
    "test_package.py": (
        "src/caffe/_shadow.py",
        "src/caffe/_source_tree.py",
    ),
    "test_score.py": ("fcn/scoring/evaluate.py",),
}


def modules():
    """{path from the root: (folder of its tests, stem)} of every module that needs a test file."""
    found = {}
    for home, folder in HOMES.items():
        for path in sorted((ROOT / home).rglob("*.py")):
            place = pathlib.Path(folder) / path.relative_to(ROOT / home)
            if path.name == "__init__.py":
                if len(path.read_text(encoding="utf-8").splitlines()) < SAYS_ONLY:
                    continue
                place = place.parent
            if path.name == "solve.py":  # generated, one an experiment
                continue
            where = place.parent
            if where.name == "extensions":  # tests of layers lie in one folder
                where = where.parent
            found[path.relative_to(ROOT).as_posix()] = (where, place.stem.strip("_"))
    return found


def own_tests(where, stem):
    """The test files that the rule gives a module, as far as they are there: test_STEM.py in the
    mirrored folder; where another has that name, with the folder's before or behind it."""
    names = [f"test_{stem}.py", f"test_{where.name}_{stem}.py", f"test_{stem}_{where.name}.py"]
    # A package is tested beside its folder or in it.
    places = [where, where / stem]
    found = [TESTS / place / name for place in places for name in names]
    return [path.relative_to(TESTS).as_posix() for path in found if path.exists()]


def problems():
    """What the tree and the table say differently, as sentences."""
    told, needed = [], set()
    elsewhere = {module: test for test, found in ELSEWHERE.items() for module in found}
    for path, (where, stem) in modules().items():
        folder = next((f for f in elsewhere if f.endswith("/") and path.startswith(f)), None)
        if path in elsewhere and own_tests(where, stem):
            told.append(f"{path} has {own_tests(where, stem)[0]}: take it out of ELSEWHERE")
        elif path in elsewhere or folder:
            needed |= {path, folder}
        elif not own_tests(where, stem):
            told.append(
                f"{path} has no test file: write tests/{where.as_posix()}/test_{stem}.py or, where "
                "other tests call its functions, name it in ELSEWHERE of tests/names_of_tests.py"
            )
    told += [f"ELSEWHERE names {module}, which is not there" for module in set(elsewhere) - needed]
    told += [f"ELSEWHERE names {t}, no test file" for t in ELSEWHERE if not (TESTS / t).is_file()]
    return sorted(told)
