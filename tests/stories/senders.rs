//! Texts on their way to every provider: the real sender, over HTTP, against a server that records and fails.
//!
//! AWS is there twice: its two APIs share an account.

use std::{error::Error as _, sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;
use shared::{
    Error, Kind, Result,
    deadline::Deadline,
    sender::Sender,
    settings::{Account, Settings},
    sms::{
        message::Channel,
        send::{Outbound, Taken},
    },
    telemetry::Report,
};
use tests::{
    providers::{self, Call, Line, PROVIDERS, ProviderUnderTest, Providers, Reply, SECRET, line},
    sdk_config, sdk_config_for,
};

const KEY: &str = "3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f";
const WORDS: &str = "Grüße & bye";

/// Long enough for any answer that is not kept back on purpose.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Short, for answers that are kept back, but longer than a busy machine takes to make eight clients.
const PATIENCE: Duration = Duration::from_secs(3);

/// An invocation's: more than any sender wants to have left before it begins.
const BUDGET: Duration = Duration::from_secs(20);

type Api = &'static dyn ProviderUnderTest;

fn api(label: &str) -> Api {
    line(label).api()
}

/// AWS's two APIs, for SMS and for WhatsApp.
fn aws() -> [Api; 2] {
    ["aws-sns", "aws-sns whatsapp"].map(api)
}

fn outbound(api: Api) -> Outbound<'static> {
    let Line { channel, ours: from, ours_id: from_id, customer: to, .. } = api.line();
    let (choices, status_url) = (None, None);
    Outbound { channel, from, from_id, to, text: WORDS, choices, contact_id: "contact", key: KEY, status_url }
}

fn account(provider: &str, send_base_url: &str) -> Arc<Account> {
    let document = json!({ "accounts": [providers::account(provider, send_base_url)] }).to_string();
    let settings = Settings::from_json(document.as_bytes()).unwrap_or_else(|error| panic!("{error:?}"));
    Arc::clone(settings.account(provider).unwrap())
}

/// What became of a text.
struct Sent {
    result: Result<Taken>,
    calls: Vec<Call>,
}

impl Sent {
    fn kind(&self) -> Option<Kind> {
        self.result.as_ref().err().map(Error::kind)
    }
}

/// Sends one text by an API that does what `replies` say, on a server of its own.
async fn send(api: Api, replies: impl IntoIterator<Item = Reply>, timeout: Duration) -> Sent {
    let server = Providers::start().await;
    server.script(api.name(), replies);
    let result = send_to(api, &server.base_url(api.name()), timeout).await;
    Sent { result, calls: server.calls(api.name()) }
}

async fn send_to(api: Api, send_base_url: &str, timeout: Duration) -> Result<Taken> {
    // Nothing of AWS is anywhere else.
    let sender = Sender::new(&sdk_config("http://127.0.0.1:1").await).with_timeout(timeout);
    let mut report = Report::new("test");
    let deadline = Deadline::after(BUDGET);
    let account = account(api.name(), send_base_url);
    let result = Box::pin(sender.send(&account, &outbound(api), deadline, &mut report)).await.outcome;
    if let Err(error) = &result {
        assert_tells_nothing(api, error);
    }
    result
}

/// An error names no number, no words, no secret and no key.
fn assert_tells_nothing(api: Api, error: &Error) {
    let mut shown = format!("{error} {error:?} {}", error.message());
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    let number_id = api.line().ours_id.unwrap_or(KEY);
    let [ours, customer] = [api.line().ours, api.line().customer].map(|number| number.trim_start_matches('+'));
    let in_answers = "4133881111";
    for hidden in [ours, customer, in_answers, "Gr", "bye", SECRET, KEY, number_id, "can't be texted", "http://"] {
        assert!(!shown.contains(hidden), "{api:?}: {hidden} in {shown}");
    }
}

/// Sends a text by each API, all at once, with the replies that `script` has for it.
async fn each<R: IntoIterator<Item = Reply>>(
    apis: &[Api],
    timeout: Duration,
    script: impl Fn(Api) -> R,
) -> Vec<(Api, Sent)> {
    join_all(apis.iter().map(async |api| (*api, send(*api, script(*api), timeout).await))).await
}

#[tokio::test]
async fn each_api_gets_the_request_that_its_documentation_asks_for() {
    for (api, sent) in each(PROVIDERS, TIMEOUT, |_| []).await {
        sent.result.unwrap_or_else(|error| panic!("{api:?}: {error:?}"));
        let [call] = sent.calls.as_slice() else { panic!("{api:?}: {:?}", sent.calls) };
        assert_eq!(call.whole(), api.request(&api.line(), WORDS), "{api:?}");
        assert_eq!(call.text(), WORDS, "{api:?}");
        assert!(call.key().is_none_or(|key| KEY.starts_with(&key)), "{api:?}");
        api.assert_signed(call);
    }
}

