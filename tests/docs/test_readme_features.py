"""Every feature that README.md shows has a test: the table says which, and words that it must hold.

A section or a command that the table lacks fails, and so does a test file that is gone or that no
longer speaks of the feature.
"""

import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

#: Section of README → (test file below tests/, a word in it), one for each thing that it claims.
SECTIONS = {
    "Two commands": [
        ("docs/test_commands.py", "data/toy.py"),
        ("test_shipped_weights.py", "lite0"),
    ],
    "… a photo": [
        ("fcn/inference/test_infer.py", "test_folders_are_mirrored"),
        ("fcn/inference/test_infer.py", "test_standard_input"),
        ("fcn/inference/test_contact_sheet.py", "Sheet"),
        ("fcn/inference/test_probabilities.py", "npz"),
        ("fcn/inference/test_video.py", "mp4"),
        ("fcn/page/test_page_browser.py", "browser"),
        ("fcn/page/test_guard.py", "evil.example"),
    ],
    "… old Caffe models": [
        ("caffe/viewer/test_viewer_page.py", "browser"),
        ("caffe/export/test_export.py", "to_onnx"),
        ("caffe/test_pycaffe_scripts.py", "caffe"),
        ("caffe/prototxt/test_forks.py", "SegNet"),
    ],
    "… images and masks of my own": [
        ("fcn/own/test_own_command.py", "--masks"),
        ("fcn/report/test_in_a_browser.py", "browser"),
        ("docs/test_commands.py", "own/report.html"),
    ],
    "… the paper to reproduce": [
        ("data/test_voc.py", "voc"),
        ("nets/test_stages.py", "fcn16s"),
        ("test_score.py", "mean_iu"),
        ("papers/test_studies.py", "stud"),
    ],
    "The trained nets": [
        ("test_shipped_weights.py", "camvid-fcn8s"),
        ("fcn/inference/test_scaling.py", "panorama"),
        ("fcn/inference/test_tiles.py", "tile"),
    ],
    "What `make demo` does": [("data/test_toy.py", "toy"), ("fcn/training/test_loop.py", "best")],
    "Use the engine": [
        ("test_package.py", "wheel"),
        ("caffe/test_pycaffe_interface.py", "Net"),
        ("caffe/weights/test_loading_weights.py", "caffemodel"),
        ("caffe/tools/test_shim.py", "shim"),
        ("caffe/parallel/test_nccl.py", "NCCL"),
        ("fcn/classifiers/test_classifiers_resnet.py", "resnet"),
        ("caffe/tools/test_tools_export.py", "dynamic"),
    ],
    "Train": [
        ("fcn/training/test_loop.py", "resume"),
        ("nets/test_fields.py", "field"),
        ("nets/test_make.py", "--backbone"),
        ("data/test_folder.py", "--images"),
        ("data/test_check.py", "check"),
        ("fcn/weights/test_download.py", "sha"),
        ("fcn/geometry/test_facts.py", "explain"),
    ],
    "In Docker": [("docker/test_entrypoint.py", "infer")],
    "What works, and the evidence": [
        ("oracle/test_golden.py", "golden"),
        ("oracle/test_teeth.py", "defect"),
        ("oracle/test_parity.py", "parity"),
    ],
    "Speed": [
        ("benchmarks/test_gpu_check.py", "pretend"),
        ("caffe/solver/test_losses.py", "sync"),
    ],
    "What differs from BVLC Caffe": [
        ("caffe/test_every_abort.py", "Error"),
        ("layers/segdata/test_params.py", "literal"),
    ],
    "Licence": [("test_package.py", "LICENSE")],
}

#: Command that a code block shows → (test file, a word in it).
COMMANDS = {
    "make demo": ("docs/test_commands.py", "toy"),
    "make test": ("test_names_of_tests.py", "tests"),
    "pip install": ("test_package.py", "wheel"),
    "docker build": ("docker/test_entrypoint.py", "entrypoint"),
    "docker run": ("docker/test_entrypoint.py", "entrypoint"),
    "python infer.py": ("fcn/inference/test_infer.py", "infer.main"),
    "python page.py": ("fcn/page/test_page_command.py", "main"),
    "python train.py": ("fcn/own/test_own_command.py", "main"),
    "python report.py": ("fcn/report/test_report_command.py", "main"),
    "python score.py": ("test_score.py", "score"),
    "python data/voc.py": ("data/test_voc.py", "voc"),
    "python nets/NET/solve.py": ("fcn/training/test_loop.py", "resume"),
    "caffe draw": ("caffe/tools/test_tools_draw.py", "draw"),
    "caffe export": ("caffe/tools/test_tools_export.py", "export"),
    "caffe convert_imageset": ("caffe/tools/test_convert_imageset.py", "convert_imageset"),
    "caffe compute_image_mean": ("caffe/tools/test_compute_image_mean.py", "compute_image_mean"),
    "caffe train": ("caffe/tools/test_train.py", "train"),
    "caffe test": ("caffe/tools/test_test_net.py", "test"),
    "caffe time": ("caffe/tools/test_time_net.py", "time"),
}


def readme():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return file.read()


def sections(text):
    """The headings of what is told; "I have …" only gathers those below it."""
    found = re.findall(r"^##+ (.*)$", text, re.M)
    return [heading for heading in found if heading != "I have …"]


def commands(text):
    """The commands of the code blocks, without options."""
    found, inside = set(), False
    for line in text.splitlines():
        if line.startswith("```"):
            inside = not inside
        words = line.split()
        if inside and words and words[0] in ("make", "pip", "docker", "python", "caffe"):
            found.add(re.sub(r"nets/[\w-]+/solve", "nets/NET/solve", " ".join(words[:2])))
    return found


def test_every_section_and_command_says_which_test_shows_it():
    text = readme()
    assert sections(text) == list(SECTIONS)
    assert commands(text) == set(COMMANDS)


def test_what_the_table_lacks_is_found():
    text = readme() + "\n## Fly\n\n```\npython fly.py --high\n```\n"
    assert "Fly" in sections(text) and "python fly.py" in commands(text)


@pytest.mark.parametrize("test, word", sorted({*sum(SECTIONS.values(), []), *COMMANDS.values()}))
def test_the_test_is_there_and_speaks_of_it(test, word):
    with open(os.path.join(ROOT, "tests", test), encoding="utf-8") as file:
        text = file.read()
    assert word in text and "def test_" in text, f"tests/{test} says nothing of {word!r}"
