#!/usr/bin/env bash
# try.sh image | compose | pod: figures of the image; everything from zero, one dropped file, one event that
# comes out of it, figures, and nothing left behind. Images must be there: docker/image.sh, and
# docker/stand-ins/build.sh or the official ones.
#
#   try.sh image      size of the image; start, idle memory and end of the program in it, without a broker
#   try.sh compose    docker/compose.yaml without Grafana (DOCKER, COMPOSE: the clients)
#   try.sh pod        docker/kubernetes by `podman play kube` (PODMAN: the client, with its options)
set -euo pipefail
cd "$(dirname "$0")/.."
DOCKER=${DOCKER:-docker}
COMPOSE="${COMPOSE:-docker compose} -p waybill-try -f docker/compose.yaml"
PODMAN=${PODMAN:-podman}
DROP=testdata/demo/drop/DEBMAS_dealer.idoc
PATIENCE=120

started=$(date +%s%N)
since_ms() { echo $((($(date +%s%N) - $1) / 1000000)); }
say() { printf '%6s ms  %s\n' "$(since_ms "$started")" "$*"; }
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }

until_true() {
    local what=$1 deadline=$((SECONDS + PATIENCE))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "$what: not within $PATIENCE seconds"
        sleep 0.05
    done
    say "$what"
}

ready() { curl -fsS "$1/readyz" | grep -q '"ready":true'; }
# What the VMS was told of the dropped file.
told() { "$@" 2>&1 | grep -q customer.changed; }
published() { "$@" 2>&1 | grep -q 09-not-json; }
decided() { [ "$("$@" events list | grep -c vms)" -ge 9 ]; }

memory() { grep -E 'VmRSS|RssAnon' "/proc/$1/status" | tr -s ' \t' ' ' | tr '\n' ' '; }

compose() {
    trap '$COMPOSE down -v >/dev/null 2>&1' EXIT
    # Not Grafana, which has no stand-in.
    $COMPOSE up -d --no-build rabbitmq agent vms prometheus alertmanager >/dev/null 2>&1
    say 'compose up has returned'
    agent=$($COMPOSE ps -q agent) vms=$($COMPOSE ps -q vms)
    address=http://127.0.0.1:${WAYBILL_PORT:-9464}
    until_true 'the agent is ready: it consumes from the broker' ready "$address"
    pid=$($DOCKER inspect --format '{{.State.Pid}}' "$agent")
    say "memory: $(memory "$pid")"
    until_true 'the VMS has published 9 events' published $DOCKER logs "$vms"
    until_true 'the agent has decided them' decided $DOCKER exec "$agent" /usr/bin/waybill
    $DOCKER cp "$DROP" "$agent:/var/lib/waybill/drop/in/"
    say 'an IDoc file was dropped into the volume'
    until_true 'the VMS was told' told $DOCKER logs "$vms"
    prometheus="http://127.0.0.1:${PROMETHEUS_PORT:-9090}/api/v1/query"
    scraped() { curl -fsS "$prometheus" --data-urlencode "query=$1" | grep -q '"value"'; }
    until_true 'Prometheus has scraped the agent' scraped 'waybill_events_total > 0'
    $DOCKER exec "$agent" /usr/bin/waybill events list
    before=$(date +%s%N)
    $DOCKER stop "$agent" >/dev/null
    say "docker stop took $(since_ms "$before") ms, exit code $($DOCKER inspect --format '{{.State.ExitCode}}' "$agent")"
    before=$(date +%s%N)
    $DOCKER start "$agent" >/dev/null
    until_true 'ready again' ready "$address"
    say "docker start to ready took $(since_ms "$before") ms"
}

# The program is taken out of the image, so that the figures are its own and not those of docker.
image() {
    image=${WAYBILL_IMAGE:-waybill:0.1.0} work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    printf '%s: %s bytes\n' "$image" "$($DOCKER image inspect --format '{{.Size}}' "$image")"
    container=$($DOCKER create "$image")
    $DOCKER cp "$container:/usr/bin/waybill" "$work/waybill"
    $DOCKER rm "$container" >/dev/null
    mkdir -p "$work/drop/in" "$work/drop/out"
    for _ in 1 2 3 4 5; do
        before=$(date +%s%N)
        WAYBILL_HOME=$work WAYBILL_CONFIG=docker/waybill.yaml AMQP_URL='amqp://nobody:x@127.0.0.1:1/%2f' \
            WAYBILL_LISTEN=127.0.0.1:19464 "$work/waybill" run >/dev/null 2>&1 &
        pid=$!
        until curl -fsS http://127.0.0.1:19464/healthz >/dev/null 2>&1; do :; done
        alive=$(since_ms "$before")
        sleep 3
        idle=$(memory $pid) before=$(date +%s%N)
        kill -TERM $pid
        wait $pid || fail "the program ended with code $?"
        printf 'alive after %s ms; idle: %s; SIGTERM to the end %s ms\n' "$alive" "$idle" "$(since_ms "$before")"
    done
}

base64_of() { printf '%s' "$1" | base64 -w0; }

pod() {
    manifest=$(mktemp)
    trap 'pod_end >/dev/null 2>&1' EXIT
    docker/kubernetes/podman.sh >"$manifest"
    url='amqp://waybill:change-me@127.0.0.1:5672/%2f'
    # podman 4.3 reads secrets for variables and for files in two different forms.
    printf '{"user":"%s","password":"%s"}' "$(base64_of waybill)" "$(base64_of change-me)" | $PODMAN secret create broker-login - >/dev/null
    printf 'apiVersion: v1\nkind: Secret\nmetadata: { name: broker-url }\ndata: { url: "%s" }\n' "$url" | $PODMAN secret create broker-url - >/dev/null
    # It also says a lot about health checks that need systemd.
    $PODMAN play kube "$manifest" >/dev/null 2>&1
    say 'podman play kube has returned'
    infra=$($PODMAN pod inspect vms-pod-0 --format '{{.InfraContainerID}}')
    address=http://$($PODMAN inspect "$infra" --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'):9464
    until_true 'the agent is ready: it consumes from the broker' ready "$address"
    pid=$($PODMAN inspect --format '{{.State.Pid}}' vms-pod-0-agent)
    say "memory: $(memory "$pid") root $($PODMAN inspect --format '{{if .HostConfig.ReadonlyRootfs}}read-only{{else}}writable{{end}}' vms-pod-0-agent), user $(awk '/^Uid/ { print $2 }' "/proc/$pid/status")"
    until_true 'the VMS has published 9 events' published $PODMAN logs vms-pod-0-vms
    until_true 'the agent has decided them' decided $PODMAN exec vms-pod-0-agent /usr/bin/waybill
    volume=$($PODMAN volume inspect waybill-data --format '{{.Mountpoint}}')
    cp "$DROP" "$volume/drop/in/"
    say "an IDoc file was dropped into the Pod's volume"
    until_true 'the VMS was told' told $PODMAN logs vms-pod-0-vms
    $PODMAN exec vms-pod-0-agent /usr/bin/waybill events list
    before=$(date +%s%N)
    $PODMAN stop vms-pod-0-agent >/dev/null 2>&1
    say "podman stop took $(since_ms "$before") ms, exit code $($PODMAN inspect --format '{{.State.ExitCode}}' vms-pod-0-agent)"
}

pod_end() {
    rm -f "$manifest"
    $PODMAN pod rm -f vms-pod-0
    $PODMAN volume rm -f waybill-data broker-data waybill broker-url
    $PODMAN secret rm broker-login broker-url
}

case "${1:-}" in
    image | compose | pod) "$1" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
