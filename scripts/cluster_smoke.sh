#!/usr/bin/env bash
# Takes a drawn video through the vidprocme of a Kubernetes cluster, by a port-forward of its own to the server, and wants the
# true captions back. A new video each time, so that a cluster whose workers are gone does not pass.
#
#   scripts/cluster_smoke.sh [CONTEXT [NAMESPACE]]
#
# CONTEXT: of a cluster that kubectl knows; else it follows from CLUSTER and CLUSTER_WITH as for cluster_up.sh.
# VIDPROCME_SMOKE_PORT: the port on this machine (18484).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=cluster_names.sh
. scripts/cluster_names.sh

case ${1:-} in -*) option "$1" ;; esac
context=${1:-$context}
namespace=${2:-vidprocme}
port=${VIDPROCME_SMOKE_PORT:-18484}
ready=http://127.0.0.1:$port/readyz

need kubectl "it speaks to the cluster (https://kubernetes.io/docs/tasks/tools/)."
[ -e .venv/base.stamp ] || die "the environment that draws the video is missing: make .venv/base.stamp"
kubectl --context "$context" --namespace "$namespace" port-forward service/server "$port:8484" >/dev/null &
forward=$!
trap 'kill "$forward" 2>/dev/null || true' EXIT
for _ in $(seq 60); do
  kill -0 "$forward" 2>/dev/null || die "no port-forward to service/server in $context, namespace $namespace"
  if curl --fail --silent --noproxy '*' --output /dev/null "$ready"; then
    .venv/bin/python -m scripts.smoke "http://127.0.0.1:$port"
    exit
  fi
  sleep 1
done
die "$ready was not ready within a minute"
