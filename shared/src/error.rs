//! The one error of the bridge: what happened, who caused it, and whether a retry can help.
//!
//! The kind decides the answer's code ([`Kind::code`]) and status ([`Kind::status`], [`Kind::webhook_status`]). The message is
//! told to the caller, so it is made of fixed words and field names, never of values. What must stay inside (an AWS
//! error's own text, ids) is the source: logged once by [`crate::gateway`], never part of an answer.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

/// A result whose error is the bridge's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Source = Box<dyn StdError + Send + Sync>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $code:literal, $status:ident, $fault:ident;)*) => {
        /// What went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The stable word that callers and dashboards match on.
            pub fn code(self) -> &'static str {
                match self { $(Self::$kind => $code,)* }
            }

            /// The HTTP status of the answer.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// Who can mend it.
            pub fn fault(self) -> Fault {
                match self { $(Self::$kind => Fault::$fault,)* }
            }
        }
    };
}

// The table of errors: what it is, its code, the status of the answer, and who can mend it.
kinds! {
    /// The request can't be read, or breaks a constraint.
    Validation: "VALIDATION_ERROR", BAD_REQUEST, Caller;
    /// A webhook whose signature or credentials don't prove who sent it.
    Unverified: "UNVERIFIED", FORBIDDEN, Caller;
    /// The same, while the settings or certificate at hand may be older than what signed it: it may come again.
    UnverifiedYet: "UNVERIFIED", SERVICE_UNAVAILABLE, Caller;
    /// A token is missing, expired or wrong.
    Unauthenticated: "UNAUTHENTICATED", UNAUTHORIZED, Caller;
    /// No known key has signed a token, while the settings at hand may be older than the key: it may come again.
    UnauthenticatedYet: "UNAUTHENTICATED", SERVICE_UNAVAILABLE, Caller;
    /// The browser's origin is not one of `ALLOWED_ORIGINS`.
    OriginNotAllowed: "ORIGIN_NOT_ALLOWED", FORBIDDEN, Caller;
    /// The request names another Connect instance.
    InstanceNotAllowed: "INSTANCE_NOT_ALLOWED", FORBIDDEN, Caller;
    /// The request names a flow that the owner did not list.
    FlowNotAllowed: "FLOW_NOT_ALLOWED", FORBIDDEN, Caller;
    /// A field that only a signed claim may set.
    FieldNotAllowed: "FIELD_NOT_ALLOWED", FORBIDDEN, Caller;
    /// A streaming endpoint that is not the owner's.
    StreamingNotAllowed: "STREAMING_NOT_ALLOWED", FORBIDDEN, Caller;
    /// No such route, provider or account.
    NotFound: "NOT_FOUND", NOT_FOUND, Caller;
    /// The route exists, with another method.
    MethodNotAllowed: "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED, Caller;
    /// The body is larger than the route takes.
    PayloadTooLarge: "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE, Caller;
    /// Connect refused the request as invalid.
    ConnectRejected: "CONNECT_REJECTED", BAD_REQUEST, Caller;
    /// Connect's quota of concurrent chats is spent (`LimitExceededException`): a retry at once can't help.
    ChatQuotaExceeded: "CHAT_QUOTA_EXCEEDED", TOO_MANY_REQUESTS, Owner;
    /// A rate limit of Connect's API.
    Throttled: "THROTTLED", TOO_MANY_REQUESTS, Aws;
    /// Connect denies access or doesn't know the instance or flow: the owner's set-up.
    ConnectMisconfigured: "CONNECT_MISCONFIGURED", BAD_GATEWAY, Owner;
    /// Connect failed or can't be reached.
    ConnectUnavailable: "CONNECT_UNAVAILABLE", SERVICE_UNAVAILABLE, Aws;
    /// The time budget is spent.
    Timeout: "TIMEOUT", GATEWAY_TIMEOUT, Aws;
    /// The settings document can't be had.
    SettingsUnavailable: "SETTINGS_UNAVAILABLE", SERVICE_UNAVAILABLE, Owner;
    /// A message could be neither queued nor delivered.
    NotStored: "NOT_STORED", SERVICE_UNAVAILABLE, Aws;
    /// The participant's token is of no use (any more): the chat has ended.
    ChatEnded: "CHAT_ENDED", SERVICE_UNAVAILABLE, Aws;
    /// A call that must not be repeated was not answered: it may have had its effect.
    OutcomeUnknown: "MAY_HAVE_BEEN_DELIVERED", SERVICE_UNAVAILABLE, Aws;
    /// The table of conversations can't be read or written.
    StoreUnavailable: "STORE_UNAVAILABLE", SERVICE_UNAVAILABLE, Aws;
    /// Nobody knows yet, or any more, whose chat a reply is from.
    UnknownConversation: "UNKNOWN_CONVERSATION", SERVICE_UNAVAILABLE, Aws;
    /// The SMS provider failed or can't be reached, and has not taken the text.
    ProviderUnavailable: "PROVIDER_UNAVAILABLE", SERVICE_UNAVAILABLE, Provider;
    /// The SMS provider refuses the text for good, or it has no sendable content.
    SendRefused: "SEND_REFUSED", SERVICE_UNAVAILABLE, Provider;
    /// The account's credentials or rights at the SMS provider don't do for sending.
    SendMisconfigured: "SEND_MISCONFIGURED", SERVICE_UNAVAILABLE, Owner;
    /// The customer has opted out.
    OptedOut: "OPTED_OUT", SERVICE_UNAVAILABLE, Provider;
    /// WhatsApp's 24 hours since the customer's last message are over.
    WindowClosed: "WINDOW_CLOSED", SERVICE_UNAVAILABLE, Provider;
    /// The table or a queue refuses what it was given, for good.
    StoreRejected: "STORE_REJECTED", BAD_REQUEST, Bridge;
    /// A new chat waits for its start: see `CHAT_STARTS_PER_SECOND`.
    StartsPaced: "STARTS_PACED", SERVICE_UNAVAILABLE, Aws;
    /// The provider lets this account wait, so the text was not tried.
    AccountShut: "ACCOUNT_SHUT", SERVICE_UNAVAILABLE, Provider;
    /// A rate limit that the provider counts for one customer or one sender.
    ConversationThrottled: "CONVERSATION_THROTTLED", SERVICE_UNAVAILABLE, Provider;
    /// A defect of ours.
    Internal: "INTERNAL", INTERNAL_SERVER_ERROR, Bridge;
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
    /// The HTTP status of the answer to a webhook: 503 for whatever failed on this side, so that the provider sends it
    /// again.
    pub fn webhook_status(self) -> StatusCode {
        let status = self.status();
        if status.is_server_error() { StatusCode::SERVICE_UNAVAILABLE } else { status }
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
