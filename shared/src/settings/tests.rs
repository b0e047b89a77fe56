use serde_json::{Value, json};

use super::{Credentials, Fields, Settings};
use crate::{
    error::Kind,
    secret::Secret,
    sms::{opt_out::DEFAULT_WORDS, providers::ProviderId},
};

const TOKEN: &str = "s3cret-t0ken";

fn read(document: &Value) -> Settings {
    Settings::from_json(document.to_string().as_bytes()).unwrap_or_else(|error| panic!("{error:?}"))
}

#[expect(clippy::needless_pass_by_value, reason = "tests write `account(json!(…))`")]
fn account(account: Value) -> Settings {
    read(&json!({ "accounts": [account] }))
}

/// What the log says of a document that is refused.
fn problems(document: &Value) -> String {
    let error = Settings::from_json(document.to_string().as_bytes()).expect_err("a refusal");
    assert_eq!(error.kind(), Kind::SettingsUnavailable);
    assert_eq!(error.message(), "The settings can't be read");
    let shown = format!("{error:?}");
    for hidden in [TOKEN, "5550100", "quoted-value"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    shown
}

#[test]
fn a_document_may_be_empty() {
    let settings = read(&json!({}));
    assert!(settings.widget.is_none() && settings.accounts.is_empty() && settings.warnings().is_empty());
}

#[test]
fn a_whole_account_is_read() {
    let settings = read(&json!({
        "widget": {"signing_keys": [" as written, of thirty-two bytes ", "the previous key, of 32 bytes and more"]},
        "accounts": [
            {"name": "us", "provider": "twilio", "account_sid": "AC1", "auth_tokens": ["current", TOKEN],
             "shared_keys": {"SK1": "shared"}, "api_key_sid": "SK2", "api_key_secret": "key",
             "max_age_seconds": 0, "opt_out_words": ["END"], "send_base_url": "http://localhost:9100/twilio",
             "numbers": {"+12025550100": {"contact_flow_id": "flow", "destination_id": "arn", "display_name": "SMS",
                                          "attributes": {"brand": "acme"}},
                         "12025550101": {}, "12345": {}}},
            {"provider": "signalwire", "signing_keys": ["key"], "space": "acme", "project_id": "p", "api_token": "t"}
        ]
    }));
    assert!(settings.warnings() == ["widget: signing_keys[0] begins or ends with white space"]);
    assert_eq!(settings.widget.as_ref().unwrap().signing_keys[0], Secret::new(" as written, of thirty-two bytes "));

    let us = settings.account("us").unwrap();
    assert_eq!((us.provider(), us.max_age_seconds), (ProviderId::Twilio, 0));
    assert_eq!(us.opt_out_words, ["END"]);
    assert_eq!(us.send_base_url.as_ref().unwrap().as_written(), "http://localhost:9100/twilio");
    let number = us.number("+12025550100").unwrap();
    assert_eq!(number.contact_flow_id.as_deref(), Some("flow"));
    assert_eq!(number.attributes["brand"], "acme");
    assert!(us.number("+12025550101").is_some() && us.number("12025550100").is_some() && us.number("12345").is_some());
    assert!(us.number("+12025550102").is_none());
    let Credentials::Twilio(twilio) = &us.credentials else { panic!("{us:?}") };
    assert_eq!(twilio.auth_tokens, [Secret::new("current"), Secret::new(TOKEN)]);
    assert_eq!(twilio.shared_keys["SK1"], Secret::new("shared"));

    let signalwire = settings.account("signalwire").unwrap();
    assert_eq!(signalwire.opt_out_words, DEFAULT_WORDS);
    let shown = format!("{settings:?}");
    for hidden in [TOKEN, "current", "5550100", "as written", "shared\""] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

#[test]
fn candidates_are_the_paths_account_or_all_of_the_provider() {
    let settings = read(&json!({"accounts": [
        {"name": "us", "provider": "twilio", "auth_tokens": ["a"]},
        {"name": "sw", "provider": "signalwire", "signing_keys": ["b"]},
        {"name": "eu", "provider": "twilio", "auth_tokens": ["c"]},
    ]}));
    let names = |provider, name| {
        settings
            .candidates(provider, name)
            .map(|found| found.iter().map(|account| account.name.clone()).collect::<Vec<_>>())
    };
    assert_eq!(names(ProviderId::Twilio, None).unwrap(), ["us", "eu"]);
    assert_eq!(names(ProviderId::Twilio, Some("eu")).unwrap(), ["eu"]);
    for (provider, name) in [
        (ProviderId::Twilio, Some("sw")),
        (ProviderId::Twilio, Some("US")),
        (ProviderId::Vonage, None),
        (ProviderId::Meta, Some("us")),
    ] {
        assert_eq!(names(provider, name).unwrap_err().kind(), Kind::NotFound);
    }
}

#[test]
fn the_age_has_a_default_for_each_provider() {
    for provider in ProviderId::ALL {
        let expected = match provider {
            ProviderId::AwsSns => [3_600].as_slice(),
            ProviderId::Vonage => &[86_400],
            // Five minutes where the provider's own SDK has a limit, or where the signature is a token.
            _ => &[0, 300],
        };
        assert!(expected.contains(&provider.facts().max_age_seconds), "{provider}");
    }
    let settings = account(json!({"provider": "twilio", "auth_tokens": ["a"], "max_age_seconds": 60}));
    assert_eq!(settings.accounts[0].max_age_seconds, 60);
    assert!(settings.warnings()[0].contains("max_age_seconds has no effect"));
}

#[test]
fn errors_name_account_and_field() {
    let us = |fields: Value| {
        let mut account = json!({"name": "us", "provider": "twilio", "auth_tokens": [TOKEN]});
        account.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"accounts": [account]})
    };
    for (document, expected) in [
        (json!([]), "must be a JSON object"),
        (json!({"widget": {}}), "widget: signing_keys is required"),
        (json!({"widget": null}), "widget must be an object"),
        (json!({"widget": {"signing_keys": []}}), "widget: signing_keys must be a list of at least one text"),
        (json!({"widget": {"signing_keys": null}}), "widget: signing_keys must be a list of at least one text"),
        (json!({"widget": {"signing_keys": TOKEN}}), "widget: signing_keys must be a list of at least one text"),
        (json!({"widget": {"signing_keys": [TOKEN, ""]}}), "widget: signing_keys[1] has an empty secret"),
        (json!({"widget": {"signing_keys": [1]}}), "widget: signing_keys[0] must be a text"),
        (json!({"widget": {"signing_keys": ["k".repeat(31)]}}), "signing_keys[0] must be at least 32 bytes long"),
        (json!({"widgets": {"signing_keys": [TOKEN]}}), "the document: widgets is unknown"),
        (json!({"s3cret-t0ken": 1}), "the document: a field is unknown"),
        (json!({"widget": {"signing_key": TOKEN}}), "widget: signing_key is unknown"),
        (us(json!({"auth_token": TOKEN})), "accounts[0] (us): auth_token is unknown"),
        (us(json!({"s3cret-t0ken": 1})), "accounts[0] (us): a field is unknown"),
        (us(json!({"numbers": {"+12025550100": {"flow": "x"}}})), "accounts[0] (us): numbers[0]: flow is unknown"),
        (json!({"accounts": {}}), "accounts must be a list"),
        (json!({"accounts": [TOKEN]}), "accounts[0] must be an object"),
        (json!({"accounts": [{"name": "us"}]}), "accounts[0] (us): provider is required"),
        (json!({"accounts": [{"provider": "quoted-value"}]}), "accounts[0]: provider must be one of twilio, "),
        (json!({"accounts": [{"provider": 1}]}), "accounts[0]: provider must be one of twilio, "),
        (json!({"accounts": [{"provider": "twilio"}]}), "accounts[0]: auth_tokens or shared_keys is required"),
        (json!({"accounts": [{"provider": "signalwire"}]}), "accounts[0]: signing_keys is required"),
        (us(json!({"auth_tokens": []})), "accounts[0] (us): auth_tokens must be a list of at least one text"),
        (us(json!({"auth_tokens": [TOKEN, " "]})), "accounts[0] (us): auth_tokens[1] has an empty secret"),
        (us(json!({"auth_tokens": [[TOKEN]]})), "auth_tokens[0] must be a text"),
        (us(json!({"shared_keys": {}})), "shared_keys must be an object of at least one text"),
        (us(json!({"shared_keys": {"quoted-value": ""}})), "shared_keys[0] has an empty secret"),
        (us(json!({"shared_keys": {" ": TOKEN}})), "shared_keys[0] has an empty id"),
        (us(json!({"api_key_secret": 7})), "accounts[0] (us): api_key_secret must be a text"),
        (us(json!({"account_sid": [TOKEN]})), "account_sid must be a text"),
        (us(json!({"name": ""})), "accounts[0]: name must be"),
        (us(json!({"name": "quoted-value/x"})), "accounts[0]: name must be"),
        (us(json!({"name": ".."})), "accounts[0]: name must be"),
        (us(json!({"name": 5})), "accounts[0]: name must be"),
        (us(json!({"name": "é"})), "accounts[0]: name must be"),
        (us(json!({"max_age_seconds": -1})), "max_age_seconds must be a whole number"),
        (us(json!({"max_age_seconds": "300"})), "max_age_seconds must be a whole number"),
        (us(json!({"opt_out_words": "STOP"})), "opt_out_words must be a list of texts"),
        (us(json!({"opt_out_words": ["STOP", " "]})), "opt_out_words must be a list of texts that are not empty"),
        (us(json!({"send_base_url": "https://u:quoted-value@x.example"})), "send_base_url must have no user name"),
        (us(json!({"send_base_url": "quoted-value"})), "send_base_url must be an absolute"),
        (us(json!({"numbers": []})), "numbers must be an object"),
        (us(json!({"numbers": {"+12025550100": "x"}})), "accounts[0] (us): numbers[0] must be an object"),
        (us(json!({"numbers": {"": {}}})), "numbers[0] has an empty address"),
        (us(json!({"numbers": {"+12025550100": {}, "12025550100": {}}})), "numbers[1] is there twice"),
        (
            us(json!({"numbers": {"+12025550100": {"attributes": {"a b": "x"}}}})),
            "numbers[0]: attributes must have names",
        ),
        (us(json!({"numbers": {"+12025550100": {"attributes": {"a": 1}}}})), "numbers[0]: attributes must have names"),
    ] {
        let shown = problems(&document);
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
}

#[test]
fn names_are_unique_and_default_to_the_providers() {
    let twilio = json!({"provider": "twilio", "auth_tokens": [TOKEN]});
    assert!(problems(&json!({"accounts": [twilio, twilio]})).contains("its name \"twilio\" is another account's"));
    let named = json!({"name": "twilio", "provider": "signalwire", "signing_keys": [TOKEN]});
    assert!(problems(&json!({"accounts": [twilio, named]})).contains("accounts[1]"));
    assert_eq!(account(twilio).accounts[0].name, "twilio");
}

#[test]
fn all_errors_are_told_at_once() {
    let shown =
        problems(&json!({"widget": {"signing_keys": []}, "accounts": [{"provider": "twilio"}, {"provider": "x"}]}));
    for expected in ["widget:", "accounts[0]:", "accounts[1]:"] {
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn what_is_not_json_is_told_by_its_place() {
    for document in [&b"{\"accounts\": [quoted-value"[..], b"", b"{", b"\xff", b"{\"a\": \"quoted-value"] {
        let error = Settings::from_json(document).unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains("line ") && !shown.contains("quoted"), "{shown}");
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    let settings = account(
        json!({"provider": "twilio", "auth_tokens": [TOKEN], "account_sid": "", "api_key_sid": null, "api_key_secret": null}),
    );
    let warnings = settings.warnings().join("; ");
    assert!(warnings.contains("account_sid is empty and counts as absent"), "{warnings}");
    assert!(!warnings.contains(TOKEN), "{warnings}");
}

/// "Send credentials may be absent: then that account receives only."
#[test]
fn an_account_that_cannot_send_receives() {
    for (account_fields, expected) in [
        (json!({"provider": "twilio", "auth_tokens": [TOKEN], "api_key_secret": ""}), "api_key_secret is empty"),
        (json!({"provider": "twilio", "auth_tokens": [TOKEN], "api_key_sid": "SK1"}), "is missing, so the other"),
        (json!({"provider": "signalwire", "signing_keys": [TOKEN], "api_token": ""}), "api_token is empty"),
        (json!({"provider": "vonage", "signature_secrets": [TOKEN], "api_key": " "}), "api_key is empty"),
        (json!({"provider": "vonage", "signature_secrets": [TOKEN], "api_secret": TOKEN}), "api_key is missing"),
        (
            json!({"provider": "vonage-messages", "signature_secrets": [TOKEN], "private_key": TOKEN}),
            "application_id is missing",
        ),
        (json!({"provider": "meta", "app_secrets": [TOKEN], "access_token": ""}), "access_token is empty"),
    ] {
        let settings = account(account_fields);
        let warnings = settings.warnings().join("; ");
        assert!(settings.accounts.len() == 1 && warnings.contains(expected), "{expected} in {warnings}");
        assert!(!warnings.contains(TOKEN), "{warnings}");
    }
}

#[test]
fn an_unusable_key_does_not_disable_the_others() {
    let read = |keys: Value| {
        let findings = std::cell::RefCell::default();
        let object = json!({ "public_keys": keys });
        let fields = Fields::new(object.as_object().unwrap(), "accounts[0] (t)".to_owned(), &findings);
        let keys = fields.keys("public_keys", |text| text.parse::<u8>().ok());
        drop(fields);
        let findings = findings.into_inner();
        (keys, findings.warnings, findings.problems)
    };
    let (keys, warnings, problems) = read(json!(["1", TOKEN, "3"]));
    assert_eq!(keys, [1, 3]);
    assert_eq!(warnings, ["accounts[0] (t): public_keys[1] is no usable key"]);
    assert!(problems.is_empty());
    let (keys, _, problems) = read(json!([TOKEN]));
    assert!(keys.is_empty());
    assert_eq!(problems, ["accounts[0] (t): public_keys has no usable key"]);
}

/// "A mistake in an account never stops web chat", and one in what web chats read does.
#[test]
fn web_chats_read_their_part_only() {
    let key = "k".repeat(32);
    let widget = json!({"signing_keys": [key]});
    let broken = json!({"widget": widget, "accounts": [{"provider": "twilio", "auth_token": TOKEN}]}).to_string();
    let settings = Settings::of_widget(broken.as_bytes()).unwrap();
    assert!(settings.widget.is_some() && settings.accounts.is_empty());
    assert!(Settings::from_json(broken.as_bytes()).is_err());
    for broken in [json!({"widget": {"signing_keys": []}}), json!({"widget": widget, "acounts": []})] {
        assert!(Settings::of_widget(broken.to_string().as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn a_renamed_account_is_found_by_provider_and_address() {
    let us = json!({"name": "us", "provider": "twilio", "auth_tokens": ["a"], "numbers": {"+12025550100": {}}});
    let eu = json!({"name": "eu", "provider": "twilio", "auth_tokens": ["b"], "numbers": {"+442025550100": {}}});
    let meta = json!({"name": "old", "provider": "meta", "app_secrets": ["c"]});
    let settings = read(&json!({"accounts": [us, eu, meta]}));
    let found = |provider, name, address| settings.account_for(provider, name, address).map(|found| found.name.clone());
    for (provider, name, address, expected) in [
        (ProviderId::Twilio, "eu", "+12025550100", Some("eu")),
        (ProviderId::Twilio, "usa", "+12025550100", Some("us")),
        (ProviderId::Twilio, "usa", "12025550100", Some("us")),
        (ProviderId::Twilio, "usa", "+13035550100", None),
        (ProviderId::Twilio, "old", "+13035550100", None),
        (ProviderId::Meta, "new", "+13035550100", Some("old")),
        (ProviderId::Vonage, "us", "+12025550100", None),
    ] {
        assert_eq!(found(provider, name, address).as_deref(), expected, "{provider} {name} {address}");
    }
}
