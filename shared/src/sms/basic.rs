//! HTTP Basic credentials of a webhook (RFC 7617), where a provider signs nothing.

use aws_lc_rs::{constant_time, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    fields::Fields,
    secret::Secret,
    sms::webhook::{Proof, Rejection, Webhook},
};

/// The value of `WWW-Authenticate` where credentials are missing or wrong.
pub(super) const CHALLENGE: &str = r#"Basic realm="webhook", charset="UTF-8""#;

/// A user name and its passwords, of which any may match.
#[derive(Clone, Debug)]
pub struct BasicCredentials {
    username: String,
    passwords: Vec<Secret>,
}

impl BasicCredentials {
    /// From the fields `username` and `passwords`, both required.
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let username = fields.text("username").unwrap_or_default();
        if username.contains(':') {
            fields.problem("username", "must have no colon, which ends a user name");
        }
        fields.require_one_of(&["username"]);
        let passwords = fields.secrets("passwords");
        fields.require_one_of(&["passwords"]);
        Self { username, passwords }
    }

    /// Compares user name and password as one, by their digests: neither their length nor which of them is wrong shows.
    pub(super) fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let (scheme, encoded) = webhook.header("authorization")?.split_once(' ').ok_or(Rejection::Malformed)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Rejection::Malformed);
        }
        let given = STANDARD.decode(encoded.trim_start()).map_err(|_| Rejection::Malformed)?;
        // An empty user name is one that the settings lack.
        if self.username.is_empty() || !given.contains(&b':') {
            return Err(Rejection::Malformed);
        }
        let given = digest::digest(&digest::SHA256, &given);
        let is_known = |password: &Secret| {
            let known = format!("{}:{}", self.username, password.expose());
            let known = digest::digest(&digest::SHA256, known.as_bytes());
            constant_time::verify_slices_are_equal(given.as_ref(), known.as_ref()).is_ok()
        };
        if self.passwords.iter().any(is_known) { Ok(Proof::default()) } else { Err(Rejection::Mismatch) }
    }
}
