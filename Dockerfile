# One image for every kind of process: web, worker, scheduler, migrate (see docker-compose.yml).
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/paperlark
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY service service
COPY workers workers
COPY templates templates
COPY alembic alembic
# For vectors of texts: docker compose build --build-arg EXTRAS=embeddings (130 MB more)
ARG EXTRAS=""
RUN /opt/paperlark/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
# A number, not only a name: then an orchestrator can see that it is not root.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/paperlark --shell /usr/sbin/nologin paperlark
COPY --from=build /opt/paperlark /opt/paperlark
ENV PATH=/opt/paperlark/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PAPERLARK_DATA_DIR=/var/lib/paperlark/data \
    PAPERLARK_BIND_HOST=0.0.0.0 \
    PAPERLARK_LOG_FORMAT=json
USER 10001
WORKDIR /var/lib/paperlark
RUN mkdir data
VOLUME /var/lib/paperlark/data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["paperlark", "web", "--host", "0.0.0.0", "--port", "8000"]
