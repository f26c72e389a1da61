#!/usr/bin/env bash
# A private RabbitMQ for tests: its own home, node name, ports, directories, epmd. Loopback only; as root or not.
#
#   broker.sh with CMD...          start a broker, run CMD with WAYBILL_TEST_AMQP set, stop everything, return CMD's code
#   broker.sh start DIR [OWNER]    start one under DIR (made if missing); DIR/url holds its address. With OWNER (a process
#                                  id) a watchdog stops the broker when that process is gone, however it went. With
#                                  DIR/tls/{ca,cert,key}.pem it speaks TLS, too, and DIR/url-tls holds that address.
#   broker.sh stop DIR             stop the broker and its epmd; DIR stays
#   broker.sh kill DIR             SIGKILL the broker, as a power cut would
#   broker.sh restart DIR          start the broker of DIR again: same ports, same data
#   broker.sh ctl DIR ARGS...     rabbitmqctl for the broker of DIR
#   broker.sh install              install the package when it is missing (root), or say which command does; likewise
#                                  Prometheus and Alertmanager, which some tests do without
#
# Exit codes: 3 = RabbitMQ is missing and cannot be installed from here; with: CMD's own; else 1 on failure.
set -euo pipefail

SERVER=/usr/lib/rabbitmq/bin/rabbitmq-server
START_SECONDS=${WAYBILL_BROKER_START_SECONDS:-90}
STOP_SECONDS=30

say() { printf 'broker: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# --- the package ------------------------------------------------------------------------------------------------------

POLICY=/usr/sbin/policy-rc.d
policy_is_ours=no

# Debian starts a service when its package is installed; a test machine wants the program only.
deny_autostart() {
    [ -e "$POLICY" ] && return 0
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
    policy_is_ours=yes
}

allow_autostart() {
    [ "$policy_is_ours" = no ] || rm -f "$POLICY"
    policy_is_ours=no
}

apt_quietly() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" >&2
}

install_package() {
    [ -x "$SERVER" ] && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "the tests need RabbitMQ; install it with:"
        say "    sudo apt-get install --no-install-recommends rabbitmq-server"
        exit 3
    fi
    say "installing rabbitmq-server (about 55 MB; it is not started as a service)"
    trap allow_autostart EXIT
    deny_autostart
    apt_quietly update
    apt_quietly install -y --no-install-recommends rabbitmq-server
    allow_autostart
    trap - EXIT
    [ -x "$SERVER" ] || fail "the package is installed, but $SERVER is not there"
}

# They watch an agent in tests/monitoring.rs, which is passed over without them.
install_watchers() {
    local packages="prometheus prometheus-alertmanager"
    command -v promtool >/dev/null && command -v amtool >/dev/null && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "alarms and dashboards are not tested without: sudo apt-get install --no-install-recommends $packages"
        return 0
    fi
    say "installing $packages (about 30 MB; not started as services)"
    trap allow_autostart EXIT
    deny_autostart
    # shellcheck disable=SC2086
    { apt_quietly update && apt_quietly install -y --no-install-recommends $packages; } \
        || say "$packages could not be installed: alarms and dashboards are not tested"
    allow_autostart
    trap - EXIT
}

# --- one broker -------------------------------------------------------------------------------------------------------

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the kernel's range for outgoing connections, so that nobody is given the port between two starts.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if port_is_free "$port"; then echo "$port"; return; fi
    done
}

random_word() { od -An -N8 -tx1 /dev/urandom | tr -d ' \n'; }

alive() { [ -n "${1:-}" ] && kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }

pid_in() { [ -s "$1" ] && head -n1 "$1" | tr -d '[:space:]' || true; }

