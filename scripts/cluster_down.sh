#!/usr/bin/env bash
# Removes the cluster that scripts/cluster_up.sh made, and with it every video, job and measurement in it.
#
#   scripts/cluster_down.sh --yes       CLUSTER and CLUSTER_WITH as for cluster_up.sh
set -euo pipefail
cd "$(dirname "$0")/.."

with=${CLUSTER_WITH:-kind}
cluster=${CLUSTER:-vidprocme}

die() {
  echo "error: $1" >&2
  exit "${2:-1}"
}

case $with in
  kind | k3d) ;;
  *) die "CLUSTER_WITH is '$with', and must be kind or k3d." ;;
esac
case "$*" in
  --yes) ;;
  "") die "this removes the $with cluster $cluster and all data in it: say --yes." 2 ;;
  *) die "usage: scripts/cluster_down.sh --yes (CLUSTER=$cluster, CLUSTER_WITH=$with)" 2 ;;
esac
command -v "$with" >/dev/null || die "$with is missing: the cluster was made with it."

# kind deletes what is not there without a word; the state of another cluster must not go with it.
if [ "$with" = kind ]; then
  kind get clusters 2>/dev/null | grep -qxF "$cluster" || die "kind has no cluster $cluster (CLUSTER, CLUSTER_WITH?)."
  kind delete cluster --name "$cluster"
else
  k3d cluster get "$cluster" >/dev/null 2>&1 || die "k3d has no cluster $cluster (CLUSTER, CLUSTER_WITH?)."
  k3d cluster delete "$cluster"
fi
# The state speaks of a cluster that is gone: the next one begins with a new one.
rm -f infra/state/local.tfstate infra/state/local.tfstate.backup
echo "The cluster $cluster is gone."
