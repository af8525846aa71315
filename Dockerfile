# Managers, nodes and the console in one image: `docker run … eccmgr`, `… ecnode`, `… ec_console`.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.txt pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/eccmgr && /opt/eccmgr/bin/pip install --no-cache-dir --require-hashes -r requirements.txt
COPY eccmgr eccmgr
COPY worker worker
COPY cli cli
ARG REVISION=unknown
RUN echo "$REVISION" > eccmgr/_revision && /opt/eccmgr/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
RUN useradd --system --create-home eccmgr
COPY --from=build /opt/eccmgr /opt/eccmgr
ENV PATH=/opt/eccmgr/bin:$PATH
USER eccmgr
STOPSIGNAL SIGTERM
CMD ["eccmgr"]