/// `AWS_ENDPOINT_URL_<SERVICE>` is the SDK's own variable, by which moto and the laptop stand in for AWS.
#[tokio::test]
async fn aws_is_found_by_the_services_own_endpoint() {
    let server = Providers::start().await;
    let sdk = sdk_config_for(&[("Pinpoint SMS Voice V2", server.url()), ("SocialMessaging", server.url())]).await;
    let sender = Sender::new(&sdk);
    let mut settings = providers::account("aws-sns", "");
    settings.as_object_mut().unwrap().remove("send_base_url");
    let settings = Settings::from_json(json!({ "accounts": [settings] }).to_string().as_bytes()).unwrap();
    for api in aws() {
        let mut report = Report::new("test");
        let deadline = Deadline::after(BUDGET);
        Box::pin(sender.send(&settings.accounts[0], &outbound(api), deadline, &mut report)).await.outcome.unwrap();
        assert_eq!(report.provider_calls, 1);
    }
    let paths: Vec<_> = server.all_calls().into_iter().map(|call| call.path).collect();
    assert_eq!(paths, ["/", "/v1/whatsapp/send"]);
    // Both are called in the region of their topic or number, which need not be ours.
    let document = json!({ "accounts": [{ "provider": "aws-sns",
                                          "topic_arns": ["arn:aws:sns:eu-west-1:123456789012:two-way-sms"] }] });
    let abroad = Settings::from_json(document.to_string().as_bytes()).unwrap();
    let mut report = Report::new("test");
    let [by_sms, by_whatsapp] = aws().map(outbound);
    let number_id = by_whatsapp.from_id.map(|id| id.replace("us-east-1", "eu-west-1"));
    for text in [by_sms, Outbound { from_id: number_id.as_deref(), ..by_whatsapp }] {
        Box::pin(sender.send(&abroad.accounts[0], &text, Deadline::after(BUDGET), &mut report)).await.outcome.unwrap();
    }
    let calls = server.all_calls().split_off(2);
    for (call, service) in calls.iter().zip(["sms-voice", "social-messaging"]) {
        let signed = format!("/eu-west-1/{service}/aws4_request");
        assert!(call.headers["authorization"].contains(&signed), "{:?}", call.headers["authorization"]);
    }
    // An SMS may be sent from a pool or by an ARN; WhatsApp only by the number's id.
    let mut report = Report::new("test");
    let text = Outbound { from_id: Some("pool-1"), ..by_sms };
    Box::pin(sender.send(&settings.accounts[0], &text, Deadline::after(BUDGET), &mut report)).await.outcome.unwrap();
    assert_eq!(server.all_calls()[4].json()["OriginationIdentity"], "pool-1");
    let text = Outbound { from_id: None, ..by_whatsapp };
    let outcome = Box::pin(sender.send(&settings.accounts[0], &text, Deadline::after(BUDGET), &mut report)).await;
    assert_eq!(outcome.outcome.unwrap_err().kind(), Kind::SendMisconfigured);
    assert_eq!(server.all_calls().len(), 5);
}

/// Statuses that are final: nothing is gained by a second call.
#[tokio::test]
async fn what_is_refused_is_not_sent_again() {
    let aws_denied = || Reply::exception(400, "AccessDeniedException", &json!({ "Message": "+14133881111" }));
    for (label, reply, kind) in [
        (401, (|_| Reply::status(401)) as fn(Api) -> Reply, Kind::SendMisconfigured),
        (403, |_| Reply::status(403), Kind::SendMisconfigured),
        (404, |_| Reply::status(404), Kind::SendMisconfigured),
        (0, |api| api.refused(), Kind::SendRefused),
    ] {
        for (api, sent) in each(PROVIDERS, TIMEOUT, |api| [reply(api)]).await {
            let kind = api.means(label, kind);
            assert_eq!((sent.kind(), sent.calls.len()), (Some(kind), 1), "{api:?}, {label}: {:?}", sent.result);
        }
    }
    for (api, sent) in each(&aws(), TIMEOUT, |_| [aws_denied()]).await {
        assert_eq!((sent.kind(), sent.calls.len()), (Some(Kind::SendMisconfigured), 1), "{api:?}");
    }
}

#[tokio::test]
async fn an_opted_out_customer_is_not_texted_again() {
    let says_so: Vec<_> = PROVIDERS.iter().copied().filter(|api| api.opted_out().is_some()).collect();
    for (api, sent) in each(&says_so, TIMEOUT, |api| api.opted_out()).await {
        assert_eq!((sent.kind(), sent.calls.len()), (Some(Kind::OptedOut), 1), "{api:?}: {:?}", sent.result);
    }
}

