"""Dead letters by reason, through moto's SQS."""

import dead_letters
import pytest


def listed(capsys, *options):
    dead_letters.main(["list", *options])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    return {(row[0], row[1]): int(row[2]) for row in rows}


def test_the_list_counts_by_reason_and_changes_nothing(bridge, capsys):
    for number in range(3):
        bridge.put("Inbound", f"a{number}", "connect_misconfigured", group=f"customer-{number}")
    bridge.put("Outbound", "b", "expired")
    bridge.put("Reply", "c")
    expected = {("Inbound", "connect_misconfigured"): 3, ("Outbound", "expired"): 1, ("Reply", "none"): 1}
    assert listed(capsys) == expected
    assert listed(capsys) == expected, "all are visible again"
    assert listed(capsys, "--queue", "Outbound") == {("Outbound", "expired"): 1}


def test_all_of_one_customers_are_counted(bridge, capsys):
    """A FIFO queue hands over no more than ten of a group at once."""
    for number in range(57):
        bridge.put("Inbound", f"{number}", "expired" if number % 2 else "connect_rejected")
    for _ in range(2):
        assert listed(capsys) == {("Inbound", "connect_rejected"): 29, ("Inbound", "expired"): 28}
    assert bridge.bodies("Inbound") == [f"{number}" for number in range(57)], "the order is kept"


def test_a_queue_of_any_size(bridge, capsys):
    for number in range(150):
        bridge.put("Reply", f"{number}", "malformed" if number % 3 else None)
    assert listed(capsys) == {("Reply", "malformed"): 100, ("Reply", "none"): 50}
    dead_letters.main(["delete", "--reason", "malformed"])
    assert len(bridge.bodies("Reply")) == 50


def test_redriven_by_reason_in_order_and_as_they_came(bridge, capsys):
    for number in range(25):
        bridge.put("Inbound", f"{number}", "connect_misconfigured" if number % 2 else "connect_rejected", kind="x")
    dead_letters.main(["redrive", "--reason", "connect_misconfigured"])
    assert "Inbound: 12 redriven" in capsys.readouterr().out
    back = bridge.read("Inbound", "Queue")
    assert [message["Body"] for message in back] == [f"{number}" for number in range(1, 25, 2)]
    for message in back:
        assert message["Attributes"]["MessageGroupId"] == "g"
        assert {name: value["StringValue"] for name, value in message["MessageAttributes"].items()} == {"kind": "x"}
    assert bridge.bodies("Inbound") == [f"{number}" for number in range(0, 25, 2)]


def test_a_letter_that_fails_again_is_redriven_again(bridge):
    """Within five minutes a FIFO queue drops what has an id that it knows."""
    for time in range(2):
        bridge.put("Inbound", "again", "connect_misconfigured", number=time)
        dead_letters.main(["redrive", "--reason", "all"])
        assert bridge.bodies("Inbound", "Queue") == ["again"]


def test_what_may_have_been_delivered_needs_a_flag(bridge, capsys):
    bridge.put("Inbound", "once", "may_have_been_delivered")
    for do in ("redrive", "delete"):
        with pytest.raises(SystemExit):
            dead_letters.main([do, "--reason", "may_have_been_delivered"])
        assert "look into the chat first" in capsys.readouterr().err
        dead_letters.main([do, "--reason", "all"])
    capsys.readouterr()
    assert listed(capsys)[("Inbound", "may_have_been_delivered")] == 1
    dead_letters.main(["redrive", "--reason", "may_have_been_delivered", "--may-have-been-delivered"])
    assert bridge.bodies("Inbound", "Queue") == ["once"] and not bridge.bodies("Inbound")


def test_a_reason_must_be_said(bridge, capsys):
    for do in ("redrive", "delete"):
        with pytest.raises(SystemExit):
            dead_letters.main([do])
    assert "say which ones" in capsys.readouterr().err


def test_nothing_is_lost_when_it_is_cut_short(bridge):
    for number in range(5):
        bridge.put("Inbound", f"{number}", "expired")
    queue = dead_letters.of_stack(bridge)["Inbound"]

    def fail(letter):
        raise RuntimeError(letter.id)

    with pytest.raises(RuntimeError):
        queue.walk(fail)
    assert bridge.bodies("Inbound")[:1] == ["0"]


def test_a_copy_keeps_its_age(bridge, monkeypatch):
    for number in range(12):
        bridge.put("Inbound", f"{number}", "expired")
    queue = dead_letters.of_stack(bridge)["Inbound"]
    first, second = {}, {}
    queue.walk(lambda letter: first.setdefault(letter.body, letter.since) and dead_letters.KEEP)
    queue.walk(lambda letter: second.setdefault(letter.body, letter.since) and dead_letters.KEEP)
    assert first == second and len(first) == 12
