//! Attachments: `StartAttachmentUpload`, the PUT to where it says, `CompleteAttachmentUpload`, `GetAttachment`, and the GET of
//! what that names. Files are kept in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{ConnectInfo, Path, Request, State as Shared},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    connection::Peer,
    contact::{ItemType, Participant, Visibility},
    error::{ApiError, Refused},
    fault::Effect,
    operation::Operation,
    participant::{authorize, client_token, invalid, remember, replay},
    service::{Service, call, reset},
    state::{ChatKey, Draft, State, in_future},
    validate::{Object, bad_parameter, chars},
};

/// The largest file that an instance can be made to take.
const MOST_BYTES: usize = 100 * 1024 * 1024;

/// What a chat takes of one, unless its administrator raised it.
const LARGEST: u64 = 20 * 1024 * 1024;

/// "Attachments per chat" of "Amazon Connect service quotas".
const MOST_FILES: usize = 35;

/// What chats take ("Feature specifications", administrator guide).
const EXTENSIONS: [&str; 18] = [
    "csv", "doc", "docx", "heic", "jfif", "jpeg", "jpg", "mov", "mp4", "pdf", "png", "ppt", "pptx", "rtf", "txt",
    "wav", "xls", "xlsx",
];

/// An attachment, as items name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attachment {
    /// Its id.
    pub attachment_id: String,
    /// Its name.
    pub attachment_name: String,
    /// Its media type.
    pub content_type: String,
    /// `APPROVED`, `IN_PROGRESS` or `REJECTED`.
    pub status: String,
}

/// A file, or the place for one.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    key: ChatKey,
    name: String,
    content_type: String,
    size: u64,
    signature: String,
    headers: BTreeMap<&'static str, String>,
    bytes: Option<Bytes>,
    is_complete: bool,
}

impl Stored {
    fn described(&self, id: &str, status: &str) -> Attachment {
        Attachment {
            attachment_id: id.to_owned(),
            attachment_name: self.name.clone(),
            content_type: self.content_type.clone(),
            status: status.to_owned(),
        }
    }
}

impl State {
    /// Every file, by its attachment's id.
    pub(crate) fn attachments(&mut self) -> &mut HashMap<String, Stored> {
        &mut self.attachments
    }

    /// Where files are put, and fetched from.
    pub(crate) fn attachments_base(&self) -> String {
        self.attachments_base.clone()
    }
}

fn item(participant: Participant, attachment: Attachment) -> Draft {
    Draft {
        item_type: ItemType::Attachment,
        content_type: String::new(),
        content: None,
        participant: Some(participant),
        visibility: Visibility::All,
        metadata: None,
        attachments: vec![attachment],
    }
}

/// StartAttachmentUpload.
pub(crate) fn start(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    const OPERATION: Operation = Operation::StartAttachmentUpload;
    let key = authorize(state, bearer)?;
    let read = || {
        let body = Object::root(body)?;
        let name = body.required_string("AttachmentName", chars(1, 256))?;
        let content_type = body.required_string("ContentType", chars(1, 255))?;
        let size = body.integer("AttachmentSizeInBytes", 1, i64::MAX)?;
        let Some(size) = size.and_then(|size| u64::try_from(size).ok()) else {
            return bad_parameter("AttachmentSizeInBytes is required".to_owned());
        };
        if size > LARGEST {
            return bad_parameter("AttachmentSizeInBytes is larger than the instance allows".to_owned());
        }
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
            return bad_parameter("AttachmentName has an extension that the instance does not allow".to_owned());
        }
        Ok((name, content_type, size, client_token(&body)?))
    };
    let (name, content_type, size, token) = read().map_err(invalid)?;
    if token.is_none() {
        return Err(ApiError::validation("ClientToken is required"));
    }
    if let Some(answer) = replay(state, key, OPERATION, token) {
        return Ok(answer);
    }
    let complete = state.attachments().values().filter(|stored| stored.key == key && stored.is_complete).count();
    if complete >= MOST_FILES {
        return Err(ApiError::new(402, "ServiceQuotaExceededException", "Too many attachments"));
    }
    let (id, signature) = (Uuid::new_v4().to_string(), Uuid::new_v4().simple().to_string());
    let contact_id = state.chat(key).map(|chat| chat.contact.id.clone()).unwrap_or_default();
    let headers = BTreeMap::from([
        ("x-amz-meta-contact_id", contact_id),
        ("x-amz-meta-account_id", state.config().account_id.clone()),
        ("x-amz-acl", "bucket-owner-full-control".to_owned()),
        ("Content-Disposition", format!("attachment; filename=\"{name}\"")),
        ("Content-Length", size.to_string()),
        ("Content-Type", content_type.to_owned()),
    ]);
    let url = format!("{}{id}?X-Amz-Signature={signature}", state.attachments_base());
    let stored = Stored {
        key,
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        size,
        signature,
        headers: headers.clone(),
        bytes: None,
        is_complete: false,
    };
    state.attachments().insert(id.clone(), stored);
    let upload =
        json!({ "Url": url, "UrlExpiry": in_future(SignedDuration::from_secs(300)), "HeadersToInclude": headers });
    let answer = json!({ "AttachmentId": id, "UploadMetadata": upload });
    remember(state, key, OPERATION, token, &answer);
    Ok(answer)
}

