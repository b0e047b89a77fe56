//! The one error of the bridge: what happened, who caused it, and whether a retry can help.
//!
//! The kind decides the answer's status and code ([`Kind::status`], [`Kind::code`]); nothing else does. The message is
//! told to the caller, so it is made of fixed words and field names, never of values. What must stay inside (an AWS
//! error's own text, ids) is the source: logged once by [`crate::gateway`], told to nobody.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

/// A result whose error is the bridge's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request can't be read, or breaks a constraint.
    Validation,
    /// A webhook whose signature or credentials don't prove who sent it.
    Unverified,
    /// The same, while the settings or certificate at hand may be older than what signed it: it may come again.
    UnverifiedYet,
    /// A token is missing, expired or wrong.
    Unauthenticated,
    /// No known key has signed a token, while the settings at hand may be older than the key: it may come again.
    UnauthenticatedYet,
    /// The browser's origin is not one of `ALLOWED_ORIGINS`.
    OriginNotAllowed,
    /// The request names another Connect instance.
    InstanceNotAllowed,
    /// The request names a flow that the owner did not list.
    FlowNotAllowed,
    /// A field that only a signed claim may set.
    FieldNotAllowed,
    /// A streaming endpoint that is not the owner's.
    StreamingNotAllowed,
    /// No such route, provider or account.
    NotFound,
    /// The route exists, with another method.
    MethodNotAllowed,
    /// The body is larger than the route takes.
    PayloadTooLarge,
    /// Connect refused the request as invalid.
    ConnectRejected,
    /// Connect's quota of concurrent chats is spent (`LimitExceededException`): a retry at once can't help.
    ChatQuotaExceeded,
    /// A rate limit of Connect's API.
    Throttled,
    /// Connect denies access or doesn't know the instance or flow: the owner's set-up.
    ConnectMisconfigured,
    /// Connect failed or can't be reached.
    ConnectUnavailable,
    /// The time budget is spent.
    Timeout,
    /// The settings document can't be had.
    SettingsUnavailable,
    /// A message could be neither queued nor delivered.
    NotStored,
    /// The participant's token is of no use (any more): the chat has ended.
    ChatEnded,
    /// A call that must not be repeated was not answered: it may have had its effect.
    OutcomeUnknown,
    /// The table of conversations can't be read or written.
    StoreUnavailable,
    /// Nobody knows yet, or any more, whose chat a reply is from.
    UnknownConversation,
    /// The SMS provider failed or can't be reached, and has not taken the text.
    ProviderUnavailable,
    /// The SMS provider refuses the text for good, or it is none that can be sent.
    SendRefused,
    /// The account's credentials or rights at the SMS provider don't do for sending.
    SendMisconfigured,
    /// The customer wants no texts.
    OptedOut,
    /// WhatsApp's 24 hours since the customer's last message are over.
    WindowClosed,
    /// The table or a queue refuses what it was given, for good.
    StoreRejected,
    /// A new chat waits for its start: see `CHAT_STARTS_PER_SECOND`.
    StartsPaced,
    /// The provider lets this account wait, so the text was not tried.
    AccountShut,
    /// A rate limit that the provider counts for one customer or one sender.
    ConversationThrottled,
    /// A defect of ours.
    Internal,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The widget, app or provider that called.
    Caller,
    /// Who runs the bridge: configuration, permissions, quotas.
    Owner,
    /// Amazon Connect, or another AWS service.
    Aws,
    /// The SMS provider, or the customer behind it.
    Provider,
    /// The bridge itself.
    Bridge,
}