# Writes DIR/settings once; a restart reads it again.
prepare() {
    local dir=$1 password
    mkdir -p "$dir/home" "$dir/mnesia" "$dir/log"
    chmod 700 "$dir"
    password=$(random_word)
    cat >"$dir/settings" <<SETTINGS
PORT=$(free_port)
DIST=$(free_port)
EPMD=$(free_port)
NODE=waybill-$(random_word)@localhost
SETTINGS
    # shellcheck source=/dev/null
    . "$dir/settings"
    echo '[].' >"$dir/plugins"
    : >"$dir/env.conf"
    cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.local = 127.0.0.1:$PORT
default_user = waybill
default_pass = $password
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
disk_free_limit.absolute = 64MB
raft.wal_max_size_bytes = 67108864
log.console = false
log.file.level = info
CONF
    printf 'amqp://waybill:%s@127.0.0.1:%s/%%2f' "$password" "$PORT" >"$dir/url"
    [ -s "$dir/tls/cert.pem" ] || return 0
    local tls
    tls=$(free_port)
    cat >>"$dir/rabbitmq.conf" <<CONF
listeners.ssl.local = 127.0.0.1:$tls
ssl_options.cacertfile = $dir/tls/ca.pem
ssl_options.certfile = $dir/tls/cert.pem
ssl_options.keyfile = $dir/tls/key.pem
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
CONF
    printf 'amqps://waybill:%s@localhost:%s/%%2f' "$password" "$tls" >"$dir/url-tls"
}

launch_epmd() {
    local dir=$1
    alive "$(pid_in "$dir/epmd.pid")" && return 0
    HOME="$dir/home" setsid "$(command -v epmd)" -port "$EPMD" -address 127.0.0.1 -relaxed_command_check \
        </dev/null >>"$dir/log/epmd.log" 2>&1 &
    echo $! >"$dir/epmd.pid"
}

launch() {
    local dir=$1
    # shellcheck source=/dev/null
    . "$dir/settings"
    rm -f "$dir/broker.pid"
    watch "$dir"
    launch_epmd "$dir"
    env -i PATH="$PATH" LANG=C.UTF-8 HOME="$dir/home" \
        RABBITMQ_NODENAME="$NODE" \
        RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT="$PORT" RABBITMQ_DIST_PORT="$DIST" \
        RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log" \
        RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" RABBITMQ_CONF_ENV_FILE="$dir/env.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_PID_FILE="$dir/broker.pid" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false" \
        ERL_EPMD_PORT="$EPMD" ERL_EPMD_ADDRESS=127.0.0.1 \
        setsid "$SERVER" </dev/null >>"$dir/log/console.log" 2>&1 &
    echo $! >"$dir/server.pid"
    wait_until_open "$dir"
}

