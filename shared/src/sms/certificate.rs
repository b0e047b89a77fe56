//! The certificates with which Amazon SNS signs, and the topics that they belong to.

use std::fmt;

use x509_parser::pem::parse_x509_pem;

use crate::{error::Result, sms::webhook::Rejection};

/// The longest certificate that is read; AWS's have 2 KB.
const MAX_PEM: usize = 16 * 1024;

/// `arn:aws:sns:us-east-1:123456789012:name`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    partition: &'a str,
    /// Where its subscriptions are confirmed.
    pub region: &'a str,
}

impl<'a> Topic<'a> {
    /// Reads a topic's ARN.
    pub fn read(arn: &'a str) -> Option<Self> {
        let parts: Vec<_> = arn.split(':').collect();
        let &["arn", partition, "sns", region, owner, name] = parts.as_slice() else { return None };
        let is_lower = |text: &str| {
            text.len() >= 3
                && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let is_topic = is_lower(partition)
            && is_lower(region)
            && owner.len() == 12
            && owner.bytes().all(|byte| byte.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        is_topic.then_some(Self { partition, region })
    }

    /// Whether this is where AWS keeps a certificate of the topic's region. Compared as text, whole: so there is no user
    /// info, port, query, fragment or other spelling to be parsed, here or by whoever fetches it.
    pub(super) fn keeps_certificate_at(self, url: &str) -> bool {
        let domain = if self.partition == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
        url.strip_prefix(&format!("https://sns.{}.{domain}/SimpleNotificationService-", self.region))
            .and_then(|rest| rest.strip_suffix(".pem"))
            .is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    }
}

/// A certificate of SNS, fetched from [`Webhook::certificate_url`]. May be cached by that URL.
#[derive(Clone)]
pub struct Certificate {
    pub(super) key: Vec<u8>,
    pub(super) not_after: i64,
}

impl Certificate {
    /// Reads the PEM, and refuses it outside its dates. `clock` (Unix seconds) is the time of reading, by the system's
    /// clock and not a webhook's: a recorded webhook may be verified as of its own time, which is before the certificate
    /// was made. Its end is judged again with each webhook, since it may be cached.
    pub fn read(pem: &[u8], clock: i64) -> Result<Self> {
        Self::try_read(pem)
            .filter(|(not_before, certificate)| (*not_before..=certificate.not_after).contains(&clock))
            .map(|(_, certificate)| certificate)
            .ok_or_else(|| Rejection::Malformed.into())
    }

    fn try_read(pem: &[u8]) -> Option<(i64, Self)> {
        if pem.len() > MAX_PEM {
            return None;
        }
        let (_, pem) = parse_x509_pem(pem).ok()?;
        let certificate = pem.parse_x509().ok().filter(|_| pem.label == "CERTIFICATE")?;
        let dates = certificate.validity();
        let key = certificate.public_key().subject_public_key.data.to_vec();
        Some((dates.not_before.timestamp(), Self { key, not_after: dates.not_after.timestamp() }))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}
