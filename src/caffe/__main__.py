"""``python -m caffe``: the command line, see :mod:`caffe.cli`."""

import sys

from caffe.cli import main

sys.exit(main())
