# docker build -t segwatch .
# Build arguments: PYTHON_VERSION, and VERSION, REVISION, CREATED for the labels.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv /opt/segwatch
# the dependencies first: their layer changes with the lock only
COPY requirements.lock ./
RUN /opt/segwatch/bin/python -m pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY segwatch ./segwatch
RUN /opt/segwatch/bin/python -m pip install --no-deps . \
 && /opt/segwatch/bin/python -m pip uninstall --yes pip \
 && /opt/segwatch/bin/python -m compileall -q /opt/segwatch/lib \
 && install -d -o 10001 -g 10001 -m 0750 /build/state

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="segwatch" \
      org.opencontainers.image.description="Watches Adobe Experience Platform segment and export jobs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=builder /opt/segwatch /opt/segwatch
COPY --from=builder --chown=10001:10001 /build/state /var/lib/segwatch
# in a container "loopback" reaches nobody; whoever publishes the port decides who else can see it
ENV PATH="/opt/segwatch/bin:${PATH}" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SEGWATCH_HTTP__LISTEN="0.0.0.0:9469"
# a number, so that Kubernetes can see that it is not root
USER 10001:10001
WORKDIR /var/lib/segwatch
VOLUME ["/var/lib/segwatch"]
EXPOSE 9469
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9469/-/healthy', timeout=4)"]
ENTRYPOINT ["segwatch"]
CMD ["run"]
