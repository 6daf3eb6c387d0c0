# meshdojo in a container: an ordinary user, no capabilities, a root file system that nothing writes to.
#
#   make image
#   docker run --rm -it --read-only --cap-drop ALL --security-opt no-new-privileges \
#     --tmpfs /tmp:exec --tmpfs /home/meshdojo:uid=1000,exec meshdojo:dev up
#
# The wheel comes from dist/ (`make image` builds it from what git knows); its dependencies are pinned by hash.
FROM python:3.11-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 XDG_CACHE_HOME=/opt/meshdojo/cache
COPY requirements.lock /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement /tmp/requirements.lock
# What the labs' commands use on the learner's side, besides kubectl.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/*
COPY dist/*.whl /tmp/
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps /tmp/*.whl \
    && python -m meshdojo.kubernetes.schema \
    && chmod -R a+rX /opt/meshdojo \
    && useradd --uid 1000 --create-home meshdojo \
    && rm -f /tmp/*.whl /tmp/requirements.lock
# By number, so that a cluster can see that it is not root. Another number will do as well: none of them needs a name.
USER 1000
ENV HOME=/home/meshdojo
WORKDIR /home/meshdojo
ENTRYPOINT ["meshdojo"]
CMD ["serve", "--up"]
