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

.PHONY: help dev test lint template monitoring fmt build arch release deploy rollback dead-letters erase doctor smoke bench fuzz clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

dev: $(BIN)/cargo-lambda local/page/node_modules/.installed ## run the bridge on this machine: no AWS account needed
	@local/dev.sh

test: lint $(BIN)/pytest local/page/node_modules/.installed tests/clients/node_modules/.installed ## run every check and test
	cargo build --workspace --bins
	cargo test --workspace
	pytest -q -rs tests/clients tests/template/test_deployment.py tests/template/test_exports.py tests/tools

lint: template .tools/bin/cargo-deny ## check formatting, lints, licences, dependencies and the SAM template
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --quiet
	cargo-deny --log-level error check bans licenses sources
	@if cargo-deny --log-level error fetch db >target/advisories.log 2>&1; then \
	  cargo-deny --log-level error check advisories; \
	else echo 'Advisories are not checked: their database cannot be reached (target/advisories.log).'; fi

# cfn-lint lets things through in a SAM template that it finds in the expanded one: both.
template: .venv/.template .tools/sam/bin/sam .tools/checkov/bin/checkov ## check the SAM template
	python tests/template/expand.py target/template
	cfn-lint -t template.yaml -t deploy/monitoring.json -t target/template/*.json
	.tools/sam/bin/sam validate
	.tools/checkov/bin/checkov --config-file .checkov.yaml -f target/template/expanded.json
	pytest -q tests/template/test_template.py tests/template/test_monitoring.py tests/template/test_filter.py

monitoring: .venv/.deploy ## write deploy/monitoring.json from the table in deploy/monitoring.py
	python deploy/monitoring.py

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

# ---- A deployed bridge: docs/operations.md ---------------------------------------------------------------------------

STACK ?= connect-chat-bridge
# For what a release is built; an answer `Architecture` must say the same.
TARGET = $(or $(ARCH),arm64)

release: ## build and pack what is deployed: target/releases (ARCH=x86_64 for that processor)
	@$(MAKE) --no-print-directory build ARCH=$(TARGET)
	@python3 tools/release.py $(TARGET)

deploy: .venv/.deploy .tools/sam/bin/sam ## deploy (STACK=… PARAMETERS=deploy/both.yaml the first time, ZIP=… a release, YES=1)
	@zip='$(ZIP)'; [ -n "$$zip" ] || zip=$$($(MAKE) --no-print-directory release ARCH=$(TARGET) | tail -1); \
	  python tools/deploy.py --stack '$(STACK)' --zip "$$zip" $(if $(PARAMETERS),--parameters '$(PARAMETERS)') $(if $(YES),--yes) \
	  $(if $(TAGS),--tags '$(TAGS)')

rollback: .venv/.deploy ## back to the version before, within seconds (STACK=… [FUNCTION=StartChat [TO=7]])
	@python tools/rollback.py --stack '$(STACK)' $(if $(FUNCTION),--function '$(FUNCTION)') $(if $(TO),--to '$(TO)')

dead-letters: .venv/.deploy ## list dead letters (STACK=… [QUEUE=Inbound]); DO=redrive|delete REASON=… [TWICE=1]
	@python tools/dead_letters.py --stack '$(STACK)' $(or $(DO),list) $(if $(REASON),--reason '$(REASON)') \
	  $(if $(QUEUE),--queue '$(QUEUE)') $(if $(TWICE),--may-have-been-delivered)

erase: .venv/.deploy ## erase what is kept of one customer (STACK=… ADDRESS=+14155550123 [OPT_OUT=1] [YES=1])
	@[ -n '$(ADDRESS)' ] || { echo 'make erase ADDRESS=<the customer'"'"'s address>'; exit 2; }
	@python tools/erase.py --stack '$(STACK)' $(if $(OPT_OUT),--opt-out) $(if $(YES),--yes) -- '$(ADDRESS)'

doctor: .venv/.deploy ## check make dev, or with STACK=… a deployed stack, for common mistakes
	@python tools/doctor.py $(if $(filter command environment,$(firstword $(origin STACK))),--stack '$(STACK)')

smoke: ## check a deployed bridge: URL=https://… [ORIGIN=https://shop.example] [ONLY=widget|messages] [TOKEN=…]
	@[ -n "$(URL)" ] || { echo 'make smoke URL=<output Url of the stack> [ORIGIN=<an allowed origin>]'; exit 2; }
	@python3 tests/smoke.py "$(URL)" $(if $(ORIGIN),--origin "$(ORIGIN)") $(if $(ONLY),--only "$(ONLY)")

bench: ## measure
	cargo bench --workspace --bench hot_path --bench pressure --bench attachments

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

.venv/.deploy: deploy/requirements.txt | .venv/pyvenv.cfg
	@echo 'Installing boto3 into .venv'
	@$(call pip,boto3 and PyYAML,-r $<)
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
