#!/usr/bin/env bash
# Schemathesis against the program that was built: all of its checks, within a minute. Needs the models and ../shared.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
likeness=${LIKENESS:-$root/target/release/likeness}
faces=${LIKENESS_SHARED:-$root/../shared}/data/faces
tool=$root/.setup/schemathesis
port=${PORT:-38473}
key=a-key-for-tests-0123456789abcdef

if [ ! -x "$tool/bin/schemathesis" ]; then
  python3 -m venv "$tool"
  "$tool/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
    --requirement scripts/schemathesis-requirements.txt
fi

work=$(mktemp -d)
printf 'listen = "127.0.0.1:%s"\n[storage]\nfolder = "%s/data"\n[[apps]]\nid = "app"\nkey = "%s"\n' "$port" "$work" "$key" \
  > "$work/likeness.toml"
"$likeness" serve --config "$work/likeness.toml" 2> "$work/log" &
server=$!
trap 'kill $server 2>/dev/null || true; wait $server || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do
  curl -sf "http://127.0.0.1:$port/readyz" > /dev/null && break
  kill -0 $server || { cat "$work/log"; exit 1; }
  sleep 0.2
done

cd "$work"
LIKENESS_FACES=$faces SCHEMATHESIS_HOOKS=$root/scripts/schemathesis_hooks.py timeout 120 "$tool/bin/schemathesis" run \
  "${DOCUMENT:-http://127.0.0.1:$port/openapi.json}" --url "http://127.0.0.1:$port" -H "app_id: app" -H "app_key: $key" \
  --checks all --seed 1 --max-examples 8 --max-time 25 --no-shrink --continue-on-failure --no-color \
  --generation-database none
