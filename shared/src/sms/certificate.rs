//! The certificates with which Amazon SNS signs, and the topics that they belong to.

use std::fmt;

use x509_parser::pem::parse_x509_pem;

use crate::{error::Result, sms::rejection::Rejection};

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

/// Who the certificate at such a URL is for: the names that AWS SDK for Java 2 expects
/// (`software.amazon.awssdk.messagemanager.sns`, `SnsHostProvider`).
fn owner_of(url: &str) -> Option<String> {
    const REGIONAL: [&str; 17] = [
        "ap-east-1",
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "me-south-1",
        "me-central-1",
        "eu-south-1",
        "eu-south-2",
        "eu-central-2",
        "af-south-1",
        "il-central-1",
        "ca-west-1",
        "mx-central-1",
    ];
    let region = url.strip_prefix("https://sns.")?.split('.').next()?;
    Some(match region {
        "us-gov-west-1" | "us-gov-east-1" => "sns-us-gov-west-1.amazonaws.com".to_owned(),
        region if region.starts_with("cn-") => format!("sns-{region}.amazonaws.com.cn"),
        region if REGIONAL.contains(&region) => format!("sns-signing.{region}.amazonaws.com"),
        _ => "sns.amazonaws.com".to_owned(),
    })
}

/// A certificate of SNS, fetched from [`super::webhook::Webhook::certificate_url`]. May be cached by that URL.
#[derive(Clone)]
pub struct Certificate {
    pub(super) key: Vec<u8>,
    pub(super) not_after: i64,
    /// The subject's common name.
    owner: String,
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

    /// Refuses it unless it is SNS's, of the region in its URL. `is_local`: a stand-in made it, whose may say that they
    /// are for tests.
    pub fn check_owner(&self, url: &str, is_local: bool) -> Result<()> {
        let owner = if is_local { self.owner.trim_end_matches(" (TEST ONLY)") } else { &self.owner };
        match owner_of(url) {
            Some(expected) if expected == owner => Ok(()),
            _ => Err(Rejection::Malformed.into()),
        }
    }

    fn try_read(pem: &[u8]) -> Option<(i64, Self)> {
        if pem.len() > MAX_PEM {
            return None;
        }
        let (_, pem) = parse_x509_pem(pem).ok()?;
        let certificate = pem.parse_x509().ok().filter(|_| pem.label == "CERTIFICATE")?;
        let dates = certificate.validity();
        let key = certificate.public_key().subject_public_key.data.to_vec();
        let mut names = certificate.subject().iter_common_name();
        let owner = names.next()?.as_str().ok()?.to_owned();
        if names.next().is_some() {
            return None;
        }
        Some((dates.not_before.timestamp(), Self { key, not_after: dates.not_after.timestamp(), owner }))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("not_after", &self.not_after).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CLOCK;

    #[test]
    fn a_certificate_is_of_its_regions_sns() {
        let read = |pem: &[u8]| Certificate::read(pem, CLOCK).unwrap();
        let of_aws = read(include_bytes!("providers/aws_sns/fixtures/test-only-owner.cert.pem"));
        let of_tests = read(include_bytes!("providers/aws_sns/fixtures/test-only.cert.pem"));
        let url = |host: &str| format!("https://{host}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem");
        for (certificate, host, is_local, is_owner) in [
            (&of_aws, "sns.us-east-1.amazonaws.com", false, true),
            (&of_aws, "sns.us-east-1.amazonaws.com", true, true),
            (&of_aws, "sns.ap-east-1.amazonaws.com", false, false),
            (&of_aws, "sns.cn-north-1.amazonaws.com.cn", false, false),
            (&of_tests, "sns.us-east-1.amazonaws.com", false, false),
            (&of_tests, "sns.us-east-1.amazonaws.com", true, true),
        ] {
            let outcome = certificate.check_owner(&url(host), is_local);
            assert_eq!(outcome.is_ok(), is_owner, "{} at {host}", certificate.owner);
        }
        for (host, owner) in [
            ("sns.us-gov-east-1.amazonaws.com", "sns-us-gov-west-1.amazonaws.com"),
            ("sns.cn-northwest-1.amazonaws.com.cn", "sns-cn-northwest-1.amazonaws.com.cn"),
            ("sns.me-central-1.amazonaws.com", "sns-signing.me-central-1.amazonaws.com"),
            ("sns.eu-central-1.amazonaws.com", "sns.amazonaws.com"),
        ] {
            assert_eq!(owner_of(&url(host)).as_deref(), Some(owner));
        }
    }
}
