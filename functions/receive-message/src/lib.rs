//! `/sms/{provider}`: a provider's webhook is verified, normalised and forwarded before it is answered 2xx.
//!
//! The way of a webhook: [`shared::gateway`] reads the event → the route names provider and account → the settings hold
//! the account's secrets → [`shared::sms::webhook::Webhook::verify`] → [`shared::verified::Verified::parse`] → each
//! message becomes an [`shared::inbound::Inbound`] → the queue, or Connect itself.

mod records;
mod route;

use aws_config::SdkConfig;
use http::{
    HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use lambda_runtime::LambdaEvent;
use serde_json::{Value, json};
use shared::{
    Error, Kind, Result,
    aws::{
        GATE,
        settings::{Refresh, SettingsSource},
        sns::Sns,
    },
    config::{self, HandOn},
    deadline::Deadline,
    deliver::{Applied, Conversations},
    gateway::{self, Call, Event, Handler, Head, Request},
    inbound::Inbound,
    inbound_status::InboundStatus,
    queue::sqs::InboundQueue,
    settings::Settings,
    sms::{
        contract::Answer,
        event,
        providers::ProviderId,
        status::State,
        webhook::{Arrival, Rejection, Webhook},
    },
    telemetry::Report,
    url::BaseUrl,
    verified::OfAccount,
};

use tokio::time::Instant;

use crate::route::Route;

/// The function: what it was told, and the clients that this needs.
pub struct ReceiveMessage {
    public_base_url: Option<BaseUrl>,
    settings: SettingsSource,
    sink: Sink,
    sns: Sns,
}

enum Sink {
    Queue(InboundQueue),
    Direct(Box<Conversations>),
}

impl ReceiveMessage {
    /// Makes the clients; nothing is called yet.
    pub fn new(config: config::ReceiveMessage, sdk: &SdkConfig) -> Self {
        let sink = match config.hand_on {
            HandOn::Queue(url) => Sink::Queue(InboundQueue::new(sdk, url)),
            HandOn::Direct(delivery) => Sink::Direct(Box::new(Conversations::new(sdk, *delivery))),
        };
        let settings = SettingsSource::new(config.settings, sdk);
        let sns = Sns::new(sdk, config.sns_endpoint);
        Self { public_base_url: config.public_base_url, settings, sink, sns }
    }

    /// Says at init what the owner should know. Only settings that are at hand are looked at: nothing is fetched.
    pub fn warn(&self) {
        let Some(settings) = self.settings.inline() else { return };
        if let Sink::Direct(_) = self.sink {
            for account in settings.accounts.iter().filter(|account| account.provider().facts().sends_once) {
                tracing::warn!(
                    account = account.name,
                    "INBOUND_QUEUE_URL is not set, and this account's provider sends a message once only: what can't be \
                     delivered at once is lost"
                );
            }
        }
    }

    /// Answers an event of any trigger: a gateway's, a queue's or a topic's.
    pub async fn serve(&self, event: LambdaEvent<Event>) -> Result<Value, lambda_runtime::Error> {
        match records::read(event.payload.text()) {
            Some(records) => records::serve(self, records, &event.context).await,
            None => Ok(serde_json::to_value(gateway::serve(self, event).await?)?),
        }
    }

    /// Verifies a webhook and forwards its messages. What it says is accepted once this returns.
    async fn receive(
        &self,
        mut webhook: Webhook,
        provider: ProviderId,
        account: Option<&str>,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Answer> {
        let asked = Instant::now();
        let settings = self.settings.current(report).await?;
        let events = match self.verify(&mut webhook, provider, account, &settings, report).await {
            Err(error) if may_be_old_settings(&error) => match self.settings.refresh(asked).await {
                Refresh::Refreshed(settings) => self.verify(&mut webhook, provider, account, &settings, report).await?,
                Refresh::Fixed => return Err(error),
                Refresh::GateShut if error.kind() == Kind::NotFound => return Err(error),
                // The secret may be so new that we don't know it yet. A provider that is asked to come back loses
                // nothing; one that is refused might.
                Refresh::GateShut => {
                    let text = "The settings are being read again; send it again";
                    return Err(Error::new(Kind::UnverifiedYet, text).caused_by(error));
                }
            },
            outcome => outcome?,
        };
        let (messages, statuses) = to_items(&events, report);
        self.forward(&messages, &statuses, deadline, report).await?;
        let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
        for event in &events {
            if let event::Event::SubscriptionConfirmation { topic_arn, token } = event {
                self.sns.confirm(topic_arn, token, deadline).await?;
                report.note("subscription confirmed");
            }
        }
        Ok(Answer::to(provider.facts(), &events))
    }

    async fn verify(
        &self,
        webhook: &mut Webhook,
        provider: ProviderId,
        account: Option<&str>,
        settings: &Settings,
        report: &mut Report,
    ) -> Result<Vec<OfAccount>> {
        let candidates = settings.candidates(provider, account)?;
        if let Some(url) = webhook.certificate_url(&candidates) {
            webhook.certificate = Some(self.sns.certificate(&url).await?);
        }
        let verified = webhook.verify(&candidates)?;
        report.signature_age_s = verified.age_seconds();
        verified.parse()
    }

    /// Nothing is answered 2xx before this succeeds.
    async fn forward(
        &self,
        messages: &[Inbound],
        statuses: &[InboundStatus],
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        let not_delivered = |error: Error| {
            if error.kind() == Kind::Unverified {
                return error;
            }
            let text = "The message could not be delivered; send it again";
            Error::new(Kind::NotStored, text).caused_by(error)
        };
        match &self.sink {
            Sink::Queue(queue) => queue.send(messages, statuses, deadline).await,
            Sink::Direct(conversations) => {
                for message in messages {
                    conversations.deliver(message, deadline, report).await.map_err(not_delivered)?;
                }
                for status in statuses {
                    let applied = conversations.apply(status, false, deadline, report).await.map_err(not_delivered)?;
                    if applied == Applied::Unknown {
                        report.note("a status of no text that is on record");
                        report.count("StatusUnknown", 1);
                    }
                }
                Ok(())
            }
        }
    }

    fn webhook(&self, request: Request, route: &Route<'_>) -> Result<Webhook> {
        let base = match (&self.public_base_url, &request.domain_name) {
            (Some(base), _) => base.clone(),
            (None, Some(domain)) => BaseUrl::parse(&format!("https://{domain}{}", route.prefix))
                .map_err(|rule| Error::internal(format!("the gateway's domain name: {rule}")))?,
            (None, None) => {
                return Err(Error::internal("PUBLIC_BASE_URL is not set, and this gateway names no domain"));
            }
        };
        Ok(Webhook {
            arrival: Arrival::Http,
            method: request.head.method,
            base,
            path: route.path.to_owned(),
            query: request.query,
            headers: request.head.headers,
            body: request.body,
            certificate: None,
            now: jiff::Timestamp::now().as_second(),
        })
    }
}

/// The queue items of a webhook's messages and statuses.
fn to_items(events: &[OfAccount], report: &mut Report) -> (Vec<Inbound>, Vec<InboundStatus>) {
    let mut messages = Vec::new();
    let mut statuses = Vec::new();
    for (account, event) in events {
        match event {
            event::Event::Message(message) => messages.push(Inbound::new(account, (**message).clone())),
            event::Event::Status(status) => statuses.push(InboundStatus::new(account, (**status).clone())),
            event::Event::Ignored { reason } => {
                report.count("WebhookIgnored", 1);
                report.note(reason.as_str());
            }
            event::Event::SubscriptionConfirmation { .. } | event::Event::Challenge(_) => {}
        }
    }
    let said = messages.iter().filter(|inbound| inbound.message.act.is_none()).count();
    report.count("MessageReceived", said as u64);
    // That a text is on its way changes nothing, and each has several of these. But what was signed for one webhook only is
    // used up by it.
    let says_nothing = |item: &InboundStatus| item.status.state == State::Sent && item.once.is_none();
    let count = statuses.len();
    statuses.retain(|item| !says_nothing(item));
    if statuses.len() < count {
        report.count("WebhookIgnored", (count - statuses.len()) as u64);
        report.note("a text is on its way");
    }
    (messages, statuses)
}

/// A secret, or an account, that the settings at hand don't know.
fn may_be_old_settings(error: &Error) -> bool {
    match error.kind() {
        Kind::Unverified => Rejection::of(error).is_some_and(Rejection::may_be_rotation),
        kind => kind == Kind::NotFound,
    }
}

impl Handler for ReceiveMessage {
    const SERVICE: &'static str = "receive-message";
    const REJECTED: &'static str = "WebhookRejected";

    async fn handle(&self, request: Request, call: &Call, report: &mut Report) -> Result<Response<String>> {
        let path = request.head.path.clone();
        let route = Route::of(&path)?;
        if !matches!(request.head.method, Method::POST | Method::GET) {
            return Err(Error::new(Kind::MethodNotAllowed, "Webhooks are POST or GET"));
        }
        let webhook = self.webhook(request, &route)?;
        let answer = self.receive(webhook, route.provider, route.account, call.deadline, report).await?;
        let mut response = Response::new(answer.body.into_owned());
        *response.status_mut() = answer.status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        Ok(response)
    }

    fn answer(&self, head: &Head, _: &Call, outcome: Result<Response<String>, &Error>) -> Response<String> {
        outcome.unwrap_or_else(|error| refusal(Route::of(&head.path).ok().map(|route| route.provider), error))
    }
}

fn refusal(provider: Option<ProviderId>, error: &Error) -> Response<String> {
    let kind = error.kind();
    let challenge = provider.and_then(|provider| provider.facts().challenge).filter(|_| kind == Kind::Unverified);
    let status = if challenge.is_some() { StatusCode::UNAUTHORIZED } else { kind.webhook_status() };
    let body = json!({ "success": false, "error": { "code": kind.code(), "message": error.message() } });
    let mut response = Response::new(body.to_string());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from(GATE.as_secs()));
    }
    if kind == Kind::MethodNotAllowed {
        headers.insert(ALLOW, HeaderValue::from_static("POST, GET"));
    }
    if let Some(challenge) = challenge {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}
