#!/usr/bin/env bash
# The house in a cluster on this machine: a KinD (or k3d) cluster of one node, vidprocme's image in it, and the local stack on it.
#
#   scripts/cluster_up.sh                    from infra/settings.local.toml
#   CLUSTER_WITH=k3d scripts/cluster_up.sh   with k3d instead of kind
#
# IMAGE: an image that docker has (vidprocme:dev; docker build -t vidprocme:dev .). CLUSTER: the cluster's name (vidprocme).
# Run again, it brings what is there up to date. `scripts/cluster_down.sh` removes the cluster with all that it holds.
set -euo pipefail
cd "$(dirname "$0")/.."

with=${CLUSTER_WITH:-kind}
cluster=${CLUSTER:-vidprocme}
image=${IMAGE:-vidprocme:dev}

die() {
  echo "error: $1" >&2
  exit 1
}
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

case $with in
  kind | k3d) ;;
  *) die "CLUSTER_WITH is '$with', and must be kind or k3d." ;;
esac
need docker "clusters on this machine run in its containers (https://docs.docker.com/engine/install/)."
need "$with" "it makes clusters on this machine (https://kind.sigs.k8s.io or https://k3d.io)."
need kubectl "it speaks to the cluster (https://kubernetes.io/docs/tasks/tools/)."
terraform=$(command -v tofu || command -v terraform || true)
[ -n "$terraform" ] || die "terraform is missing, and so is tofu: one of them applies the plan (https://opentofu.org)."
docker info >/dev/null 2>&1 || die "docker's daemon does not answer: start it, or check that you may use it."
docker image inspect "$image" >/dev/null 2>&1 || die "docker has no image $image: docker build -t $image ."
grep -qE "^image = \"$image\"" infra/settings.local.toml \
  || die "infra/settings.local.toml names another image than $image: its nodes could not pull that."

case ${KUBECONFIG:-} in
  *:*) die "KUBECONFIG names several files: name the one that the cluster's context is to be written to." ;;
esac

if [ "$with" = kind ]; then
  context=kind-$cluster class=standard
  kind get clusters 2>/dev/null | grep -qx "$cluster" || kind create cluster --name "$cluster" --wait 120s
  kind load docker-image "$image" --name "$cluster"
else
  context=k3d-$cluster class=local-path
  k3d cluster get "$cluster" >/dev/null 2>&1 || k3d cluster create "$cluster" --wait --timeout 120s
  k3d image import "$image" --cluster "$cluster"
fi

make infra-synth STACK=local ARGS="--context $context --storage-class $class --kubeconfig ${KUBECONFIG:-$HOME/.kube/config}"
mkdir -p infra/state
"$terraform" -chdir=infra/cdktf.out/stacks/local init -input=false -upgrade
"$terraform" -chdir=infra/cdktf.out/stacks/local apply -input=false -auto-approve

namespace=$("$terraform" -chdir=infra/cdktf.out/stacks/local output -raw namespace)
echo
echo "Up. The server:  kubectl --context $context -n $namespace port-forward service/server 8484"
echo "Then:            curl http://127.0.0.1:8484/readyz"
echo "Grafana:         kubectl --context $context -n $namespace port-forward service/grafana 3000"
