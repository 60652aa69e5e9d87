# `make run` and `make test` do all set-up themselves, on a fresh Debian 12 or 13 with the Swift toolchain.

SHELL := /bin/bash
binary := .build/release/tapster
swift_sources := $(wildcard Sources Tests migrations openapi Package.swift)

.PHONY: help run clean-run test test-kernels soak fuzz bench build lint format clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# A host that cannot run it is told so before the long build. With job control, scripts/run is the terminal's foreground
# job alone: Control-C then ends it and not make, which would call that an error. Should make die, the script ends too.
run: ## Build Tapster, run it with an example device, and show what to try
	@scripts/run --check
	@scripts/setup run
	@$(MAKE) --no-print-directory build
	@set -m; setpriv --pdeathsig TERM scripts/run || exit

clean-run: ## Remove what `make run` made
	@scripts/clean-run

test: ## Check format, contract and behaviour
	@scripts/test

test-kernels: ## Run the tests of Tests/Kernels/tests on Debian's own kernels and libraries
	@scripts/setup test
	swift build --build-tests
	Tests/Kernels/run

soak: ## Walk 20,000 random steps, and 10,000 leases, with kills among them, against a model; cut the power 20,000 times
	@scripts/setup test
	swift build --build-tests
	TAPSTER_SOAK_STEPS=$${TAPSTER_SOAK_STEPS:-20000} swift test --skip-build --filter 'SoakTests|PowerCutTests'

fuzz: ## Look for an hour (FUZZ_SECONDS) for bytes and requests that break what must hold
	@scripts/fuzz

bench: build ## Measure Tapster against plain C
	@scripts/setup bench
	Benchmarks/run $(binary)

# Swift's own libraries go into the binary, so that it needs only C libraries, which Debian has.
build: ## Build the release binary
	@scripts/setup build
	swift build -c release --product tapster --static-swift-stdlib

lint: ## Check the format of the Swift sources
	swift format lint --strict --recursive --parallel $(swift_sources)

format: ## Format the Swift sources
	swift format --in-place --recursive --parallel $(swift_sources)

clean: ## Remove what was built
	rm -rf .build .build-fuzz .build-tools Benchmarks/build
