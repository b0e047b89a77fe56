//! Links in a text for a phone.

/// A text with the URL that it is a link to: `text (url)`, or the one that says it all.
pub(super) fn with_url(text: &str, url: &str) -> String {
    let (address, is_number) = match url.split_once(':') {
        Some((scheme, address)) if scheme.eq_ignore_ascii_case("mailto") => {
            (address.split('?').next().unwrap_or_default(), false)
        }
        Some((scheme, number)) if scheme.eq_ignore_ascii_case("tel") => (number, true),
        // A picture in place of its URL.
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("data") => ("", false),
        _ => (url, false),
    };
    if text.trim().is_empty() {
        address.to_owned()
    } else if address.is_empty() || is_number && digits(text) == digits(address) {
        text.to_owned()
    } else if without_scheme(text).eq_ignore_ascii_case(without_scheme(address)) {
        address.to_owned()
    } else {
        format!("{text} ({address})")
    }
}

fn without_scheme(url: &str) -> &str {
    let url = url.trim();
    url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url).trim_end_matches('/')
}

fn digits(number: &str) -> String {
    number.chars().filter(|character| character.is_ascii_digit() || character.is_alphabetic()).collect()
}

#[cfg(test)]
mod tests {
    use super::with_url;

    #[test]
    fn a_link_is_its_text_and_its_url() {
        for (text, url, expected) in [
            ("here", "https://x.example/a", "here (https://x.example/a)"),
            ("https://x.example/a", "https://x.example/a", "https://x.example/a"),
            ("x.example", "https://x.example/", "https://x.example/"),
            ("", "https://x.example", "https://x.example"),
            ("here", "", "here"),
            ("jo@x.example", "mailto:jo@x.example", "jo@x.example"),
            ("Jo", "mailto:jo@x.example?subject=Hi", "Jo (jo@x.example)"),
            ("+1 (202) 555-0100", "tel:+12025550100", "+1 (202) 555-0100"),
            ("Call us", "tel:+12025550100", "Call us (+12025550100)"),
            ("logo", "data:image/png;base64,AAAA", "logo"),
        ] {
            assert_eq!(with_url(text, url), expected, "{text} {url}");
        }
    }
}
