"""The alias goes back, through moto's Lambda."""

import io
import json
import zipfile

import boto3
import pytest
import rollback


def archive(text):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("bootstrap", text)
    return made.getvalue()


@pytest.fixture
def functions(bridge):
    client = boto3.client("lambda")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    for name in ("StartChat", "SendReply"):
        client.create_function(
            FunctionName=name, Runtime="provided.al2023", Role=role, Handler="bootstrap", Code={"ZipFile": archive("1")}
        )
        for version in ("1", "2", "3"):
            client.update_function_code(FunctionName=name, ZipFile=archive(version))
            client.publish_version(FunctionName=name)
        client.create_alias(FunctionName=name, Name="live", FunctionVersion="3")
        bridge.resources[name] = name
    return client


def live(client):
    return {
        name: client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] for name in ("StartChat", "SendReply")
    }


def test_every_function_goes_back_one_version(functions, capsys):
    rollback.main([])
    assert live(functions) == {"StartChat": "2", "SendReply": "2"}
    assert "StartChat: 3 -> 2" in capsys.readouterr().out
    rollback.main([])
    assert live(functions) == {"StartChat": "1", "SendReply": "1"}
    with pytest.raises(SystemExit, match="nothing was changed"):
        rollback.main([])


def test_one_function_goes_to_a_version(functions):
    rollback.main(["--function", "StartChat", "--to", "1"])
    assert live(functions) == {"StartChat": "1", "SendReply": "3"}
    rollback.main(["--function", "StartChat", "--to", "3"])
    with pytest.raises(SystemExit, match="nothing was changed"):
        rollback.main(["--function", "StartChat", "--to", "9"])
    assert live(functions) == {"StartChat": "3", "SendReply": "3"}


def test_all_go_or_none(functions):
    functions.update_alias(FunctionName="SendReply", Name="live", FunctionVersion="1")
    with pytest.raises(SystemExit, match="SendReply"):
        rollback.main([])
    assert live(functions) == {"StartChat": "3", "SendReply": "1"}
