//! From the path of a request to the provider and the account.

use shared::{Error, Kind, Result, sms::providers::ProviderId};

/// What `/sms/{provider}` and `/sms/{provider}/{account}` name.
pub(crate) struct Route<'a> {
    /// What stands before the route: a stage or nothing.
    pub(crate) prefix: &'a str,
    /// The route as it was requested, from `/sms/` on.
    pub(crate) path: &'a str,
    /// The provider.
    pub(crate) provider: ProviderId,
    /// The account's name.
    pub(crate) account: Option<&'a str>,
}

impl<'a> Route<'a> {
    /// Reads the raw path itself: `routeKey` and `pathParameters` differ between gateways, and emulators leave them out.
    pub(crate) fn of(path: &'a str) -> Result<Self> {
        let unknown = || Error::new(Kind::NotFound, "Webhooks are at /sms/{provider} or /sms/{provider}/{account}");
        // A stage may itself be named `sms`: the route is the last place that reads like one.
        let (at, mut names) = path
            .rmatch_indices("/sms/")
            .find_map(|(at, route)| {
                let mut names = path.get(at + route.len()..)?.split('/');
                let provider = names.next()?.parse::<ProviderId>().ok()?;
                Some((at, (provider, names)))
            })
            .ok_or_else(unknown)?;
        let account = names.1.next().filter(|name| !name.is_empty());
        // A trailing slash is harmless; anything more is another route.
        if names.1.any(|rest| !rest.is_empty()) {
            return Err(unknown());
        }
        let (prefix, path) = path.split_at_checked(at).ok_or_else(unknown)?;
        Ok(Self { prefix, path, provider: names.0, account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_and_account_come_from_the_raw_path() {
        for (path, expected) in [
            ("/sms/twilio", Some(("", "/sms/twilio", "twilio", None))),
            ("/sms/twilio/", Some(("", "/sms/twilio/", "twilio", None))),
            ("/sms/twilio/us", Some(("", "/sms/twilio/us", "twilio", Some("us")))),
            ("/sms/twilio/us/", Some(("", "/sms/twilio/us/", "twilio", Some("us")))),
            ("/prod/sms/vonage-messages/eu", Some(("/prod", "/sms/vonage-messages/eu", "vonage-messages", Some("eu")))),
            ("/sms/sms/twilio", Some(("/sms", "/sms/twilio", "twilio", None))),
            ("/sms/twilio/sms/", Some(("", "/sms/twilio/sms/", "twilio", Some("sms")))),
            ("/sms/twilio/us/more", None),
            ("/sms/Twilio", None),
            ("/sms/", None),
            ("/sms", None),
            ("/chat", None),
            ("", None),
            ("/sms/%74wilio", None),
        ] {
            let route = Route::of(path).ok();
            let route = route.map(|route| (route.prefix, route.path, route.provider.as_str(), route.account));
            assert_eq!(route, expected, "{path}");
        }
    }
}
