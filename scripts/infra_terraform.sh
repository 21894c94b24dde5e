#!/usr/bin/env bash
# Terraform over the stacks that `make infra-synth` writes.
#
#   scripts/infra_terraform.sh validate              every stack, without a cloud
#   scripts/infra_terraform.sh plan STACK            what would change; its sha256 is printed, and an output in GitHub Actions
#   scripts/infra_terraform.sh apply STACK SHA256    plans again and applies it, if it is the plan with that sha256
#
# STACK: gcp-ground (network, cluster, bucket), then gcp-house (what runs in it); local belongs to scripts/cluster_up.sh.
# plan and apply want the cloud's credentials in the environment. VIDPROCME_GCP_SETTINGS there is the text of
# infra/settings.gcp.toml; unset: the file that lies there.
set -euo pipefail
cd "$(dirname "$0")/.."
STACKS=infra/cdktf.out/stacks

usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }

initialised() { # STACK [words for init]
  terraform -chdir="$STACKS/$1" init -input=false -no-color "${@:2}" >/dev/null
}

validate() {
  make infra-synth
  for stack in local gcp-ground gcp-house; do
    [ -f "$STACKS/$stack/cdk.tf.json" ] || { echo "error: make infra-synth wrote no stack $stack" >&2; exit 1; }
    initialised "$stack" -backend=false
    echo "$stack: $(terraform -chdir="$STACKS/$stack" validate -no-color)"
  done
}

# Writes plan.tfplan and plan.txt beside the stack. What is secret stays out of the text: Terraform writes (sensitive value).
planned() { # STACK LOCK: whether to lock the state, true or false
  if [ -n "${VIDPROCME_GCP_SETTINGS:-}" ]; then printf '%s\n' "$VIDPROCME_GCP_SETTINGS" > infra/settings.gcp.toml; fi
  make infra-synth
  initialised "$1"
  terraform -chdir="$STACKS/$1" plan -input=false -no-color -lock="$2" -lock-timeout=5m -out=plan.tfplan >/dev/null
  terraform -chdir="$STACKS/$1" show -no-color plan.tfplan > "$STACKS/$1/plan.txt"
  cat "$STACKS/$1/plan.txt"
  sha256=$(sha256sum < "$STACKS/$1/plan.txt" | cut -d ' ' -f 1)
  echo "plan: $sha256"
}

command -v terraform >/dev/null || { echo "error: terraform is not on the PATH" >&2; exit 1; }
case "${1:-}:$#" in
  validate:1) validate ;;
  plan:2)
    planned "$2" false # who only plans may not write, and so not lock either
    if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "sha256=$sha256" >> "$GITHUB_OUTPUT"; fi ;;
  apply:3)
    planned "$2" true
    if [ "$sha256" != "$3" ]; then
      echo "error: this plan is not the one that was approved ($3): something changed meanwhile. Plan again." >&2
      exit 1
    fi
    terraform -chdir="$STACKS/$2" apply -input=false -no-color -lock-timeout=5m plan.tfplan ;;
  *) usage ;;
esac
