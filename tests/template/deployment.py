"""The template deployed on this machine: its table, queues and topic in moto, its functions as the binaries that were
built, its API as an HTTP server that knows the template's routes and CORS, its event source mappings as `poll`."""

import base64
import json
import os
import queue
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
from expand import REGION, ROOT, Stack

BINARIES = ROOT / "target" / "debug"
MOTO = ROOT / ".venv" / "bin" / "moto_server"
# moto's CloudFormation makes these; of the others it knows nothing, or does nothing.
BY_CLOUDFORMATION = {"AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::DynamoDB::Table"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve(handler):
    """A server on a port of its own, and its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}"


def attributes_of(subscription):
    """What `Subscribe` takes of a subscription's properties."""
    attributes = {"RedrivePolicy": json.dumps(subscription["RedrivePolicy"])}
    if "FilterPolicy" in subscription:
        attributes |= {"FilterPolicy": json.dumps(subscription["FilterPolicy"])}
        attributes |= {"FilterPolicyScope": subscription["FilterPolicyScope"]}
    return attributes


class Quiet(BaseHTTPRequestHandler):
    """What the servers here have in common."""

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, headers, body=b""):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Function:
    """A binary, with Lambda's Runtime API as its only caller ("Using the Lambda runtime API for custom runtimes")."""

    def __init__(self, binary, environment, timeout):
        self.waiting = queue.Queue()
        self.answers = {}
        self.timeout = timeout
        self.count = 0
        function = self

        class Api(Quiet):
            def do_GET(self):
                identity, event = function.waiting.get()
                deadline = str(int((time.time() + timeout) * 1000))
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": identity,
                    "Lambda-Runtime-Deadline-Ms": deadline,
                    "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:123456789012:function:{binary}",
                }
                self.answer(200, headers, event)

            def do_POST(self):
                identity, kind = self.path.split("/")[-2:]
                function.answers[identity].put((kind, json.loads(self.body())))
                self.answer(202, {})

        self.server, url = serve(Api)
        environment = environment | {
            "AWS_LAMBDA_RUNTIME_API": url.removeprefix("http://"),
            "AWS_LAMBDA_FUNCTION_NAME": binary,
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        }
        self.process = subprocess.Popen([BINARIES / binary], env=environment, stdout=subprocess.DEVNULL)

    def invoke(self, event):
        self.count += 1
        identity = f"invocation-{self.count}"
        answered = self.answers[identity] = queue.Queue()
        self.waiting.put((identity, json.dumps(event).encode()))
        kind, answer = answered.get(timeout=self.timeout)
        assert kind == "response", answer
        return answer

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.server.shutdown()


