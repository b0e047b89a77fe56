#!/usr/bin/env bash
# The bridge on this machine: the Connect stand-in, and the functions behind `cargo lambda watch`. Ctrl-C stops both.
#
# LOCAL_PORT (9100) is the stand-in's port, FUNCTIONS_PORT (9000) the functions'. WATCH_OPTIONS goes to `cargo lambda watch`
# (--ignore-changes: don't reload). QUEUE=1 puts a queue between the webhooks and Connect, as in production: moto is SQS and
# DynamoDB, and the stand-in polls the queue for deliver-message.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"

local_port=${LOCAL_PORT:-9100}
functions_port=${FUNCTIONS_PORT:-9000}

for port in "$local_port" "$functions_port"; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "Port $port is in use. Stop what listens there, or choose others: LOCAL_PORT=9101 FUNCTIONS_PORT=9001 make dev" >&2
    exit 1
  fi
done

echo 'Building (the first time takes some minutes: the AWS SDK for Connect is large)'
cargo build --workspace --bins

pids=()
stop() {
  trap - EXIT INT TERM
  kill "${pids[@]}" 2>/dev/null || true
  rm -f "${log-}"
  wait 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

at=http://127.0.0.1:$local_port
services=AWS_ENDPOINT_URL_CONNECT=$at,AWS_ENDPOINT_URL_CONNECTPARTICIPANT=$at,AWS_ENDPOINT_URL_SNS=$at
if [ -n "${QUEUE-}" ]; then
  moto_port=${MOTO_PORT:-9101}
  moto_server -H 127.0.0.1 -p "$moto_port" >/dev/null 2>&1 &
  pids+=($!)
  until (exec 3<>"/dev/tcp/127.0.0.1/$moto_port") 2>/dev/null; do
    kill -0 "${pids[0]}" 2>/dev/null || { echo "moto_server does not start on port $moto_port (MOTO_PORT)" >&2; exit 1; }
    sleep 0.2
  done
  export LOCAL_AWS=http://127.0.0.1:$moto_port LOCAL_FUNCTIONS=http://127.0.0.1:$functions_port
  services+=,AWS_ENDPOINT_URL_DYNAMODB=$LOCAL_AWS
fi
log=$(mktemp)
target/debug/local --port "$local_port" > >(tee "$log") &
pids+=($!)
if [ -n "${QUEUE-}" ]; then
  until grep -q '^Inbound queue: ' "$log"; do
    kill -0 "${pids[1]}" 2>/dev/null || exit 1
    sleep 0.1
  done
  services+=,$(sed -n 's/^Inbound queue: //p' "$log")
fi
# shellcheck disable=SC2086  # options are words
cargo lambda watch --quiet --disable-cors --invoke-port "$functions_port" ${WATCH_OPTIONS-} \
  --env-var "$services" &
pids+=($!)

until (exec 3<>"/dev/tcp/127.0.0.1/$functions_port") 2>/dev/null; do
  for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || exit 1; done
  sleep 0.2
done
cat <<TEXT

  Start a chat   curl -s -X POST localhost:$functions_port/chat -d '{"ParticipantDetails":{"DisplayName":"Jo"}}'
  End it         curl -s -X POST localhost:$functions_port/chat/end -d '{"ConnectionToken":"…"}'
  What arrived   curl -s localhost:$local_port/_local/calls
  Stop           Ctrl-C

TEXT
# Either of them ending ends both.
wait -n
