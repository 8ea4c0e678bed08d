# make demo: a trained, exactly equivariant net on real digits.  make test: the tests.  Both make what they need first.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Pinned where a looser wish would bring gigabytes that a CPU has no use for.
TORCH ?= torch==2.13.0
JAX ?= jax jaxlib
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PYTHONUTF8 = 1

.PHONY: demo test test-backends lint format figures benchmarks clean

demo: $(VENV)/demo.installed
	KERAS_BACKEND=tensorflow $(BIN)/groco demo

# A process for each core, up to eight: most tests use one core.
PYTEST = $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadscope

test: $(VENV)/test.installed
	KERAS_BACKEND=tensorflow $(PYTEST)

BACKEND_TESTS = tests/groups/test_action.py tests/fourier/test_convolutions.py tests/layers tests/models tests/surgery \
	tests/test_testing.py
# JAX compiles each operation of each shape by itself, which makes these tests 8 times slower: of long lists of cases
# every tenth is run there.
test-backends: $(VENV)/backends.installed
	KERAS_BACKEND=torch $(PYTEST) $(BACKEND_TESTS)
	KERAS_BACKEND=jax GROCO_PROPERTY_CASES=10 $(PYTEST) $(BACKEND_TESTS) --share 10
	KERAS_BACKEND=tensorflow $(PYTEST) tests/training/test_devices.py tests/training/test_resume.py -k "jax or torch"

lint: $(VENV)/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/test.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Everything in README.md that comes from measurements, and its picture.
figures: $(VENV)/test.installed
	$(BIN)/python -m training.write_readme

# Half an hour, on a machine that does nothing else; docs/benchmarks.md and docs/implementations.md.
BENCHMARKS = layers models scaling start memory formats precision
benchmarks: $(VENV)/backends.installed
	for what in $(BENCHMARKS); do KERAS_BACKEND=tensorflow $(BIN)/python -m benchmarks $$what || exit 1; done
	for backend in jax torch; do for what in layers models scaling start memory; do \
		KERAS_BACKEND=$$backend $(BIN)/python -m benchmarks $$what || exit 1; done; done
	$(BIN)/python -m benchmarks.write_docs
	$(BIN)/python -m docs.write_implementations

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "GroCo needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[tensorflow,plot]"
	@touch $@

$(VENV)/test.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[tensorflow,test]"
	@touch $@

$(VENV)/backends.installed: $(VENV)/test.installed
	$(BIN)/python -m pip install --quiet "$(TORCH)" $(JAX)
	@touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .ruff_cache .mypy_cache .hypothesis demo.png
