//! The environment, read once, at init. Nothing else reads it, but the SDKs their own `AWS_*` variables.
//!
//! The README's table lists every variable; an error names the one at fault. An empty variable counts as unset.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    chat::{self, DURATION_MINUTES},
    error::{Error, Kind, Result},
    origin::Origins,
    queue::disposition::Patience,
    secret::Secret,
    url::BaseUrl,
};

/// How long a message is tried that Connect throttles or fails, in seconds.
const MESSAGE_PATIENCE: u64 = 43_200;
/// How long a reply is tried,
const REPLY_PATIENCE: u64 = 14_400;
/// and when the agent is told that it is delayed.
const REPLY_DELAY_NOTICE: u64 = 300;
/// What an instance takes of a file unless its administrator raised it,
const ATTACHMENT_MAX_BYTES: u64 = 20 * 1024 * 1024;
/// and to what that can be raised (`MaximumSizeLimitInBytes` of `UpdateAttachedFilesConfiguration`).
const ATTACHMENT_MOST_BYTES: u64 = 100 * 1024 * 1024;
/// Two workers with this many stay below the five starts a second that Connect allows.
const STARTS_PER_SECOND: u32 = 2;

/// Where the variables come from: the process's environment, or a table in tests.
pub struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Env<'a> {
    /// Reads variables by `lookup`.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(lookup)
    }

    fn optional(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &str) -> Result<String> {
        self.optional(name).ok_or_else(|| wrong(name, "is not set"))
    }

    fn list(&self, name: &str) -> Vec<String> {
        let list = self.optional(name).unwrap_or_default();
        list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn seconds(&self, name: &str, default: u64) -> Result<Duration> {
        let seconds = match self.optional(name) {
            None => default,
            Some(seconds) => seconds.parse().map_err(|_| wrong(name, "must be a whole number of seconds"))?,
        };
        Ok(Duration::from_secs(seconds))
    }

    fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.flag_if_set(name)?.unwrap_or_default())
    }

    fn flag_if_set(&self, name: &str) -> Result<Option<bool>> {
        match self.optional(name).as_deref() {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }
}

/// The id of a flow that is named by its id or its ARN (`…:instance/<id>/contact-flow/<id>`).
fn public_base_url(env: &Env<'_>) -> Result<Option<BaseUrl>> {
    let url = env.optional("PUBLIC_BASE_URL");
    url.map(|url| BaseUrl::parse(&url).map_err(|rule| wrong("PUBLIC_BASE_URL", &rule.to_string()))).transpose()
}

fn flow_id(flow: &str) -> String {
    flow.rsplit_once('/').map_or(flow, |(_, id)| id).to_owned()
}

fn wrong(name: &str, rule: &str) -> Error {
    Error::new(Kind::Internal, format!("{name} {rule}"))
}

/// Where the settings document is.
#[derive(Clone, Debug)]
pub enum SettingsLocation {
    /// `BRIDGE_SETTINGS`: the document itself.
    Inline(Secret),
    /// `BRIDGE_SETTINGS_ARN`: a secret in Secrets Manager.
    Arn(String),
}

impl SettingsLocation {
    fn read(env: &Env<'_>) -> Result<Option<Self>> {
        match (env.optional("BRIDGE_SETTINGS"), env.optional("BRIDGE_SETTINGS_ARN")) {
            (Some(_), Some(_)) => Err(wrong("BRIDGE_SETTINGS", "and BRIDGE_SETTINGS_ARN are both set: set one")),
            (Some(document), None) => Ok(Some(Self::Inline(Secret::new(document)))),
            (None, Some(arn)) => Ok(Some(Self::Arn(arn))),
            (None, None) => Ok(None),
        }
    }

    fn required(env: &Env<'_>) -> Result<Self> {
        Self::read(env)?.ok_or_else(|| wrong("BRIDGE_SETTINGS", "is not set, and BRIDGE_SETTINGS_ARN is not either"))
    }
}

/// What every function that starts chats must know of the Connect instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// `CONNECT_INSTANCE_ID`.
    pub id: String,
    /// `CONNECT_CONTACT_FLOW_ID`: the default flow.
    pub contact_flow_id: String,
    /// `CHAT_DURATION_MINUTES`: the default duration of a new chat; none leaves it to Connect (25 hours).
    pub duration_minutes: Option<i32>,
    /// `FEATURE_ATTACHMENTS`: whether the instance has attachments enabled.
    pub attachments: bool,
    /// `STREAMING_TOPIC_ARN`: where Connect may stream messages to.
    pub streaming_topic_arn: Option<String>,
}

