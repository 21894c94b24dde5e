#!/usr/bin/env bash
# Removes the cluster that scripts/cluster_up.sh made, and with it every video, job and measurement in it.
#
#   scripts/cluster_down.sh --yes     CLUSTER and CLUSTER_WITH as for cluster_up.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=cluster_names.sh
. scripts/cluster_names.sh

sure=
for word in "$@"; do
  if [ "$word" = --yes ]; then sure=yes; else option "$word"; fi
done
[ -n "$sure" ] || die "this removes the $with cluster $cluster and all data in it: say --yes."
need "$with" "the cluster was made with it."
# Both programs are content when there is nothing to delete: a slip in the name would look like a success.
cluster_stands || die "there is no $with cluster $cluster. There is: ${names:-none}"

if [ "$with" = kind ]; then
  kind delete cluster --name "$cluster"
else
  k3d cluster delete "$cluster"
fi
# The state speaks of a cluster that is gone: the next one of that name begins with a new one.
rm -f "infra/state/$context.tfstate" "infra/state/$context.tfstate.backup"
echo "The $with cluster $cluster is gone."
