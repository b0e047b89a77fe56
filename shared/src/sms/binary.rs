//! Messages that a provider hands over as bytes, with the user data header of an SMS: 3GPP TS 23.040, 9.2.3.24.

use crate::sms::message::Concat;

/// The text of a binary message, if it is one. Providers do not tell the coding, and send what the network calls text as
/// such; so it is taken for text only where its bytes are UTF-8, or else UTF-16 (SMS has it as UCS-2) with some Latin
/// letter or blank, and without control characters. What is addressed to a port is for a program on a phone, and never
/// text.
pub(super) fn text(data: &[u8], header: &[u8]) -> Option<String> {
    if has_port(header) {
        return None;
    }
    let is_text = |text: &String| {
        !text.is_empty()
            && text.chars().all(|character| !character.is_control() || matches!(character, '\r' | '\n' | '\t'))
    };
    std::str::from_utf8(data).ok().map(str::to_owned).filter(is_text).or_else(|| utf_16(data).filter(is_text))
}

fn utf_16(data: &[u8]) -> Option<String> {
    let (pairs, rest) = data.as_chunks::<2>();
    // Most bytes are some character of the Chinese, Japanese and Korean blocks.
    let has_latin = pairs.iter().any(|[high, _]| *high == 0);
    let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
    if rest.is_empty() && has_latin { char::decode_utf16(units).collect::<Result<_, _>>().ok() } else { None }
}

/// The elements of a user data header: after its length, each an identifier, a length and that many octets.
fn elements(header: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = header.get(1..).unwrap_or_default();
    std::iter::from_fn(move || {
        let [identifier, length, after @ ..] = rest else { return None };
        let length = usize::from(*length);
        let octets = after.get(..length).unwrap_or_default();
        rest = after.get(length..).unwrap_or_default();
        Some((*identifier, octets))
    })
}

/// Whether a user data header has an address element: 4 and 5 are ports.
pub(super) fn has_port(header: &[u8]) -> bool {
    elements(header).any(|(identifier, _)| matches!(identifier, 4 | 5))
}

/// Which part of a long message a user data header says that this is: element 0 has a reference of one octet, 8 of two.
pub(super) fn concat(header: &[u8]) -> Option<Concat> {
    elements(header).find_map(|(identifier, octets)| {
        let (reference, total, part) = match (identifier, octets) {
            (0, [reference, total, part]) => (u16::from(*reference), *total, *part),
            (8, [high, low, total, part]) => (u16::from_be_bytes([*high, *low]), *total, *part),
            _ => return None,
        };
        let is_part = total >= 2 && (1..=total).contains(&part);
        is_part.then(|| Concat { reference: reference.to_string(), total: total.into(), part: part.into() })
    })
}

#[cfg(test)]
mod tests {
    use super::{concat, text};
    use crate::sms::message::Concat;

    #[test]
    fn texts_are_told_from_programs_data() {
        let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        for (label, data, header, expected) in [
            ("UTF-8", "Grüße".as_bytes().to_vec(), vec![], Some("Grüße")),
            ("UTF-16", utf_16("Zażółć"), vec![], Some("Zażółć")),
            ("to a port", b"settings".to_vec(), vec![6, 5, 4, 0x0b, 0x84, 0, 0], None),
            ("control characters", vec![1, 2, 3], vec![], None),
            ("nothing", vec![], vec![], None),
            ("a part of a text", b"part".to_vec(), vec![5, 0, 3, 1, 2, 1], Some("part")),
        ] {
            assert_eq!(text(&data, &header).as_deref(), expected, "{label}");
        }
    }

    #[test]
    fn parts_are_told_by_their_header() {
        let part = |reference: &str, total, part| Some(Concat { reference: reference.to_owned(), total, part });
        for (header, expected) in [
            (&[5, 0, 3, 0xcc, 2, 1][..], part("204", 2, 1)),
            (&[6, 8, 4, 1, 0, 3, 3], part("256", 3, 3)),
            (&[8, 1, 1, 9, 0, 3, 7, 2, 2], part("7", 2, 2)),
            (&[5, 0, 3, 1, 1, 1], None),
            (&[5, 0, 3, 1, 2, 0], None),
            (&[5, 0, 3, 1, 2, 3], None),
            (&[5, 0, 3, 1], None),
            (&[], None),
        ] {
            assert_eq!(concat(header), expected, "{header:?}");
        }
    }
}
