"""A deployed stack, for the tools here: its resources by the template's names, and clients for its region."""

import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

DEFAULT = "connect-chat-bridge"


class Stack:
    """`resources` has what CloudFormation called each resource, by its name in template.yaml."""

    def __init__(self, name, session=None):
        self.name = name
        self.session = session or boto3.Session()
        self.resources = {}
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        for page in pages:
            for resource in page["StackResourceSummaries"]:
                self.resources[resource["LogicalResourceId"]] = resource.get("PhysicalResourceId", "")

    def client(self, service):
        return self.session.client(service)

    def get(self, logical_id):
        """What CloudFormation called it; none where this stack has none."""
        return self.resources.get(logical_id) or None


def arguments(parser):
    parser.add_argument("--stack", default=os.environ.get("STACK") or DEFAULT, help="the stack's name")


def run(main):
    """Ends the process with what `main` returns; what AWS refuses is one line and no traceback."""
    try:
        sys.exit(main() or 0)
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
