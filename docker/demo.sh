#!/usr/bin/env bash
# make demo: both directions at work, told as a story. `demo.sh keep` goes on running until Ctrl-C.
#
# It starts a private broker, which ends with it, whatever AMQP_URL says and whatever broker this machine
# has: a demo makes queues and empties them. Everything it writes is below var/demo, made anew each time.
set -euo pipefail
cd "$(dirname "$0")/.."

KEEP=${1:-}
HOME_DIR=$PWD/var/demo
TARGET=${CARGO_TARGET_DIR:-$PWD/target}
WAYBILL=$TARGET/debug/waybill
PORT=9464

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
fail() { printf 'demo: %s\n' "$*" >&2; exit 1; }

install_tools() {
    command -v amqp-publish >/dev/null && command -v curl >/dev/null && return 0
    if [ "$(id -u)" != 0 ]; then
        fail 'amqp-tools and curl are missing; install them: sudo apt-get install amqp-tools curl'
    fi
    note 'installing amqp-tools and curl (they publish and receive in this demo)'
    apt-get -q update >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends amqp-tools curl >/dev/null
}

# The rest runs beside a broker of its own.
if [ -z "${WAYBILL_DEMO_PRIVATE:-}" ]; then
    say 'A private RabbitMQ (about 10 seconds)'
    exec tests/broker.sh with env WAYBILL_DEMO_PRIVATE=1 docker/demo.sh "$KEEP"
fi
export AMQP_URL=$WAYBILL_TEST_AMQP
install_tools

say 'Building the agent'
cargo build --locked -p waybill

rm -rf "$HOME_DIR"
mkdir -p "$HOME_DIR/drop/in" "$HOME_DIR/drop/out"
export WAYBILL_HOME=$HOME_DIR WAYBILL_CONFIG=docker/waybill.yaml
"$WAYBILL" check
# The queue from which the vehicle management system reads what it is told.
amqp-declare-queue --url="$AMQP_URL" --queue=vms.inbox --durable >/dev/null

"$WAYBILL" run >"$HOME_DIR/agent.log" 2>&1 &
AGENT=$!
ended() {
    kill "$AGENT" 2>/dev/null || true
    wait "$AGENT" 2>/dev/null || true
}
trap ended EXIT

# Waits until a command says yes; a demo that hangs is none.
until_true() {
    local what=$1 deadline=$((SECONDS + 60))
    shift
    until "$@" >/dev/null 2>&1; do
        kill -0 "$AGENT" 2>/dev/null || { tail -5 "$HOME_DIR/agent.log"; fail "the agent ended: see $HOME_DIR/agent.log"; }
        [ $SECONDS -lt $deadline ] || { tail -5 "$HOME_DIR/agent.log"; fail "$what: not within 60 seconds"; }
        sleep 0.2
    done
}

ready() { curl -fsS "http://127.0.0.1:$PORT/readyz"; }
until_true 'the agent is ready' ready

say 'The vehicle management system publishes 9 status events'
EVENTS=0
for event in testdata/demo/events/*.json; do
    amqp-publish --url="$AMQP_URL" --routing-key=vms.status --persistent --body="$(cat "$event")"
    EVENTS=$((EVENTS + 1))
    note "$(basename "$event")"
done
say 'An SAP colleague drops 2 IDoc files'
for file in testdata/demo/drop/*.idoc; do
    cp "$file" "$HOME_DIR/drop/in/"
    note "$(basename "$file")"
done
decided() { [ "$("$WAYBILL" events list --json --limit 1000 | wc -l)" -ge $((EVENTS + 2)) ]; }
settled() { ! "$WAYBILL" deliveries list --state due && ! "$WAYBILL" deliveries list --state prepared; }
until_true 'every event is decided' decided
until_true 'every document is delivered' settled

say 'What became of each (waybill events list)'
"$WAYBILL" events list
say 'Where the documents went (waybill deliveries list)'
"$WAYBILL" deliveries list
say 'One of the IDocs for SAP (waybill show FILE)'
"$WAYBILL" show "$(ls "$HOME_DIR"/drop/out/ZVEHREG_*.idoc | head -1)"
say 'What the vehicle management system was told (its queue vms.inbox)'
while amqp-get --url="$AMQP_URL" --queue=vms.inbox 2>/dev/null; do echo; done
say 'Everything about one vehicle (waybill trail VIN)'
VIN=$(sed -n 's/.*"vin": "\([A-Z0-9]*\)".*/\1/p' testdata/demo/events/01-*.json)
"$WAYBILL" trail "$VIN"
say 'What Prometheus sees (GET /metrics)'
curl -fsS "http://127.0.0.1:$PORT/metrics" | grep -E '^waybill_(events|deliveries)_total.* [1-9]'

say 'What to try next'
cat <<EOT
   export WAYBILL_HOME=$HOME_DIR WAYBILL_CONFIG=docker/waybill.yaml
   $WAYBILL events list --verdict failed        what could not be translated, and why
   $WAYBILL try testdata/demo/events/02-vehicle-sold.json
   $WAYBILL --help
   make run                                     the same agent, until Ctrl-C
EOT
if [ "$KEEP" = keep ]; then
    say "It goes on running (log: $HOME_DIR/agent.log)"
    note "publish to $AMQP_URL, queue vms.status; drop IDoc files into $HOME_DIR/drop/in"
    note "metrics: http://127.0.0.1:$PORT/metrics    end with Ctrl-C"
    trap 'exit 0' INT TERM
    wait "$AGENT" || true
fi
