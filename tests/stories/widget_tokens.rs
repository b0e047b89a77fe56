//! Signed requests: who gets a chat, what a claim may say and the body may not, and what happens while keys change.

use aws_lc_rs::hmac;
use local::{Fault, Operation, StandIn};
use serde_json::{Value, json};
use start_chat::StartChat;
use tests::{
    Answer, Http, PAGE,
    dynamodb::DynamoDb,
    environment, invoke,
    runtime::Binary,
    secrets::{SECRET_ARN, Secret, SecretsManager},
    signed::{now, raw, token},
    start_chat, start_chat_with,
};

const KEY: &str = "MtQxyZ0yFzOe9sC8mJm0E1a5wXbIVrZ2nW7m0hJ6kQc=";
const PREVIOUS: &str = "the previous key, of 32 bytes or more";

fn settings() -> String {
    json!({ "widget": { "signing_keys": [KEY, PREVIOUS] } }).to_string()
}

async fn signed_only(connect: &StandIn) -> StartChat {
    let mut environment = environment();
    environment.push(("BRIDGE_SETTINGS", settings()));
    start_chat(&environment, connect.url()).await
}

fn signed(body: &Value, claims: &Value) -> Http {
    Http::chat(body).header("x-amz-security-token", &token(KEY, claims))
}

fn contact(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"]["startChatResult"]["ContactId"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_unauthenticated(answer: &Answer, label: &str) {
    let told = json!({ "success": false, "error": { "code": "UNAUTHENTICATED", "requestId": "request-1",
        "message": "A signed token is required; it is missing, expired or wrong" } });
    assert_eq!((answer.status, &answer.body), (401, &told), "{label}");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{label}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
}

