# hull: every target does its own set-up on a fresh Debian machine with Rust.

PREFIX  ?= /usr/local
DESTDIR ?=
HOST    := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET  := $(or $(CARGO_TARGET_DIR),target)/$(HOST)
HULL    := $(abspath $(TARGET)/release/hull)
# /bin/busybox may be the dynamic one, which a bundle of nothing else cannot run.
BUSYBOX := /var/lib/dpkg/info/busybox-static.list

export DEBIAN_FRONTEND := noninteractive

.PHONY: run build test lint bench install test-engines test-machine machine-shell test-embedding test-dependent conformance conformance-runc need-build need-test need-root clean

# $(call need,FILE PACKAGE ...): installs the packages of which a file is missing.
define need
	@missing=; set -- $(1); while [ $$# -gt 0 ]; do [ -e "$$1" ] || ls $$1 >/dev/null 2>&1 || missing="$$missing $$2"; shift 2; done; \
	if [ -n "$$missing" ]; then echo "installing:$$missing"; sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && $$sudo apt-get install -y -qq --no-install-recommends -o DPkg::Lock::Timeout=300 $$missing >/dev/null; fi
endef

need-build:
	@command -v cargo >/dev/null || { echo 'no cargo in PATH: Rust 1.91 or newer is needed, https://rustup.rs' >&2; exit 1; }
	$(call need,/usr/include/seccomp.h libseccomp-dev /usr/bin/pkg-config pkg-config /usr/bin/cc gcc /usr/include/stdio.h libc6-dev)

need-test: need-build
	$(call need,$(BUSYBOX) busybox-static /usr/bin/newuidmap uidmap /usr/bin/setpriv util-linux /usr/bin/ps procps /sbin/ip iproute2 /usr/bin/conmon conmon)

# The release binary.
build: need-build
	cargo build --release -p runtime-cli

# Builds hull, makes a bundle from a static busybox, and runs a container that says where it is.
run: build
	$(call need,$(BUSYBOX) busybox-static)
	@./demo $(HULL)

# All tests, against the release binary: what is shipped is what is tested. They run containers, so they need root.
# Shown output: the reason of every test that is skipped, and nothing else.
test: need-root need-test build
	HULL=$(HULL) cargo test --workspace --no-fail-fast -- --show-output

need-root:
	@[ "$$(id -u)" = 0 ] || { echo 'the tests run containers: as root, please (sudo -E env PATH="$$PATH" make test)' >&2; exit 1; }

lint: need-build
	@cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps -p libcontainer -p hull-init

# Side by side with the floor, runc and crun; writes benches/RESULTS.md.
bench: build
	HULL=$(HULL) benches/run

# Docker, Swarm, containerd, CRI, Podman and Buildah of three Debian releases with hull under them; some forty minutes.
test-engines: build
	HULL=$(HULL) integration/engines/run

# A machine with systemd: its image made once, then booted with cgroup v2, with SELinux and with version 1, for the tests of each.
# TESTS='limits systemd' names files of integration/tests for one boot, with v2, or with what BOOT says.
test-machine: need-root build
	HULL=$(HULL) integration/machine/run $(TESTS)

# A root shell in that machine, in the boot that BOOT says.
machine-shell: need-root build
	HULL=$(HULL) integration/machine/run --shell

# A minute of containers from a program with many threads, a large heap, an async runtime and signals in all of them.
test-embedding: need-root need-test build
	HULL=$(HULL) HULL_STRESS_SECONDS=60 cargo test -p integration --test 'embedding*' -- --nocapture

# A program outside of the workspace: `cargo build` is all it takes to have libcontainer.
test-dependent: need-root need-test
	integration/dependent/run

# The validation suite of opencontainers/runtime-tools with hull, runc and crun; writes integration/conformance/RESULTS.md.
conformance: need-root build
	HULL=$(HULL) integration/conformance/run

# runc's own behaviour suite against runc and hull, in some twenty minutes; fetches it from Debian, writes integration/conformance/RESULTS.md.
conformance-runc: need-root build
	$(call need,$(BUSYBOX) busybox-static /usr/bin/mmdebstrap mmdebstrap /usr/bin/dpkg-source dpkg-dev /usr/bin/jq jq /usr/bin/gawk gawk \
		/usr/bin/script bsdutils /usr/bin/unshare util-linux /usr/bin/python3 python3 /usr/bin/gcc gcc /usr/share/doc/debian-archive-keyring debian-archive-keyring)
	HULL=$(HULL) integration/conformance/bats/run

install: build
	install -D -m 0755 $(HULL) $(DESTDIR)$(PREFIX)/bin/hull

clean:
	cargo clean
