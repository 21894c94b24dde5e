#!/usr/bin/env bash
# The house in a cluster on this machine: a KinD (or k3d) cluster of one node, vidprocme's image in it, and the local stack on it.
#
#   scripts/cluster_up.sh                    from infra/settings.local.toml
#   CLUSTER_WITH=k3d scripts/cluster_up.sh   with k3d instead of kind
#
# IMAGE: an image that docker has (vidprocme:dev; docker build -t vidprocme:dev .). CLUSTER: the cluster's name (vidprocme).
# Run again, it brings what is there up to date. `scripts/cluster_down.sh --yes` removes the cluster with all that it holds.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=cluster_names.sh
. scripts/cluster_names.sh

# What the pods of infra/settings.local.toml and the cluster's own ask for (infra/tests/test_local_size.py holds them to it).
CORES=4
MEMORY_MIB=7168

[ $# = 0 ] || option "$1"
image=${IMAGE:-vidprocme:dev}

need docker "clusters on this machine run in its containers (https://docs.docker.com/engine/install/)."
need "$with" "it makes clusters on this machine (https://kind.sigs.k8s.io or https://k3d.io)."
need kubectl "it speaks to the cluster (https://kubernetes.io/docs/tasks/tools/)."
terraform=$(command -v tofu || command -v terraform || true)
[ -n "$terraform" ] || die "terraform is missing, and so is tofu: one of them applies the plan (https://opentofu.org)."
# The daemon's own: on a Mac it runs in a machine smaller than the one we are on.
given=$(docker info --format '{{.NCPU}} {{.MemTotal}}' 2>/dev/null) \
  || die "docker's daemon does not answer: start it, or check that you may use it."
read -r cores bytes <<<"$given"
if [ "$cores" -lt "$CORES" ] || [ "$((bytes >> 20))" -lt "$MEMORY_MIB" ]; then
  echo "warning: docker has $cores cores and $((bytes >> 20)) MiB of memory; the stack of infra/settings.local.toml as it comes" >&2
  echo "wants $CORES and $MEMORY_MIB. Pods that do not fit stay Pending: make its pools smaller, or leave [house.monitoring] out." >&2
fi
docker image inspect "$image" >/dev/null 2>&1 || die "docker has no image $image: docker build -t $image ."
grep -qE "^image = \"$image\"" infra/settings.local.toml \
  || die "infra/settings.local.toml names another image than $image: its nodes could not pull that."

case ${KUBECONFIG:-} in
  *:*) die "KUBECONFIG names several files: name the one that the cluster's context is to be written to." ;;
esac

if [ "$with" = kind ]; then
  class=standard
  cluster_stands || kind create cluster --name "$cluster" --wait 120s
  kind load docker-image "$image" --name "$cluster"
else
  class=local-path
  cluster_stands || k3d cluster create "$cluster" --wait --timeout 120s
  k3d image import "$image" --cluster "$cluster"
fi

make infra-synth STACK=local ARGS="--context $context --storage-class $class --kubeconfig ${KUBECONFIG:-$HOME/.kube/config}"
mkdir -p infra/state
# The state has the cluster's name, so the folder may have seen another one's.
"$terraform" -chdir=infra/cdktf.out/stacks/local init -input=false -upgrade -reconfigure
"$terraform" -chdir=infra/cdktf.out/stacks/local apply -input=false -auto-approve

namespace=$("$terraform" -chdir=infra/cdktf.out/stacks/local output -raw namespace)
echo
echo "Up. Does it do what it is for:  scripts/cluster_smoke.sh $context $namespace"
echo "The server, at 127.0.0.1:8484:  kubectl --context $context -n $namespace port-forward service/server 8484"
echo "Grafana, at 127.0.0.1:3000:     kubectl --context $context -n $namespace port-forward service/grafana 3000"
