//! The phone: the providers' send APIs, and what the control API says of it. That its webhooks are signed as the bridge
//! wants them is told in tests/stories/phone.rs.

use std::time::Duration;

use local::{Bridge, Channel, Config, Fault, Operation, Text};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::Client;

fn settings() -> Value {
    serde_json::from_str(include_str!("../../settings.json")).unwrap()
}

async fn start_with(functions: &str) -> Client {
    let bridge = Bridge {
        functions: functions.to_owned(),
        public_base_url: "http://localhost:9000".to_owned(),
        settings: settings(),
    };
    Client::start_with(Config { bridge: Some(bridge), ..Config::default() }).await
}

async fn start() -> Client {
    start_with("http://127.0.0.1:1").await
}

/// A call of an account's send API, without credentials.
fn call(client: &Client, account: &str, path: &str) -> RequestBuilder {
    reqwest::Client::new().request(Method::POST, format!("{}/_phone/{account}{path}", client.stand_in.url()))
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
}

/// A good call of each provider that is authorised by what its request holds, and the same with wrong credentials.
fn calls(client: &Client, text: &str) -> Vec<(&'static str, RequestBuilder, RequestBuilder)> {
    const TWILIO: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json";
    const SIGNALWIRE: &str = "/api/laml/2010-04-01/Accounts/720796a0-8ee9-4350-83bd-2d07a3121f1e/Messages.json";
    let (from, to) = ("+12025550100", "+14155550123");
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("From", from), ("To", to), ("Body", text)])
        .finish();
    let short = json!({ "from": "12025550100", "to": "14155550123", "text": text });
    let vonage = |secret: &str| {
        let mut body = short.clone();
        body.as_object_mut()
            .unwrap()
            .extend([("api_key".to_owned(), json!("abcd1234")), ("api_secret".to_owned(), json!(secret))]);
        call(client, "vonage", "/sms/json").json(&body)
    };
    let twilio = call(client, "twilio", TWILIO).body(form.clone());
    let signalwire = call(client, "signalwire", SIGNALWIRE).body(form.clone());
    let whatsapp = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": "14155550123",
                           "type": "text", "text": { "body": text, "preview_url": false } });
    let meta = call(client, "meta", "/v25.0/106540352242922/messages").json(&whatsapp);
    let sms = json!({ "DestinationPhoneNumber": to, "OriginationIdentity": from, "MessageBody": text });
    let aws = call(client, "aws-sns", "/").header("x-amz-target", "PinpointSMSVoiceV2.SendTextMessage").json(&sms);
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, whatsapp.to_string());
    let social =
        json!({ "originationPhoneNumberId": "phone-number-id-1", "message": encoded, "metaApiVersion": "v25.0" });
    let social = call(client, "aws-sns", "/v1/whatsapp/send").json(&social);
    let clone = |request: &RequestBuilder| request.try_clone().unwrap();
    let basic = |request: &RequestBuilder, user: &str, password: &str| clone(request).basic_auth(user, Some(password));
    const SID: &str = "AC00000000000000000000000000000001";
    const PROJECT: &str = "720796a0-8ee9-4350-83bd-2d07a3121f1e";
    let signed = |request: &RequestBuilder| {
        clone(request)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/sms-voice/aws4_request")
    };
    vec![
        ("twilio", basic(&twilio, SID, "12345678901234567890123456789012"), basic(&twilio, SID, "other")),
        ("signalwire", basic(&signalwire, PROJECT, "PTtest_1234567890abcdef"), basic(&signalwire, PROJECT, "other")),
        ("vonage", vonage("test_1234567890"), vonage("other")),
        ("meta", clone(&meta).bearer_auth("EAAtest1234567890abcdef"), clone(&meta).bearer_auth("other")),
        ("aws-sns", signed(&aws), clone(&aws)),
        ("aws-sns", signed(&social), clone(&social)),
    ]
}

