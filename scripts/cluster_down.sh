#!/usr/bin/env bash
# Removes the cluster that scripts/cluster_up.sh made, and with it every video, job and measurement in it.
#
#   scripts/cluster_down.sh [--yes]     CLUSTER and CLUSTER_WITH as for cluster_up.sh; at a terminal it wants the --yes
set -euo pipefail
cd "$(dirname "$0")/.."

with=${CLUSTER_WITH:-kind}
cluster=${CLUSTER:-vidprocme}

die() {
  echo "error: $1" >&2
  exit 1
}

case $with in
  kind | k3d) ;;
  *) die "CLUSTER_WITH is '$with', and must be kind or k3d." ;;
esac
[ "${1:-}" = --yes ] || [ ! -t 0 ] || die "this removes the cluster $cluster and all data in it: say --yes."
command -v "$with" >/dev/null || die "$with is missing: the cluster was made with it."

if [ "$with" = kind ]; then
  kind delete cluster --name "$cluster"
else
  k3d cluster delete "$cluster"
fi
# The state speaks of a cluster that is gone: the next one begins with a new one.
rm -f infra/state/local.tfstate infra/state/local.tfstate.backup
echo "The cluster $cluster is gone."