#[tokio::test]
async fn without_keys_tokens_mean_nothing_and_nothing_is_fetched() {
    let connect = StandIn::start().await.unwrap();
    let body = json!({ "CustomerId": "c-1", "Attributes": { "tier": "gold" } });
    for settings in [None, Some("{}"), Some(r#"{"accounts":[]}"#)] {
        let mut environment = environment();
        environment.push(("CONVERSATIONS_TABLE", "no-such-table".to_owned()));
        environment.extend([("SIGNED_REQUESTS", "false".to_owned()), ("UNSIGNED_IDENTITY", "true".to_owned())]);
        environment.extend(settings.map(|settings| ("BRIDGE_SETTINGS", settings.to_owned())));
        let function = start_chat(&environment, connect.url()).await;
        for request in [Http::chat(&body), Http::chat(&body).header("x-amz-security-token", "an AWS session's")] {
            connect.forget_calls();
            assert_eq!(invoke(&function, &request.http_api()).await.status, 200, "{settings:?}");
            let calls = connect.calls();
            assert_eq!(calls.len(), 1, "{settings:?}: Connect, and nothing else");
            assert_eq!(
                calls[0].body["Attributes"],
                json!({ "channel": "web", "tier": "gold", "customerName": "Customer" })
            );
            assert_eq!(calls[0].body["CustomerId"], "c-1");
        }
    }
}

#[tokio::test]
async fn claims_reach_connect_as_they_are_and_the_bodys_attributes_under_another_name() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let source = {
        let first = contact(&invoke(&function, &signed(&json!({}), &json!({})).http_api()).await);
        connect.end(&first).unwrap();
        first
    };
    let interactive = "application/vnd.amazonaws.connect.message.interactive";
    let types = json!(["text/plain", interactive, format!("{interactive}.response")]);
    for (label, body, claims, asked) in [
        (
            "all that a claim may say",
            json!({ "ParticipantDetails": { "DisplayName": "Jo" }, "SupportedMessagingContentTypes": types,
                    "Attributes": { "page": "/cart", "items": 3, "tier": "platinum" } }),
            json!({ "customerId": "c-1", "relatedContactId": "r-1", "attributes": { "tier": "gold", "customerName": "Joanna" },
                    "segmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } } }),
            json!({ "ParticipantDetails": { "DisplayName": "Jo" }, "SupportedMessagingContentTypes": types,
                    "CustomerId": "c-1", "RelatedContactId": "r-1",
                    "SegmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } },
                    "Attributes": { "tier": "gold", "customerName": "Joanna", "HostedWidget-page": "/cart",
                                    "HostedWidget-items": "3", "HostedWidget-tier": "platinum" } }),
        ),
        (
            "a persistent chat",
            json!({ "PersistentChat": { "SourceContactId": "", "RehydrationType": "FROM_SEGMENT" } }),
            json!({ "persistentChat": { "SourceContactId": source, "RehydrationType": "FROM_SEGMENT" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" }, "Attributes": { "HostedWidget-customerName": "Customer" },
                    "PersistentChat": { "SourceContactId": source, "RehydrationType": "FROM_SEGMENT" } }),
        ),
        (
            "a persistent chat in the claims' spelling",
            json!({}),
            json!({ "persistentChat": { "sourceContactId": source, "rehydrationType": "ENTIRE_PAST_SESSION" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" }, "Attributes": { "HostedWidget-customerName": "Customer" },
                    "PersistentChat": { "SourceContactId": source, "RehydrationType": "ENTIRE_PAST_SESSION" } }),
        ),
        (
            "no claim at all, and fields that say nothing",
            json!({ "CustomerId": null, "RelatedContactId": "", "SegmentAttributes": {}, "PersistentChat": {}, "Username": "jo" }),
            json!({ "attributes": {} }),
            json!({ "ParticipantDetails": { "DisplayName": "jo" }, "Attributes": { "HostedWidget-customerName": "jo" } }),
        ),
        (
            "a signed name",
            json!({ "Attributes": { "customerName": "The Director" } }),
            json!({ "attributes": { "customerName": "Jo" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Jo" },
                    "Attributes": { "customerName": "Jo", "HostedWidget-customerName": "The Director" } }),
        ),
        (
            "a name that is not signed never looks like one that is",
            json!({ "Attributes": { "customerName": "The Director" } }),
            json!({}),
            json!({ "ParticipantDetails": { "DisplayName": "The Director" },
                    "Attributes": { "HostedWidget-customerName": "The Director" } }),
        ),
        (
            "a claim wins over an attribute that would have its name",
            json!({ "Attributes": { "x": "typed", "HostedWidget-x": "typed" } }),
            json!({ "attributes": { "HostedWidget-x": "signed" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" },
                    "Attributes": { "HostedWidget-x": "signed", "HostedWidget-HostedWidget-x": "typed",
                                    "HostedWidget-customerName": "Customer" } }),
        ),
    ] {
        connect.forget_calls();
        let answer = invoke(&function, &signed(&body, &claims).http_api()).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
        let mut sent = connect.calls()[0].body.clone();
        for constant in ["InstanceId", "ContactFlowId", "ClientToken"] {
            sent.as_object_mut().unwrap().remove(constant).unwrap();
        }
        let channel = sent["Attributes"].as_object_mut().unwrap().remove("channel");
        assert_eq!(channel, Some(json!("web")), "{label}");
        assert_eq!(sent, asked, "{label}");
    }
}

#[tokio::test]
async fn flows_may_believe_the_bridges_own_names() {
    let connect = StandIn::start().await.unwrap();
    let own =
        ["channel", "provider", "account", "customerAddress", "businessAddress", "providerMessageId", "profileName"];
    let typed: Value =
        own.iter().map(|name| ((*name).to_owned(), json!("typed"))).collect::<serde_json::Map<_, _>>().into();
    let unsigned = start_chat(&environment(), connect.url()).await;
    assert_eq!(invoke(&unsigned, &Http::chat(&json!({ "Attributes": typed })).http_api()).await.status, 200);
    let with_keys = signed_only(&connect).await;
    assert_eq!(invoke(&with_keys, &signed(&json!({}), &json!({ "attributes": typed })).http_api()).await.status, 200);
    let calls = connect.calls();
    for name in own {
        let hosted = format!("HostedWidget-{name}");
        let expected = if name == "channel" { json!("web") } else { Value::Null };
        assert_eq!(
            (&calls[0].body["Attributes"][name], &calls[0].body["Attributes"][&hosted]),
            (&expected, &json!("typed"))
        );
        let expected = if name == "channel" { json!("web") } else { json!("typed") };
        assert_eq!(calls[1].body["Attributes"][name], expected, "{name}, signed");
    }
}

#[tokio::test]
async fn without_a_token_nobody_says_who_the_customer_is() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    for (field, value) in [
        ("CustomerId", json!("c-1")),
        ("RelatedContactId", json!("r-1")),
        ("SegmentAttributes", json!({ "a": { "ValueString": "b" } })),
        ("PersistentChat", json!({ "SourceContactId": "c", "RehydrationType": "FROM_SEGMENT" })),
    ] {
        let answer = invoke(&function, &Http::chat(&json!({ field: value })).http_api()).await;
        assert_eq!((answer.status, answer.code(), answer.field()), (403, Some("FIELD_NOT_ALLOWED"), Some(field)));
    }
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn what_only_a_claim_may_say_is_refused_in_the_body() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let past = json!({ "SourceContactId": "c", "RehydrationType": "FROM_SEGMENT" });
    for (field, value) in [
        ("CustomerId", json!("c-1")),
        ("CustomerId", json!(5)),
        ("RelatedContactId", json!("r-1")),
        ("SegmentAttributes", json!({ "a": { "ValueString": "b" } })),
        ("SegmentAttributes", json!([])),
        ("PersistentChat", past.clone()),
    ] {
        // A claim of the same doesn't allow it either.
        for claims in [json!({}), json!({ "customerId": "c-1", "relatedContactId": "r-1" })] {
            let answer = invoke(&function, &signed(&json!({ field: value }), &claims).http_api()).await;
            assert_eq!(
                (answer.status, answer.code(), answer.field()),
                (403, Some("FIELD_NOT_ALLOWED"), Some(field)),
                "{field} {value}"
            );
        }
    }
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn claims_are_checked_as_the_body_is() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let half = "x".repeat(2_000);
    for (claims, field) in [
        (json!({ "attributes": "gold" }), "token.attributes"),
        (json!({ "attributes": ["gold"] }), "token.attributes"),
        (json!({ "attributes": { "age": 45 } }), "token.attributes.age"),
        (json!({ "attributes": { "vip": true } }), "token.attributes.vip"),
        (json!({ "attributes": { "none": null } }), "token.attributes.none"),
        (json!({ "attributes": { "a": { "b": "c" } } }), "token.attributes.a"),
        (json!({ "attributes": { "a b": "c" } }), "token.attributes.a b"),
        (json!({ "customerId": 5 }), "token.customerId"),
        (json!({ "customerId": "" }), "token.customerId"),
        (json!({ "customerId": "x".repeat(129) }), "token.customerId"),
        (json!({ "relatedContactId": ["r"] }), "token.relatedContactId"),
        (json!({ "segmentAttributes": { "a": "b" } }), "token.segmentAttributes.a"),
        (json!({ "segmentAttributes": "x" }), "token.segmentAttributes"),
        (json!({ "persistentChat": "x" }), "token.persistentChat"),
        (
            json!({ "persistentChat": { "SourceContactId": "c", "RehydrationType": "SOME" } }),
            "token.persistentChat.RehydrationType",
        ),
        (
            json!({ "relatedContactId": "r", "persistentChat": { "sourceContactId": "c", "rehydrationType": "FROM_SEGMENT" } }),
            "RelatedContactId",
        ),
        (
            json!({ "segmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } } }),
            "SupportedMessagingContentTypes",
        ),
    ] {
        let answer = invoke(&function, &signed(&json!({}), &claims).http_api()).await;
        assert_eq!(
            (answer.status, answer.code(), answer.field()),
            (400, Some("VALIDATION_ERROR"), Some(field)),
            "{claims}"
        );
    }
    // The limit is over signed and unsigned ones together.
    let unsigned = |bytes: usize| json!({ "Attributes": { "a": "x".repeat(bytes) } });
    let claims = json!({ "attributes": { "b": half } });
    let most = 32_768 - "channelweb".len() - "HostedWidget-a".len() - "b".len() - half.len();
    assert_eq!(invoke(&function, &signed(&unsigned(most), &claims).http_api()).await.status, 200);
    let answer = invoke(&function, &signed(&unsigned(most + 1), &claims).http_api()).await;
    assert_eq!((answer.status, answer.field()), (400, Some("Attributes")));
    assert_eq!(connect.calls().len(), 1);
}

#[tokio::test]
async fn tokens_that_are_none() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let (hs256, exp) = (r#"{"alg":"HS256"}"#, json!({ "exp": now() + 60 }).to_string());
    let with = |header: &str| raw(hmac::HMAC_SHA256, KEY, header, &exp);
    let claims = |claims: &str| raw(hmac::HMAC_SHA256, KEY, hs256, claims);
    let good = with(hs256);
    let unsigned = good.rsplit_once('.').unwrap().0;
    for (label, token) in [
        ("forged", raw(hmac::HMAC_SHA256, "another key", hs256, &exp)),
        ("signed with a key of nothing", raw(hmac::HMAC_SHA256, "", hs256, &exp)),
        ("no signature", format!("{unsigned}.")),
        ("alg none, unsigned", format!("{}.", with(r#"{"alg":"none"}"#).rsplit_once('.').unwrap().0)),
        ("alg none, signed", with(r#"{"alg":"none"}"#)),
        ("alg nOnE", with(r#"{"alg":"nOnE"}"#)),
        ("alg hs256", with(r#"{"alg":"hs256"}"#)),
        ("HS512", raw(hmac::HMAC_SHA512, KEY, r#"{"alg":"HS512"}"#, &exp)),
        ("RS256 with the key's text as its secret", with(r#"{"alg":"RS256"}"#)),
        ("stale", token(KEY, &json!({ "exp": now() - 11 }))),
        ("good for too long", token(KEY, &json!({ "exp": now() + 620 }))),
        ("good for ever", token(KEY, &json!({ "exp": i64::MAX }))),
        ("an exp beyond every integer", claims(r#"{"exp":1e300}"#)),
        ("a negative exp", claims(r#"{"exp":-1}"#)),
        ("a float", token(KEY, &json!({ "exp": 1_795_219_200.5 }))),
        ("an exp in quotes", token(KEY, &json!({ "exp": (now() + 60).to_string() }))),
        ("no exp", claims("{}")),
        ("not yet", token(KEY, &json!({ "nbf": now() + 30 }))),
        ("from the future", token(KEY, &json!({ "iat": now() + 30 }))),
        ("sub is a number", token(KEY, &json!({ "sub": 1 }))),
        ("a name twice", claims(&format!(r#"{{"exp":{0},"customerId":"a","customerId":"b"}}"#, now() + 60))),
        ("a fourth part", format!("{good}.e30")),
        ("padding", format!("{good}=")),
        ("oversized", token(KEY, &json!({ "fill": "x".repeat(4_600) }))),
        ("claims that are a list", claims("[]")),
        ("no JSON", claims("exp")),
        ("nonsense", "nonsense".to_owned()),
        ("empty", String::new()),
        ("letters beyond ASCII", format!("{good}é")),
        ("two in one header", format!("{good},{good}")),
        ("AWS's session token", "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQ".to_owned()),
    ] {
        let request = Http::chat(&json!({})).header("x-amz-security-token", &token);
        assert_unauthenticated(&invoke(&function, &request.http_api()).await, label);
        let request = Http::chat(&json!({})).header("authorization", &format!("Bearer {token}"));
        assert_unauthenticated(&invoke(&function, &request.http_api()).await, label);
    }
    assert_unauthenticated(&invoke(&function, &Http::chat(&json!({})).http_api()).await, "none");
    // A caller without a token learns nothing of the rest.
    assert_unauthenticated(&invoke(&function, &Http::chat(&json!({})).body("{").http_api()).await, "a broken body");
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn where_a_token_may_stand() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let (good, forged) = (token(KEY, &json!({})), token("another key", &json!({})));
    let chat = |headers: &[(&str, &str)]| {
        headers.iter().fold(Http::chat(&json!({})), |request, (name, value)| request.header(name, value))
    };
    let bearer = |token: &str| format!("Bearer {token}");
    for (label, request, status) in [
        ("the hosted widget's header", chat(&[("x-amz-security-token", &good), ("x-amz-snippet-id", "s")]), 200),
        ("a bearer", chat(&[("Authorization", &bearer(&good))]), 200),
        ("a bearer in small letters", chat(&[("Authorization", &format!("bearer {good}"))]), 200),
        ("the previous key", chat(&[("x-amz-security-token", &token(PREVIOUS, &json!({})))]), 200),
        ("both", chat(&[("x-amz-security-token", &good), ("Authorization", &bearer(&good))]), 200),
        ("the first one counts", chat(&[("x-amz-security-token", &good), ("Authorization", &bearer(&forged))]), 200),
        ("also when wrong", chat(&[("x-amz-security-token", &forged), ("Authorization", &bearer(&good))]), 401),
        ("another scheme", chat(&[("Authorization", &format!("Basic {good}"))]), 401),
    ] {
        assert_eq!(invoke(&function, &request.http_api()).await.status, status, "{label}");
        assert_eq!(invoke(&function, &request.rest_api()).await.status, status, "{label}, REST API");
    }
}

#[tokio::test]
async fn keys_change_in_secrets_manager() {
    const ONE: &str = "one, a key of thirty-two bytes or more";
    const TWO: &str = "two, a key of thirty-two bytes or more";
    let connect = StandIn::start().await.unwrap();
    let keys = |keys: &[&str]| json!({ "widget": { "signing_keys": keys } });
    let secrets = SecretsManager::start(&keys(&[ONE])).await;
    let mut environment = environment();
    environment.push(("BRIDGE_SETTINGS_ARN", SECRET_ARN.to_owned()));
    let services = [("Connect", connect.url()), ("Secrets Manager", secrets.url())];
    let by = |key: &str| Http::chat(&json!({})).header("x-amz-security-token", &token(key, &json!({}))).http_api();

    let function = start_chat_with(&environment, &services).await;
    assert_eq!(secrets.calls(), 0, "nothing at init");
    for _ in 0..3 {
        assert_eq!(invoke(&function, &by(ONE)).await.status, 200);
    }
    // A stranger's token is no reason to read again so soon, and no fault of the settings.
    secrets.put(&keys(&[TWO, ONE]));
    for _ in 0..3 {
        let answer = invoke(&function, &by("three")).await;
        assert_eq!((answer.status, answer.code()), (503, Some("UNAUTHENTICATED")));
        assert_eq!(answer.header("retry-after"), Some("30"));
    }
    assert_eq!(secrets.calls(), 1);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(30)).await;
    tokio::time::resume();
    assert_eq!(invoke(&function, &by(TWO)).await.status, 200, "a new key counts");
    assert_eq!(secrets.calls(), 2);
    assert_eq!(invoke(&function, &by(ONE)).await.status, 200, "the others go on");

    // What was read for a request is final.
    let function = start_chat_with(&environment, &services).await;
    assert_unauthenticated(&invoke(&function, &by("three")).await, "an unknown key");
    assert_eq!(secrets.calls(), 3);
}

#[tokio::test]
async fn settings_that_cannot_be_had_let_nobody_in() {
    let connect = StandIn::start().await.unwrap();
    let secrets = SecretsManager::start(&json!({})).await;
    let mut environment = environment();
    environment.push(("BRIDGE_SETTINGS_ARN", SECRET_ARN.to_owned()));
    let services = [("Connect", connect.url()), ("Secrets Manager", secrets.url())];
    let request = signed(&json!({}), &json!({})).http_api();
    for (label, secret) in [
        ("denied", Secret::Error(400, "AccessDeniedException")),
        ("broken", Secret::Error(500, "InternalServiceError")),
        ("malformed", Secret::Text("{".to_owned())),
        ("no keys in the list", Secret::Text(r#"{"widget":{"signing_keys":[]}}"#.to_owned())),
        ("a short key", Secret::Text(r#"{"widget":{"signing_keys":["short"]}}"#.to_owned())),
        ("a widget of nothing", Secret::Text(r#"{"widget":{}}"#.to_owned())),
        ("no object", Secret::Text(r#"{"widget":null}"#.to_owned())),
        ("a misspelt name", Secret::Text(settings().replace("widget", "widgets"))),
        ("no widget", Secret::Text("{}".to_owned())),
    ] {
        let function = start_chat_with(&environment, &services).await;
        secrets.set(secret);
        let answer = invoke(&function, &request).await;
        assert_eq!((answer.status, answer.code()), (503, Some("SETTINGS_UNAVAILABLE")), "{label}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
    }
    assert_eq!(connect.calls().len(), 0);
    // A mistake in an account never stops web chat.
    let mut document: Value = serde_json::from_str(&settings()).unwrap();
    document["accounts"] = json!([{ "provider": "twilio", "auth_token": "misspelt" }]);
    secrets.set(Secret::Text(document.to_string()));
    let function = start_chat_with(&environment, &services).await;
    assert_eq!(invoke(&function, &request).await.status, 200);

    environment = tests::environment();
    for more in [
        &[("BRIDGE_SETTINGS", r#"{"widget":{"signing_keys":[]}}"#)][..],
        &[("BRIDGE_SETTINGS", "{}")],
        &[("SIGNED_REQUESTS", "true")],
    ] {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let environment: Vec<_> = environment.iter().cloned().chain(more).collect();
        let function = start_chat_with(&environment, &services).await;
        assert_eq!(invoke(&function, &request).await.code(), Some("SETTINGS_UNAVAILABLE"));
    }
}

#[tokio::test]
async fn an_idempotency_key_is_one_visitors() {
    let connect = StandIn::start().await.unwrap();
    let function = signed_only(&connect).await;
    let start =
        async |body: &Value, claims: Value| contact(&invoke(&function, &signed(body, &claims).http_api()).await);
    let body = json!({ "ClientToken": "0123456789abcdef" });
    let visitor = json!({ "sub": "a", "customerId": "c" });
    let first = start(&body, visitor.clone()).await;
    for (label, claims, same) in [
        ("a new token for the same visitor", json!({ "sub": "a", "customerId": "c", "iat": now() - 5 }), true),
        ("another subject", json!({ "sub": "b", "customerId": "c" }), false),
        ("another customer", json!({ "sub": "a", "customerId": "d" }), false),
        ("another attribute", json!({ "sub": "a", "customerId": "c", "attributes": { "x": "y" } }), false),
    ] {
        assert_eq!(start(&body, claims).await == first, same, "{label}");
    }
    // Without a table, a token may come again: as another chat.
    assert_ne!(start(&json!({}), visitor.clone()).await, start(&json!({}), visitor).await);
}

#[tokio::test]
async fn with_a_table_a_token_starts_one_chat() {
    let connect = StandIn::start().await.unwrap();
    let table = DynamoDb::start().await;
    let mut environment = environment();
    environment.extend([("BRIDGE_SETTINGS", settings()), ("CONVERSATIONS_TABLE", table.table().to_owned())]);
    let services = [("Connect", connect.url()), ("DynamoDB", table.url())];
    let function = start_chat_with(&environment, &services).await;
    let by = |token: &str, body: &Value| Http::chat(body).header("x-amz-security-token", token).http_api();
    let body = |name: &str| json!({ "ParticipantDetails": { "DisplayName": name } });

    let exp = now() + 60;
    let once = token(KEY, &json!({ "exp": exp, "customerId": "visitor-1" }));
    let first = contact(&invoke(&function, &by(&once, &body("Jo"))).await);
    // What is kept: a digest, and nothing of the visitor's.
    let items = table.items().await;
    assert_eq!(items.len(), 1);
    let mut fields: Vec<_> = items[0].keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["client_token", "expires_at", "pk", "request"]);
    assert_eq!(items[0]["expires_at"].as_n().unwrap(), &(exp + 10).to_string());
    let kept = format!("{items:?}");
    assert!(!kept.contains(&once) && !kept.contains("visitor-1") && !kept.contains("Jo"), "{kept}");

    let with_key = json!({ "ParticipantDetails": { "DisplayName": "Jo" }, "ClientToken": "0123456789abcdef" });
    for (label, request) in [
        ("the same again", by(&once, &body("Jo"))),
        ("the same again, as a client writes it that makes a new key for each try", by(&once, &with_key)),
        ("the same, in other words", by(&once, &json!({ "customerName": "Jo" }))),
    ] {
        assert_eq!(contact(&invoke(&function, &request).await), first, "{label}: a retry");
    }
    let from_elsewhere = Http::new("POST", "/chat").body(body("Jo").to_string()).header("x-amz-security-token", &once);
    connect.forget_calls();
    for (label, request) in [
        ("another name", by(&once, &body("Al"))),
        ("another attribute", by(&once, &json!({ "customerName": "Jo", "Attributes": { "page": "/" } }))),
    ] {
        assert_unauthenticated(&invoke(&function, &request).await, label);
    }
    assert_eq!(invoke(&function, &from_elsewhere.http_api()).await.status, 401, "from no page");
    assert_eq!(connect.calls().len(), 0);
    assert_ne!(contact(&invoke(&function, &by(&token(KEY, &json!({})), &body("Jo"))).await), first, "another token");

    // A visitor isn't locked out by a call that failed.
    let second = token(KEY, &json!({ "sub": "second" }));
    connect.fail(Operation::StartChatContact, Fault::limit_exceeded());
    assert_eq!(invoke(&function, &by(&second, &body("Jo"))).await.status, 429);
    assert_eq!(
        invoke(&function, &by(&second, &body("Al"))).await.status,
        401,
        "but the token is spent on that request"
    );
    contact(&invoke(&function, &by(&second, &body("Jo"))).await);

    // Two at the same moment: one chat.
    let third = token(KEY, &json!({ "sub": "third" }));
    let request = by(&third, &body("Jo"));
    let (one, two) = tokio::join!(invoke(&function, &request), invoke(&function, &request));
    assert_eq!(contact(&one), contact(&two));

    // A body that is refused spends nothing.
    let fourth = token(KEY, &json!({ "sub": "fourth" }));
    assert_eq!(invoke(&function, &by(&fourth, &json!({ "ChatDurationInMinutes": 1 }))).await.status, 400);
    contact(&invoke(&function, &by(&fourth, &body("Jo"))).await);

    // Nobody gets in unrecorded.
    connect.forget_calls();
    environment.push(("CONVERSATIONS_TABLE", "no-such-table".to_owned()));
    let function = start_chat_with(&environment, &services).await;
    let answer = invoke(&function, &by(&token(KEY, &json!({})), &body("Jo"))).await;
    assert_eq!((answer.status, answer.code()), (500, Some("INTERNAL")), "the owner's fault");
    let closed = [("Connect", connect.url()), ("DynamoDB", "http://127.0.0.1:1")];
    let function = start_chat_with(&environment, &closed).await;
    let answer = invoke(&function, &by(&token(KEY, &json!({})), &body("Jo"))).await;
    assert_eq!((answer.status, answer.code()), (503, Some("NOT_STORED")), "DynamoDB's");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn tokens_keys_and_claims_are_never_printed() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_ENDPOINT_URL_CONNECT", connect.url().to_owned()),
        ("BRIDGE_SETTINGS", settings()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let mut binary = Binary::start("start-chat", &environment).await;
    let claims = json!({ "sub": "subject-77", "customerId": "customer-77", "attributes": { "vip": "Zebulon" } });
    let wrong = json!({ "sub": "subject-77", "attributes": { "vip": ["Zebulon"] } });
    for (label, token, status, cause) in [
        ("started", token(KEY, &claims), 200, None),
        ("forged", token("another key", &claims), 401, Some("no key of the settings has signed the token")),
        ("stale", token(KEY, &json!({ "sub": "subject-77", "exp": 5 })), 401, Some("the token has expired")),
        ("a claim of the wrong type", token(KEY, &wrong), 400, None),
    ] {
        let request = Http::chat(&json!({})).header("x-amz-security-token", &token);
        let answer = Answer::of(&binary.invoke(&request.http_api()).await.unwrap());
        assert_eq!(answer.status, status, "{label}");
        let output = binary.output().await.join("\n");
        for secret in [token.as_str(), "eyJ", KEY, PREVIOUS, "subject-77", "customer-77", "Zebulon", "AWSSECRETKEY"] {
            assert!(!output.contains(secret), "{label}: {secret} in {output}");
        }
        assert!(cause.is_none_or(|cause| output.contains(cause)), "{label}: {output}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_in_the_log() {
    let mut environment = environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("BRIDGE_SETTINGS", r#"{"widget":{"signing_keys":["s3cret-key",7]}}"#.to_owned()),
    ]);
    let mut binary = Binary::start("start-chat", &environment).await;
    let answer = Answer::of(&binary.invoke(&Http::chat(&json!({})).http_api()).await.unwrap());
    assert_eq!((answer.status, answer.code()), (503, Some("SETTINGS_UNAVAILABLE")));
    assert!(!answer.body.to_string().contains("signing_keys"), "{answer:?}");
    let output = binary.output().await;
    assert!(!output.iter().any(|line| line.contains("s3cret-key")), "{output:?}");
    let named = output.iter().filter(|line| line.contains("widget: signing_keys[1] must be a text")).count();
    assert_eq!(named, 2, "once at init, once at the request: {output:?}");

    environment.retain(|(name, _)| *name != "BRIDGE_SETTINGS");
    environment.push(("BRIDGE_SETTINGS_ARN", SECRET_ARN.to_owned()));
    let mut binary = Binary::start("start-chat", &environment).await;
    let answer = Answer::of(&binary.invoke(&Http::chat(&json!({})).http_api()).await.unwrap());
    assert_eq!((answer.status, answer.code()), (503, Some("SETTINGS_UNAVAILABLE")));
    let output = binary.output().await.join("\n");
    assert!(output.contains("GetSecretValue: ") && !output.contains("AWSSECRETKEY"), "{output}");
}
