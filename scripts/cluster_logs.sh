#!/usr/bin/env bash
# What a cluster says when something went wrong: pods, events, logs.
#
#   scripts/cluster_logs.sh [CONTEXT [NAMESPACE]]
#
# CONTEXT: of a cluster that kubectl knows; else it follows from CLUSTER and CLUSTER_WITH as for cluster_up.sh.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# shellcheck source=cluster_names.sh
. scripts/cluster_names.sh

case ${1:-} in -*) option "$1" ;; esac
context=${1:-$context}
namespace=${2:-vidprocme}
need kubectl "it speaks to the cluster (https://kubernetes.io/docs/tasks/tools/)."
kube() { kubectl --context "$context" --namespace "$namespace" "$@"; }

kube get pods,services,persistentvolumeclaims --output wide
kube get events --sort-by .lastTimestamp
kube describe pods
for pod in $(kube get pods --output name); do
  echo "== $pod =="
  kube logs "$pod" --all-containers --prefix --tail 200
  kube logs "$pod" --all-containers --prefix --tail 50 --previous 2>/dev/null
done
exit 0
