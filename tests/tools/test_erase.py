"""Erasing one customer, through moto's table and queues."""

import erase
import pytest

ADDRESS, NEIGHBOUR = "+14155550123", "+141555501234"
GROUP, OTHER_GROUP = "a" * 64, "b" * 64
CHAT, EARLIER_CHAT, OTHER_CHAT = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")
ITEM = "99999999-0000-4000-8000-000000000000"


def item(key, **texts):
    return {"pk": {"S": key}} | {name: {"S": text} for name, text in texts.items()}


MINE = [
    item(f"customer#{GROUP}", contact=CHAT, participant="token"),
    item(f"contact#{CHAT}", customer=ADDRESS, conversation=GROUP),
    item(f"contact#{EARLIER_CHAT}", customer=ADDRESS, conversation=GROUP),
    item(f"told#{EARLIER_CHAT}", by="x"),
    item(f"window#{GROUP}", at="1"),
    item(f"menu#{GROUP}", contact=CHAT, menu="{}"),
    item("choices#" + "e" * 32, contact=EARLIER_CHAT, menu="{}"),
    item(f"reply#{ITEM}", contact=CHAT, state="sent"),
    item("status#" + "c" * 64, contact=CHAT, text="See you"),
    item("parts#" + "d" * 64, parts='{"from":"+14155550123","text":"Hel"}'),
]
OPT_OUT = item(f"optout#{GROUP}", message="e" * 64)
OTHERS = [
    item(f"customer#{OTHER_GROUP}", contact=OTHER_CHAT),
    item(f"contact#{OTHER_CHAT}", customer=NEIGHBOUR, conversation=OTHER_GROUP),
    item(f"optout#{OTHER_GROUP}", message="f" * 64),
    item("widget-token#" + "0" * 64, request="x"),
]


@pytest.fixture
def filled(bridge):
    for one in [*MINE, OPT_OUT, *OTHERS]:
        bridge.dynamodb.put_item(TableName="conversations", Item=one)
    bridge.put("Inbound", f'{{"message":{{"from":"{ADDRESS}"}}}}', "expired", group=GROUP)
    bridge.put("Inbound", f'{{"message":{{"from":"{NEIGHBOUR}"}}}}', "expired", group=OTHER_GROUP)
    bridge.put("Outbound", f'{{"InitialContactId":"{CHAT}"}}', "expired", group="1")
    bridge.put("Reply", f'{{"InitialContactId":"{OTHER_CHAT}"}}')
    return bridge


def keys(bridge):
    return {one["pk"]["S"] for one in bridge.dynamodb.scan(TableName="conversations")["Items"]}


def key_of(items):
    return {one["pk"]["S"] for one in items}


def test_it_only_says_what_it_would_erase(filled, capsys):
    before = keys(filled)
    erase.main([ADDRESS])
    assert "Would erase (YES=1 does it): 10 items of the table, 2 dead letters" in capsys.readouterr().out
    assert keys(filled) == before and len(filled.bodies("Inbound")) == 2


def test_one_customer_and_nobody_else_is_erased(filled, capsys):
    erase.main([ADDRESS, "--yes"])
    said = capsys.readouterr().out
    assert "Erased: 10 items of the table, 2 dead letters" in said and "Kept: 1 opt-outs" in said
    assert CHAT in said and EARLIER_CHAT in said and OTHER_CHAT not in said
    assert keys(filled) == key_of([OPT_OUT, *OTHERS])
    assert NEIGHBOUR in filled.bodies("Inbound")[0]
    assert not filled.bodies("Outbound") and len(filled.bodies("Reply")) == 1


def test_an_opt_out_is_forgotten_on_demand(filled):
    erase.main([ADDRESS, "--yes", "--opt-out"])
    assert keys(filled) == key_of(OTHERS)


def test_the_longer_number_is_another_customer(filled):
    erase.main([NEIGHBOUR, "--yes", "--opt-out"])
    assert keys(filled) == key_of([*MINE, OPT_OUT, OTHERS[3]])


def test_nobody_is_erased_by_a_few_digits(filled):
    with pytest.raises(SystemExit):
        erase.main(["+1", "--yes"])
    before = keys(filled)
    erase.main(["+19995550000", "--yes"])
    assert keys(filled) == before
