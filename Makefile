# One front door. `make test` is everything CI runs; the servers and tools it needs beyond the Rust
# toolchain it installs itself (deploy/servers.sh, app/tests/tools.sh).

.PHONY: test lint unit split servers deployment demo bench engine neighbours fuzz builds tiers insights nightly calibration

test: lint deployment unit split

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: servers
	cargo test --workspace --locked

# The same scenarios once more: separate processes on MariaDB and Redis. Named one by one and not by their crates: cargo
# would build these with other features than the workspace, all over again.
FOLDERS = app/tests services/gateway/tests services/labels/tests services/metrics/tests shared/jobs/tests
SCENARIOS = $(wildcard $(FOLDERS:=/*.rs)) $(patsubst %/main.rs,%,$(wildcard $(FOLDERS:=/*/main.rs)))

split: servers
	MUSTER_SHAPE=split cargo test --workspace --locked --lib $(addprefix --test ,$(basename $(notdir $(SCENARIOS)))) \
		-- --skip every_part_is_killed --skip a_segment_job_is_one_trace

servers:
	deploy/servers.sh

# What is in deploy/, as far as it can be checked without containers.
deployment:
	deploy/check.sh

demo:
	cargo run --release --locked -- demo

bench:
	cargo run --release --locked -- bench

# The evaluator beside ClickHouse's engine, on the same rows and rules.
engine:
	cargo run --release --locked -p muster-load-tests --bin engine -- $(ARGS)

# Rows a second into the store: parsed ones, and CSV through an import.
builds:
	cargo run --release --locked -p muster-load-tests --bin builds

# One app sends ten times its quota: what the others notice of it.
neighbours:
	cargo run --release --locked -p muster-load-tests --bin neighbours

# Apps of ten thousand to ten million users under growing load.
tiers:
	cargo build --release --locked -p muster
	cargo run --release --locked -p muster-load-tests --bin tiers -- $(ARGS)

# The profile of a day: counted in one pass, written, and read.
insights:
	cargo build --release --locked -p muster
	cargo run --release --locked -p muster-load-tests --bin insights -- $(ARGS)

# The cohorts of a thousand daily segments in one run, and by a job each.
nightly:
	cargo build --release --locked -p muster
	cargo run --release --locked -p muster-load-tests --bin nightly -- $(ARGS)

# How often the intervals of sampled estimates hold the exact count.
calibration:
	cargo run --release --locked -p muster-load-tests --bin calibration

# Damaged store files, read for ten minutes with every overflow and assertion checked.
SECONDS = 600
fuzz:
	cargo run --profile fuzz --locked -p muster-load-tests --bin damage -- --seconds $(SECONDS)
