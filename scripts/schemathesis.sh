#!/usr/bin/env bash
# Schemathesis against the program that was built: all of its checks. Needs the models and ../shared. EXAMPLES for each operation
# (8), for at most MAX_SECONDS (25).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
likeness=${LIKENESS:-$root/target/release/likeness}
faces=${LIKENESS_SHARED:-$root/../shared}/data/faces
key=a-key-for-tests-0123456789abcdef

python=$(cd scripts && python3 -c 'import environment; print(environment.locked("schemathesis"))')

work=$(mktemp -d)
printf 'listen = "127.0.0.1:0"\ndata_folder = "%s/data"\n[[apps]]\nid = "app"\nkey = "%s"\n' "$work" "$key" \
  > "$work/likeness.toml"
# Before the service has begun to write there is something to read.
touch "$work/ready"
"$likeness" serve --config "$work/likeness.toml" > "$work/ready" 2> "$work/log" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server || true; rm -rf "$work"' EXIT
url=
for _ in $(seq 300); do
  url=$(sed -n 's/.* is ready on \(http:[^ ]*\).*/\1/p' "$work/ready")
  [ -z "$url" ] || break
  kill -0 $server || { cat "$work/log"; exit 1; }
  sleep 0.2
done
[ -n "$url" ] || { echo "the service is not ready after a minute" >&2; cat "$work/log"; exit 1; }

cd "$work"
LIKENESS_FACES=$faces SCHEMATHESIS_HOOKS=$root/scripts/schemathesis_hooks.py timeout 120 \
  "$(dirname "$python")/schemathesis" run "${DOCUMENT:-$url/openapi.json}" --url "$url" -H "app_id: app" -H "app_key: $key" \
  --checks all --seed 1 --max-examples "${EXAMPLES:-8}" --max-time "${MAX_SECONDS:-25}" --no-shrink --continue-on-failure \
  --no-color --generation-database none
