#!/usr/bin/env sh
# Installs what the tests need beyond the toolchain: a Python environment with an OpenAPI validator, in
# the folder given. Done again it changes nothing.
set -eu
folder=$1
if "$folder/bin/python" -c 'import openapi_spec_validator' 2>/dev/null; then
    exit 0
fi
if ! python3 -m venv --clear "$folder" 2>/dev/null; then
    apt-get update -qq
    apt-get install -y -qq python3-venv
    python3 -m venv --clear "$folder"
fi
"$folder/bin/python" -m pip install --quiet openapi-spec-validator==0.9.0
