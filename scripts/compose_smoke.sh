#!/usr/bin/env bash
# Starts a compose file with an image that is there already, takes a drawn video through it, and removes all of it again, its
# volumes too. It is a project of its own, so that another one of the same file keeps what it has; the ports are the same. Wants
# the base environment (make .venv/base.stamp).
#
#   VIDPROCME_IMAGE=vidprocme:dev scripts/compose_smoke.sh [FILE [SERVICE...]]
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:-docker-compose.yml}
services=("${@:2}")
url=http://127.0.0.1:${VIDPROCME_PORT:-8484}

program=(docker compose)
docker compose version >/dev/null 2>&1 || program=(docker-compose)
stack() { "${program[@]}" --file "$file" --project-name vidprocme-smoke "$@"; }
# shellcheck disable=SC2329  # the trap calls it
finish() {
  status=$?
  if [ "$status" -ne 0 ]; then stack ps; stack logs --tail 100; fi
  stack down --volumes --timeout 10
  exit "$status"
}
trap finish EXIT

words=(--detach --no-build)
# With it a service that does not become healthy is an error. Compose 1.29 does not have it.
help=$(stack up --help)
case $help in *--wait-timeout*) words+=(--wait --wait-timeout 300) ;; esac
stack up "${words[@]}" "${services[@]}"
for _ in $(seq 120); do
  if curl --fail --silent --noproxy '*' --output /dev/null "$url/readyz"; then
    .venv/bin/python -m scripts.smoke "$url"
    exit
  fi
  sleep 1
done
echo "error: $url/readyz did not say yes within two minutes" >&2
exit 1
