# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# Some machines forbid bytecode: then each of a demo's processes compiles all it imports, anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test check torture lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: setup
	@$(BIN)/aegis demo $(ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/aegis schemas check
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/conformance $(ARGS)

test: setup
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/conformance $(ARGS)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile --no-loadscope-reorder \
		tests/integration tests/contract tests/replay $(ARGS)

torture: setup
	$(BIN)/python -m pytest -q tests -m "torture or not torture" $(ARGS)

lock:
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--python-version 3.11 --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) var