impl Instance {
    fn read(env: &Env<'_>) -> Result<Self> {
        let id = env.required("CONNECT_INSTANCE_ID")?;
        if id.len() > chat::INSTANCE_ID_CHARS {
            return Err(wrong("CONNECT_INSTANCE_ID", "is longer than 100 characters"));
        }
        let duration_minutes = match env.optional("CHAT_DURATION_MINUTES") {
            None => None,
            Some(minutes) => match minutes.parse() {
                Ok(minutes) if DURATION_MINUTES.contains(&minutes) => Some(minutes),
                _ => return Err(wrong("CHAT_DURATION_MINUTES", "must be a whole number from 60 to 10080")),
            },
        };
        Ok(Self {
            id,
            contact_flow_id: env.required("CONNECT_CONTACT_FLOW_ID")?,
            duration_minutes,
            attachments: env.flag("FEATURE_ATTACHMENTS")?,
            streaming_topic_arn: env.optional("STREAMING_TOPIC_ARN"),
        })
    }
}

/// What `start-chat` reads.
#[derive(Clone, Debug)]
pub struct StartChat {
    /// The Connect instance.
    pub instance: Instance,
    /// `EXTRA_CONTACT_FLOW_IDS`: further flows that a widget may name, by id. The variable may hold their ARNs, which the
    /// function's role is limited to.
    pub extra_contact_flow_ids: BTreeSet<String>,
    /// `ALLOWED_ORIGINS`: the pages that may call.
    pub origins: Origins,
    /// `BRIDGE_SETTINGS` or `BRIDGE_SETTINGS_ARN`: holds the widget's keys.
    pub settings: Option<SettingsLocation>,
    /// `SIGNED_REQUESTS`: whether every start needs a token. Where it is not set, settings at hand say that it does.
    pub signed_requests: bool,
    /// `UNSIGNED_IDENTITY`: whether a request without a token may say who the customer is.
    pub unsigned_identity: bool,
    /// `CONVERSATIONS_TABLE`: remembers signed tokens, so that each starts one chat.
    pub conversations_table: Option<String>,
}

impl StartChat {
    /// Reads the environment.
    pub fn read(env: &Env<'_>) -> Result<Self> {
        let settings = SettingsLocation::read(env)?;
        Ok(Self {
            instance: Instance::read(env)?,
            signed_requests: env.flag_if_set("SIGNED_REQUESTS")?.unwrap_or(settings.is_some()),
            unsigned_identity: env.flag("UNSIGNED_IDENTITY")?,
            extra_contact_flow_ids: env.list("EXTRA_CONTACT_FLOW_IDS").iter().map(|flow| flow_id(flow)).collect(),
            origins: Origins::parse(&env.required("ALLOWED_ORIGINS")?)
                .map_err(|rule| wrong("ALLOWED_ORIGINS", &rule))?,
            settings,
            conversations_table: env.optional("CONVERSATIONS_TABLE"),
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self> {
        Self::read(&Env::new(&|name| std::env::var(name).ok()))
    }
}

/// Which API brings a message to Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectRoute {
    /// `StartChatContact` and the Participant Service.
    Chat,
    /// `SendChatIntegrationEvent`.
    IntegrationEvent,
}

/// What the agent is told of what became of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receipts {
    /// What was not delivered.
    #[default]
    Failures,
    /// That, and what was delivered and read.
    All,
    /// Nothing.
    Off,
}

/// What delivering messages to Connect needs.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The Connect instance.
    pub instance: Instance,
    /// `CONNECT_ROUTE`.
    pub route: ConnectRoute,
    /// `PERSISTENT_CHAT`: a returning customer's new chat shows the last one.
    pub persistent_chat: bool,
    /// `CONVERSATIONS_TABLE`; none keeps conversations in memory.
    pub conversations_table: Option<String>,
    /// `DELIVERY_RECEIPTS`.
    pub receipts: Receipts,
}

