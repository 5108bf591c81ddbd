# Two commands do everything on a fresh Debian 12 with Python 3.11: `make demo` and `make test`.
# Both first set up a virtual environment in .venv, with PyTorch's CPU build where pip finds one
# under the plain version number; for a CUDA build say e.g. make TORCH="torch --index-url URL".

PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo quick test lint docs setup clean

help:
	@echo "make demo         train FCN-32s, 16s, 8s on generated data, score, draw pictures (in demo/);"
	@echo "                  label real photographs with the weights of this repository"
	@echo "make quick        the unit tests, in half a minute"
	@echo "make test         lint and tests"
	@echo "make lint         ruff (rules and format) and mypy"
	@echo "make docs         the documentation as a site, build/site/index.html, readable offline"
	@echo "make setup        only the virtual environment .venv that both use"
	@echo "make oracle       compare live with BVLC Caffe (make oracle-build once, as root)"
	@echo "make oracle-opencv compare layers of forks and SSD nets with OpenCV"
	@echo "make oracle-teeth show that the comparison catches planted defects"
	@echo "make clean        remove what the others made"

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml setup.py $(wildcard src/caffe/native/c/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable ".[dev]"
	touch $@

# Photographs that may be shown: scikit-image's package ships some, with their licences.
$(VENV)/.photos: $(VENV)/.ready
	$(BIN)/pip install --quiet "scikit-image>=0.22"
	touch $@

# The main job on generated data: train FCN-32s, from it 16s, from that 8s, score, draw pictures.
# Then real photographs, labelled by the weights in this repository.
demo: export GLOG_minloglevel = 2
demo: setup $(VENV)/.photos
	$(BIN)/python data/toy.py --out data/toy
	for stage in 32s 16s 8s; do \
	  $(BIN)/python nets/toy-fcn$$stage/solve.py --restart --out demo || exit 1; \
	done
	$(BIN)/python infer.py data/toy/JPEGImages/toy_val_000[0-3].jpg \
	  --net toy-fcn8s --weights demo/toy-fcn8s.caffemodel --out demo/pictures
	cd $(VENV)/lib/python3*/site-packages/skimage/data && \
	  $(abspath $(BIN))/python $(CURDIR)/infer.py astronaut.png chelsea.png coffee.png rocket.jpg \
	  --weights $(CURDIR)/nets/voc-fcn4s-lite0/voc-fcn4s-lite0.caffemodel \
	  --out $(CURDIR)/demo/photographs

# These run a second time with a pretend GPU in the CPU's place; tests with a `device` need not.
ON_A_GPU := tests/caffe/net tests/caffe/solver tests/caffe/test_net.py tests/caffe/test_solver.py

# Unit tests on the CPU: no training, no golden results, no datasets, no studies, and of each test
# that has many cases two. Compiled tests are kept whatever the environment says: without them it
# takes a quarter longer.
quick: export PYTHONDONTWRITEBYTECODE =
quick: setup
	$(BIN)/python -m pytest -n auto -m "not slow and not data" --everywhere cpu --few 2 \
	  tests/caffe tests/fcn tests/layers tests/nets tests/test_bootstrap.py tests/test_s[cu]*.py

test: lint
	$(BIN)/python -m pytest -n auto
	$(BIN)/python -m pytest -n auto --everywhere pretend $(ON_A_GPU)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html; to search as well: python -m http.server -d build/site"

clean:
	rm -rf $(VENV) build dist demo data/toy

include tests/oracle/oracle.mk
