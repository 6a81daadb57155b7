# `make` prints what there is. PYTHON chooses the interpreter (3.10 to 3.13) that the environment is made with.
PYTHON ?= python3
PYTHON_ADDONS ?= python3.11
READY := .venv/ready
ADDONS_READY := .venv-addons/ready
BENCH_READY := .venv-bench/ready
# SHA-256 of PyTorch's build without CUDA: 2.13.0+cpu for Python 3.11 on Linux x86-64.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
PORT ?= 5000
COMMANDS := tests/cli tests/distribute tests/stages tests/tracking

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export TF_CPP_MIN_LOG_LEVEL := 2

.PHONY: help demo repro ui serve compare experiments dag check-cache unchanged verify test test-pipeline test-commands test-units test-slow test-addons bench gpu lint format lock clean
.DEFAULT_GOAL := help

help: ## print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: $(READY) ## the whole pipeline on the embedded digits, in a folder of its own (.demo); about five minutes
	@python demo/run.py

repro: $(READY) ## the pipeline on Tiny ImageNet: downloads it, or takes the archive that TINY_IMAGENET_ARCHIVE names
	dvc repro

ui: $(READY) ## the MLflow UI on 127.0.0.1 (PORT=5000); prints the link that opens the runs, best first
	@tiny-imagenet ui --port $(PORT) $(ARGS)

serve: $(READY) ## the champion over HTTP on 127.0.0.1 (PORT=5001): post pictures, get class names
	@tiny-imagenet serve $(if $(filter command line environment,$(origin PORT)),--port $(PORT)) $(ARGS)

compare: $(READY) ## what differs between two models: make compare A=main:vgg B=EXPERIMENT:vgg (or vgg, or an MLflow run id)
	@tiny-imagenet compare $(A) $(B) $(ARGS)

experiments: $(READY) ## a row an experiment: the parameters that differ, and each model's top-1 accuracy (ARGS="--all-commits")
	@dvc exp show --only-changed --drop '(src|stages|data|models|metrics|reports)/|metrics$$|Created' \
		--drop '.+\.(top_5_accuracy|loss|objective|ece)$$' $(ARGS)

dag: $(READY) ## the stages and what they depend on, without a box for each model
	@dvc dag --collapse-foreach-matrix $(ARGS)

check-cache: $(READY) ## recompute the digest of every object in DVC's cache (ARGS=--remove deletes the damaged ones)
	@tiny-imagenet check-cache $(ARGS)

unchanged: $(READY) ## show that the code's changes since BASE=REV move no number, and record them in dvc.lock (ARGS=--dry only shows)
	@tiny-imagenet unchanged $(BASE) $(ARGS)

verify:
	@echo "error: make: verify: is now check-cache; run make check-cache" >&2; exit 2

test: $(READY) ## lint, types, unit tests, the whole DAG on the digits, the fast faults
	@$(MAKE) -j3 test-pipeline test-commands test-units

test-pipeline: $(READY) # three parts at once: they often wait for processes to start; this one takes the longest
	pytest -m "not slow" tests/pipeline

test-commands: $(READY)
	nice pytest -m "not slow" $(COMMANDS)

test-units: $(READY) lint
	nice pytest -m "not slow" --ignore tests/pipeline $(COMMANDS:%=--ignore %)

test-slow: $(READY) ## the long suite
	pytest -m slow

test-addons: $(READY) $(ADDONS_READY) ## the augmentation against tensorflow-addons, pixel for pixel (needs Python 3.11)
	.venv-addons/bin/python tests/addons/reference.py .venv-addons/reference.npz
	TFA_REFERENCE=.venv-addons/reference.npz pytest tests/addons

bench: $(READY) $(BENCH_READY) ## speed and memory beside other libraries, on the real data: benchmarks/README.md (half an hour; ARGS="--rows step --rounds 3")
	python -m benchmarks $(ARGS)

gpu: $(READY) ## check and measure the training on a GPU: benchmarks/gpu.md (skipped without one; ARGS="--device cpu --tiny")
	@python -m benchmarks.gpu $(ARGS)

lint: $(READY) ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

format: $(READY) ## format the code and fix what ruff can
	ruff check --fix .
	ruff format .

lock: ## pin every dependency anew, with hashes (needs uv)
	uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-header --no-annotate \
		--group dev --extra s3 pyproject.toml -o requirements.lock
	cd tests/addons && uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate \
		requirements.in -o requirements.lock
	cd benchmarks && uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-annotate requirements.in | \
		awk -v cpu=$(TORCH_CPU) -f lock.awk

clean: ## remove the environments, the demo and the caches (no data, model or run)
	rm -rf .venv .venv-addons .venv-bench .demo .cache .mypy_cache .pytest_cache .ruff_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not ((3, 10, 12) <= v < (3, 11) or (3, 11, 4) <= v < (3, 14)))' || \
		{ echo "error: make: $(PYTHON) is not Python 3.10 to 3.13 (3.10.12, 3.11.4 or newer); name one, as in make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(ADDONS_READY): tests/addons/requirements.lock
	$(PYTHON_ADDONS) -m venv .venv-addons
	.venv-addons/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --require-hashes -r tests/addons/requirements.lock
	@touch $@

# Without dependencies: the lock names them all. PyTorch may be unavailable: see benchmarks/lock.awk.
$(BENCH_READY): benchmarks/requirements.lock benchmarks/torch.lock
	$(PYTHON_ADDONS) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r benchmarks/requirements.lock
	.venv-bench/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r benchmarks/torch.lock || \
		echo "make: pip finds no PyTorch without CUDA: configure pip with PyTorch's index of CPU builds; until then its rows are 'not measured'" >&2
	@touch $@
