# Two commands do everything: `make start` and `make test`. Python 3.11+ with venv, make and kubectl are all they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11

.PHONY: start install install-dev test test-kind flakes lint image api-docs lock clean

start: install
	@$(BIN)/meshdojo serve --up

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

# Files of tests side by side, as many as there are cores (each may start a cluster: more than four would need much memory).
test: install-dev lint
	$(BIN)/pytest -m "not kind" --numprocesses=logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# The same labs on a real kind cluster with the real Istio: needs docker, kind, kubectl and istioctl.
test-kind: install-dev
	$(BIN)/pytest -m kind

# Every check 40 times in its passing and in its failing state, on the embedded backend: an hour; a nightly job runs it.
flakes: install-dev
	$(BIN)/python -m benchmarks.flakes --runs 40

# An image that runs unprivileged, with a read-only root (Dockerfile says how), from a wheel of what git knows.
image: install-dev
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .
	docker build --tag meshdojo:dev .

# The reference of the code, from its docstrings, into api-docs/ (not committed).
api-docs: install-dev
	$(BIN)/pdoc --output-directory api-docs meshdojo '!meshdojo.*__main__' '!meshdojo.web.migrations'

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python site/build.py --check

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "meshdojo needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }

# The packages come pinned by hash; then the project itself, the front end (npm's lock file, with the node of a PyPI
# wheel) and the cache of Kubernetes types.
$(VENV)/.installed: $(VENV)/bin/python requirements.lock pyproject.toml site/package-lock.json site/build.py $(wildcard site/frontend/* site/frontend/*/*)
	@echo "Installing the Python packages into $(VENV) (some minutes the first time, with a slow network) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@echo "Building the pages (fetches packages from npm's registry: a minute or more) ..."
	@$(BIN)/python site/build.py
	@echo "Preparing the Kubernetes types ..."
	@$(BIN)/python -m meshdojo.kubernetes.schema
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "Installing what the tests and linters need ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@touch $@

lock:
	$(UV_LOCK) --group dev --output-file requirements-dev.lock
	$(UV_LOCK) --group build --constraint requirements-dev.lock --output-file requirements.lock

clean:
	rm -rf $(VENV) api-docs dist site/node_modules site/meshdojo/web/static/dist
