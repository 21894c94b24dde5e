# One image for the server and the workers:
#   docker build -t vidprocme:dev .
#   docker run --rm vidprocme:dev --help
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# The dashboard: node comes with a wheel, what it needs from npm.
FROM ${PYTHON_IMAGE} AS ui
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/build.lock requirements/web.lock requirements/
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m venv /opt/web \
    && /opt/web/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.lock -r requirements/web.lock
COPY scripts/build_ui.py scripts/
COPY web web
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca.crt; fi; \
    /opt/web/bin/python scripts/build_ui.py

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/base.lock requirements/build.lock requirements/
# The wheels first: they change less often than the code. "ca" is an optional build secret, for networks with an
# authority of their own; it never lands in a layer.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca.crt \
    if [ -s /run/secrets/ca.crt ]; then export PIP_CERT=/run/secrets/ca.crt; fi; \
    python3 -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --require-hashes -r requirements/build.lock \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --only-binary :all: --require-hashes \
        -r requirements/base.lock
COPY pyproject.toml README.md LICENSE ./
COPY scripts/build_ui.py scripts/
COPY src src
COPY --from=ui /src/src/vidprocme/ui src/vidprocme/ui
RUN /opt/build/bin/python -m hatchling build -t wheel -d /dist \
    && /opt/build/bin/pip --python /opt/venv/bin/python install --quiet --no-deps --no-index /dist/*.whl

FROM ${PYTHON_IMAGE} AS runtime
# tini as the first process hands signals on and takes in orphans; libgomp is what the engine is linked with. ffmpeg comes with
# the wheels (imageio-ffmpeg): the one that the tests run with, newer than Debian's, and 165 MB instead of 472 MB in 192 packages.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgomp1 tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin vidprocme \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    VIDPROCME_DATA=/data
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8484
# Asks the processes of this container whether their loops move; Redis has a check of its own.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 CMD ["vidprocme", "alive"]
ENTRYPOINT ["tini", "--", "vidprocme"]
CMD ["--help"]
