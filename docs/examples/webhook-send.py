"""Brings a customer's message to the bridge: python webhook-send.py <id> <from> <to> <text>"""

import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from datetime import datetime, timezone

from standardwebhooks import Webhook

url, secret = os.environ["BRIDGE_URL"], os.environ["SIGNING_SECRET"]  # https://…/sms/webhook/line and whsec_…
message_id, sender, to, text = sys.argv[1:]

body = json.dumps({"type": "message", "data": {"id": message_id, "from": sender, "to": to, "text": text}})
webhook_id = f"msg_{uuid.uuid4()}"
now = datetime.now(tz=timezone.utc)
headers = {
    "content-type": "application/json",
    "webhook-id": webhook_id,
    "webhook-timestamp": str(int(now.timestamp())),
    "webhook-signature": Webhook(secret).sign(webhook_id, now, body),
}
try:
    with urllib.request.urlopen(urllib.request.Request(url, body.encode(), headers)) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read().decode()}")
