#!/usr/bin/env bash
# build.sh: stand-ins for the images that docker/compose.yaml and docker/kubernetes name, from Debian's
# packages, under the names of the official ones. For machines that reach Debian and no registry.
#
# debian:bookworm-slim is made by mmdebstrap when it is missing. DOCKER names the client
# (default: docker). There is none for Grafana, which Debian does not have.
set -euo pipefail
cd "$(dirname "$0")/../.."
DOCKER=${DOCKER:-docker}
export DOCKER_BUILDKIT=1

if ! $DOCKER image inspect debian:bookworm-slim >/dev/null 2>&1; then
    command -v mmdebstrap >/dev/null || { echo 'build.sh: mmdebstrap is missing' >&2; exit 1; }
    mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm - \
        | $DOCKER import --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            --change 'CMD ["bash"]' - debian:bookworm-slim
fi
# It makes folders in the Pod, which is all that is asked of it.
$DOCKER tag debian:bookworm-slim "${BUSYBOX_IMAGE:-busybox:1.36}"
# The network of the machine: one that reaches no registry often has no other way to Debian.
stand_in() { $DOCKER build -q --network host -f "$1" --target "$2" -t "$3" "${4:-docker/stand-ins}"; }
stand_in docker/stand-ins/Dockerfile rabbitmq "${RABBITMQ_IMAGE:-rabbitmq:3.13-management}"
stand_in docker/stand-ins/Dockerfile prometheus "${PROMETHEUS_IMAGE:-prom/prometheus:v2.53.0}"
stand_in docker/stand-ins/Dockerfile alertmanager "${ALERTMANAGER_IMAGE:-prom/alertmanager:v0.27.0}"
$DOCKER build -q --network host -f docker/vms/Dockerfile -t "${VMS_IMAGE:-waybill-vms:demo}" .
