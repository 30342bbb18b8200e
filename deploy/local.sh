#!/usr/bin/env bash
# A whole deployment on one machine: MariaDB, Redis and seven processes (gateway, labels, ingest, two for
# segments, metrics and cohorts), each on a loopback port of its own.
#
#   deploy/local.sh up [--data DIR] [--port N]   start everything; N is the gateway's port (8080)
#   deploy/local.sh status                       what runs, and whether it is ready
#   deploy/local.sh kill NAME                    kill -9: mariadb redis gateway labels ingest segments-1 segments-2
#                                                metrics cohorts
#   deploy/local.sh start NAME                   start it again
#   deploy/local.sh down                         stop everything; the data stay
#
# MUSTER_BIN names the program; without it target/release/muster is built and taken.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
export PATH="$PATH:/usr/sbin:/usr/local/sbin"

names=(mariadb redis labels ingest segments-1 segments-2 metrics cohorts gateway)
action="${1:-}"
shift || true
data="${MUSTER_LOCAL:-$PWD/muster-local}"
port=8080
name=""
while [ $# -gt 0 ]; do
  case "$1" in
    --data) data="$2"; shift 2 ;;
    --port) port="$2"; shift 2 ;;
    -*) echo "unknown option $1" >&2; exit 2 ;;
    *) name="$1"; shift ;;
  esac
done
state="$data/local"
[ -f "$state/port" ] && [ "$action" != up ] && port="$(cat "$state/port")"

# The gateway's port, then one after the other.
port_of() {
  case "$1" in
    gateway) echo "$port" ;;
    labels) echo $((port + 1)) ;;
    ingest) echo $((port + 2)) ;;
    segments-1) echo $((port + 3)) ;;
    segments-2) echo $((port + 4)) ;;
    mariadb) echo $((port + 5)) ;;
    redis) echo $((port + 6)) ;;
    metrics) echo $((port + 7)) ;;
    cohorts) echo $((port + 8)) ;;
    *) echo "there is no $1: ${names[*]}" >&2; exit 2 ;;
  esac
}

runs() { [ -f "$state/$1.pid" ] && kill -0 "$(cat "$state/$1.pid")" 2>/dev/null; }

background() { # NAME COMMAND…: in a session of its own, so that it outlives this script
  local of="$1"
  shift
  setsid nohup "$@" >>"$state/$of.log" 2>&1 </dev/null &
  echo $! >"$state/$of.pid"
}

binary() {
  if [ -n "${MUSTER_BIN:-}" ]; then echo "$MUSTER_BIN"; return; fi
  (cd "$here/.." && cargo build --release --locked >&2)
  local target="${CARGO_TARGET_DIR:-$here/../target}"
  echo "$target/release/muster"
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

answers() { # PORT PATH: whether it answers 200
  local line
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
  read -r line <&3 || line=""
  exec 3>&-
  case "$line" in *" 200 "*) return 0 ;; *) return 1 ;; esac
}

until_ready() { # NAME
  local of="$1" tries=0
  while :; do
    case "$of" in
      mariadb | redis) listening "$(port_of "$of")" && return ;;
      *) answers "$(port_of "$of")" /readyz 2>/dev/null && return ;;
    esac
    runs "$of" || { echo "$of ended: see $state/$of.log" >&2; exit 1; }
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo "$of does not get ready: see $state/$of.log" >&2; exit 1; }
    sleep 0.1
  done
}

start_mariadb() {
  local user=()
  [ "$(id -u)" -eq 0 ] && user=(--user=root)
  if [ ! -d "$state/mariadb/mysql" ]; then
    mariadb-install-db --no-defaults "${user[@]}" --datadir="$state/mariadb" --tmpdir="$state" --skip-test-db \
      --auth-root-authentication-method=normal >"$state/mariadb-install.log" 2>&1
  fi
  background mariadb mariadbd --no-defaults "${user[@]}" --datadir="$state/mariadb" --tmpdir="$state" \
    --port="$(port_of mariadb)" --bind-address=127.0.0.1 --socket="$state/mariadb.sock" \
    --max-allowed-packet=64M --max-connections=500
}

start_redis() {
  background redis redis-server --port "$(port_of redis)" --bind 127.0.0.1 --dir "$state" --save '' --appendonly no
}

start_role() { # NAME
  local role="${1%-*}"
  background "$1" "$(cat "$state/binary")" serve --data "$data/store" --config "$state/muster.toml" \
    --role "$role" --listen "127.0.0.1:$(port_of "$1")"
}

start() { # NAME
  runs "$1" && return
  case "$1" in
    mariadb) start_mariadb ;;
    redis) start_redis ;;
    *) port_of "$1" >/dev/null; start_role "$1" ;;
  esac
  until_ready "$1"
}

configure() {
  [ -f "$state/secret" ] || (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$state/secret")
  (umask 077; cat >"$state/muster.toml" <<TOML
[database]
url = "mysql://root@127.0.0.1:$(port_of mariadb)/muster"
[queue]
url = "redis://127.0.0.1:$(port_of redis)/0"
[services]
secret = "$(cat "$state/secret")"
labels = ["http://127.0.0.1:$(port_of labels)"]
ingest = ["http://127.0.0.1:$(port_of ingest)"]
segments = ["http://127.0.0.1:$(port_of segments-1)", "http://127.0.0.1:$(port_of segments-2)"]
metrics = ["http://127.0.0.1:$(port_of metrics)"]
cohorts = ["http://127.0.0.1:$(port_of cohorts)"]
TOML
  )
}

up() {
  "$here/servers.sh"
  mkdir -p "$state" "$data/store"
  chmod 700 "$state"
  echo "$port" >"$state/port"
  binary >"$state/binary"
  configure
  start mariadb
  start redis
  mariadb --no-defaults --socket="$state/mariadb.sock" -uroot -e 'CREATE DATABASE IF NOT EXISTS muster'
  "$(cat "$state/binary")" migrate --config "$state/muster.toml"
  for each in labels ingest segments-1 segments-2 metrics cohorts gateway; do start "$each"; done
  echo "Muster serves on http://127.0.0.1:$port (its state is in $state)"
}

down() {
  local of
  for ((at = ${#names[@]} - 1; at >= 0; at--)); do
    of="${names[at]}"
    runs "$of" || continue
    kill "$(cat "$state/$of.pid")"
    for _ in $(seq 300); do runs "$of" || break; sleep 0.1; done
    runs "$of" && kill -9 "$(cat "$state/$of.pid")"
    rm -f "$state/$of.pid"
  done
  echo "stopped"
}

status() {
  for of in "${names[@]}"; do
    local said=away
    if runs "$of"; then
      said=running
      case "$of" in mariadb | redis) ;; *) answers "$(port_of "$of")" /readyz 2>/dev/null && said=ready ;; esac
    fi
    printf '%-12s %-6s %s\n' "$of" "$(port_of "$of")" "$said"
  done
}

case "$action" in
  up) up ;;
  down) down ;;
  status) status ;;
  kill) port_of "$name" >/dev/null; runs "$name" && kill -9 "$(cat "$state/$name.pid")"; rm -f "$state/$name.pid" ;;
  start) start "$name" ;;
  *) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
