# Every target installs what it needs into the checkout (.venv, .tools, node_modules) and says what it can't install.
# Needed on the machine: cargo (rustup), a C compiler, Python 3.10+ with venv (3.11+ for the tests), Node 20.14+.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/.tools/bin:$(PATH)

FUNCTIONS := start-chat receive-message deliver-message receive-reply send-reply
CARGO_DENY := 0.20.2
CARGO_FUZZ := 0.13.2
SAM_CLI := 1.170.0
CHECKOV := 3.3.30
export SAM_CLI_TELEMETRY := 0
# Dev and tests talk to this machine, whatever the network's proxy is.
comma := ,
export NO_PROXY := localhost,127.0.0.1$(if $(NO_PROXY),$(comma)$(NO_PROXY))
export no_proxy := localhost,127.0.0.1$(if $(no_proxy),$(comma)$(no_proxy))

.PHONY: help dev test lint template fmt build arch deploy smoke bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

dev: $(BIN)/cargo-lambda local/page/node_modules/.installed ## run the bridge on this machine: no AWS account needed
	@local/dev.sh

test: lint $(BIN)/pytest local/page/node_modules/.installed tests/clients/node_modules/.installed ## run every check and test
	cargo build --workspace --bins
	cargo test --workspace
	pytest -q -rs tests/clients tests/template/test_deployment.py

lint: template .tools/bin/cargo-deny ## check formatting, lints, licences, dependencies and the SAM template
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	cargo-deny --log-level error check bans licenses sources

