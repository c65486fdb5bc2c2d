# make app    sets everything up and serves the page on http://localhost:8501
# make test   sets everything up and runs all checks and tests
#
# Variables: PYTHON (3.10 or newer), PORT, CHROMIUM (a browser for the tests), PYTEST_ARGS
# (which tests to run; without it all run, and coverage is printed and has a floor), MINUTES
# (of fuzzing).

PYTHON ?= python3
PORT ?= 8501
MINUTES ?= 10
VENV := .venv
BIN := $(VENV)/bin

.PHONY: app test check fmt setup setup-dev train starter evaluate benchmark measure fuzz soak space docs lock audit licenses sbom clean

app: setup
	$(BIN)/reaction-search serve --port $(PORT)

test: setup-dev check
	CHROMIUM="$$(CHROMIUM="$(CHROMIUM)" scripts/find_chromium.sh)" $(BIN)/python -m pytest $(if $(PYTEST_ARGS),$(PYTEST_ARGS),-n 2 --dist loadfile --no-loadscope-reorder --cov)

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

fmt: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: requirements.txt pyproject.toml scripts/make_venv.sh
	scripts/make_venv.sh "$(PYTHON)" $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(LOCKED),--require-hashes -r requirements-dev-lock.txt,-r requirements.txt)
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable $(if $(LOCKED),--no-deps --no-build-isolation .,".[dev]")
	touch $@

$(VENV)/.ready-train: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable ".[train]"
	touch $@

# Offline work, from a clean clone; each needs npm for the art.
train: $(VENV)/.ready-train
	$(BIN)/reaction-search train

starter: $(VENV)/.ready
	$(BIN)/reaction-search build index/starter/media --out index/starter --copy-media --precision float32

evaluate: $(VENV)/.ready-train
	$(BIN)/reaction-search evaluate --all

benchmark: $(VENV)/.ready
	$(BIN)/python -m benchmarks

measure: $(VENV)/.ready-dev
	CHROMIUM="$$(CHROMIUM="$(CHROMIUM)" scripts/find_chromium.sh)" $(BIN)/python -m benchmarks.page

# Coverage-guided fuzzing; atheris has wheels for Linux and Python 3.11 to 3.13.
fuzz: $(VENV)/.ready-dev
	$(BIN)/python -m pip install --quiet "atheris>=3"
	$(BIN)/python -m tests.support.fuzz --minutes $(MINUTES)

# The long tests, with a table of what is promised; SOAK_ARGS="kills --scale 0.1" for less. Hours.
soak: setup-dev
	$(BIN)/python -m tests.support.soak $(SOAK_ARGS)

# The Space as it would go up, run without Docker; needs root.
space: $(VENV)/.ready
	rm -rf artifacts/space artifacts/space-image
	$(BIN)/reaction-search deploy me/reactions --dry-run artifacts/space
	$(BIN)/python -m tests.support.run_space artifacts/space --into artifacts/space-image

# The documentation site: artifacts/docs/index.html
docs: $(VENV)/.ready-docs
	$(BIN)/zensical build --strict --clean

$(VENV)/.ready-docs: $(VENV)/.ready requirements-docs.txt
	$(BIN)/python -m pip install --quiet -r requirements-docs.txt
	touch $@

# What the Space and the tests install, with the hash of every file. Versions that are in the files
# stay while they fit; UPGRADE=1 takes the newest ones.
LOCK := $(BIN)/uv pip compile --quiet --no-config --generate-hashes --universal --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

lock: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet "uv>=0.13,<0.14"
	$(LOCK) --python-version 3.11 space/requirements.txt --output-file space/requirements-lock.txt
	$(LOCK) --python-version 3.10 --extra dev pyproject.toml --output-file requirements-dev-lock.txt

# Known vulnerabilities of what the Space installs; asks the Python Package Index.
audit: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet "pip-audit>=2.10,<3"
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r space/requirements-lock.txt

# The licences of what the Space installs, as a table.
licenses: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet "pip-licenses>=5.5,<6"
	$(BIN)/pip-licenses --from=mixed --with-urls --format=markdown --packages \
		$$(sed -n "s/^\([A-Za-z0-9._-]*\)==.*/\1/p" space/requirements-lock.txt)

# The software bill of materials of the Space (CycloneDX): artifacts/sbom.json
sbom: $(VENV)/.ready
	mkdir -p artifacts
	$(BIN)/python -m pip install --quiet "cyclonedx-bom>=7.5,<8"
	$(BIN)/cyclonedx-py requirements space/requirements-lock.txt --pyproject pyproject.toml \
		--output-reproducible --output-format JSON --output-file artifacts/sbom.json

clean:
	rm -rf $(VENV) artifacts
