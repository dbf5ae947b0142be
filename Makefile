# Each target runs a command that you could also type; `make -n TARGET` shows it.

# The number of ranks, the job that they train, and the command that starts them.
NP ?= 2
JOB ?= jobs/lenet-fashion-small.toml
MPIRUN ?= mpirun
# Overrides for the job, as in SET='train.seed=2 stage.baseline.train.epochs=1'.
SET ?=

# On a machine with both MPIs under Debian's names, MPI=mpich or MPI=openmpi builds against that one, next to the default build.
ifdef MPI
export MPI
export MPICC := mpicc.$(MPI)
export MPIRUN := mpirun.$(MPI)
export CARGO_TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)/$(MPI)
endif

TERNFLOCK := $(or $(CARGO_TARGET_DIR),target)/release/ternflock

# The hosts that `make cluster` emulates, the rate of their links (default: 1gbit), and the checks that it runs.
HOSTS ?= 4
RATE ?=
CHECKS ?=

# How many seconds `make fuzz` runs each target, and the targets that it runs.
FUZZ_SECONDS ?= 3600
FUZZ_TARGETS ?=

# How many faults `make faults` injects, and the seed that draws them.
COUNT ?= 500
SEED ?= 1

# The directory of rustup, in case the shell does not know it yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

# Allow more ranks than cores, for Open MPI 4 and then 5. Other launchers ignore these variables.
export OMPI_MCA_rmaps_base_oversubscribe := true
export PRTE_MCA_rmaps_default_mapping_policy := :oversubscribe
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

.PHONY: help setup build train test lint book bench cluster cluster-up cluster-down faults fuzz reproduce clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Install what is missing (Debian, Ubuntu), or explain how to
	./setup.sh

build: setup ## Build target/release/ternflock
	cargo build --release

train: build ## Train a small LeNet on Fashion-MNIST with 2 ranks; NP=4, JOB=jobs/lstm-kjv.toml and SET=train.seed=2 change that
	@job='$(JOB)'; \
	if [ "$$job" = jobs/lenet-fashion-small.toml ] && ! ./setup.sh has-data && ! $(TERNFLOCK) data fetch fashion-mnist; then \
		job=jobs/lenet-digits-small.toml; \
		echo "make train: Fashion-MNIST is not available; training on the built-in digits instead: $$job" >&2; \
	fi; \
	if [ "$$job" = jobs/lstm-kjv.toml ] && ! $(TERNFLOCK) data fetch kjv > /dev/null; then \
		job=jobs/lstm-genesis.toml; \
		echo "make train: the King James Bible is not available; training on the built-in Genesis instead: $$job" >&2; \
	fi; \
	set -x; $(MPIRUN) -n $(NP) $(TERNFLOCK) train "$$job" $(SET:%=--set %)

test: ## Run all tests, including the parallel ones under mpirun; MPI=mpich uses MPICH
	./setup.sh test
	cargo test --release --workspace

lint: ## Check format, lints and documentation; also scripts, spelling and dependencies if the tools are installed
	./setup.sh lint
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release -p ternflock-collectives --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --release --no-deps --workspace
	.ci/lint

# Links to pages outside docs/ must keep .md, but mdBook converts all links to .md.
book: ## Build the documentation as a book, into book/, if mdBook is installed (cargo install mdbook --locked)
	@if command -v mdbook > /dev/null; then \
		mdbook build docs && \
		find book -name '*.html' -exec sed -i -E 's#(href="[./]*/(CONTRIBUTING|SECURITY))\.html#\1.md#g' {} +; \
	else \
		echo "make book: mdBook is not installed, so no book is built (cargo install mdbook --locked)" >&2; \
	fi

bench: build ## Time the codec and training steps on one core, and all-reduces between NP=2 ranks
	$(TERNFLOCK) bench codec
	for model in lenet convnet-quick resnet-20 lstm-small lstm-medium; do $(TERNFLOCK) bench step --model $$model; done
	$(MPIRUN) -n $(NP) $(TERNFLOCK) bench allreduce

fuzz: ## Run all fuzz targets, or those in FUZZ_TARGETS=, each for FUZZ_SECONDS=3600; skips without a nightly compiler
	./setup.sh fuzz
	fuzz/run.sh $(FUZZ_SECONDS) $(FUZZ_TARGETS) || [ $$? = 77 ]

cluster: build ## Test and measure across emulated hosts with shaped links and Slurm, HOSTS=4 RATE=1gbit; skips without root
	./setup.sh cluster
	HOSTS='$(HOSTS)' RATE='$(RATE)' tests/cluster/run.sh $(CHECKS) || [ $$? = 77 ]

cluster-up: ## Start HOSTS=4 emulated hosts with links of RATE=1gbit and Slurm, for your own tests: tests/cluster/cluster --help
	tests/cluster/cluster up $(HOSTS) $(RATE)
	tests/cluster/cluster slurm

cluster-down: ## Stop these hosts and everything that runs on them
	tests/cluster/cluster down

faults: setup ## Kill or stop a rank at COUNT=500 random moments (SEED=1); check that each job ends in time and resumes to the same bits
	COUNT='$(COUNT)' SEED='$(SEED)' cargo test --release --test parallel -- --ignored faults::many

reproduce: build ## Reproduce the accuracy table of docs/results.md (slow)
	tests/reproduce.sh

clean: ## Remove build outputs; runs and data stay
	cargo clean
