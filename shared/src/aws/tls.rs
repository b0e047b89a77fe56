//! HTTPS to AWS: which certificate authorities are trusted.
//!
//! Reading the machine's store of over 140 authorities is most of the work of a cold start, and AWS's own endpoints use one
//! of five: "AWS services … Amazon Trust Services" (<https://www.amazontrust.com/repository/>: Amazon Root CA 1 to 4, and
//! Starfield Services Root Certificate Authority - G2). So clients that call AWS only trust these five, which are compiled in.
//! They end between 2037 and 2040. When AWS adds a root, it announces it years ahead, and cross-signs with these meanwhile.
//!
//! `SSL_CERT_FILE` or `AWS_CA_BUNDLE` (a PEM file) replaces them, for a proxy that inspects TLS or a stand-in with a
//! certificate of its own. Regions outside the `aws` partition keep the machine's store. Clients that call providers
//! ([`crate::sender`]) always use that.

use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use x509_parser::pem::Pem;

use crate::aws::FRESH;

const AMAZON_ROOTS: &[u8] = include_bytes!("amazon_roots.pem");

/// Variables that name a PEM file with other authorities: OpenSSL's, and that of the AWS command line and SDKs.
const BUNDLES: [&str; 2] = ["SSL_CERT_FILE", "AWS_CA_BUNDLE"];

/// Whose certificates are believed.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    Pem(Vec<u8>),
    /// The machine's store, which the SDK reads when the client is made.
    Machine,
}

impl Trust {
    fn of(region: Option<&str>, bundle: Option<Vec<u8>>) -> Self {
        match bundle {
            Some(pem) if is_pem(&pem) => Self::Pem(pem),
            Some(_) => {
                tracing::warn!(
                    "SSL_CERT_FILE or AWS_CA_BUNDLE names no PEM file of certificates: the machine's are used"
                );
                Self::Machine
            }
            None if region.is_some_and(is_in_aws_partition) => Self::Pem(AMAZON_ROOTS.to_vec()),
            None => Self::Machine,
        }
    }

    fn context(self) -> tls::TlsContext {
        let store = match self {
            Self::Pem(pem) => tls::TrustStore::empty().with_pem_certificate(pem),
            Self::Machine => tls::TrustStore::default(),
        };
        tls::TlsContext::builder().with_trust_store(store).build().unwrap_or_default()
    }
}

/// The SDK would panic at what it can't read.
fn is_pem(pem: &[u8]) -> bool {
    let mut certificates = 0;
    for block in Pem::iter_from_buffer(pem) {
        let Ok(block) = block else { return false };
        if block.label == "CERTIFICATE" {
            if block.parse_x509().is_err() {
                return false;
            }
            certificates += 1;
        }
    }
    certificates > 0
}

/// `aws-cn`, `aws-us-gov`, `aws-iso` and the others have prefixes of their own
/// (<https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>).
fn is_in_aws_partition(region: &str) -> bool {
    !["cn-", "us-gov-", "us-iso", "eu-iso", "eusc-"].iter().any(|prefix| region.starts_with(prefix))
}

fn context(region: Option<&str>) -> tls::TlsContext {
    let bundle = BUNDLES.iter().find_map(std::env::var_os).map(|path| std::fs::read(path).unwrap_or_default());
    Trust::of(region, bundle).context()
}

const RUSTLS: tls::Provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);

/// What most calls to AWS are made with.
pub(super) fn client(region: Option<&str>) -> SharedHttpClient {
    Builder::new().tls_provider(RUSTLS).tls_context(context(region)).build_https()
}

/// What calls that can't be repeated are made with: connections that were idle for longer than [`FRESH`] are not reused.
pub(super) fn fresh_client(region: Option<&str>) -> SharedHttpClient {
    Builder::new().pool_idle_timeout(FRESH).tls_provider(RUSTLS).tls_context(context(region)).build_https()
}

#[cfg(test)]
mod tests {
    use x509_parser::pem::Pem;

    use super::{AMAZON_ROOTS, Trust};

    #[test]
    fn amazons_five_authorities_are_compiled_in() {
        let mut names = Vec::new();
        for block in Pem::iter_from_buffer(AMAZON_ROOTS) {
            let block = block.unwrap();
            let certificate = block.parse_x509().unwrap();
            let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap().to_owned();
            assert!(certificate.is_ca(), "{name}");
            assert!(certificate.validity().not_after.timestamp() > 2_114_380_800, "{name} ends before 2037");
            names.push(name);
        }
        assert_eq!(
            names,
            [
                "Amazon Root CA 1",
                "Amazon Root CA 2",
                "Amazon Root CA 3",
                "Amazon Root CA 4",
                "Starfield Services Root Certificate Authority - G2"
            ]
        );
    }

    #[test]
    fn other_partitions_and_bundles_are_not_held_to_them() {
        let amazon = || Trust::Pem(AMAZON_ROOTS.to_vec());
        for region in ["us-east-1", "eu-central-1", "ap-northeast-1", "il-central-1"] {
            assert_eq!(Trust::of(Some(region), None), amazon(), "{region}");
        }
        for region in [Some("cn-north-1"), Some("us-gov-west-1"), Some("us-iso-east-1"), Some("eusc-de-east-1"), None] {
            assert_eq!(Trust::of(region, None), Trust::Machine, "{region:?}");
        }
        let cut_short = AMAZON_ROOTS[..AMAZON_ROOTS.len() / 2].to_vec();
        let no_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
        for unreadable in [Vec::new(), b"no PEM".to_vec(), cut_short, no_certificate] {
            assert_eq!(Trust::of(Some("us-east-1"), Some(unreadable)), Trust::Machine);
        }
        assert_eq!(Trust::of(Some("cn-north-1"), Some(AMAZON_ROOTS.to_vec())), amazon());
    }
}
