#!/bin/sh
# rootfs.sh PROGRAM ROOT: all that the image holds, below ROOT. Needs a CA bundle and cargo on this machine.
set -eu
program=$1
root=$2
here=$(dirname "$0")

mkdir -p "$root/usr/bin" "$root/etc/ssl/certs" "$root/etc/waybill" "$root/opt/waybill" "$root/tmp" \
    "$root/var/lib/waybill/data" "$root/var/lib/waybill/drop/in" "$root/var/lib/waybill/drop/out"
install -m 755 "$program" "$root/usr/bin/waybill"
install -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
# Users and their names: some libraries ask.
echo 'waybill:x:65532:65532:waybill:/var/lib/waybill:/sbin/nologin' >"$root/etc/passwd"
echo 'waybill:x:65532:' >"$root/etc/group"
# Without it a static glibc does not look into /etc/hosts first.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
mkdir -p "$root/usr/share/doc/waybill"
"$here/sbom.sh" >"$root/usr/share/doc/waybill/sbom.cdx.json"
cp -R "$here/../mappings" "$root/opt/waybill/mappings"
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"
