#!/usr/bin/env bash
# image.sh [TAG]: the agent's image from the toolchain of this machine, without a registry.
#
# Builds the static program with cargo and puts it into docker/Dockerfile as the stage that would
# have compiled it. DOCKER names the client (default: docker).
set -euo pipefail
cd "$(dirname "$0")/.."
TAG=${1:-waybill:0.1.0}
DOCKER=${DOCKER:-docker}
TARGET=${CARGO_TARGET_DIR:-$PWD/target}
CARGO=${CARGO:-cargo}
PLATFORM=x86_64-unknown-linux-gnu

RUSTFLAGS=-Ctarget-feature=+crt-static $CARGO build --profile dist --locked --target $PLATFORM -p waybill
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
docker/rootfs.sh "$TARGET/$PLATFORM/dist/waybill" "$work/rootfs"
cp "$work/rootfs/usr/share/doc/waybill/sbom.cdx.json" "$TARGET/$PLATFORM/dist/waybill.cdx.json"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner -c rootfs | $DOCKER import - waybill-built:latest >/dev/null
DOCKER_BUILDKIT=1 $DOCKER build -q --pull=false --build-arg BUILT=waybill-built:latest -f docker/Dockerfile -t "$TAG" docker
echo "crates in it (CycloneDX): $TARGET/$PLATFORM/dist/waybill.cdx.json"
$DOCKER image inspect --format "$TAG: {{.Size}} bytes" "$TAG"