class Deployment:
    """A stack, running. `endpoints` are AWS_ENDPOINT_URL_<SERVICE> of services other than moto's."""

    def __init__(self, expanded, parameters, endpoints=None, settings=None):
        self.exit = ExitStack()
        try:
            self._start(expanded, parameters, endpoints or {}, settings)
        except BaseException:
            self.exit.close()
            raise

    def _start(self, expanded, parameters, endpoints, settings):
        port = free_port()
        self.aws = f"http://127.0.0.1:{port}"
        log = subprocess.DEVNULL
        moto = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
        self.exit.callback(lambda: (moto.kill(), moto.wait()))
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert moto.poll() is None
                time.sleep(0.1)
        if settings:
            name = parameters["SettingsSecretArn"].split(":")[-1][:-7]
            secret = self.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(settings))
            parameters = parameters | {"SettingsSecretArn": secret["ARN"]}
        self.physical = self._create(Stack(expanded, parameters))
        self.stack = Stack(expanded, parameters, self.physical)
        self._connect_up()
        services = ("DYNAMODB", "SQS", "SNS", "SECRETS_MANAGER")
        self.endpoints = {f"AWS_ENDPOINT_URL_{service}": self.aws for service in services} | endpoints
        self.functions = {name: self._function(name) for name in self.stack.of_type("AWS::Lambda::Function")}
        server, self.url = serve(self._gateway())
        self.exit.callback(server.shutdown)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.exit.close()

    def client(self, service):
        """boto3's, for moto."""
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client(service, endpoint_url=self.aws, region_name=REGION, **credentials)

    def _create(self, stack):
        template = stack.decided()
        chosen = {name: item for name, item in template["Resources"].items() if item["Type"] in BY_CLOUDFORMATION}
        for name, resource in chosen.items():
            if resource["Properties"].get("FifoQueue"):
                # CloudFormation makes a name up; moto forgets its end.
                resource["Properties"]["QueueName"] = f"{name}.fifo"
        template |= {"Resources": chosen, "Outputs": {}}
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(StackName="bridge", TemplateBody=json.dumps(template))
        assert cloudformation.describe_stacks(StackName="bridge")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"
        physical = {}
        for resource in cloudformation.describe_stack_resources(StackName="bridge")["StackResources"]:
            identity = resource["PhysicalResourceId"]
            known = {"Ref": identity}
            if resource["ResourceType"] == "AWS::SQS::Queue":
                attributes = self.client("sqs").get_queue_attributes(QueueUrl=identity, AttributeNames=["QueueArn"])
                known |= {"Arn": attributes["Attributes"]["QueueArn"], "QueueName": identity.rsplit("/", 1)[1]}
            if resource["ResourceType"] == "AWS::DynamoDB::Table":
                known["Arn"] = self.client("dynamodb").describe_table(TableName=identity)["Table"]["TableArn"]
            physical[resource["LogicalResourceId"]] = known
        assert set(physical) == set(chosen)
        # The gateway is not made here, and its URL is told to a function.
        return physical and physical | {"Api": {"Ref": "a1b2c3d4e5"}}

    def _connect_up(self):
        """What moto's CloudFormation leaves out, by the services' APIs from the template's own properties."""
        sqs, sns, dynamodb = self.client("sqs"), self.client("sns"), self.client("dynamodb")
        for name, table in self.stack.of_type("AWS::DynamoDB::Table").items():
            named = {"TableName": self.physical[name]["Ref"]}
            backups = table["PointInTimeRecoverySpecification"]
            dynamodb.update_time_to_live(**named, TimeToLiveSpecification=table["TimeToLiveSpecification"])
            dynamodb.update_continuous_backups(**named, PointInTimeRecoverySpecification=backups)
        for policy in self.stack.of_type("AWS::SQS::QueuePolicy").values():
            for url in policy["Queues"]:
                sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy["PolicyDocument"])})
        for policy in self.stack.of_type("AWS::SNS::TopicPolicy").values():
            for topic in policy["Topics"]:
                value = json.dumps(policy["PolicyDocument"])
                sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=value)
        for subscription in self.stack.of_type("AWS::SNS::Subscription").values():
            sns.subscribe(
                TopicArn=subscription["TopicArn"],
                Protocol=subscription["Protocol"],
                Endpoint=subscription["Endpoint"],
                Attributes=attributes_of(subscription),
            )

    def _function(self, name):
        function = self.stack.of_type("AWS::Lambda::Function")[name]
        binary = self.stack.raw[name]["Metadata"]["BuildProperties"]["Binary"]
        variables = function["Environment"]["Variables"]
        running = Function(binary, CREDENTIALS | self.endpoints | variables, function["Timeout"])
        self.exit.callback(running.stop)
        return running

    # ---- API Gateway -------------------------------------------------------------------------------------------------

    def _route(self, method, path):
        """The function behind the most specific route, and the route ("Working with routes for HTTP APIs")."""
        found = []
        integrations = self.stack.of_type("AWS::ApiGatewayV2::Integration")
        for route in self.stack.of_type("AWS::ApiGatewayV2::Route").values():
            its_method, its_path = route["RouteKey"].split(" ")
            names, segments = its_path.split("/")[1:], path.split("/")[1:]
            greedy = names[-1].endswith("+}")
            if greedy:
                head = len(names) - 1
                fits = len(segments) > head and "/".join(segments[head:]) != ""
                pairs = list(zip(names[:head], segments, strict=False))
            else:
                fits = len(names) == len(segments)
                pairs = list(zip(names, segments, strict=False))
            fits = fits and all(name == segment or (name.startswith("{") and segment) for name, segment in pairs)
            if its_method == method and fits:
                plain = sum(not name.startswith("{") for name, _ in pairs)
                target = integrations[route["Target"].removeprefix("integrations/").strip("{}")]["IntegrationUri"]
                found.append((not greedy, plain, route["RouteKey"], self.stack.function_of(target)))
        return max(found)[2:] if found else (None, None)

    def _cors(self, origin):
        """The headers that the gateway adds, or none where it has no CORS of its own."""
        cors = self.stack.of_type("AWS::ApiGatewayV2::Api")["Api"].get("CorsConfiguration")
        if cors is None:
            return None
        allowed = cors["AllowOrigins"]
        if not origin or not (origin in allowed or "*" in allowed):
            return {}
        return {
            "Access-Control-Allow-Origin": "*" if "*" in allowed else origin,
            "Access-Control-Expose-Headers": ",".join(cors["ExposeHeaders"]),
        }

    def _gateway(self):
        deployment = self

        class Gateway(Quiet):
            def serve(self):
                body = self.body()
                url = urllib.parse.urlsplit(self.path)
                cors = deployment._cors(self.headers.get("Origin"))
                if self.command == "OPTIONS" and cors is not None:
                    settings = deployment.stack.of_type("AWS::ApiGatewayV2::Api")["Api"]["CorsConfiguration"]
                    if cors:
                        cors["Access-Control-Allow-Methods"] = ",".join(settings["AllowMethods"])
                        cors["Access-Control-Allow-Headers"] = ",".join(settings["AllowHeaders"])
                    return self.answer(204, cors)
                key, name = deployment._route(self.command, url.path)
                if name is None:
                    headers = {"Content-Type": "application/json"} | (cors or {})
                    return self.answer(404, headers, b'{"message":"Not Found"}')
                # "Working with AWS Lambda proxy integrations for HTTP APIs", payload format 2.0.
                event = {
                    "version": "2.0",
                    "routeKey": key,
                    "rawPath": url.path,
                    "rawQueryString": url.query,
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                    "requestContext": {
                        "accountId": "123456789012",
                        "apiId": "api",
                        "domainName": "api.execute-api.us-east-1.amazonaws.com",
                        "domainPrefix": "api",
                        "http": {
                            "method": self.command,
                            "path": url.path,
                            "protocol": "HTTP/1.1",
                            "sourceIp": "127.0.0.1",
                            "userAgent": "test",
                        },
                        "requestId": "request",
                        "routeKey": key,
                        "stage": "$default",
                        "time": "21/Nov/2026:00:00:00 +0000",
                        "timeEpoch": int(time.time() * 1000),
                    },
                    "body": base64.b64encode(body).decode(),
                    "isBase64Encoded": True,
                }
                answer = deployment.functions[name].invoke(event)
                headers = {name.title(): value for name, value in answer.get("headers", {}).items()}
                for name, values in answer.get("multiValueHeaders", {}).items():
                    headers.setdefault(name.title(), ",".join(values))
                if cors is not None:
                    headers = {name: value for name, value in headers.items() if "Access-Control" not in name} | cors
                text = answer.get("body") or ""
                raw = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
                headers.pop("Content-Length", None)
                self.answer(answer["statusCode"], headers, raw)

            do_GET = do_POST = do_PUT = do_OPTIONS = serve

        return Gateway

    # ---- Event source mappings ---------------------------------------------------------------------------------------

    def poll(self):
        """Hands each mapped queue's next batch to its function, once. Returns how many messages there were."""
        sqs, received = self.client("sqs"), 0
        for mapping in self.stack.of_type("AWS::Lambda::EventSourceMapping").values():
            arn = mapping["EventSourceArn"]
            url = sqs.get_queue_url(QueueName=arn.rsplit(":", 1)[1])["QueueUrl"]
            messages = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=mapping["BatchSize"],
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            if not messages:
                continue
            received += len(messages)
            records = [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "messageAttributes": {
                        name: {"stringValue": value.get("StringValue"), "dataType": value["DataType"]}
                        for name, value in message.get("MessageAttributes", {}).items()
                    },
                    "md5OfBody": message["MD5OfBody"],
                    "eventSource": "aws:sqs",
                    "eventSourceARN": arn,
                    "awsRegion": REGION,
                }
                for message in messages
            ]
            answer = self.functions[self.stack.function_of(mapping["FunctionName"])].invoke({"Records": records})
            failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            for message in messages:
                if message["MessageId"] not in failed:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return received

    def poll_until(self, done, seconds=30):
        """Polls until `done()`."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "it never came"
            if not self.poll():
                time.sleep(0.1)


class StandIn:
    """The Connect stand-in's binary."""

    def __init__(self):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([BINARIES / "local", "--port", str(port)], stdout=subprocess.DEVNULL)
        while True:
            try:
                self.control("health")
                break
            except OSError:
                assert self.process.poll() is None
                time.sleep(0.1)

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/_local/{path}", data, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Recorder:
    """A provider's send API: takes everything, and keeps it."""

    def __init__(self, status, body):
        self.requests = []
        recorder = self

        class Api(Quiet):
            def do_POST(self):
                recorder.requests.append((self.path, dict(self.headers), self.body().decode()))
                self.answer(status, {"Content-Type": "application/json"}, json.dumps(body).encode())

        self.server, self.url = serve(Api)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