# cfn-lint lets things through in a SAM template that it finds in the expanded one: both.
template: .venv/.template .tools/sam/bin/sam .tools/checkov/bin/checkov ## check the SAM template
	python tests/template/expand.py target/template
	cfn-lint -t template.yaml -t target/template/*.json
	.tools/sam/bin/sam validate
	.tools/checkov/bin/checkov --config-file .checkov.yaml -f target/template/expanded.json
	pytest -q tests/template/test_template.py

fmt: ## format the code
	cargo fmt --all

# The release bootstraps, as SAM deploys them: target/lambda/<function>/bootstrap for this machine's architecture,
# target/lambda-arm64/<function>/bootstrap with ARCH=arm64 (target/lambda-x86_64 with ARCH=x86_64).
ARCH ?=
build: arch $(BIN)/cargo-lambda ## make the release bootstraps (ARCH=arm64 or x86_64 for another architecture)
ifneq ($(ARCH),)
	rustup target add $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu
endif
	cargo lambda build --release $(addprefix --bin=,$(FUNCTIONS)) \
	  --lambda-dir target/lambda$(if $(ARCH),-$(ARCH)) \
	  $(if $(ARCH),--target $(if $(filter arm64,$(ARCH)),aarch64,x86_64)-unknown-linux-gnu)

arch:
	@case '$(ARCH)' in ''|arm64|x86_64) ;; *) echo 'ARCH is arm64, x86_64 or nothing'; exit 2;; esac

# The first time it asks for everything and writes the answers to samconfig.toml; GUIDED=1 asks again. What is built must be
# what the functions are told to run on: ARCH, which the answers must not contradict, or what they say (SAVED; the template's
# default where they don't). x86_64 wants an x86_64 machine. `sam build` leaves what it built in target/lambda, too.
SAVED = $(shell awk '/^ *parameter_overrides/ { a = "arm64" } /^ *[p"].*Architecture=[\\"]*x86_64/ { a = "x86_64" } \
  END { print a }' samconfig.toml)
deploy: SAVED := $(SAVED)
deploy: TARGET := $(or $(ARCH),$(SAVED),arm64)
deploy: arch $(BIN)/cargo-lambda .tools/sam/bin/sam ## build and deploy with SAM
	@[ '$(TARGET)' != x86_64 ] || [ "$$(uname -m)" = x86_64 ] || { echo 'x86_64 needs an x86_64 machine'; exit 1; }
	@[ '$(TARGET)' = '$(or $(SAVED),$(TARGET))' ] || { \
	  echo 'samconfig.toml has Architecture=$(SAVED): answer $(TARGET) with GUIDED=1'; [ -n '$(GUIDED)' ] || exit 2; }
	rustup target add $(if $(filter x86_64,$(TARGET)),x86_64,aarch64)-unknown-linux-gnu
	.tools/sam/bin/sam build --parameter-overrides Architecture=$(TARGET)
	.tools/sam/bin/sam deploy $(if $(SAVED),$(if $(GUIDED),--guided),--guided --parameter-overrides Architecture=$(TARGET))

smoke: ## check a deployed bridge: URL=https://… [ORIGIN=https://shop.example] [ONLY=widget|messages] [TOKEN=…]
	@[ -n "$(URL)" ] || { echo 'make smoke URL=<output Url of the stack> [ORIGIN=<an allowed origin>]'; exit 2; }
	@python3 tests/smoke.py "$(URL)" $(if $(ORIGIN),--origin "$(ORIGIN)") $(if $(ONLY),--only "$(ONLY)")

bench: ## measure
	cargo bench --workspace --bench hot_path --bench pressure

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
	rm -rf target fuzz/target .aws-sam .venv .tools local/page/node_modules tests/clients/node_modules

# ---- Tools ----------------------------------------------------------------------------------------------------------

# Of the two, what goes wrong is one line, and the rest a log. $(call venv,folder), which leaves no half of one:
venv = command -v python3 >/dev/null || { echo 'python3 is missing: install Python 3.10 or newer'; exit 1; }; \
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
  || { echo "$$(python3 -V) is too old: install Python 3.10 or newer"; exit 1; }; \
  mkdir -p target && python3 -m venv $1 >target/venv.log 2>&1 \
  || { rm -rf $1; echo 'python3 has no venv module: install python3-venv, or see target/venv.log'; exit 1; }

# $(call pip,what,arguments of pip install,an environment of its own instead of .venv):
pip = mkdir -p target && $(or $3,.venv)/bin/pip install --quiet --disable-pip-version-check $2 >target/pip.log 2>&1 \
  || { $(if $3,rm -rf $3; )echo "pip can't install $1: is there a network? See target/pip.log."; exit 1; }

.venv/pyvenv.cfg:
	@$(call venv,.venv)

$(BIN)/cargo-lambda: local/requirements.txt | .venv/pyvenv.cfg
	@command -v cargo >/dev/null || { echo 'cargo is missing: install Rust with rustup'; exit 1; }
	@echo 'Installing cargo-lambda and moto into .venv (a minute)'
	@$(call pip,cargo-lambda and moto,-r $<)
	@touch $@

$(BIN)/pytest: tests/clients/requirements.txt $(BIN)/cargo-lambda
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$$($(BIN)/python -V) is too old for the tests: install 3.11 or newer, and run make clean"; exit 1; }
	@echo 'Installing the AWS CLI, boto3 and pytest into .venv (a minute)'
	@$(call pip,the AWS CLI and boto3 and pytest,-r $<)
	@touch $@

.venv/.template: tests/template/requirements.txt $(BIN)/pytest
	@echo 'Installing cfn-lint and the SAM translator into .venv'
	@$(call pip,cfn-lint and the SAM translator,-r $<)
	@touch $@

# Each in a virtual environment of its own: they pin different versions of boto3.
.tools/sam/bin/sam:
	@echo 'Installing the SAM CLI into .tools (a minute)'
	@$(call venv,.tools/sam)
	@$(call pip,the SAM CLI,aws-sam-cli==$(SAM_CLI),.tools/sam)

.tools/checkov/bin/checkov:
	@echo 'Installing checkov into .tools (a minute)'
	@$(call venv,.tools/checkov)
	@$(call pip,checkov,checkov==$(CHECKOV),.tools/checkov)

# The page's and the tests' own.
%/node_modules/.installed: %/package-lock.json
	@command -v npm >/dev/null || { echo 'npm is missing: install Node.js 20.14 or newer'; exit 1; }
	@echo 'Installing npm packages into $*/node_modules'
	@mkdir -p target
	@npm --prefix $* ci --no-audit --no-fund --loglevel=error >target/npm.log 2>&1 \
	  || { echo 'npm can'\''t install the packages of $*: is there a network? See target/npm.log.'; exit 1; }
	@touch $@

.tools/bin/cargo-deny:
	@echo 'Installing cargo-deny into .tools (a minute)'
	@cargo install --quiet --debug --locked --root .tools --target-dir target/tools cargo-deny@$(CARGO_DENY)
	@rm -rf target/tools

.tools/bin/cargo-fuzz:
	@echo 'Installing cargo-fuzz into .tools (a minute)'
	@cargo install --quiet --debug --locked --root .tools --target-dir target/tools cargo-fuzz@$(CARGO_FUZZ)
	@rm -rf target/tools