/// What was surely not sent goes back to the queue at once: the queue tries again, and not the sender.
#[tokio::test]
async fn a_throttle_or_an_outage_is_told_after_one_call() {
    let named = |api: Api| {
        let name = if api.line().channel == Channel::Sms { "ThrottlingException" } else { "ThrottledRequestException" };
        Reply::exception(400, name, &json!({}))
    };
    let aws = aws();
    type Fault<'a> = (&'a [Api], &'a dyn Fn(Api) -> Reply, Kind);
    let faults: [Fault<'_>; 3] = [
        (PROVIDERS, &|api| api.throttled(), Kind::Throttled),
        (&aws, &named, Kind::Throttled),
        (PROVIDERS, &|api| api.unavailable(), Kind::ProviderUnavailable),
    ];
    for (apis, fault, kind) in faults {
        for (api, sent) in each(apis, TIMEOUT, |api| vec![fault(api); 3]).await {
            assert_eq!((sent.kind(), sent.calls.len()), (Some(kind), 1), "{api:?}: {:?}", sent.result);
        }
    }
    for (api, sent) in each(PROVIDERS, TIMEOUT, |_| vec![Reply::status(503); 3]).await {
        let kind = api.means(503, Kind::ProviderUnavailable);
        assert_eq!((sent.kind(), sent.calls.len()), (Some(kind), 1), "{api:?}: {:?}", sent.result);
    }
}

/// A provider that asks for time is left alone; the queue comes back.
#[tokio::test]
async fn retry_after_is_kept() {
    let over_http: Vec<_> = PROVIDERS.iter().copied().filter(|api| !api.is_called_by_sdk()).collect();
    for status in [429, 503] {
        let script = |_| [Reply::status(status).header("retry-after", "17")];
        for (api, sent) in each(&over_http, TIMEOUT, script).await {
            let error = sent.result.unwrap_err();
            assert_eq!((error.wait(), sent.calls.len()), (Some(Duration::from_secs(17)), 1), "{api:?}");
        }
    }
}