impl Delivery {
    fn read(env: &Env<'_>) -> Result<Self> {
        let instance = Instance::read(env)?;
        // Where the event route is refused, the chat route takes over, so both need the topic.
        if instance.streaming_topic_arn.is_none() {
            return Err(wrong("STREAMING_TOPIC_ARN", "is not set: without streaming no customer can be connected"));
        }
        let route = match env.optional("CONNECT_ROUTE").as_deref() {
            None | Some("chat") => ConnectRoute::Chat,
            Some("integration-event") => ConnectRoute::IntegrationEvent,
            Some(_) => return Err(wrong("CONNECT_ROUTE", "must be chat or integration-event")),
        };
        let receipts = match env.optional("DELIVERY_RECEIPTS").as_deref() {
            None | Some("failures") => Receipts::Failures,
            Some("all") => Receipts::All,
            Some("off") => Receipts::Off,
            Some(_) => return Err(wrong("DELIVERY_RECEIPTS", "must be failures, all or off")),
        };
        Ok(Self {
            instance,
            route,
            receipts,
            persistent_chat: env.flag("PERSISTENT_CHAT")?,
            conversations_table: env.optional("CONVERSATIONS_TABLE"),
        })
    }
}

/// What bringing customers' files into chats needs.
#[derive(Clone, Debug)]
pub struct Attachments {
    /// `BRIDGE_SETTINGS` or `BRIDGE_SETTINGS_ARN`: media are fetched with the account's credentials.
    pub settings: SettingsLocation,
    /// `ATTACHMENT_MAX_BYTES`: the largest file that the instance takes.
    pub max_bytes: u64,
    /// `ATTACHMENT_EXTENSIONS`: what the instance takes beside Connect's default list, in lower case.
    pub extensions: Vec<String>,
}

impl Attachments {
    /// None where the feature is off, or where no chat of ours could take a file.
    fn read(env: &Env<'_>, delivery: &Delivery) -> Result<Option<Self>> {
        if !delivery.instance.attachments || delivery.route != ConnectRoute::Chat {
            return Ok(None);
        }
        let max_bytes = match env.optional("ATTACHMENT_MAX_BYTES") {
            None => ATTACHMENT_MAX_BYTES,
            Some(bytes) => match bytes.parse() {
                Ok(bytes @ 1..=ATTACHMENT_MOST_BYTES) => bytes,
                _ => return Err(wrong("ATTACHMENT_MAX_BYTES", "must be a whole number from 1 to 104857600")),
            },
        };
        let extension = |text: String| {
            let extension = text.trim_start_matches('.').to_ascii_lowercase();
            let is_one =
                (1..=10).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_one.then_some(extension).ok_or_else(|| {
                wrong("ATTACHMENT_EXTENSIONS", "must be a comma list of extensions of 1 to 10 letters and digits")
            })
        };
        let extensions = env.list("ATTACHMENT_EXTENSIONS").into_iter().map(extension).collect::<Result<_>>()?;
        Ok(Some(Self { settings: SettingsLocation::required(env)?, max_bytes, extensions }))
    }
}

/// What `deliver-message` reads.
#[derive(Clone, Debug)]
pub struct DeliverMessage {
    /// How messages reach Connect.
    pub delivery: Delivery,
    /// `DEAD_LETTER_QUEUE_URL`: where messages go that can never be delivered.
    pub dead_letter_queue_url: Option<String>,
    /// `MESSAGE_PATIENCE_SECONDS`.
    pub patience: Patience,
    /// `CHAT_STARTS_PER_SECOND`: how many chats one worker starts a second at most.
    pub starts_per_second: u32,
    /// `FEATURE_ATTACHMENTS` and what belongs to it; none: media are words.
    pub attachments: Option<Attachments>,
}

