# Two commands do everything on a machine with Python 3.11 and pip:
#   make run    installs and runs the main job on simulated clicks
#   make test   installs and passes the tests
# A second call installs nothing again, unless setup.py or pyproject.toml changed.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: run test lint typecheck format clean

run: $(VENV)/.installed
	$(BIN)/tfadt run --out runs/simulated

test: $(VENV)/.installed-dev lint typecheck
	$(BIN)/python -m pytest -q

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# On the installed wheel, from another directory: only there do tfadt.components and tfadt.pipelines lie where they belong.
typecheck: $(VENV)/.installed-dev
	rm -rf build/typecheck
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation --target build/typecheck .
	cd build/typecheck && $(abspath $(BIN))/mypy --config-file $(abspath pyproject.toml) -p tfadt

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info runs

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	touch $@

$(VENV)/.installed: $(VENV)/.created setup.py pyproject.toml
	$(BIN)/python -m pip install -q -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.created setup.py pyproject.toml
	$(BIN)/python -m pip install -q -e ".[dev]"
	touch $(VENV)/.installed $@
