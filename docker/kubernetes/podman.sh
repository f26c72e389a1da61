#!/bin/sh
# podman.sh: the manifests of this folder, as `podman play kube` reads them, on standard output.
#
# podman knows no native sidecars: an init container has to end. Broker and agent become containers of the
# Pod, which start in this order all the same. Everything else is as it is.
set -eu
cd "$(dirname "$0")"
for file in config.yaml volume.yaml; do
    cat "$file"
    echo ---
done
awk '
    /^ *restartPolicy: Always$/ { next }
    /^  name: vms$/ { print "  annotations: { io.podman.annotations.init.container.type: always }" }
    /^        - name: broker$/ { print "      containers:"; moved = 1 }
    /^      containers:$/ && moved { next }
    { print }
' vms.yaml
