#!/usr/bin/env bash
# Checks what is in deploy/, and the SQL of the server dialect, as far as that goes without containers and
# without TiDB. The tools come from Python's registry into target/.
set -euo pipefail
cd "$(dirname "$0")/.."
for script in deploy/*.sh; do bash -n "$script"; done
tools="${CARGO_TARGET_DIR:-target}/deploy-tools"
if ! "$tools/bin/python" -c 'import yaml, kubernetes_validate' 2>/dev/null; then
  python3 -m venv --clear "$tools" 2>/dev/null || {
    apt-get install -y -qq python3-venv >/dev/null && python3 -m venv --clear "$tools"
  }
  "$tools/bin/python" -m pip install --quiet pyyaml==6.0.2 kubernetes-validate==1.34.1
fi
exec "$tools/bin/python" deploy/check.py