# The listener is the last thing RabbitMQ opens: an open port is a ready broker.
wait_until_open() {
    local dir=$1 deadline=$((SECONDS + START_SECONDS))
    while port_is_free "$PORT"; do
        if ! alive "$(pid_in "$dir/server.pid")"; then
            tail -n 40 "$dir"/log/*.log >&2 || true
            fail "the broker ended while starting"
        fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            stop "$dir"
            fail "the broker did not open port $PORT in $START_SECONDS s"
        fi
        sleep 0.1
    done
}

wait_gone() {
    local pid=$1 deadline=$((SECONDS + $2))
    while alive "$pid"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# Ends a process by its id: politely, then not.
end() {
    local pid=$1
    alive "$pid" || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    wait_gone "$pid" "$STOP_SECONDS" && return 0
    kill -KILL "$pid" 2>/dev/null || true
    wait_gone "$pid" 5 || true
}

stop() {
    local dir=$1 watchdog
    watchdog=$(pid_in "$dir/watchdog.pid")
    [ "$watchdog" = $$ ] || end "$watchdog"
    end "$(pid_in "$dir/broker.pid")"
    end "$(pid_in "$dir/server.pid")"
    end "$(pid_in "$dir/epmd.pid")"
    rm -f "$dir/broker.pid" "$dir/server.pid" "$dir/epmd.pid" "$dir/watchdog.pid"
}

kill_broker() {
    local dir=$1 pid
    pid=$(pid_in "$dir/broker.pid")
    alive "$pid" || fail "no broker runs in $dir"
    kill -KILL "$pid"
    wait_gone "$pid" 10 || fail "the broker survived SIGKILL"
    end "$(pid_in "$dir/server.pid")"
}

# Outlives the caller in a session of its own and cleans up when the owner is gone.
watch() {
    local dir=$1 owner
    owner=$(pid_in "$dir/owner")
    [ -n "$owner" ] || return 0
    alive "$(pid_in "$dir/watchdog.pid")" && return 0
    setsid "$BASH" "$0" watchdog "$dir" "$owner" </dev/null >/dev/null 2>&1 &
    echo $! >"$dir/watchdog.pid"
}

watchdog() {
    local dir=$1 owner=$2 command
    while alive "$owner"; do
        [ -d "$dir" ] || exit 0
        sleep 0.5
    done
    [ -d "$dir" ] || exit 0
    command=$(pid_in "$dir/command.pid")
    [ -z "$command" ] || kill -TERM -- "-$command" 2>/dev/null || true
    stop "$dir"
    rm -rf "$dir"
}

start() {
    local dir owner=${2:-}
    mkdir -p "$1"
    dir=$(cd "$1" && pwd)
    [ ! -s "$dir/settings" ] || fail "$dir already holds a broker; use restart"
    install_package
    prepare "$dir"
    echo "$owner" >"$dir/owner"
    launch "$dir"
}

# rabbitmqctl knows a broker by its node name and its epmd, and is known by the cookie in its home.
ctl() {
    local dir=${1:?ctl: which directory?}
    shift
    # shellcheck source=/dev/null
    . "$dir/settings"
    env -i PATH="$PATH" LANG=C.UTF-8 HOME="$dir/home" RABBITMQ_NODENAME="$NODE" RABBITMQ_CONF_ENV_FILE="$dir/env.conf" \
        ERL_EPMD_PORT="$EPMD" ERL_EPMD_ADDRESS=127.0.0.1 /usr/lib/rabbitmq/bin/rabbitmqctl -q "$@"
}

# --- with -------------------------------------------------------------------------------------------------------------

with_dir=
with_child=

with_forward() {
    [ -z "$with_child" ] || kill -TERM -- "-$with_child" 2>/dev/null || true
}

with_cleanup() {
    with_forward
    [ -n "$with_dir" ] || return 0
    stop "$with_dir"
    rm -rf "$with_dir"
}

with() {
    local code=0
    [ $# -gt 0 ] || fail "with: which command?"
    install_package
    with_dir=$(mktemp -d "${TMPDIR:-/tmp}/waybill-broker.XXXXXX")
    trap with_cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    start "$with_dir" $$
    say "RabbitMQ is up on 127.0.0.1:$PORT after $SECONDS s"
    trap with_forward INT TERM HUP
    set -m # the command gets a process group of its own, so that all of it can be told to stop
    WAYBILL_TEST_AMQP=$(cat "$with_dir/url") WAYBILL_TEST_BROKER_DIR=$with_dir "$@" </dev/null &
    with_child=$!
    echo "$with_child" >"$with_dir/command.pid"
    set +m
    wait "$with_child" || code=$?
    # A signal ends the first wait early; the command itself is then still ending.
    while alive "$with_child"; do wait "$with_child" || code=$?; done
    with_child=
    exit "$code"
}

case "${1:-}" in
    with) shift; with "$@" ;;
    start) start "${2:?start: which directory?}" "${3:-}" ;;
    stop) stop "${2:?stop: which directory?}" ;;
    kill) kill_broker "${2:?kill: which directory?}" ;;
    restart) install_package; launch "${2:?restart: which directory?}" ;;
    watchdog) watchdog "$2" "$3" ;;
    ctl) shift; ctl "$@" ;;
    install) install_package; install_watchers ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
