#!/usr/bin/env bash
# The SBOM that BuildKit made with a pushed image, as an SPDX document: scripts/image_sbom.sh IMAGE@DIGEST OUT
set -euo pipefail
image=$1 out=$2
docker buildx imagetools inspect "$image" --format '{{ json .SBOM.SPDX }}' > "$out"
# An image without one says null, and exit status 0.
python3 - "$out" <<'PYTHON'
import json, sys

packages = (json.load(open(sys.argv[1])) or {}).get("packages", [])
if len(packages) < 20:
    sys.exit(f"error: the SBOM names {len(packages)} packages; the base image alone has more")
print(f"{len(packages)} packages")
PYTHON
