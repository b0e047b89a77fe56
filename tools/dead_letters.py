#!/usr/bin/env python3
"""Lists, redrives and deletes dead letters by reason: `make dead-letters [DO=redrive|delete REASON=…]`.

A queue is read by receiving: what is kept stays in flight until the end, so that the next ones come, and is then visible
again. A FIFO queue gives no message of a group while an earlier one is in flight. Where kept ones stand before others of
their customer, copies of them go to the end of the queue, in order, and the originals are deleted: each copy remembers when
its original was dead-lettered. A crash between the two leaves a letter twice, never lost.
"""

import argparse
import hashlib
import time
import uuid
from collections import defaultdict

from stack import Stack, arguments, run

# By the queue that feeds a function: its dead letters.
QUEUES = ["Inbound", "EndUserMessaging", "Reply", "Outbound"]
TWICE = "may_have_been_delivered"
NONE = "none"
# A copy's attribute: the run that made it, and when the original came, in milliseconds.
COPIED = "copied"
HOLD_SECONDS = 900
WAIT_SECONDS = 1
# SQS keeps at most 120,000 messages of a queue in flight.
MOST_HELD = 100_000
KEEP, GONE = "keep", "gone"


class Letter:
    """A dead letter as it was received."""

    def __init__(self, message):
        self.id = message["MessageId"]
        self.body = message["Body"]
        self.receipt = message["ReceiptHandle"]
        self.system = message["Attributes"]
        self.group = self.system.get("MessageGroupId")
        self.attributes = message.get("MessageAttributes", {})
        run, _, since = self._text(COPIED).partition(" ")
        self.copied_by = run
        self.since = int(since or self.system["SentTimestamp"])
        self.reason = self._text("reason") or NONE

    def _text(self, name):
        return self.attributes.get(name, {}).get("StringValue", "")

    def original(self):
        """The attributes that it had before it was a dead letter."""
        kept = {name: value for name, value in self.attributes.items() if name not in ("reason", COPIED)}
        return {name: as_sent(value) for name, value in kept.items()}

    def age(self):
        return time.time() - self.since / 1000


def as_sent(attribute):
    return {name: value for name, value in attribute.items() if name in ("DataType", "StringValue", "BinaryValue")}


def digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class DeadLetters:
    """The dead letters of one queue, and the way back into it."""

    def __init__(self, sqs, url, source_url=None):
        self.sqs = sqs
        self.url = url
        self.source_url = source_url
        self.is_fifo = url.endswith(".fifo")

    def walk(self, handle):
        """Shows each letter to `handle` once, which says KEEP or GONE. Returns how many could not be reached."""
        run = uuid.uuid4().hex
        held, copies, seen, moved, left, empty = {}, {}, set(), [], 0, 0
        try:
            while empty < 3 and len(held) + len(copies) < MOST_HELD:
                letters = self._receive()
                # Held before they are handled: where that fails, all become visible again at the end.
                for letter in letters:
                    (copies if letter.copied_by == run else held)[letter.id] = letter
                for letter in letters:
                    # What was held for too long comes again.
                    if letter.copied_by != run and letter.id not in seen:
                        seen.add(letter.id)
                        if handle(letter) == GONE:
                            del held[letter.id]
                if letters:
                    empty = 0
                    continue
                # Behind a copy of its customer there are only copies.
                left = self._visible() - (len(moved) - len(copies))
                if left <= 0:
                    # The last of a customer whose first are at the end by now follow them: the order is kept.
                    groups = {letter.group for letter in moved}
                    self._to_the_end(held, run, [letter for letter in held.values() if letter.group in groups])
                    break
                if self.is_fifo and held:
                    moved += self._to_the_end(held, run, list(held.values()))
                else:
                    empty += 1
            return max(left, 0)
        finally:
            self._release([*held.values(), *copies.values()])

    def redrive(self, letter):
        """Sends it back to where it came from, as it came, and takes it away here."""
        more = {}
        if self.source_url.endswith(".fifo"):
            more["MessageGroupId"] = letter.group or letter.id
            # Its own id might be dropped as a repeat. This one is the same only for this very letter.
            more["MessageDeduplicationId"] = digest(letter.system.get("MessageDeduplicationId", ""), letter.id)
        attributes = letter.original()
        self.sqs.send_message(
            QueueUrl=self.source_url, MessageBody=letter.body, MessageAttributes=attributes, **more
        )
        self.delete(letter)

    def delete(self, letter):
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.receipt)

    def _receive(self):
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=HOLD_SECONDS,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [Letter(message) for message in answer.get("Messages", [])]

    def _visible(self):
        name = "ApproximateNumberOfMessages"
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return int(answer["Attributes"][name])

    def _to_the_end(self, held, run, letters):
        for letter in letters:
            copied = {COPIED: {"DataType": "String", "StringValue": f"{run} {letter.since}"}}
            attributes = {name: as_sent(value) for name, value in letter.attributes.items()} | copied
            self.sqs.send_message(
                QueueUrl=self.url,
                MessageBody=letter.body,
                MessageAttributes=attributes,
                MessageGroupId=letter.group,
                MessageDeduplicationId=digest(letter.id, run),
            )
            self.delete(letter)
            del held[letter.id]
        return letters

    def _release(self, letters):
        for start in range(0, len(letters), 10):
            entries = [
                {"Id": str(number), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                for number, letter in enumerate(letters[start : start + 10])
            ]
            self.sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)


