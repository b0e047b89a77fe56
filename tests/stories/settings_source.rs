//! The settings document and the secret that holds it: how often it is read, and what is used when it can't be.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use shared::{
    Kind, Result, Secret as Hidden,
    aws::settings::{Refresh, SettingsSource},
    config::SettingsLocation,
    settings::Settings,
    telemetry::Report,
};
use tests::{
    sdk_config,
    secrets::{SECRET_ARN, Secret, SecretsManager},
};

fn document(key: &str) -> Value {
    json!({ "widget": { "signing_keys": [format!("{key:_<32}")] } })
}

fn key(settings: &Settings) -> &str {
    settings.widget.as_ref().unwrap().signing_keys[0].expose().trim_end_matches('_')
}

async fn current(source: &SettingsSource) -> Result<Arc<Settings>> {
    source.current(&mut Report::new("test")).await
}

async fn refresh(source: &SettingsSource) -> Refresh {
    source.refresh(tokio::time::Instant::now()).await
}

async fn source(secrets: &SecretsManager) -> SettingsSource {
    SettingsSource::new(SettingsLocation::Arn(SECRET_ARN.to_owned()), &sdk_config(secrets.url()).await)
}

/// Time passes for what looks at tokio's clock. It stands still only here: a clock that stands still while a request is
/// on its way runs into the request's timeouts.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn shown(refresh: Refresh) -> String {
    match refresh {
        Refresh::Refreshed(settings) => key(&settings).to_owned(),
        Refresh::GateShut => "shut".to_owned(),
        Refresh::Fixed => "fixed".to_owned(),
    }
}

#[tokio::test]
async fn a_secret_is_read_when_needed_and_kept_for_five_minutes() {
    let secrets = SecretsManager::start(&document("one")).await;
    let source = source(&secrets).await;
    assert_eq!(secrets.calls(), 0, "nothing at init");
    assert_eq!(key(&current(&source).await.unwrap()), "one");
    secrets.put(&document("two"));
    for (seconds, expected, calls) in [(0, "one", 1), (298, "one", 1), (2, "two", 2), (298, "two", 2)] {
        pass(Duration::from_secs(seconds)).await;
        assert_eq!(key(&current(&source).await.unwrap()), expected, "{seconds} s later");
        assert_eq!(secrets.calls(), calls, "{seconds} s later");
    }
}

#[tokio::test]
async fn what_cannot_be_read_leaves_the_last_good_copy_in_use() {
    let secrets = SecretsManager::start(&document("good")).await;
    let source = source(&secrets).await;
    current(&source).await.unwrap();
    for (label, bad, calls) in [
        ("not JSON", Secret::Text("{".to_owned()), 1),
        ("no document", Secret::Text(json!({ "widget": { "signing_keys": [] } }).to_string()), 1),
        ("bytes", Secret::Binary, 1),
        ("denied", Secret::Error(400, "AccessDeniedException"), 1),
        ("throttled", Secret::Error(400, "ThrottlingException"), 2),
        ("broken", Secret::Error(500, "InternalServiceError"), 2),
        ("a hang", Secret::Hang, 2),
    ] {
        secrets.set(bad);
        pass(Duration::from_secs(301)).await;
        let before = secrets.calls();
        assert_eq!(key(&current(&source).await.unwrap()), "good", "{label}");
        assert_eq!(secrets.calls() - before, calls, "{label}");
        assert_eq!(key(&current(&source).await.unwrap()), "good", "{label}");
        assert_eq!(secrets.calls() - before, calls, "{label}: not at every request");
    }
    // And it is looked for again within half a minute, not within five.
    secrets.put(&document("mended"));
    pass(Duration::from_secs(30)).await;
    assert_eq!(key(&current(&source).await.unwrap()), "mended");
}

#[tokio::test]
async fn without_any_copy_it_is_unavailable_until_it_can_be_read() {
    let secrets = SecretsManager::start(&json!({})).await;
    let source = source(&secrets).await;
    for (bad, cause) in [
        (Secret::Error(400, "ResourceNotFoundException"), "ResourceNotFoundException"),
        (Secret::Text(r#"{"widget":{"signing_keys":["s3cret",7]}}"#.to_owned()), "signing_keys[1] must be a text"),
        (Secret::Binary, "SecretBinary"),
    ] {
        secrets.set(bad);
        let error = current(&source).await.unwrap_err();
        assert_eq!(error.kind(), Kind::SettingsUnavailable);
        let shown = format!("{error:?}");
        assert!(shown.contains(cause) && !shown.contains("s3cret"), "{shown}");
        assert!(!error.message().contains(cause));
        // Nobody makes it be read again so soon.
        let calls = secrets.calls();
        assert_eq!(current(&source).await.unwrap_err().kind(), Kind::SettingsUnavailable);
        assert_eq!(secrets.calls(), calls);
        pass(Duration::from_secs(30)).await;
    }
    secrets.put(&document("one"));
    assert_eq!(key(&current(&source).await.unwrap()), "one");
}

#[tokio::test]
async fn a_mismatch_reads_again_at_most_every_half_minute() {
    let secrets = SecretsManager::start(&document("one")).await;
    let source = source(&secrets).await;
    current(&source).await.unwrap();
    secrets.put(&document("two"));
    for (seconds, expected, calls) in [(0, "shut", 1), (30, "two", 2), (0, "shut", 2), (28, "shut", 2), (2, "two", 3)] {
        pass(Duration::from_secs(seconds)).await;
        assert_eq!(shown(refresh(&source).await), expected, "{seconds} s later");
        assert_eq!(secrets.calls(), calls, "{seconds} s later");
    }
    // What it brought is the current document.
    assert_eq!(key(&current(&source).await.unwrap()), "two");
    // Whether a secret is in a document that can't be read isn't known.
    secrets.set(Secret::Error(500, "InternalServiceError"));
    pass(Duration::from_secs(30)).await;
    assert_eq!(shown(refresh(&source).await), "shut");
    assert_eq!(key(&current(&source).await.unwrap()), "two");
}

#[tokio::test]
async fn many_at_once_are_one_call() {
    let secrets = SecretsManager::start(&document("one")).await;
    let source = source(&secrets).await;
    let (a, b, c) = tokio::join!(current(&source), current(&source), current(&source));
    assert!(a.is_ok() && b.is_ok() && c.is_ok());
    assert_eq!(secrets.calls(), 1);
    secrets.put(&document("two"));
    pass(Duration::from_secs(30)).await;
    let (a, b, c) = tokio::join!(refresh(&source), refresh(&source), refresh(&source));
    assert_eq!([a, b, c].map(shown), ["two", "two", "two"]);
    assert_eq!(secrets.calls(), 2);
}

#[tokio::test]
async fn an_inline_document_is_what_it_is() {
    let sdk = sdk_config("http://127.0.0.1:1").await;
    let inline = |text: &str| SettingsSource::new(SettingsLocation::Inline(Hidden::new(text)), &sdk);
    let good = inline(&document("one").to_string());
    assert_eq!(key(&current(&good).await.unwrap()), "one");
    assert_eq!(shown(refresh(&good).await), "fixed");
    let bad = inline(r#"{"widget":{"signing_keys":[]}}"#);
    let error = current(&bad).await.unwrap_err();
    assert_eq!(error.kind(), Kind::SettingsUnavailable);
    assert!(format!("{error:?}").contains("signing_keys must be a list of at least one text"), "{error:?}");
    assert_eq!(shown(refresh(&bad).await), "fixed");
}
