#!/bin/sh
# Brings a customer's message to the bridge: webhook-send.sh <body>
# where the body is {"type":"message","data":{"id":"42","from":"user-7","to":"shop","text":"Hello"}}
# BRIDGE_URL is https://…/sms/webhook/line, SIGNING_SECRET is whsec_…. Needs curl, openssl and xxd.
set -eu
key=$(printf %s "${SIGNING_SECRET#whsec_}" | base64 -d | xxd -p -c 256)
id=msg_$(openssl rand -hex 16)
now=$(date +%s)
signature=$(printf '%s.%s.%s' "$id" "$now" "$1" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)
printf %s "$1" | curl -sS --fail-with-body -H 'content-type: application/json' -H "webhook-id: $id" \
  -H "webhook-timestamp: $now" -H "webhook-signature: v1,$signature" --data-binary @- "$BRIDGE_URL"