#[tokio::test]
async fn a_text_by_each_send_api_reaches_the_phone() {
    let client = start().await;
    let long = "a".repeat(161);
    for (account, good, wrong) in calls(&client, &long) {
        let before = client.stand_in.texts().len();
        let (status, body) = answer(wrong).await;
        // Vonage answers 200 whatever is wrong.
        let refused =
            if account == "vonage" { body["messages"][0]["status"] == "4" } else { matches!(status, 401 | 403) };
        assert!(refused, "{account}: {status} {body}");
        assert_eq!(client.stand_in.texts().len(), before, "{account}");

        let (status, body) = answer(good).await;
        let texts = client.stand_in.texts();
        assert_eq!(texts.len(), before + 1, "{account}: {status} {body}");
        let Text { id, account: kept, phone, text, from_phone, segments, channel, .. } = texts.last().unwrap();
        assert_eq!((kept.as_str(), phone.as_str(), text, *from_phone), (account, "+14155550123", &long, false));
        assert_eq!(*segments, if *channel == Channel::Sms { 2 } else { 1 }, "{account}");
        let named = ["/sid", "/data/id", "/messages/0/message-id", "/messages/0/id", "/MessageId", "/messageId"];
        assert!(named.iter().any(|at| body.pointer(at) == Some(&json!(id))), "{account}: {body}");
        assert_eq!(status, if matches!(account, "twilio" | "signalwire") { 201 } else { 200 }, "{account}");
    }
    let calls = client.stand_in.calls_to(Operation::SendText);
    assert_eq!(calls.len(), 12);
    assert_eq!(calls[1].status, Some(201));
}

/// A call that only reads.
fn look(client: &Client, path: &str) -> reqwest::RequestBuilder {
    reqwest::Client::new().get(format!("{}/_phone/{path}", client.stand_in.url()))
}

/// Signed as Vonage wants it in tests/stories: here, what is not.
#[tokio::test]
async fn what_is_no_order_is_refused() {
    let client = start().await;
    let vonage = json!({ "message_type": "text", "channel": "sms", "from": "1", "to": "2", "text": "Hi" });
    let forged = "eyJhbGciOiJub25lIn0.eyJhcHBsaWNhdGlvbl9pZCI6ImFhYWFhYWFhIn0.";
    for (request, status) in [
        (call(&client, "vonage-messages", "/v1/messages").json(&vonage).bearer_auth(forged), 401),
        (call(&client, "meta", "/v25.0/106540352242922/texts").bearer_auth("EAAtest1234567890abcdef"), 404),
        (call(&client, "meta", "/v25.0/106540352242922/messages").bearer_auth("EAAtest1234567890abcdef"), 400),
        (call(&client, "meta", "/v25.0/999/messages").bearer_auth("EAAtest1234567890abcdef"), 404),
        (call(&client, "nobody", "/v2/messages"), 404),
        (look(&client, "vonage/account/numbers"), 401),
        (look(&client, "vonage/account/numbers").basic_auth("abcd1234", Some("test_1234567890")), 200),
        // It has no such call.
        (look(&client, "webhook/"), 405),
    ] {
        assert_eq!(answer(request).await.0, status);
    }
    assert_eq!(client.stand_in.texts(), []);
}