impl DeliverMessage {
    /// Reads the environment.
    pub fn read(env: &Env<'_>) -> Result<Self> {
        let starts_per_second = match env.optional("CHAT_STARTS_PER_SECOND") {
            None => STARTS_PER_SECOND,
            Some(number) => match number.parse() {
                Ok(number @ 1..) => number,
                _ => return Err(wrong("CHAT_STARTS_PER_SECOND", "must be a whole number from 1")),
            },
        };
        let delivery = Delivery::read(env)?;
        Ok(Self {
            attachments: Attachments::read(env, &delivery)?,
            delivery,
            dead_letter_queue_url: env.optional("DEAD_LETTER_QUEUE_URL"),
            patience: Patience { end: env.seconds("MESSAGE_PATIENCE_SECONDS", MESSAGE_PATIENCE)?, notice: None },
            starts_per_second,
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self> {
        Self::read(&Env::new(&|name| std::env::var(name).ok()))
    }
}

/// What `receive-reply` reads.
#[derive(Clone, Debug)]
pub struct ReceiveReply {
    /// `OUTBOUND_QUEUE_URL`: the FIFO queue that `send-reply` works for.
    pub outbound_queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`: where items go that can't be read.
    pub dead_letter_queue_url: Option<String>,
}

impl ReceiveReply {
    /// Reads the environment.
    pub fn read(env: &Env<'_>) -> Result<Self> {
        Ok(Self {
            outbound_queue_url: env.required("OUTBOUND_QUEUE_URL")?,
            dead_letter_queue_url: env.optional("DEAD_LETTER_QUEUE_URL"),
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self> {
        Self::read(&Env::new(&|name| std::env::var(name).ok()))
    }
}

/// What `send-reply` reads.
#[derive(Clone, Debug)]
pub struct SendReply {
    /// `BRIDGE_SETTINGS` or `BRIDGE_SETTINGS_ARN`.
    pub settings: SettingsLocation,
    /// `CONVERSATIONS_TABLE`; none keeps conversations in memory, which another process's are not in.
    pub conversations_table: Option<String>,
    /// `PUBLIC_BASE_URL`: where providers report to; none asks them for no reports.
    pub public_base_url: Option<BaseUrl>,
    /// `DEAD_LETTER_QUEUE_URL`: where replies go that can never be sent.
    pub dead_letter_queue_url: Option<String>,
    /// `REPLY_PATIENCE_SECONDS` and `REPLY_DELAY_NOTICE_SECONDS`.
    pub patience: Patience,
    /// `FEATURE_ATTACHMENTS`: agents' files are sent; else the customer reads their names.
    pub attachments: bool,
}

impl SendReply {
    /// Reads the environment.
    pub fn read(env: &Env<'_>) -> Result<Self> {
        Ok(Self {
            settings: SettingsLocation::required(env)?,
            public_base_url: public_base_url(env)?,
            conversations_table: env.optional("CONVERSATIONS_TABLE"),
            dead_letter_queue_url: env.optional("DEAD_LETTER_QUEUE_URL"),
            patience: Patience {
                end: env.seconds("REPLY_PATIENCE_SECONDS", REPLY_PATIENCE)?,
                notice: Some(env.seconds("REPLY_DELAY_NOTICE_SECONDS", REPLY_DELAY_NOTICE)?),
            },
            attachments: env.flag("FEATURE_ATTACHMENTS")?,
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self> {
        Self::read(&Env::new(&|name| std::env::var(name).ok()))
    }
}

/// What `receive-message` does with a message.
#[derive(Clone, Debug)]
pub enum HandOn {
    /// Stores it in the SQS FIFO queue of `INBOUND_QUEUE_URL`.
    Queue(String),
    /// Delivers it before it answers.
    Direct(Box<Delivery>),
}

/// What `receive-message` reads.
#[derive(Clone, Debug)]
pub struct ReceiveMessage {
    /// `PUBLIC_BASE_URL`: the URL before `/sms/`; none takes it from the gateway.
    pub public_base_url: Option<BaseUrl>,
    /// `BRIDGE_SETTINGS` or `BRIDGE_SETTINGS_ARN`.
    pub settings: SettingsLocation,
    /// Queue or direct.
    pub hand_on: HandOn,
    /// `AWS_ENDPOINT_URL_SNS`, where SNS's certificates are fetched too.
    pub sns_endpoint: Option<String>,
}

impl ReceiveMessage {
    /// Reads the environment.
    pub fn read(env: &Env<'_>) -> Result<Self> {
        let public_base_url = public_base_url(env)?;
        let settings = SettingsLocation::required(env)?;
        let hand_on = match env.optional("INBOUND_QUEUE_URL") {
            Some(url) => HandOn::Queue(url),
            None => HandOn::Direct(Box::new(Delivery::read(env)?)),
        };
        Ok(Self { public_base_url, settings, hand_on, sns_endpoint: env.optional("AWS_ENDPOINT_URL_SNS") })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self> {
        Self::read(&Env::new(&|name| std::env::var(name).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<StartChat> {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        StartChat::read(&Env::new(&lookup))
    }

    const COMPLETE: [(&str, &str); 3] =
        [("CONNECT_INSTANCE_ID", "i"), ("CONNECT_CONTACT_FLOW_ID", "f"), ("ALLOWED_ORIGINS", "https://shop.example")];

    #[test]
    fn the_smallest_environment_is_enough() {
        let config = read(&COMPLETE).unwrap();
        assert_eq!(config.instance.id, "i");
        assert_eq!(config.instance.contact_flow_id, "f");
        assert_eq!(config.instance.duration_minutes, None);
        assert!(!config.instance.attachments);
        assert_eq!(config.instance.streaming_topic_arn, None);
        assert!(config.extra_contact_flow_ids.is_empty());
        assert!(config.settings.is_none() && config.conversations_table.is_none());
    }

    #[test]
    fn settings_are_in_one_place() {
        let read = |more: &[(&'static str, &'static str)]| read(&[&COMPLETE[..], more].concat());
        let inline = ("BRIDGE_SETTINGS", r#"{"widget":{"signing_keys":["k"]}}"#);
        let arn = ("BRIDGE_SETTINGS_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:bridge");
        let found = read(&[inline, ("BRIDGE_SETTINGS_ARN", " ")]).unwrap().settings;
        assert!(matches!(&found, Some(SettingsLocation::Inline(text)) if text.expose() == inline.1));
        assert_eq!(format!("{found:?}"), "Some(Inline([redacted]))");
        let found = read(&[arn]).unwrap().settings;
        assert!(matches!(&found, Some(SettingsLocation::Arn(text)) if text == arn.1));
        let error = read(&[inline, arn]).unwrap_err();
        assert_eq!(error.message(), "BRIDGE_SETTINGS and BRIDGE_SETTINGS_ARN are both set: set one");
    }

    #[test]
    fn settings_say_that_requests_are_signed_unless_told_otherwise() {
        let settings = ("BRIDGE_SETTINGS", "{}");
        for (more, signed) in [
            (&[][..], false),
            (&[settings], true),
            (&[settings, ("SIGNED_REQUESTS", "false")], false),
            (&[settings, ("SIGNED_REQUESTS", "true")], true),
            (&[("SIGNED_REQUESTS", "true")], true),
            (&[("SIGNED_REQUESTS", "")], false),
        ] {
            let config = read(&[&COMPLETE[..], more].concat()).unwrap();
            assert_eq!(config.signed_requests, signed, "{more:?}");
            assert!(!config.unsigned_identity);
        }
        assert!(read(&[&COMPLETE[..], &[("UNSIGNED_IDENTITY", "true")]].concat()).unwrap().unsigned_identity);
    }

    #[test]
    fn lists_are_trimmed_and_hold_no_blanks() {
        let mut variables = COMPLETE.to_vec();
        variables.push(("EXTRA_CONTACT_FLOW_IDS", " a, ,b,"));
        let config = read(&variables).unwrap();
        assert_eq!(config.extra_contact_flow_ids.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_flow_may_be_named_by_its_arn() {
        let mut variables = COMPLETE.to_vec();
        variables
            .push(("EXTRA_CONTACT_FLOW_IDS", "arn:aws:connect:us-east-1:123456789012:instance/i/contact-flow/a,b"));
        let config = read(&variables).unwrap();
        assert_eq!(config.extra_contact_flow_ids.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn delivery_needs_the_topic_and_no_table() {
        let read = |variables: &[(&str, &str)]| {
            let lookup =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            DeliverMessage::read(&Env::new(&lookup))
        };
        let least = [COMPLETE[0], COMPLETE[1], ("STREAMING_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:chat")];
        let config = read(&least).unwrap();
        assert!(config.dead_letter_queue_url.is_none() && config.delivery.conversations_table.is_none());
        assert!(!config.delivery.persistent_chat && config.delivery.route == ConnectRoute::Chat);
        assert_eq!(
            (config.starts_per_second, config.patience.end.as_secs(), config.patience.notice),
            (2, 43_200, None)
        );
        let all = [("PERSISTENT_CHAT", "true"), ("CONVERSATIONS_TABLE", "t"), ("DEAD_LETTER_QUEUE_URL", "u")];
        let config = read(&[&least[..], &all[..]].concat()).unwrap();
        assert!(config.delivery.persistent_chat);
        assert_eq!(config.delivery.conversations_table.as_deref(), Some("t"));
        assert_eq!(config.dead_letter_queue_url.as_deref(), Some("u"));
        for (name, value) in [
            ("STREAMING_TOPIC_ARN", ""),
            ("CONNECT_ROUTE", "sms"),
            ("PERSISTENT_CHAT", "1"),
            ("CHAT_STARTS_PER_SECOND", "0"),
            ("CHAT_STARTS_PER_SECOND", "2.5"),
            ("MESSAGE_PATIENCE_SECONDS", "-1"),
        ] {
            let mut variables: Vec<_> = least.iter().filter(|(key, _)| *key != name).copied().collect();
            variables.push((name, value));
            let error = read(&variables).unwrap_err();
            assert!(error.message().starts_with(name), "{name}={value}: {error:?}");
        }
    }

    #[test]
    fn attachments_need_the_settings_and_have_limits() {
        let read = |more: &[(&'static str, &'static str)]| {
            let least = [COMPLETE[0], COMPLETE[1], ("STREAMING_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:chat")];
            let variables = [&least[..], more].concat();
            let lookup =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            DeliverMessage::read(&Env::new(&lookup))
        };
        let on = ("FEATURE_ATTACHMENTS", "true");
        let settings = ("BRIDGE_SETTINGS", "{}");
        assert!(read(&[]).unwrap().attachments.is_none());
        assert!(read(&[on, ("CONNECT_ROUTE", "integration-event")]).unwrap().attachments.is_none());
        let plain = read(&[on, settings]).unwrap().attachments.unwrap();
        assert_eq!((plain.max_bytes, plain.extensions), (20_971_520, Vec::new()));
        let more = [on, settings, ("ATTACHMENT_MAX_BYTES", "104857600"), ("ATTACHMENT_EXTENSIONS", "ogg, .GIF")];
        let more = read(&more).unwrap().attachments.unwrap();
        assert_eq!((more.max_bytes, more.extensions), (104_857_600, vec!["ogg".to_owned(), "gif".to_owned()]));
        for (name, value) in [
            ("ATTACHMENT_MAX_BYTES", "0"),
            ("ATTACHMENT_MAX_BYTES", "20 MB"),
            ("ATTACHMENT_MAX_BYTES", "104857601"),
            ("ATTACHMENT_EXTENSIONS", "ogg,image/gif"),
            ("ATTACHMENT_EXTENSIONS", "."),
        ] {
            let error = read(&[on, settings, (name, value)]).unwrap_err();
            assert!(error.message().starts_with(name), "{name}={value}: {error:?}");
        }
        assert!(read(&[on]).unwrap_err().message().starts_with("BRIDGE_SETTINGS"));
    }

    #[test]
    fn replies_need_the_settings_only() {
        let read = |variables: &[(&str, &str)]| {
            let lookup =
                |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            SendReply::read(&Env::new(&lookup))
        };
        let config = read(&[("BRIDGE_SETTINGS", "{}")]).unwrap();
        assert!(config.conversations_table.is_none() && config.dead_letter_queue_url.is_none());
        let seconds = Duration::from_secs;
        assert_eq!(config.patience, Patience { end: seconds(14_400), notice: Some(seconds(300)) });
        let inline = ("BRIDGE_SETTINGS", "{}");
        let soon = [inline, ("REPLY_PATIENCE_SECONDS", "60"), ("REPLY_DELAY_NOTICE_SECONDS", "5")];
        assert_eq!(read(&soon).unwrap().patience, Patience { end: seconds(60), notice: Some(seconds(5)) });
        let error = read(&[inline, ("REPLY_PATIENCE_SECONDS", "1h")]).unwrap_err();
        assert_eq!(error.message(), "REPLY_PATIENCE_SECONDS must be a whole number of seconds");
        let all = [("BRIDGE_SETTINGS_ARN", "a"), ("CONVERSATIONS_TABLE", "t"), ("DEAD_LETTER_QUEUE_URL", "u")];
        let config = read(&all).unwrap();
        assert_eq!(config.conversations_table.as_deref(), Some("t"));
        assert_eq!(config.dead_letter_queue_url.as_deref(), Some("u"));
        assert_eq!(
            read(&[]).unwrap_err().message(),
            "BRIDGE_SETTINGS is not set, and BRIDGE_SETTINGS_ARN is not either"
        );
    }

    #[test]
    fn an_error_names_its_variable() {
        for (name, value) in [
            ("CONNECT_INSTANCE_ID", ""),
            ("CONNECT_CONTACT_FLOW_ID", "  "),
            ("ALLOWED_ORIGINS", ""),
            ("ALLOWED_ORIGINS", "shop.example"),
            ("CHAT_DURATION_MINUTES", "59"),
            ("CHAT_DURATION_MINUTES", "10081"),
            ("CHAT_DURATION_MINUTES", "an hour"),
            ("FEATURE_ATTACHMENTS", "yes"),
            ("SIGNED_REQUESTS", "yes"),
            ("UNSIGNED_IDENTITY", "1"),
        ] {
            let mut variables: Vec<_> = COMPLETE.iter().filter(|(key, _)| *key != name).copied().collect();
            variables.push((name, value));
            let error = read(&variables).unwrap_err();
            assert!(error.message().starts_with(name), "{name}={value}: {error}");
        }
    }
}
