# Every target installs what it needs into the checkout (.venv, .tools, node_modules) and says what it can't install.
# Needed on the machine: cargo (rustup), a C compiler, Python 3.9+ with venv, and for the tests Node 20.14+.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/.tools/bin:$(PATH)

FUNCTIONS := start-chat receive-message deliver-message
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2

.PHONY: help dev test lint fmt build bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

dev: $(BIN)/cargo-lambda $(if $(QUEUE),$(BIN)/pytest) ## run the bridge on this machine: no AWS account needed (QUEUE=1: with the queue)
	@QUEUE=$(QUEUE) local/dev.sh

test: lint $(BIN)/pytest tests/clients/node_modules/.installed ## run every check and test
	cargo build --workspace --bins
	cargo test --workspace
	pytest -q tests/clients

lint: .tools/bin/cargo-deny ## check formatting, lints, licences and dependencies
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	cargo-deny --log-level error check bans licenses sources

fmt: ## format the code
	cargo fmt --all

# The release bootstraps, as SAM deploys them: target/lambda/<function>/bootstrap for this machine's architecture,
# target/lambda-arm64/<function>/bootstrap with ARCH=arm64 (target/lambda-x86_64 with ARCH=x86_64).
ARCH ?=
build: $(BIN)/cargo-lambda ## make the release bootstraps (ARCH=arm64 or x86_64 for another architecture)
ifneq ($(ARCH),)
	rustup target add $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu
endif
	cargo lambda build --release $(addprefix --bin=,$(FUNCTIONS)) \
	  --lambda-dir target/lambda$(if $(ARCH),-$(ARCH)) \
	  $(if $(ARCH),--target $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu)

bench: ## measure
	cargo bench --workspace --bench hot_path

# On stable Rust, so without a sanitizer. `make test` runs the same functions, on random input: tests/src/fuzz.rs.
# What fails is kept below fuzz/artifacts; with .tools/bin on the PATH, `cargo fuzz run -s none --dev <target> <file>`
# runs it again.
SECONDS ?= 30
FUZZ := -s none --dev
fuzz: .tools/bin/cargo-fuzz ## feed every reader of untrusted input (SECONDS=30 each)
	cp Cargo.lock fuzz/Cargo.lock
	cargo fuzz build $(FUZZ)
	for target in $$(cargo fuzz list); do \
	  cargo fuzz run $(FUZZ) $$target -- -max_total_time=$(SECONDS) -max_len=4096 -len_control=0; \
	done

clean: ## remove all that was built or installed here
	rm -rf target fuzz/target .venv .tools tests/clients/node_modules

# ---- Tools ----------------------------------------------------------------------------------------------------------

.venv/pyvenv.cfg:
	@command -v python3 >/dev/null || { echo 'python3 is missing: install Python 3.9 or newer'; exit 1; }
	@python3 -m venv .venv || { echo 'python3 has no venv module: install python3-venv'; exit 1; }

$(BIN)/cargo-lambda: local/requirements.txt | .venv/pyvenv.cfg
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust with rustup'; exit 1; }
	@echo 'Installing cargo-lambda into .venv'
	@$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(BIN)/pytest: tests/clients/requirements.txt $(BIN)/cargo-lambda
	@echo 'Installing the AWS CLI, boto3, moto and pytest into .venv'
	@$(BIN)/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

tests/clients/node_modules/.installed: tests/clients/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20.14 or newer'; exit 1; }
	@echo 'Installing amazon-connect-chatjs'
	@npm --prefix tests/clients ci --no-audit --no-fund --silent
	@touch $@

.tools/bin/cargo-deny:
	@echo 'Installing cargo-deny into .tools (a minute)'
	@cargo install --quiet --debug --locked --root .tools --target-dir target/tools cargo-deny@$(CARGO_DENY)
	@rm -rf target/tools

.tools/bin/cargo-fuzz:
	@echo 'Installing cargo-fuzz into .tools (a minute)'
	@cargo install --quiet --debug --locked --root .tools --target-dir target/tools cargo-fuzz@$(CARGO_FUZZ)
	@rm -rf target/tools
