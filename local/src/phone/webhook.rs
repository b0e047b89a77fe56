//! A text that is written on the phone, posted to the bridge.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::text::{Text, Writing};
use crate::bridge::front::TEXT_HEADER;
use crate::service::{Service, innermost};

/// No provider is this patient (Twilio's 15 s are the most), but none has to wait until the function is built.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a text: its webhooks are posted to the bridge. The answer to the last one, or to the first that failed.
pub(crate) async fn post(service: &Service, writing: Writing) -> Result<Value, String> {
    let (webhooks, functions, id) = {
        let mut phone = service.phone();
        let (channel, webhooks) = phone.write(&writing)?;
        let functions = phone.functions().unwrap_or_default().to_owned();
        let id = Uuid::new_v4().to_string();
        phone.keep(Text::written(id.clone(), channel, writing));
        (webhooks, functions, id)
    };
    let mut answer = json!({});
    for webhook in webhooks {
        let request = service.http().post(format!("{functions}{}", webhook.path)).timeout(PATIENCE);
        let request = webhook.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = request.header(TEXT_HEADER, &id);
        let response = request.body(webhook.body).send().await.map_err(|error| {
            service.phone().answered(&id, 0);
            format!("the bridge can't be reached: {}", innermost(&error))
        })?;
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        service.phone().answered(&id, status.as_u16());
        answer = json!({ "id": id, "status": status.as_u16(), "body": body });
        if !status.is_success() {
            break;
        }
    }
    Ok(answer)
}
