#!/bin/sh
# Stand-ins for the official images of Python and Redis, made of Debian's packages, for a machine that reaches a Debian mirror
# and no image registry. They are not the official ones (python lies in /usr/bin, with Debian's patches): what passes on them
# is tested again on the official ones by the workflows.
#
#   scripts/standin_images.sh FOLDER        # needs docker, debootstrap and root; about three minutes, 250 MB in FOLDER
#
# Afterwards:  PYTHON_IMAGE=standin-python REDIS_IMAGE=standin-redis make docker-test
set -eu
folder=${1:?"usage: standin_images.sh FOLDER (for the unpacked system)"}
for program in docker debootstrap apt-get; do
  command -v "$program" >/dev/null || { echo "standin_images.sh needs $program, which is not on the PATH." >&2; exit 1; }
done
# The mirror this machine uses itself.
# shellcheck disable=SC2016  # apt-get fills in $(REPO_URI), not the shell
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 debian || true)
[ -n "$mirror" ] || { echo "apt names no Debian mirror: check /etc/apt/sources.list.d." >&2; exit 1; }

import() { # FOLDER NAME [change ...]
  root=$1 name=$2
  shift 2
  tar -C "$root" --exclude=./var/cache/apt/archives/*.deb --exclude=./proc/* --exclude=./sys/* -c . \
    | docker import "$@" - "$name" >/dev/null
  echo "made $name"
}

path='ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin'
python=$folder/python
[ -x "$python/usr/bin/python3" ] || debootstrap --variant=minbase \
  --include=python3,python3-venv,python3-pip,ca-certificates bookworm "$python" "$mirror" >"$folder/python.log"
import "$python" standin-python --change "$path" --change 'CMD ["python3"]'

redis=$folder/redis
[ -x "$redis/usr/bin/redis-server" ] || debootstrap --variant=minbase --include=redis-server,redis-tools \
  bookworm "$redis" "$mirror" >"$folder/redis.log"
install -d "$redis/data"
chroot "$redis" chown redis:redis /data
import "$redis" standin-redis --change "$path" --change 'VOLUME /data' --change 'ENTRYPOINT ["redis-server"]'
