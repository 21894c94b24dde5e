# shellcheck shell=bash disable=SC2034 # the names are for the scripts that read this file
# Which cluster scripts/cluster_*.sh speak of. They read this file; it does nothing by itself.
#
#   CLUSTER        the cluster's name (vidprocme)
#   CLUSTER_WITH   what makes it: kind or k3d (kind)
cluster=${CLUSTER:-vidprocme}
with=${CLUSTER_WITH:-kind}

die() {
  echo "error: $1" >&2
  exit 1
}
need() { command -v "$1" >/dev/null || die "$1 is missing: $2"; }

# The comment at the head of the script that was called.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# What a word means that no script takes as a name: a question for help, or a slip.
option() {
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
  esac
  echo "error: unknown word '$1'." >&2
  usage >&2
  exit 2
}

case $with in
  kind | k3d) context=$with-$cluster ;; # what both call the context that they write
  *) die "CLUSTER_WITH is '$with', and must be kind or k3d." ;;
esac

# Does the cluster stand? Ends the script where that cannot be known. `names` are those that do, one a line.
cluster_stands() {
  if [ "$with" = kind ]; then
    names=$(kind get clusters 2>&1) || die "kind cannot say which clusters there are: $names"
    names=$(grep -v '^No kind clusters' <<<"$names" || true)
  else
    names=$(k3d cluster list --no-headers 2>&1) || die "k3d cannot say which clusters there are: $names"
    names=$(cut -d ' ' -f 1 <<<"$names")
  fi
  grep -qxF -- "$cluster" <<<"$names"
}