/// CompleteAttachmentUpload. What is complete is in conflict, unless the same ClientToken completed it.
pub(crate) fn complete(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    const OPERATION: Operation = Operation::CompleteAttachmentUpload;
    let key = authorize(state, bearer)?;
    let token = Object::root(body).and_then(|body| client_token(&body)).map_err(invalid)?;
    let ids = body.get("AttachmentIds").and_then(Value::as_array);
    let id = match ids.map(Vec::as_slice) {
        Some([id]) => id.as_str().unwrap_or_default().to_owned(),
        _ => return Err(ApiError::validation("AttachmentIds must be one id")),
    };
    if token.is_none() {
        return Err(ApiError::validation("ClientToken is required"));
    }
    if let Some(answer) = replay(state, key, OPERATION, token) {
        return Ok(answer);
    }
    let stored = state.attachments().get_mut(&id).filter(|stored| stored.key == key && stored.bytes.is_some());
    let stored = stored.ok_or_else(|| ApiError::validation("The attachment was not uploaded"))?;
    if stored.is_complete {
        return Err(ApiError::new(409, "ConflictException", "The attachment is complete"));
    }
    stored.is_complete = true;
    let attachment = stored.described(&id, "APPROVED");
    let customer = state.chat(key).ok_or_else(ApiError::access_denied)?.contact.customer();
    state.add(key, item(customer, attachment));
    let answer = json!({});
    remember(state, key, OPERATION, token, &answer);
    Ok(answer)
}

/// GetAttachment.
pub(crate) fn get_attachment(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    let key = authorize(state, bearer)?;
    let read = || {
        let body = Object::root(body)?;
        body.integer("UrlExpiryInSeconds", 5, 300)?;
        body.required_string("AttachmentId", chars(1, 256))
    };
    let id = read().map_err(invalid)?;
    let base = state.attachments_base();
    let stored = state.attachments().get(id).filter(|stored| stored.key == key && stored.is_complete);
    let stored = stored.ok_or_else(|| ApiError::validation("There is no such attachment"))?;
    Ok(json!({
        "Url": format!("{base}{id}?X-Amz-Signature={}", stored.signature),
        "UrlExpiry": in_future(SignedDuration::from_secs(300)),
        "AttachmentSizeInBytes": stored.size,
    }))
}

/// The agent sends a file, which joins first if need be. Returns the attachment's id. Of one that is being scanned, `status`
/// is `IN_PROGRESS`, and it is told of again by [`scanned`].
pub(crate) fn agent_sends(
    state: &mut State,
    contact_id: &str,
    (name, content_type): (&str, &str),
    bytes: Bytes,
    status: &str,
) -> Result<String, Refused> {
    let key = state.find(contact_id).ok_or(Refused::UnknownContact)?;
    let agent = state.join(key)?;
    let id = Uuid::new_v4().to_string();
    let stored = Stored {
        key,
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        size: u64::try_from(bytes.len()).unwrap_or_default(),
        signature: Uuid::new_v4().simple().to_string(),
        headers: BTreeMap::new(),
        bytes: Some(bytes),
        is_complete: true,
    };
    let attachment = stored.described(&id, status);
    state.attachments().insert(id.clone(), stored);
    state.add(key, item(agent, attachment)).ok_or(Refused::UnknownContact)?;
    Ok(id)
}

