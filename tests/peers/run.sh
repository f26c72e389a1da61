#!/usr/bin/env bash
# run.sh WAYBILL: what waybill reads and writes beside pydifact and pyx12 (PyPI), file by file; see peers.py.
# The two are installed into a folder of their own below the target directory.
set -euo pipefail
cd "$(dirname "$0")/../.."
WAYBILL=${1:?the program}
VENV=${CARGO_TARGET_DIR:-$PWD/target}/peers
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet --disable-pip-version-check pydifact==0.2.3 pyx12==4.0.0
PYTHONDONTWRITEBYTECODE=1 exec "$VENV/bin/python" tests/peers/peers.py "$WAYBILL"
