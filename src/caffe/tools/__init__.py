"""The command-line programs, one a file: ``main(argv) -> exit status``, listed in ``caffe.cli``."""
