#!/usr/bin/env sh
# Installs ClickHouse's engine (chDB) into a Python environment in the folder given. Done again it changes
# nothing.
set -eu
folder=$1
if "$folder/bin/python" -c 'import chdb' 2>/dev/null; then
    exit 0
fi
python3 -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet chdb==4.4.0