impl Kind {
    /// The stable word that callers and dashboards match on.
    pub fn code(self) -> &'static str {
        match self {
            Self::Validation => "VALIDATION_ERROR",
            Self::Unverified | Self::UnverifiedYet => "UNVERIFIED",
            Self::Unauthenticated | Self::UnauthenticatedYet => "UNAUTHENTICATED",
            Self::OriginNotAllowed => "ORIGIN_NOT_ALLOWED",
            Self::InstanceNotAllowed => "INSTANCE_NOT_ALLOWED",
            Self::FlowNotAllowed => "FLOW_NOT_ALLOWED",
            Self::FieldNotAllowed => "FIELD_NOT_ALLOWED",
            Self::StreamingNotAllowed => "STREAMING_NOT_ALLOWED",
            Self::NotFound => "NOT_FOUND",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::ConnectRejected => "CONNECT_REJECTED",
            Self::ChatQuotaExceeded => "CHAT_QUOTA_EXCEEDED",
            Self::Throttled => "THROTTLED",
            Self::ConnectMisconfigured => "CONNECT_MISCONFIGURED",
            Self::ConnectUnavailable => "CONNECT_UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::SettingsUnavailable => "SETTINGS_UNAVAILABLE",
            Self::NotStored => "NOT_STORED",
            Self::ChatEnded => "CHAT_ENDED",
            Self::OutcomeUnknown => "MAY_HAVE_BEEN_DELIVERED",
            Self::StoreUnavailable => "STORE_UNAVAILABLE",
            Self::UnknownConversation => "UNKNOWN_CONVERSATION",
            Self::ProviderUnavailable => "PROVIDER_UNAVAILABLE",
            Self::SendRefused => "SEND_REFUSED",
            Self::SendMisconfigured => "SEND_MISCONFIGURED",
            Self::OptedOut => "OPTED_OUT",
            Self::WindowClosed => "WINDOW_CLOSED",
            Self::StoreRejected => "STORE_REJECTED",
            Self::StartsPaced => "STARTS_PACED",
            Self::AccountShut => "ACCOUNT_SHUT",
            Self::ConversationThrottled => "CONVERSATION_THROTTLED",
            Self::Internal => "INTERNAL",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Validation | Self::ConnectRejected | Self::StoreRejected => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Unverified
            | Self::OriginNotAllowed
            | Self::InstanceNotAllowed
            | Self::FlowNotAllowed
            | Self::FieldNotAllowed
            | Self::StreamingNotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ChatQuotaExceeded | Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::ConnectMisconfigured => StatusCode::BAD_GATEWAY,
            Self::UnverifiedYet
            | Self::UnauthenticatedYet
            | Self::ConnectUnavailable
            | Self::SettingsUnavailable
            | Self::NotStored
            | Self::ChatEnded
            | Self::OutcomeUnknown
            | Self::StoreUnavailable
            | Self::UnknownConversation
            | Self::ProviderUnavailable
            | Self::SendRefused
            | Self::SendMisconfigured
            | Self::OptedOut
            | Self::WindowClosed
            | Self::StartsPaced
            | Self::AccountShut
            | Self::ConversationThrottled => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Who can mend it.
    pub fn fault(self) -> Fault {
        match self {
            Self::Validation
            | Self::Unverified
            | Self::UnverifiedYet
            | Self::Unauthenticated
            | Self::UnauthenticatedYet
            | Self::OriginNotAllowed
            | Self::InstanceNotAllowed
            | Self::FlowNotAllowed
            | Self::FieldNotAllowed
            | Self::StreamingNotAllowed
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::PayloadTooLarge
            | Self::ConnectRejected => Fault::Caller,
            Self::ChatQuotaExceeded
            | Self::ConnectMisconfigured
            | Self::SettingsUnavailable
            | Self::SendMisconfigured => Fault::Owner,
            Self::Throttled
            | Self::ConnectUnavailable
            | Self::Timeout
            | Self::NotStored
            | Self::ChatEnded
            | Self::OutcomeUnknown
            | Self::StoreUnavailable
            | Self::UnknownConversation
            | Self::StartsPaced => Fault::Aws,
            Self::ProviderUnavailable
            | Self::SendRefused
            | Self::OptedOut
            | Self::WindowClosed
            | Self::AccountShut
            | Self::ConversationThrottled => Fault::Provider,
            Self::StoreRejected | Self::Internal => Fault::Bridge,
        }
    }

    /// Whether the same call, made again within seconds, may succeed.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::ConnectUnavailable
                | Self::NotStored
                | Self::StoreUnavailable
                | Self::ProviderUnavailable
        )
    }
}

/// An error: see the module's page.
pub struct Error {
    kind: Kind,
    message: Cow<'static, str>,
    field: Option<String>,
    retry_after: Option<Duration>,
    source: Option<Source>,
}

impl Error {
    /// An error whose message the caller may read.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), field: None, retry_after: None, source: None }
    }

    /// A request that breaks a rule about one field. `field` is a path such as `Attributes.page`; the message reads
    /// "`field` `rule`".
    pub fn invalid(field: impl Into<String>, rule: impl fmt::Display) -> Self {
        let field = field.into();
        let mut error = Self::new(Kind::Validation, format!("{field} {rule}"));
        error.field = Some(field);
        error
    }

    /// A defect or surprise of ours: the caller reads a fixed text.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::new(Kind::Internal, "Something went wrong on our side").caused_by(source)
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Keeps what is behind it, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Tells the caller when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text for the caller.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field at fault.
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// When the caller may come back.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// The code alone: this is what logs show of an error behind another. A message may pass on what Connect said of the
/// request, and Connect may have quoted it.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.code())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match &self.source {
            Some(source) => write!(f, " (caused by: {source})"),
            None => Ok(()),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
