#!/usr/bin/env bash
# The bridge on this machine, by the path of production: the page and the Connect stand-in, moto as SQS and DynamoDB, and the
# functions behind `cargo lambda watch`, which reloads on change. Ctrl-C stops all.
#
# LOCAL_PORT (9100) is the page's and the stand-in's port, FUNCTIONS_PORT (9000) the functions', MOTO_PORT (9101) moto's.
# ALLOWED_ORIGINS (a comma list) is added to the origins that may call: those of http://localhost, on any port.
# PUBLIC_BASE_URL is the functions' URL as providers call it, which a tunnel changes; else http://localhost:FUNCTIONS_PORT.
# BRIDGE_SETTINGS is a settings document itself, the JSON, in place of local/settings.json. Its accounts really send texts,
# at their provider, where they don't have "send_base_url": "http://127.0.0.1:9100/_phone/<the account's name>", the phone.
# LOG=json prints the functions' log lines as they are. WATCH_OPTIONS goes to `cargo lambda watch` (--ignore-changes: don't
# reload).
#
# For bash 3.2, which is macOS's.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

local_port=${LOCAL_PORT:-9100}
functions_port=${FUNCTIONS_PORT:-9000}
moto_port=${MOTO_PORT:-9101}

fail() {
  echo "$1" >&2
  exit 1
}

command -v cc >/dev/null || fail 'cc is missing: install a C compiler (Debian: build-essential; macOS: xcode-select --install).'
for tool in cargo cargo-lambda moto_server; do
  command -v "$tool" >/dev/null || fail "$tool is missing: run \`make dev\`, which installs what can be installed."
done
for port in "$local_port" "$functions_port" "$moto_port"; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "Port $port is in use. Stop what listens there, or choose others: LOCAL_PORT=9110 FUNCTIONS_PORT=9010 MOTO_PORT=9111 make dev"
  fi
done

# What talks here stays on this machine, whatever the network's proxy is.
export NO_PROXY="localhost,127.0.0.1${NO_PROXY:+,$NO_PROXY}" no_proxy="localhost,127.0.0.1${no_proxy:+,$no_proxy}"

echo 'Building (the first time takes some minutes: the AWS SDK for Connect is large)'
cargo build --workspace --bins || fail 'The build failed: see above. The first one needs the network, for the crates.'

pids=()
stop() {
  trap - EXIT INT TERM
  kill ${pids[@]+"${pids[@]}"} 2>/dev/null || true
  # It has nothing to put in order, and its Python has been seen to swallow what a signal raised.
  kill -KILL "${moto-}" 2>/dev/null || true
  rm -rf "${folder-}" "${started_with-}"
  wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Whether something listens on a port; the script ends where the process that should has ended.
until_open() {
  until (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
    kill -0 "$2" 2>/dev/null || fail "$3 does not start on port $1"
    sleep 0.1
  done
}

folder=$(mktemp -d)
settings=${BRIDGE_SETTINGS:-$(sed "s|http://127.0.0.1:9100|http://127.0.0.1:$local_port|" local/settings.json)}
BRIDGE_SETTINGS=$settings target/debug/local --check || exit 1

moto_server -H 127.0.0.1 -p "$moto_port" >/dev/null 2>&1 &
moto=$!
pids+=("$moto")
until_open "$moto_port" "$moto" "moto_server (MOTO_PORT)"

# The functions run behind the stand-in, which tells of each request: on a port that nobody has to know.
watch_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')

# What the functions and the stand-in are told beside the fixed part, which is in Cargo.toml: `cargo lambda watch` hands its
# own environment on.
at=http://127.0.0.1:$local_port
export BRIDGE_SETTINGS=$settings
# The page's chats are unsigned unless the settings bring keys for the widget; what a client says of itself is believed here.
signed=$(python3 -c 'import json, sys; print(str("widget" in json.loads(sys.argv[1])).lower())' "$settings")
export SIGNED_REQUESTS=${SIGNED_REQUESTS:-$signed} UNSIGNED_IDENTITY=${UNSIGNED_IDENTITY:-true}
export PUBLIC_BASE_URL=${PUBLIC_BASE_URL:-http://localhost:$functions_port}
export ALLOWED_ORIGINS="http://localhost:*,http://127.0.0.1:*${ALLOWED_ORIGINS:+,$ALLOWED_ORIGINS}"
export AWS_ENDPOINT_URL_CONNECT=$at AWS_ENDPOINT_URL_CONNECTPARTICIPANT=$at AWS_ENDPOINT_URL_SNS=$at
export LOCAL_AWS=http://127.0.0.1:$moto_port LOCAL_FUNCTIONS=http://localhost:$functions_port
export LOCAL_WATCH=http://127.0.0.1:$watch_port LOCAL_READY=$folder/ready LOCAL_LOG=$folder/log
mkfifo "$LOCAL_LOG"

target/debug/local --port "$local_port" &
pids+=($!)
until [ -s "$LOCAL_READY" ]; do
  kill -0 "${pids[1]}" 2>/dev/null || exit 1
  sleep 0.1
done
AWS_ENDPOINT_URL_SQS=$(cat "$LOCAL_READY")
export AWS_ENDPOINT_URL_SQS AWS_ENDPOINT_URL_DYNAMODB=$AWS_ENDPOINT_URL_SQS

# shellcheck disable=SC2086  # options are words
cargo lambda watch --quiet --disable-cors --invoke-address 127.0.0.1 --invoke-port "$watch_port" ${WATCH_OPTIONS-} \
  >"$LOCAL_LOG" 2>&1 &
pids+=($!)
until_open "$watch_port" $! "cargo lambda watch"

# For `make doctor`, which runs in another terminal. The settings are secrets, so nobody else may read it.
started_with=target/dev-$local_port.json
(
  umask 077
  rm -f "$started_with"
  python3 -c 'import json, os, sys; print(json.dumps({name: os.environ[name] for name in sys.argv[1:] if name in os.environ}))' \
    BRIDGE_SETTINGS PUBLIC_BASE_URL ALLOWED_ORIGINS EXTRA_CONTACT_FLOW_IDS FEATURE_ATTACHMENTS >"$started_with"
)

cat <<TEXT

  The page       http://localhost:$local_port    a chat widget, a phone, an agent, and what the bridge does
  Start a chat   curl -s -X POST localhost:$functions_port/chat -d '{"ParticipantDetails":{"DisplayName":"Jo"}}'
  End it         curl -s -X POST localhost:$functions_port/chat/end -d '{"ConnectionToken":"…"}'
  What arrived   curl -s localhost:$local_port/_local/calls
  Stop           Ctrl-C

TEXT
# One of them ending ends all.
names=(moto_server 'The stand-in' 'cargo lambda watch')
while true; do
  for i in "${!pids[@]}"; do
    kill -0 "${pids[i]}" 2>/dev/null && continue
    status=0
    wait "${pids[i]}" || status=$?
    fail "${names[i]} has ended, with status $status: all is stopped."
  done
  sleep 0.5
done
