# One image for the agent and the operator. The wheelhouse is made outside, from requirements.lock
# (`make wheelhouse`), and installed here without a network:
#
#   make wheelhouse && docker build -t citadel-k8s .
#
# For another interpreter or architecture: make wheelhouse IMAGE_PYTHON=3.12 IMAGE_ARCH=aarch64,
# and --build-arg PYTHON_IMAGE=python:3.12-slim.
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
COPY dist/wheelhouse /wheelhouse
RUN python -m venv --without-pip /opt/citadel \
    && python -m pip --python /opt/citadel/bin/python install --no-cache-dir --no-index \
        --find-links /wheelhouse --require-hashes -r /wheelhouse/requirements.txt

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/citadel /opt/citadel
ENV PATH=/opt/citadel/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# NVML is asked for figures only; without this a GPU runtime would not hand the library in.
ENV NVIDIA_DRIVER_CAPABILITIES=utility
USER 65532:65532
ENTRYPOINT ["citadel-k8s"]
CMD ["--help"]