/// What may have been sent may be sent again only where the provider supports idempotency keys.
#[tokio::test]
async fn an_unknown_outcome_may_be_repeated_only_by_key() {
    type Fault = (&'static str, Duration, fn() -> Reply);
    let faults: [Fault; 6] = [
        ("502", TIMEOUT, || Reply::status(502)),
        ("504", TIMEOUT, || Reply::status(504)),
        ("a timeout", PATIENCE, Reply::hang),
        ("too late", PATIENCE, || Reply::status(500).after(2 * PATIENCE)),
        ("a reset", TIMEOUT, Reply::reset),
        ("an answer cut short", TIMEOUT, || Reply::cut_short(200)),
    ];
    for (label, timeout, fault) in faults {
        for (api, sent) in each(PROVIDERS, timeout, |_| [fault()]).await {
            let calls = sent.calls.len();
            if !api.tells_failures_by_2xx() && label == "an answer cut short" {
                // The status alone says that it was taken.
                assert!(sent.result.is_ok() && calls == 1, "{api:?}, {label}: {:?}", sent.result);
            } else if api.supports_idempotency() {
                assert_eq!((sent.kind(), calls), (Some(Kind::ProviderUnavailable), 1), "{api:?}, {label}");
                assert_eq!(sent.calls[0].key().as_deref(), Some(KEY), "{api:?}, {label}");
            } else {
                assert_eq!(
                    (sent.kind(), calls),
                    (Some(Kind::OutcomeUnknown), 1),
                    "{api:?}, {label}: {:?}",
                    sent.result
                );
            }
        }
    }
    let behind = Reply::exception(502, "DependencyException", &json!({}));
    let sent = send(api("aws-sns whatsapp"), [behind], TIMEOUT).await;
    assert_eq!((sent.kind(), sent.calls.len()), (Some(Kind::OutcomeUnknown), 1));
    let partly = json!({"message-count": "2", "messages": [{"status": "0"}, {"status": "1"}]});
    let sent = send(api("vonage"), [Reply::new(200, partly)], TIMEOUT).await;
    assert_eq!((sent.kind(), sent.calls.len()), (Some(Kind::OutcomeUnknown), 1));
}

#[tokio::test]
async fn where_no_connection_is_made_nothing_was_sent() {
    let (_kept, nobody) = providers::nobody();
    let outcomes = join_all(PROVIDERS.iter().copied().map(async |api| {
        let base = format!("{nobody}/{}", api.name());
        (api, send_to(api, &base, TIMEOUT).await)
    }));
    for (api, outcome) in outcomes.await {
        assert_eq!(outcome.unwrap_err().kind(), Kind::ProviderUnavailable, "{api:?}");
    }
    let unknown_host = join_all(
        PROVIDERS.iter().copied().map(async |api| (api, send_to(api, "http://no-such-host.invalid", TIMEOUT).await)),
    );
    for (api, outcome) in unknown_host.await {
        assert_eq!(outcome.unwrap_err().kind(), Kind::ProviderUnavailable, "{api:?}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let other = Providers::start().await;
    for status in [301, 302, 303, 307, 308] {
        for (api, sent) in each(PROVIDERS, TIMEOUT, |_| [Reply::redirect(status, other.url())]).await {
            assert_eq!((sent.kind(), sent.calls.len()), (Some(Kind::SendMisconfigured), 1), "{api:?}, {status}");
        }
    }
    assert_eq!(other.all_calls(), []);
}

/// A connection that a frozen Lambda left idle may be dead, and what is written into it may have been sent.
#[tokio::test]
async fn a_connection_that_was_idle_is_not_used_again() {
    let server = Providers::start().await;
    let sender = Sender::new(&sdk_config("http://127.0.0.1:1").await);
    let apis = ["twilio", "aws-sns", "aws-sns whatsapp"].map(api);
    for wait in [0, 0, 5_500] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        for api in apis {
            let account = account(api.name(), &server.base_url(api.name()));
            let deadline = Deadline::after(BUDGET);
            Box::pin(sender.send(&account, &outbound(api), deadline, &mut Report::new("test"))).await.outcome.unwrap();
        }
    }
    let connections: Vec<_> = server.all_calls().iter().map(|call| call.connection).collect();
    // AWS's two APIs are one host here, and so share a connection.
    assert_eq!(connections, [0, 1, 1, 0, 1, 1, 2, 3, 3]);
}

#[tokio::test]
async fn without_credentials_aws_is_not_called() {
    let server = Providers::start().await;
    let sdk = sdk_config(server.url()).await.into_builder();
    let failing = aws_credential_types::provider::SharedCredentialsProvider::new(NoCredentials);
    let sender = Sender::new(&sdk.credentials_provider(failing).build());
    let account = account("aws-sns", &server.base_url("aws-sns"));
    for api in aws() {
        let deadline = Deadline::after(BUDGET);
        let outcome = Box::pin(sender.send(&account, &outbound(api), deadline, &mut Report::new("test"))).await;
        assert_eq!(outcome.outcome.unwrap_err().kind(), Kind::SendMisconfigured, "{api:?}");
    }
    assert_eq!(server.all_calls(), []);
}

#[derive(Debug)]
struct NoCredentials;

impl aws_credential_types::provider::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::{error::CredentialsError, future};
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none here")))
    }
}

/// What the reasons of a conflict mean: they are about the customer, our own rules, or our number.
#[tokio::test]
async fn conflicts_at_aws_are_told_apart() {
    for (reason, kind) in [
        ("DESTINATION_PHONE_NUMBER_OPTED_OUT", Kind::OptedOut),
        ("DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION", Kind::SendRefused),
        ("DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE", Kind::SendRefused),
        ("DESTINATION_PHONE_NUMBER_NOT_VERIFIED", Kind::SendMisconfigured),
        ("NO_ORIGINATION_IDENTITIES_FOUND", Kind::SendMisconfigured),
        ("A_REASON_OF_TOMORROW", Kind::SendMisconfigured),
    ] {
        let sent =
            send(api("aws-sns"), [Reply::exception(400, "ConflictException", &json!({ "Reason": reason }))], TIMEOUT)
                .await;
        assert_eq!((sent.kind(), sent.calls.len()), (Some(kind), 1), "{reason}");
    }
    for name in ["ServiceQuotaExceededException", "ResourceNotFoundException", "ExpiredTokenException"] {
        let sent = send(api("aws-sns"), [Reply::exception(400, name, &json!({}))], TIMEOUT).await;
        let error = sent.result.unwrap_err();
        assert_eq!((error.kind(), sent.calls.len()), (Kind::SendMisconfigured, 1), "{name}");
        assert_eq!(error.source().unwrap().to_string(), format!("SendTextMessage: HTTP 400, code {name}"));
    }
    // What the SDK can't read was taken all the same.
    let sent = send(api("aws-sns"), [Reply::new(200, "<html>")], TIMEOUT).await;
    assert!(sent.result.is_ok() && sent.calls.len() == 1, "{:?}", sent.result);
}
