# Verbs of the house. `make help` lists them. Assumed: python3 (3.11-3.14) with its venv module, and make.
SHELL := /bin/sh
PY := .venv/bin/python
PYTHON ?= python3
# Vite wants node 22.12; many systems have an older one or none.
NODE_AT_HAND = $(PY) scripts/build_ui.py node || $(MAKE) --no-print-directory .venv-web/made.stamp
CODE := src tests scripts benchmarks monitoring infra

.PHONY: help demo test test-all check check-delivery lint types web web-check up bench docker-test monitoring infra-setup infra-synth infra-test locks dist clean

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/base.stamp ## set up, and take the sample video through the pipeline
	@$(PY) scripts/demo.py

test: .venv/dev.stamp ## set up, and pass the tests; names what this machine lacks
	@$(PY) scripts/parts.py test

test-all: .venv/dev.stamp .venv-delivery/made.stamp ## everything; a missing part is an error
	@VIDPROCME_TEST_EXAMPLES=60 $(PY) scripts/parts.py test-all

check: .venv/dev.stamp lint types test ## format, lint, types, tests

lint: .venv/dev.stamp ## format and lint
	@.venv/bin/ruff format --check $(CODE)
	@.venv/bin/ruff check $(CODE)

types: .venv/dev.stamp ## strict types
	@.venv/bin/mypy

check-delivery: .venv-delivery/made.stamp ## lint workflows, Dockerfile, shell scripts, YAML
	@.venv-delivery/bin/python scripts/check_delivery.py

web: .venv/base.stamp ## build the dashboard, if web/ changed
	@$(NODE_AT_HAND)
	@$(PY) scripts/build_ui.py

web-check: .venv/base.stamp ## types, tests and size of the dashboard
	@$(NODE_AT_HAND)
	@$(PY) scripts/build_ui.py check

# A dashboard that cannot be built (no network, say) keeps nobody from the server: it says at / what is missing.
up: .venv/base.stamp ## server, dashboard and pool on this machine; Ctrl-C drains
	@if $(PY) scripts/build_ui.py stale; then $(MAKE) --no-print-directory web || echo "The dashboard was not built; the server starts without it."; fi
	@.venv/bin/vidprocme up

bench: .venv/dev.stamp ## make bench NAME=pipeline
	@$(PY) -m benchmarks $(NAME)

infra-setup: .venv-infra/ready.stamp ## the environment of infra/: 1.7 GB

infra-synth: .venv-infra/ready.stamp ## Terraform plans; STACK=local|gcp, ARGS=--gcp=FILE
	@.venv-infra/bin/python -m infra.main $(STACK) $(ARGS)

infra-test: .venv-infra/ready.stamp ## types and tests of infra/; UPDATE=1 renews snapshots
	@.venv-infra/bin/mypy --config-file infra/mypy.ini infra
	@.venv-infra/bin/python -m pytest -q infra/tests $(if $(UPDATE),--update-snapshots)

docker-test: .venv/dev.stamp ## the image, built and used (needs a Docker engine)
	@VIDPROCME_TEST_DOCKER=1 $(PY) -m pytest -q -m docker tests/docker

monitoring: .venv/dev.stamp ## make the dashboard and docs/metrics.md anew
	@$(PY) -m scripts.gen_docs

locks: .venv/dev.stamp ## resolve requirements/*.in anew into hashed locks
	@for name in base build dev delivery infra web; do .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --upgrade requirements/$$name.in -o requirements/$$name.lock; done

dist: .venv/base.stamp ## sdist and wheel into dist/, as they are published
	@$(NODE_AT_HAND)
	@$(PY) scripts/dist.py

clean: ## remove what was built here (the environment too)
	rm -rf .venv .venv-delivery .venv-infra .venv-web web/node_modules src/vidprocme/ui infra/cdktf.out build dist demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' \
	  || { echo "vidprocme needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.12, say."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv module is missing: sudo apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
	@touch $@

# The bindings are unpacked when they are first used: that belongs to setting up.
.venv-infra/ready.stamp: requirements/infra.lock
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "Python's venv module is missing: sudo apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv-infra
	@echo "Installing packages from requirements/infra.lock (1.1 GB, about a minute) ..."
	@.venv-infra/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/infra.lock
	@echo "Unpacking the bindings (0.6 GB, about half a minute) ..."
	@.venv-infra/bin/python -m infra.unpack
	@touch $@

# One stamp for each lock: the packages are installed once, and again when the lock changes.
.venv/base.stamp: .venv/made.stamp requirements/base.lock requirements/build.lock pyproject.toml
	@echo "Installing packages from requirements/base.lock ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.lock -r requirements/build.lock
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/base.stamp requirements/dev.lock
	@echo "Installing packages from requirements/dev.lock ..."
	@.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

# Apart from .venv: these are programs, and nothing of ours imports them.
.venv-delivery/made.stamp: .venv/made.stamp requirements/delivery.lock
	@echo "Installing packages from requirements/delivery.lock ..."
	@.venv/bin/python -m venv .venv-delivery
	@.venv-delivery/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/delivery.lock
	@touch $@

# A node of its own, from PyPI, for machines whose own is too old.
.venv-web/made.stamp: .venv/made.stamp requirements/web.lock
	@echo "Installing node from requirements/web.lock (60 MB) ..."
	@.venv/bin/python -m venv .venv-web
	@.venv-web/bin/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/web.lock
	@touch $@
