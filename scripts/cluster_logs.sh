#!/usr/bin/env bash
# What a cluster says when something went wrong: pods, events, logs. scripts/cluster_logs.sh [CONTEXT [NAMESPACE]]
set -uo pipefail
context=${1:-kind-vidprocme}
namespace=${2:-vidprocme}
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
