//! Why a webhook is not verified.

use std::fmt;

use crate::error::{Error, Kind};

/// Why a webhook is not verified, from the farthest miss to the closest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// No signature or credentials.
    Missing,
    /// Something is there that is no signature of this provider, or does not cover the body.
    Malformed,
    /// It matches no secret. A rotation looks like this too: settings may be read again.
    Mismatch,
    /// It matches, and is older (or newer) than the account allows.
    Stale,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no signature",
            Self::Malformed => "malformed signature",
            Self::Mismatch => "wrong signature",
            Self::Stale => "signature outside its time",
        })
    }
}

impl std::error::Error for Rejection {}

impl Rejection {
    /// The rejection behind an error of [`super::webhook::Webhook::verify`], if it is one.
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }

    /// Whether newer settings could change it.
    pub fn may_be_rotation(self) -> bool {
        self == Self::Mismatch
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::new(Kind::Unverified, "The webhook's sender could not be verified").caused_by(rejection)
    }
}
