#!/usr/bin/env bash
# Makes sure that MariaDB and Redis are there to be started, by the tests and by deploy/local.sh, and that
# Python can make environments. No server is left running: what needs one starts its own.
set -euo pipefail

have() { command -v "$1" >/dev/null 2>&1; }
# Debian keeps servers where only root looks.
export PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=()
have mariadbd && have mariadb-install-db || missing+=(mariadb-server)
have redis-server || missing+=(redis-server)
# The tests keep their Python tools in environments of their own.
have python3 && python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
[ ${#missing[@]} -eq 0 ] && exit 0

have apt-get || { echo "Install ${missing[*]} (MariaDB 10.6 or later, Redis 6 or later)" >&2; exit 1; }
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "Installing ${missing[*]} from Debian's packages" >&2
# The packages would start their servers on the usual ports: not here.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  made_policy=yes
fi
install() { DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}" >/dev/null; }
install || { "${as_root[@]}" apt-get update >/dev/null && install; } || failed=yes
[ "$made_policy" = no ] || "${as_root[@]}" rm -f "$policy"
[ -z "${failed:-}" ] || { echo "Could not install ${missing[*]}" >&2; exit 1; }