#[tokio::test]
async fn a_provider_fails_where_it_is_told_to() {
    let client = start().await;
    for (account, good, _) in calls(&client, "Hi") {
        let before = client.stand_in.texts().len();
        for status in [429, 500] {
            client.stand_in.fail(Operation::SendText, Fault::error(status, "any"));
            let (answered, body) = answer(good.try_clone().unwrap()).await;
            if (account, status) == ("vonage", 429) {
                assert_eq!((answered, &body["messages"][0]["status"]), (200, &json!("1")));
            } else {
                assert_eq!(answered, status, "{account}");
            }
        }
        assert_eq!(client.stand_in.texts().len(), before, "{account}");
        client.stand_in.fail(Operation::SendText, Fault::error(500, "any").after_handling());
        assert_eq!(answer(good.try_clone().unwrap()).await.0, 500);
        assert_eq!(client.stand_in.texts().len(), before + 1, "{account}: the answer alone was lost");
        client.stand_in.fail(Operation::SendText, Fault::reset());
        assert!(good.send().await.is_err());
        assert_eq!(client.stand_in.texts().len(), before + 1);
    }
    client.stand_in.fail(Operation::SendText, Fault::hang());
    let (_, good, _) = calls(&client, "Hi").swap_remove(0);
    assert!(good.timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
}

async fn control(client: &Client, method: &str, path: &str, body: Value) -> (u16, Value) {
    let answer = client.send(method, &format!("/_local/{path}"), None, body.to_string()).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn texts_are_posted_to_the_bridge() {
    let router = axum::Router::new().route(
        "/sms/{provider}/{account}",
        axum::routing::post(async |path: axum::extract::Path<(String, String)>| match path.1.as_str() {
            "meta" => (axum::http::StatusCode::FORBIDDEN, "no".to_owned()),
            _ => (axum::http::StatusCode::OK, path.0.0.clone()),
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = start_with(&url).await;

    let (_, config) = control(&client, "GET", "config", Value::Null).await;
    assert_eq!(config["functions"], json!(url));
    let accounts: Vec<_> =
        config["accounts"].as_array().unwrap().iter().map(|account| account["name"].clone()).collect();
    let settings = settings();
    let of_settings = settings["accounts"].as_array().unwrap().iter();
    let expected: Vec<_> =
        of_settings.map(|account| account.get("name").unwrap_or(&account["provider"]).clone()).collect();
    assert_eq!(accounts, expected);
    let secrets = ["auth_tokens", "12345678901234567890123456789012", "PRIVATE KEY"];
    assert!(secrets.iter().all(|secret| !config.to_string().contains(secret)));

    let writing = json!({ "account": "twilio", "from": "+14155550123", "to": "+12025550100", "text": "Hi" });
    let (status, answer) = control(&client, "POST", "phone/send", writing.clone()).await;
    assert_eq!((status, &answer["status"], &answer["body"]), (200, &json!(200), &json!("twilio")));
    let mut other = writing.clone();
    other["account"] = json!("meta");
    assert_eq!(control(&client, "POST", "phone/send", other).await.1["status"], 403);
    let texts = client.stand_in.texts();
    let kept: Vec<_> = texts.iter().map(|text| (text.account.as_str(), text.from_phone, text.status)).collect();
    assert_eq!(kept, [("twilio", true, Some(200)), ("meta", true, Some(403))]);
    let (_, listed) = control(&client, "GET", "phone/texts", Value::Null).await;
    assert_eq!(listed["texts"][0]["text"], "Hi");

    for (field, value) in [
        ("account", "nobody"),
        ("from", "Jo"),
        ("from", "04155550123"),
        ("to", ""),
        ("text", " "),
        ("channel", "whatsapp"),
    ] {
        let mut wrong = writing.clone();
        wrong["account"] = json!("signalwire");
        wrong[field] = json!(value);
        let (status, answer) = control(&client, "POST", "phone/send", wrong).await;
        assert_eq!((status, answer["error"].is_string()), (422, true), "{field}");
    }
    control(&client, "POST", "reset", json!({})).await;
    assert_eq!(client.stand_in.texts(), []);
}

#[tokio::test]
async fn a_bridge_that_is_not_there_is_said() {
    let client = start().await;
    let writing = json!({ "account": "twilio", "from": "+14155550123", "to": "+12025550100", "text": "Hi" });
    let (status, answer) = control(&client, "POST", "phone/send", writing.clone()).await;
    assert_eq!(status, 422);
    let error = answer["error"].as_str().unwrap();
    assert!(error.starts_with("the bridge can't be reached: ") && error.contains("refused"), "{error}");
    let statuses: Vec<_> = client.stand_in.texts().iter().map(|text| text.status).collect();
    assert_eq!(statuses, [Some(0)], "the text does not wait for an answer for ever");
    let without = Client::start().await;
    assert_eq!(control(&without, "POST", "phone/send", writing).await.0, 422);
    assert_eq!(control(&without, "GET", "config", Value::Null).await.1, json!({ "functions": null, "accounts": [] }));
}

#[tokio::test]
async fn the_page_and_nothing_beside_it_is_served() {
    let client = Client::start().await;
    for (path, content_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
    ] {
        let response = reqwest::get(format!("{}{path}", client.stand_in.url())).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
            (200, content_type)
        );
        assert!(response.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'self'"));
    }
    for path in
        ["/page/package.json", "/page/..%2Fsettings.json", "/page/..%2fsrc%2flib.js", "/page/none.js", "/page/js"]
    {
        let response = reqwest::get(format!("{}{path}", client.stand_in.url())).await.unwrap();
        assert_eq!(response.status().as_u16(), 404, "{path}");
    }
}
