# Two images of this project:
#   docker build -t fcn .                        the engine on PyTorch, for GPUs and the CPU
#   docker build -t fcn-bvlc --target bvlc .     real BVLC Caffe 1.0 (CPU) running the same files
# docs/docker.md tells how to run them and which GPUs they serve.

ARG BASE=debian:12-slim
ARG BVLC_BASE=debian:11-slim

# What both images share: the checkout, a user without rights, the entry point.
FROM scratch AS project
COPY . /fcn/

FROM ${BVLC_BASE} AS bvlc
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      caffe python3-caffe python3-h5py python3-numpy python3-pil python3-scipy \
 && rm -rf /var/lib/apt/lists/*
COPY --from=project /fcn /fcn
RUN useradd --create-home --uid 1000 fcn && mkdir /data && chown fcn /data
ENV HOME=/tmp OPENBLAS_NUM_THREADS=1
USER fcn
WORKDIR /data
ENTRYPOINT ["python3", "/fcn/docker/entrypoint.py"]
CMD ["help"]

# The native kernels for CPUs with AVX2, AVX-512 or AMX. Elsewhere there is no x86-64 compiler, and nothing is built.
FROM ${BASE} AS kernels
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      gcc libc6-dev python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /build && /build/bin/pip install --no-cache-dir "setuptools>=77"
COPY --from=project /fcn /fcn
RUN cd /fcn && /build/bin/python setup.py build_ext --inplace

# Last, so that it is what a plain `docker build` makes.
FROM ${BASE} AS gpu
# A requirement and options for pip: PyTorch's CUDA build is what pip finds under the plain version
# number on x86-64; for older GPUs name an index with --build-arg (docs/docker.md).
ARG TORCH="torch==2.13.0"
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /fcn-venv
ENV PATH=/fcn-venv/bin:$PATH
RUN pip install --no-cache-dir ${TORCH}
COPY --from=project /fcn /fcn
COPY --from=kernels /fcn/src/caffe/native /fcn/src/caffe/native
RUN pip install --no-cache-dir --editable "/fcn[leveldb,progress]" \
 && useradd --create-home --uid 1000 fcn && mkdir /data && chown fcn /data
# The NVIDIA container runtime mounts the driver where these ask for it.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility HOME=/tmp
USER fcn
WORKDIR /data
ENTRYPOINT ["python3", "/fcn/docker/entrypoint.py"]
CMD ["help"]
