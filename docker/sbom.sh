#!/bin/sh
# sbom.sh [TARGET]: the crates that are linked into waybill, as CycloneDX 1.5 (JSON) on standard output.
#
# From Cargo.lock and cargo's own tree: what only tests, build scripts or other platforms need is not
# in it. The same lock file makes the same bytes: there is no time stamp. Needs cargo and awk.
set -eu
cd "$(dirname "$0")/.."
target=${1:-x86_64-unknown-linux-gnu}

tree=$(mktemp)
trap 'rm -f "$tree"' EXIT
# In a file, so that a failure of cargo ends this.
${CARGO:-cargo} tree --locked -p waybill -e normal --target "$target" --prefix none --no-dedupe \
    --format '{p}|{l}' >"$tree"

LC_ALL=C sort -u "$tree" | awk -F '|' '
function value(line) { sub(/^[^"]*"/, "", line); sub(/"[^"]*$/, "", line); return line }
# The check sums, from Cargo.lock.
FILENAME == "Cargo.lock" && /^name = / { name = value($0) }
FILENAME == "Cargo.lock" && /^version = / { version = value($0) }
FILENAME == "Cargo.lock" && /^checksum = / { sum[name " " version] = value($0) }
FILENAME == "Cargo.lock" { next }
{
    split($1, word, " ")
    name = word[1]
    version = substr(word[2], 2)
    licence = $2
    gsub(/ *\/ */, " OR ", licence)
    purl = "pkg:cargo/" name "@" version
    if ((name " " version) in done) next
    done[name " " version] = 1
    entry = "{\"type\": \"library\", \"bom-ref\": \"" purl "\", \"name\": \"" name "\", \"version\": \"" version "\""
    if ((name " " version) in sum)
        entry = entry ", \"hashes\": [{\"alg\": \"SHA-256\", \"content\": \"" sum[name " " version] "\"}]"
    if (licence != "") entry = entry ", \"licenses\": [{\"expression\": \"" licence "\"}]"
    entry = entry ", \"purl\": \"" purl "\"}"
    if (name == "waybill") {
        sub(/"library"/, "\"application\"", entry)
        whole = entry
    } else {
        list = list (list == "" ? "" : ",\n    ") entry
        refs = refs (refs == "" ? "" : ", ") "\"" purl "\""
    }
    root = (name == "waybill") ? purl : root
}
END {
    if (whole == "" || list == "") exit 1
    print "{\n  \"$schema\": \"http://cyclonedx.org/schema/bom-1.5.schema.json\","
    print "  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,"
    print "  \"metadata\": {\"component\": " whole "},"
    print "  \"components\": [\n    " list "\n  ],"
    print "  \"dependencies\": [{\"ref\": \"" root "\", \"dependsOn\": [" refs "]}]\n}"
}' Cargo.lock -
