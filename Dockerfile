# The image in which the steps of a compiled pipeline run: docker build -t tfadt:0.1.0 .
# With a GPU: docker build --build-arg EXTRAS=kubeflow,serving,gpu -t tfadt:0.1.0 .
FROM python:3.11-slim

# The compiler is for the proof of an export under the C++ loader of TensorFlow Serving.
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*

ARG EXTRAS=kubeflow,serving
COPY setup.py pyproject.toml README.md LICENSE /src/
COPY tfadt /src/tfadt
COPY components /src/components
COPY pipelines /src/pipelines
RUN pip install --no-cache-dir "/src[${EXTRAS}]" && rm -rf /src

# Kubeflow may run a step as any user: what steps write beside their outputs goes to a place that everybody can write.
ENV HOME=/tmp TF_CPP_MIN_LOG_LEVEL=1
WORKDIR /tmp
ENTRYPOINT []
CMD ["tfadt", "--help"]
