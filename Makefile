PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.ready
# Tests wait more than they compute.
WORKERS ?= $(shell echo $$((2 * $$(getconf _NPROCESSORS_ONLN))))

# Otherwise each daemon that a test starts would compile its sources anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test retest test-units test-deploy fault fault-vip fault-logs observe soak fuzz model lint types check bench reference docs wheel sbom deb lock clean

setup: $(STAMP)

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eccmgr needs Python 3.11 or newer")'
	@# One that was made without pip, or by a Python that is gone since, is made anew.
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# SIGNED=1 shows signed commands and answers, and forgeries that fail.
demo: setup
	@$(BIN)/python -m cli.demo $(if $(SIGNED),--signed)

# All tests; TESTS=… names files or folders instead.
test: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

# Boots a Debian with systemd and runs the units on it. Needs root, debootstrap and systemd-nspawn; UNITS_ROOT=… keeps it.
test-units: setup
	UNITS=1 $(BIN)/python -m pytest tests/units

# What a newcomer meets, for real: the tutorial on a bare Debian as an ordinary user, then the package and the units on a
# booted one. Needs root and what test-units needs; takes a quarter of an hour.
test-deploy: setup
	.ci/bare-root sh -c 'make demo </dev/null && make test TESTS=tests/integration/test_tutorial.py'
	UNITS=1 $(BIN)/python -m pytest tests/units

# The tests that failed last time, one after another: one that passes now was disturbed, and is named by the run before.
retest: setup
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none

# SEED=… plays a run again; FAULTS=… is how many, 1000 if not given.
fault: setup
	@$(BIN)/python -m tests.fault

# Needs root, for network namespaces. SEED=… plays a draw again; ROUNDS=… is how often each fault of the table is played.
fault-vip: setup
	@$(BIN)/python -m tests.fault.lab

# SEED=… plays a run again; FAULTS=… is how many, 1000 if not given. SITE=pair has two nodes, SITE=ten has ten; without
# it both are played, the second one with a tenth of the faults. LIMIT_S=… ends each after so many seconds. Root has disks
# that fill up and freeze.
fault-logs: setup
	@$(BIN)/python -m tests.fault.logs

# A real fault for each alert of ops/prometheus: it has to fire, and to clear once that is mended. Needs `prometheus` on
# PATH, and takes some ten minutes; ONLY=NodeLost,… plays the faults of these alerts alone.
observe: setup
	@$(BIN)/python -m tests.observe

# Whether anything grows; COMMANDS=… is how many are given, 100000 if not given, in at most LIMIT_S=… seconds, 600.
soak: setup
	@$(BIN)/python -m tests.soak

# FUZZ_S=… is for how many seconds in all, 600 if not given; TARGET=… is one target alone; SEED=… draws the
# same inputs again. Watches branches by atheris where that installs.
fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --only-binary :all: --no-deps --require-hashes -r requirements-fuzz.txt || echo "atheris does not install here" >&2
	@$(BIN)/python -m tests.fuzz

# SEED=… begins elsewhere; RUNS=… is how many of each profile, 1500 if not given.
model: setup
	MODEL=1 $(BIN)/python -m pytest -n auto --dist worksteal tests/model

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup
	$(BIN)/mypy

check: lint types test

bench: setup
	@$(BIN)/python -m ops.bench

reference: setup
	$(BIN)/python -m cli.reference docs
	$(BIN)/python -m ops.release.licences docs/licences.md

# The packages for Python, in dist/. The same sources give the same bytes.
wheel: setup
	$(BIN)/python -m hatchling build -t wheel -t sdist -d dist

# The pages as a site in site/, which asks nothing of any other host. A link that leads nowhere fails.
docs: $(VENV)/docs/.ready
	rm -rf site
	$(VENV)/docs/bin/zensical build --clean --strict --config-file mkdocs.yml
	@! grep -rnoE '<(script|link|img|iframe)[^>]*(src|href)="(https?:)?//[^"]*"' site --include='*.html' || { echo "a page asks another host" >&2; false; }

$(VENV)/docs/.ready: requirements-docs.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eccmgr needs Python 3.11 or newer")'
	$(PYTHON) -m venv --clear $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-docs.txt
	touch $@

# A package for Debian 12, in dist/; PYTHON_VERSION=3.13 for Debian 13. Needs dpkg-deb.
deb: setup
	ops/debian/build

# The bill of materials, from the lock.
sbom: setup
	$(BIN)/python -m ops.release.sbom dist/eccmgr.cdx.json

# Needs uv on PATH; the only target that asks a registry for versions.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" \
	  --quiet --extra fast --extra web --output-file requirements.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command "make lock" \
	  --quiet --extra dev --output-file requirements-dev.txt pyproject.toml
	@# A later atheris has no wheel for Python 3.11. No target but fuzz needs it.
	echo "atheris>=3,<3.1" | uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --quiet --output-file requirements-fuzz.txt -
	echo "zensical>=0.0.73,<0.0.74" | uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" --quiet --output-file requirements-docs.txt -

clean:
	rm -rf $(VENV) dist build site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
