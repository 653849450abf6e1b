# `make run` trains on the embedded default; `make test` checks everything; `make docs` builds the site. Each installs what it
# needs, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
QUALITY_DATA ?= ../shared/data
SOAK_SEED ?= $(shell date +%s)

.PHONY: run test soak bench quality bench-ingest bench-scale denoising-table docs lint typecheck format

run: $(VENV)/.installed
	$(BIN)/tfadt run --out runs/default

test: lint typecheck
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# What `make test` does a few times, done often: kills at random moments, each time with another seed, and malformed files;
# every line of the documentation that can run, those that train for long as well; every model with every policy and objective,
# in every export and search, with the tests that `tests/soak.py` leaves to it; and trainings over two devices under every policy,
# and over two processes.
soak: $(VENV)/.installed-dev
	TFADT_SOAK_EXAMPLES=1000 $(BIN)/python -m pytest -q -n 2 tests/data/test_malformed.py tests/data/test_extra_feedback.py \
		tests/datasets/test_rows.py
	TFADT_SOAK_EXAMPLES=300 $(BIN)/python -m pytest -q -n 2 tests/data/test_splits.py tests/data/test_beam.py tests/evaluation \
		tests/inference
	TFADT_SOAK_EVERY=1 $(BIN)/python -m pytest -q -n 2 tests/models tests/training tests/tuning tests/study tests/experiments \
		tests/inference tests/serving tests/datasets tests/report tests/pipelines/test_trials_in_parallel.py
	TFADT_SOAK_KILLS=10 TFADT_SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -q tests/training/test_resume.py -k killed
	TFADT_SOAK_KILLS=10 TFADT_SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -q tests/pipelines -k 'killed or kubeflow'
	TFADT_SOAK_DOCS=1 $(BIN)/python -m pytest -q tests/test_docs.py
	TFADT_SOAK_KILLS=30 TFADT_SOAK_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -q tests/serving/test_kills.py
	TFADT_SOAK_DEVICES=1 $(BIN)/python -m pytest -q tests/models/test_devices.py

# Timings, each beside its baseline: the table of docs/performance.md. Exits with 1 where a line falls short.
bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.run

# What the models reach on public data, each beside what is asked: the table of docs/models.md. A second call goes on.
quality: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.quality --data $(QUALITY_DATA)

# Reading a log of 10 and of 100 million rows, beside pandas by hand.
bench-ingest: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.ingest

# A log of 100 million rows from end to end, and what must not grow with users, items and rows. Skips, with the reason, where
# memory or disk are too small. SCALE_ROWS says another number of rows, SCALE_OUT where the files are made.
SCALE_ROWS ?= 100000000
SCALE_OUT ?= /tmp
bench-scale: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.scale --rows $(SCALE_ROWS) --out $(SCALE_OUT)

# What denoising is worth on DATA/ml-100k and DATA/modcloth: the table of docs/denoising.md. Goes on where it was cut.
denoising-table: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.denoising --data $(DATA)

# The site, in site/. Strict: a dead link or a public name without a docstring fails. It reads the sources and imports nothing.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# On the installed wheel, from another directory: only there are the layers inside `tfadt`, where users see them.
typecheck: $(VENV)/.installed-dev
	rm -rf build
	$(BIN)/python -m build --quiet --wheel --no-isolation --outdir build/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target build/site build/wheel/*.whl
	cd build/site && $(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../../.mypy_cache --package tfadt

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamps make a second call install nothing; a change of what is installed makes it install again.
$(VENV)/.installed: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable .
	touch $@

$(VENV)/.installed-dev: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $(VENV)/.installed $@

$(VENV)/.installed-docs: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[docs]'
	touch $(VENV)/.installed $@
