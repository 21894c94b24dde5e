#!/usr/bin/env bash
# Takes a drawn video through the vidprocme of a Kubernetes cluster, by a port-forward to its server, and wants the true
# captions back. Wants the base environment (make .venv/base.stamp).
#
#   scripts/cluster_smoke.sh [CONTEXT [NAMESPACE]]
set -euo pipefail
cd "$(dirname "$0")/.."
context=${1:-kind-vidprocme}
namespace=${2:-vidprocme}
port=${VIDPROCME_SMOKE_PORT:-18484}
ready=http://127.0.0.1:$port/readyz

command -v kubectl >/dev/null || { echo "error: kubectl is not on the PATH" >&2; exit 1; }
kubectl --context "$context" --namespace "$namespace" port-forward service/server "$port:8484" >/dev/null &
forward=$!
trap 'kill "$forward" 2>/dev/null || true' EXIT
for _ in $(seq 60); do
  kill -0 "$forward" 2>/dev/null || { echo "error: no port-forward to service/server in $context, namespace $namespace" >&2; exit 1; }
  if curl --fail --silent --noproxy '*' --output /dev/null "$ready"; then
    .venv/bin/python -m scripts.smoke "http://127.0.0.1:$port"
    exit
  fi
  sleep 1
done
echo "error: $ready was not ready within a minute" >&2
exit 1
