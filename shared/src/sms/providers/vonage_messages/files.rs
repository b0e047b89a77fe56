//! Files in both directions.

use serde_json::{Value, json};

use crate::{
    error::Result,
    sms::{
        media::{File, not_carried},
        message::Channel,
        send::{Outbound, add},
        whatsapp,
    },
};

/// Links of media are at one of these, for 48 hours:
/// <https://developer.vonage.com/en/messages/concepts/secure-inbound-media>.
pub(super) const HOSTS: [&str; 4] = ["api.nexmo.com", "api-us.nexmo.com", "api-eu.nexmo.com", "api-ap.nexmo.com"];

/// A message with a file: <https://developer.vonage.com/en/api/messages-olympus>.
pub(super) fn message(outbound: &Outbound<'_>, file: &File<'_>) -> Result<Value> {
    let (channel, kind) = match outbound.channel {
        Channel::Sms | Channel::Mms | Channel::Own(_) => {
            let kind = match (file.family(), file.content_type) {
                ("image" | "audio" | "video", _) => file.family(),
                (_, "text/vcard" | "text/x-vcard") => "vcard",
                _ => "file",
            };
            ("mms", kind)
        }
        Channel::Whatsapp => (
            "whatsapp",
            match whatsapp::kind_of(file.content_type) {
                "document" => "file",
                kind => kind,
            },
        ),
        Channel::Rcs => {
            let kind = match file.family() {
                kind @ ("image" | "video") => kind,
                _ if file.content_type == "application/pdf" => "file",
                _ => return Err(not_carried("this channel carries pictures, videos and PDFs only")),
            };
            ("rcs", kind)
        }
    };
    let mut medium = json!({ "url": file.url });
    if kind == "file" && channel == "whatsapp" {
        add(&mut medium, "name", json!(file.name));
    }
    let mut message = json!({ "message_type": kind, "channel": channel });
    add(&mut message, kind, medium);
    Ok(message)
}
