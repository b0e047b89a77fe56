//! A file's name and type: what Connect takes is judged by both, so they must fit each other.

use crate::sms::message::Media;

/// What Connect's chats take unless their administrator added to it ("Attachments" of the administrator guide's "Feature
/// specifications").
const DEFAULT_EXTENSIONS: [&str; 18] = [
    "csv", "doc", "docx", "heic", "jfif", "jpeg", "jpg", "mov", "mp4", "pdf", "png", "ppt", "pptx", "rtf", "txt",
    "wav", "xls", "xlsx",
];

/// Media types and the extensions of their files, the usual one first.
const TYPES: [(&str, &[&str]); 42] = [
    ("image/jpeg", &["jpg", "jpeg", "jfif"]),
    ("image/jpg", &["jpg", "jpeg", "jfif"]),
    ("image/png", &["png"]),
    ("image/gif", &["gif"]),
    ("image/webp", &["webp"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif", "heic"]),
    ("image/bmp", &["bmp"]),
    ("image/tiff", &["tiff", "tif"]),
    ("image/svg+xml", &["svg"]),
    ("audio/ogg", &["ogg", "oga", "opus"]),
    ("audio/opus", &["opus"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/mp3", &["mp3"]),
    ("audio/mp4", &["m4a", "mp4"]),
    ("audio/x-m4a", &["m4a"]),
    ("audio/aac", &["aac"]),
    ("audio/amr", &["amr"]),
    ("audio/3gpp", &["3gp"]),
    ("audio/wav", &["wav"]),
    ("audio/x-wav", &["wav"]),
    ("audio/vnd.wave", &["wav"]),
    ("video/mp4", &["mp4"]),
    ("video/3gpp", &["3gp", "3gpp"]),
    ("video/quicktime", &["mov"]),
    ("video/webm", &["webm"]),
    ("video/mpeg", &["mpeg", "mpg"]),
    ("application/pdf", &["pdf"]),
    ("application/rtf", &["rtf"]),
    ("text/rtf", &["rtf"]),
    ("text/plain", &["txt"]),
    ("text/csv", &["csv"]),
    ("text/vcard", &["vcf"]),
    ("text/x-vcard", &["vcf"]),
    ("text/calendar", &["ics"]),
    ("application/msword", &["doc"]),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"]),
    ("application/vnd.ms-excel", &["xls"]),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"]),
    ("application/vnd.ms-powerpoint", &["ppt"]),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"]),
    ("application/zip", &["zip"]),
];

/// Says nothing of a file.
pub(crate) const ANY: &str = "application/octet-stream";

/// A longer name is cut: Connect takes 256 characters, and file systems 255 bytes.
const NAME_CHARS: usize = 100;

/// What a file is called, and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// Its name, with an extension that fits its type.
    pub(crate) name: String,
    /// The name's extension; empty where nothing tells what it is.
    pub(crate) extension: String,
    /// Its media type, without parameters.
    pub(crate) content_type: String,
}

impl Named {
    /// Of a customer's medium, the `number`th of its message. The provider's word on its type counts more than that of the
    /// server that it is fetched from, and that more than its name.
    pub(crate) fn of(media: &Media, fetched_type: Option<&str>, number: usize) -> Self {
        let given = media.name.as_deref().map(cleaned).unwrap_or_default();
        let (stem, given_extension) = match given.rsplit_once('.') {
            Some((stem, extension)) if is_extension(extension) => (stem.to_owned(), extension.to_ascii_lowercase()),
            _ => (given, String::new()),
        };
        let told = [media.content_type.as_deref(), fetched_type].into_iter().flatten().map(essence);
        let told = told.into_iter().find(|essence| essence.contains('/') && essence != ANY);
        let by_name = || TYPES.iter().find(|(_, extensions)| extensions.contains(&given_extension.as_str()));
        let content_type =
            told.or_else(|| by_name().map(|(known, _)| (*known).to_owned())).unwrap_or_else(|| ANY.to_owned());
        let fitting = TYPES.iter().find(|(known, _)| *known == content_type).map(|(_, extensions)| *extensions);
        let extension = match fitting {
            Some(extensions) if !extensions.contains(&given_extension.as_str()) => {
                extensions.first().copied().unwrap_or_default().to_owned()
            }
            _ => given_extension,
        };
        let family = content_type.split('/').next();
        let family = family.filter(|family| ["image", "audio", "video"].contains(family)).unwrap_or("file");
        let stem = match stem.trim_matches(['.', ' ']) {
            "" if number == 0 => family.to_owned(),
            "" => format!("{family}-{}", number + 1),
            stem => stem.chars().take(NAME_CHARS).collect(),
        };
        let name = if extension.is_empty() { stem } else { format!("{stem}.{extension}") };
        Self { name, extension, content_type }
    }

    /// Whether a chat takes it: Connect's default list, and what its administrator added.
    pub(crate) fn is_taken(&self, added: &[String]) -> bool {
        DEFAULT_EXTENSIONS.contains(&self.extension.as_str()) || added.contains(&self.extension)
    }
}

/// A media type without its parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_extension(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A name without its folders, and without what a header or a file system does not take.
fn cleaned(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_fit =
        |character: &char| !character.is_control() && !"\"<>:|?*;".contains(*character) && !is_direction(*character);
    last.chars().filter(is_fit).collect::<String>().trim().to_owned()
}

/// Turns the text around: `exe.png` would read `gnp.exe`.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(content_type: Option<&str>, name: Option<&str>) -> Media {
        Media { content_type: content_type.map(str::to_owned), name: name.map(str::to_owned), ..Media::default() }
    }

    #[test]
    fn names_fit_their_types() {
        for (content_type, name, fetched, number, expected, expected_type) in [
            (Some("image/jpeg"), None, None, 0, "image.jpg", "image/jpeg"),
            (Some("image/jpeg"), None, None, 1, "image-2.jpg", "image/jpeg"),
            (Some("Image/PNG"), Some("a.png"), None, 0, "a.png", "image/png"),
            (Some("image/png"), Some("a.jpg"), None, 0, "a.png", "image/png"),
            (Some("image/jpeg"), Some("a.JPEG"), None, 0, "a.jpeg", "image/jpeg"),
            (Some("audio/ogg; codecs=opus"), None, None, 0, "audio.ogg", "audio/ogg"),
            (None, None, Some("video/mp4; x=y"), 0, "video.mp4", "video/mp4"),
            (Some("image/png"), None, Some("text/html"), 0, "image.png", "image/png"),
            (Some("application/octet-stream"), None, Some("application/pdf"), 0, "file.pdf", "application/pdf"),
            (None, Some("bill.pdf"), None, 0, "bill.pdf", "application/pdf"),
            (None, Some("bill.pdf"), Some("application/octet-stream"), 0, "bill.pdf", "application/pdf"),
            (None, None, None, 0, "file", "application/octet-stream"),
            (Some("application/x-odd"), Some("a.odd"), None, 0, "a.odd", "application/x-odd"),
            (Some("text/vcard"), None, None, 0, "file.vcf", "text/vcard"),
            (Some("image/png"), Some("../../etc/pass\"wd\r\n.png"), None, 0, "passwd.png", "image/png"),
            (Some("image/png"), Some("C:\\x\\y.png"), None, 0, "y.png", "image/png"),
            (Some("image/png"), Some("\u{202e}gnp.exe"), None, 0, "gnp.png", "image/png"),
            (Some("image/png"), Some(".png"), None, 2, "image-3.png", "image/png"),
            (Some("jpeg"), None, None, 0, "file", "application/octet-stream"),
        ] {
            let named = Named::of(&media(content_type, name), fetched, number);
            assert_eq!(
                (named.name.as_str(), named.content_type.as_str()),
                (expected, expected_type),
                "{content_type:?} {name:?}"
            );
        }
        let long = Named::of(&media(Some("image/png"), Some(&format!("{}.png", "ü".repeat(300)))), None, 0);
        assert_eq!(long.name.chars().count(), NAME_CHARS + 4);
    }

    #[test]
    fn connects_list_is_taken_and_what_was_added_to_it() {
        let taken = |content_type: &str, added: &[&str]| {
            let added: Vec<String> = added.iter().map(|extension| (*extension).to_owned()).collect();
            Named::of(&media(Some(content_type), None), None, 0).is_taken(&added)
        };
        for content_type in ["image/jpeg", "image/png", "video/mp4", "application/pdf", "text/plain", "audio/wav"] {
            assert!(taken(content_type, &[]), "{content_type}");
        }
        for (content_type, extension) in [("image/gif", "gif"), ("audio/ogg", "ogg"), ("text/vcard", "vcf")] {
            assert!(!taken(content_type, &[]), "{content_type}");
            assert!(taken(content_type, &["zip", extension]), "{content_type}");
        }
        assert!(!taken("application/x-odd", &["ogg"]));
    }
}