def of_stack(stack):
    """The dead letters of each queue that the stack has, by name."""
    sqs = stack.client("sqs")
    return {
        name: DeadLetters(sqs, stack.get(f"{name}DeadLetters"), stack.get(f"{name}Queue"))
        for name in QUEUES
        if stack.get(f"{name}DeadLetters")
    }


def duration(seconds):
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def show(queues):
    print(f"{'queue':<18}{'reason':<26}{'count':>8}  {'oldest':>9}  {'newest':>9}")
    for name, queue in queues.items():
        ages = defaultdict(list)

        def note(letter, ages=ages):
            ages[letter.reason].append(letter.age())
            return KEEP

        left = queue.walk(note)
        for reason, of in sorted(ages.items()):
            print(f"{name:<18}{reason:<26}{len(of):>8}  {duration(max(of)):>9}  {duration(min(of)):>9}")
        if left:
            print(f"{name:<18}about {left} more, which other readers hold or which are too many for one look")


def act(queues, options):
    for name, queue in queues.items():
        done = 0

        def handle(letter, queue=queue):
            nonlocal done
            if letter.reason != options.reason and options.reason != "all":
                return KEEP
            if letter.reason == TWICE and not options.may_have_been_delivered:
                return KEEP
            (queue.redrive if options.do == "redrive" else queue.delete)(letter)
            done += 1
            return GONE

        left = queue.walk(handle)
        print(f"{name}: {done} {'redriven' if options.do == 'redrive' else 'deleted'}")
        if left:
            print(f"{name}: about {left} were not reached; run it again")


def main(argv=None):
    parser = argparse.ArgumentParser(description="Lists, redrives and deletes dead letters by reason.")
    arguments(parser)
    parser.add_argument("do", nargs="?", default="list", choices=["list", "redrive", "delete"])
    parser.add_argument("--reason", help=f"which ones: a reason, {NONE} or all")
    parser.add_argument("--queue", choices=QUEUES, help="of this queue alone")
    parser.add_argument("--may-have-been-delivered", action="store_true", help=f"also those with the reason {TWICE}")
    options = parser.parse_args(argv)
    if options.do != "list" and not options.reason:
        parser.error(f"say which ones: --reason <reason>, {NONE} or all")
    if options.reason == TWICE and not options.may_have_been_delivered:
        parser.error(
            "these may have been delivered: look into the chat first. "
            f"To {options.do} them nevertheless, add --may-have-been-delivered (make: TWICE=1)"
        )
    queues = of_stack(Stack(options.stack))
    if options.queue:
        queues = {name: queue for name, queue in queues.items() if name == options.queue}
    show(queues) if options.do == "list" else act(queues, options)


if __name__ == "__main__":
    run(main)
