//! The control API under `/_local/`: what the library's methods do, over HTTP, for tools that are not in this process.
//! It has no CORS headers: no web page may read it but the stand-in's own.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    actions::{self, Line},
    attachment,
    config::Limits,
    contact::{Contact, Role, Visibility},
    error::Refused,
    events,
    fault::Fault,
    instance::Instance,
    operation::Operation,
    phone::{text::Writing, write},
    service::Service,
};

type App = Shared<Arc<Service>>;

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/health", get(async || Json(json!({ "ok": true }))))
        .route("/calls", get(calls).delete(forget_calls))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/limits", post(set_limits))
        .route("/instance", post(set_instance))
        .route("/contacts", get(contacts))
        .route("/contacts/{id}", get(contact))
        .route("/contacts/{id}/{action}", post(act))
        .route("/reset", post(reset))
        .route("/config", get(config))
        .route("/events", get(async |Shared(service): App| events::follow(service)))
        .route("/phone/send", post(write_text))
        .route("/phone/texts", get(texts))
        .route("/rows", get(rows))
        .fallback(async || Failure(404, "there is no such control".to_owned()))
}

/// A control that did not work, and why.
struct Failure(u16, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let status = if refused == Refused::UnknownContact { 404 } else { 409 };
        Self(status, refused.to_string())
    }
}

/// A JSON body, whatever the content type says: curl says a form.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure(400, error.to_string()))
}

async fn calls(Shared(service): App) -> Json<Value> {
    Json(json!({ "calls": service.record().calls() }))
}

async fn forget_calls(Shared(service): App) -> Json<Value> {
    service.record().clear();
    Json(json!({}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    operation: Operation,
    fault: Fault,
}

async fn faults(Shared(service): App) -> Json<Value> {
    Json(json!({ "faults": service.faults().listed() }))
}

async fn add_fault(Shared(service): App, body: Bytes) -> Result<Json<Value>, Failure> {
    let NewFault { operation, fault } = read(&body)?;
    service.faults().add(operation, fault);
    service.versions().next();
    Ok(Json(json!({})))
}

async fn clear_faults(Shared(service): App) -> Json<Value> {
    service.faults().clear();
    service.versions().next();
    Json(json!({}))
}

async fn set_limits(Shared(service): App, body: Bytes) -> Result<Json<Value>, Failure> {
    let limits: Limits = read(&body)?;
    service.state().set_limits(limits);
    Ok(Json(json!({})))
}

async fn set_instance(Shared(service): App, body: Bytes) -> Result<Json<Value>, Failure> {
    let instance: Instance = read(&body)?;
    service.state().set_instance(instance);
    Ok(Json(json!({})))
}

async fn contacts(Shared(service): App) -> Json<Value> {
    let contacts: Vec<Contact> = service.state().chats().map(|chat| chat.contact.clone()).collect();
    Json(json!({ "contacts": contacts }))
}

async fn contact(Shared(service): App, Path(id): Path<String>) -> Result<Json<Contact>, Failure> {
    Ok(Json(actions::contact(&service.state(), &id).ok_or(Refused::UnknownContact)?))
}

/// What is said by `POST /_local/contacts/{id}/say` and `…/event`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    content_type: Option<String>,
    content: Option<String>,
    role: Option<Role>,
    display_name: Option<String>,
    visibility: Option<Visibility>,
}

/// The file that the agent sends by `POST /_local/contacts/{id}/attach`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attach {
    name: String,
    content_type: String,
    /// Base64.
    content: String,
    status: Option<String>,
}

async fn act(
    Shared(service): App,
    Path((id, action)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    let mut state = service.state();
    let answer = match action.as_str() {
        "join" => json!({ "participant_id": actions::join(&mut state, &id)?.id }),
        "say" => {
            let said: Say = read(&body)?;
            let content = said.content.ok_or_else(|| Failure(400, "content is required".to_owned()))?;
            let line = Line {
                role: said.role.unwrap_or(Role::Agent),
                display_name: said.display_name,
                content_type: said.content_type.unwrap_or_else(|| "text/plain".to_owned()),
                content,
                visibility: said.visibility.unwrap_or(Visibility::All),
            };
            json!({ "id": actions::say(&mut state, &id, &line)? })
        }
        "event" => {
            let said: Say = read(&body)?;
            let kind = said.content_type.ok_or_else(|| Failure(400, "content_type is required".to_owned()))?;
            json!({ "id": actions::agent_event(&mut state, &id, &kind, said.content.as_deref())? })
        }
        "attach" => {
            let sent: Attach = read(&body)?;
            let bytes = STANDARD.decode(sent.content).map_err(|_| Failure(400, "content must be base64".to_owned()))?;
            let status = sent.status.as_deref().unwrap_or("APPROVED");
            let file = (sent.name.as_str(), sent.content_type.as_str());
            json!({ "id": attachment::agent_sends(&mut state, &id, file, bytes.into(), status)? })
        }
        "transfer" => json!({ "contact_id": actions::transfer(&mut state, &id)? }),
        "end" => {
            actions::end(&mut state, &id)?;
            json!({})
        }
        "expire-tokens" => {
            actions::expire_connection_tokens(&mut state, &id)?;
            json!({})
        }
        "drop-websockets" => {
            actions::drop_websockets(&mut state, &id)?;
            json!({})
        }
        _ => return Err(Failure(404, "there is no such action".to_owned())),
    };
    Ok(Json(answer))
}

/// Forgets contacts, texts, rows, calls and faults.
async fn reset(Shared(service): App) -> Json<Value> {
    service.phone().forget();
    service.rows().forget();
    service.faults().clear();
    service.record().clear();
    // Last, for it is what a page is told of.
    service.state().forget();
    Json(json!({}))
}

/// What a page asks first.
async fn config(Shared(service): App) -> Json<Value> {
    Json(service.phone().described())
}

/// Writes a text on the phone; the answer is the bridge's to its webhook.
async fn write_text(Shared(service): App, body: Bytes) -> Result<Json<Value>, Failure> {
    let writing: Writing = read(&body)?;
    write::post(&service, writing).await.map(Json).map_err(|error| Failure(422, error))
}

async fn texts(Shared(service): App) -> Json<Value> {
    Json(json!({ "texts": service.phone().texts() }))
}

/// What became of each request to the bridge.
async fn rows(Shared(service): App) -> Json<Value> {
    let rows = service.rows().changed_since(0);
    Json(json!({ "rows": rows }))
}
