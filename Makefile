# `make demo` and `make test` set up .venv first; a second call finds it ready.
# Other interpreter: make PYTHON=python3.12. Another build of PyTorch: make TORCH=torch==2.12.1,
# or install it into .venv yourself beforehand: a version that fits is left as it is.

VENV ?= .venv
TORCH ?= torch==2.13.0
PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= 2
ARGS ?=
BIN := $(VENV)/bin
READY := $(VENV)/.installed
# A file is tested by one worker, in the order of conftest.py. Many processes are started: compiled
# files are kept for them, whatever the environment says. The quick part does not even import the
# other libraries that tests/reference compares with.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	-n $(WORKERS) --dist loadscope --no-loadscope-reorder

.PHONY: demo test quick docs lint clean

demo: $(READY)
	$(BIN)/python -m interp demo $(ARGS)

test: $(READY)
	$(PYTEST) $(ARGS)

quick: $(READY)
	$(PYTEST) -m "not slow and not browser and not reference" --ignore=tests/reference $(ARGS)

docs: $(READY)
	$(BIN)/python docs/instruments.py

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV)

# PyTorch goes first and on its own, so that the range in pyproject.toml does not pull a second one.
$(READY): pyproject.toml
	@test -n "$(PYTHON)" && $(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "interp needs Python 3.11 or newer; found '$(PYTHON)'. Say which: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "Could not make $(VENV): install Python's venv (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/python -m pip install "$(TORCH)"
	$(BIN)/python -m pip install -e ".[dev]"
	@touch $(READY)
