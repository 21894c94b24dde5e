#!/usr/bin/env bash
# Terraform (or OpenTofu) over the stacks that `make infra-synth` writes.
#
#   scripts/infra_terraform.sh validate              every stack, without a cloud
#   scripts/infra_terraform.sh plan STACK            what would change; its sha256 is printed, and an output in GitHub Actions
#   scripts/infra_terraform.sh apply STACK SHA256    plans again and applies it, if it is the plan with that sha256
#
# STACK: gcp-ground (network, cluster, bucket), then gcp-house (what runs in it); local belongs to scripts/cluster_up.sh.
# plan and apply want the cloud's credentials in the environment. VIDPROCME_GCP_SETTINGS there is the text of
# infra/settings.gcp.toml; unset: the file that lies there. The example is for validate alone.
set -euo pipefail
cd "$(dirname "$0")/.."
STACKS=infra/cdktf.out/stacks
SETTINGS=infra/settings.gcp.toml

usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit "$1"
}
die() {
  echo "error: $1" >&2
  exit 1
}

initialised() { # STACK [words for init]
  "$terraform" -chdir="$STACKS/$1" init -input=false -no-color "${@:2}" >/dev/null
}

validate() {
  make infra-synth
  for stack in local gcp-ground gcp-house; do
    [ -f "$STACKS/$stack/cdk.tf.json" ] || die "make infra-synth wrote no stack $stack"
    initialised "$stack" -backend=false
    echo "$stack: $("$terraform" -chdir="$STACKS/$stack" validate -no-color)"
  done
}

# With `protect` the synthesis refuses this already; without it a plan may be looked at, and no more.
keeps_its_state() { # STACK
  tr -d '[:space:]' < "$STACKS/$1/cdk.tf.json" | grep -q '"backend":{"gcs":{' \
    || die "the settings have no [state], so what Terraform knows would lie in a file on this machine, and be lost with it."
}

# Writes plan.tfplan and plan.txt beside the stack. What is secret stays out of the text: Terraform writes (sensitive value).
planned() { # STACK LOCK: whether to lock the state, true or false
  if [ -n "${VIDPROCME_GCP_SETTINGS:-}" ]; then printf '%s\n' "$VIDPROCME_GCP_SETTINGS" > "$SETTINGS"; fi
  [ -f "$SETTINGS" ] || die "there is no $SETTINGS, and VIDPROCME_GCP_SETTINGS is not set: the example is nobody's project."
  make infra-synth STACK=gcp ARGS="--gcp=$SETTINGS"
  [ "$2" = false ] || keeps_its_state "$1"
  initialised "$1"
  "$terraform" -chdir="$STACKS/$1" plan -input=false -no-color -lock="$2" -lock-timeout=5m -out=plan.tfplan >/dev/null
  "$terraform" -chdir="$STACKS/$1" show -no-color plan.tfplan > "$STACKS/$1/plan.txt"
  cat "$STACKS/$1/plan.txt"
  sha256=$(sha256sum < "$STACKS/$1/plan.txt" | cut -d ' ' -f 1)
  echo "plan: $sha256"
}

case "${1:-}:$#" in
  -h:1 | --help:1) usage 0 ;;
  validate:1) ;;
  plan:2 | apply:3)
    case $2 in
      gcp-ground | gcp-house) ;;
      *) die "'$2' is no stack to $1: gcp-ground or gcp-house (local belongs to scripts/cluster_up.sh)." ;;
    esac
    ;;
  *) usage 2 >&2 ;;
esac
terraform=$(command -v tofu || command -v terraform || true)
[ -n "$terraform" ] || die "terraform is missing, and so is tofu: one of them plans and applies (https://opentofu.org)."

case $1 in
  validate) validate ;;
  plan)
    planned "$2" false # who only plans may not write, and so not lock either
    if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "sha256=$sha256" >> "$GITHUB_OUTPUT"; fi
    ;;
  apply)
    planned "$2" true
    [ "$sha256" = "$3" ] \
      || die "this plan is not the one that was approved ($3): something changed meanwhile. Plan again."
    "$terraform" -chdir="$STACKS/$2" apply -input=false -no-color -lock-timeout=5m plan.tfplan
    ;;
esac