/// What came of a file's scan.
pub(crate) fn scanned(state: &mut State, attachment_id: &str, status: &str) -> Result<(), Refused> {
    let stored = state.attachments().get(attachment_id).cloned().ok_or(Refused::UnknownContact)?;
    let agent = state.chat(stored.key).and_then(|chat| chat.contact.agent.clone()).ok_or(Refused::NotConnected)?;
    let attachment = stored.described(attachment_id, status);
    state.add(stored.key, item(agent, attachment)).map(drop).ok_or(Refused::Ended)
}

/// A file's bytes, once they are stored.
pub(crate) fn bytes(state: &mut State, attachment_id: &str) -> Option<Bytes> {
    state.attachments().get(attachment_id)?.bytes.clone()
}

/// What S3 does.
pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new().route("/_attachments/{id}", get(download).put(upload))
}

fn is_signed(stored: &Stored, query: Option<&str>) -> bool {
    query == Some(&*format!("X-Amz-Signature={}", stored.signature))
}

fn denied() -> Response {
    (StatusCode::FORBIDDEN, "<Error><Code>SignatureDoesNotMatch</Code></Error>").into_response()
}

async fn download(Shared(service): Shared<Arc<Service>>, Path(id): Path<String>, request: Request) -> Response {
    let stored = service.state().attachments().get(&id).cloned();
    match stored {
        Some(Stored { bytes: Some(bytes), content_type, .. })
            if service
                .state()
                .attachments()
                .get(&id)
                .is_some_and(|stored| is_signed(stored, request.uri().query())) =>
        {
            ([(header::CONTENT_TYPE, content_type)], bytes).into_response()
        }
        _ => denied(),
    }
}

/// Takes what has exactly the headers that were signed.
fn fits(stored: &Stored, headers: &HeaderMap) -> bool {
    let has = |(name, value): (&&'static str, &String)| {
        let sent = headers.get(name.to_ascii_lowercase()).and_then(|sent| sent.to_str().ok());
        sent == Some(value)
    };
    let is_extra = |name: &str| {
        name.starts_with("x-amz-") && !stored.headers.keys().any(|signed| signed.eq_ignore_ascii_case(name))
    };
    stored.headers.iter().all(has) && !headers.keys().any(|name| is_extra(name.as_str()))
}

async fn upload(
    Shared(service): Shared<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    const OPERATION: Operation = Operation::UploadAttachment;
    let (parts, body) = request.into_parts();
    let fault = service.take_fault(OPERATION);
    let number = service.record().begin(call(Some(OPERATION), &parts, &[], &peer, fault.as_ref()));
    let stored = service.state().attachments().get(&id).cloned();
    let taken = stored.filter(|stored| is_signed(stored, parts.uri.query()) && fits(stored, &parts.headers));
    let Ok(body) = to_bytes(body, MOST_BYTES).await else {
        service.record().answered(number, 400, Some("IncompleteBody".to_owned()));
        return reset(&peer);
    };
    let keep = |body: Bytes| {
        if let Some(stored) = service.state().attachments().get_mut(&id) {
            stored.bytes = Some(body);
        }
    };
    if let Some(fault) = &fault {
        tokio::time::sleep(fault.wait()).await;
        if fault.takes_effect() && taken.is_some() {
            keep(body.clone());
        }
        match fault.effect() {
            Effect::Pass => (),
            Effect::Error(error) => {
                service.record().answered(number, error.status, Some(error.kind.clone()));
                return error.clone().into_response();
            }
            Effect::Hang => {
                service.stopped().await;
                return reset(&peer);
            }
            Effect::Reset => return reset(&peer),
        }
    }
    match taken {
        Some(stored) if u64::try_from(body.len()).is_ok_and(|length| length == stored.size) => {
            keep(body);
            service.record().answered(number, 200, None);
            StatusCode::OK.into_response()
        }
        _ => {
            service.record().answered(number, 403, Some("SignatureDoesNotMatch".to_owned()));
            denied()
        }
    }
}
