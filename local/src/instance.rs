//! What exists at Connect, and the operations that only read it. `make doctor` asks them; the bridge never does, so no fault
//! plan and no record concerns them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State as Shared},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{config::Config, error::ApiError, server::with_common_headers, service::Service};

/// The instance, and what belongs to it. `POST /_local/instance` takes these fields as JSON; what it leaves out is as it
/// was at the start.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// The instances that exist; empty: all do. Others answer ResourceNotFoundException.
    pub ids: Vec<String>,
    /// `ACTIVE`, `CREATION_IN_PROGRESS` or `CREATION_FAILED`.
    pub status: String,
    /// The flows that exist; empty: all do.
    pub flow_ids: Vec<String>,
    /// The flows that are not active, published flows for contacts.
    pub flows: BTreeMap<String, Flow>,
    /// The resource types that have a place for their data: without one for `CHAT_TRANSCRIPTS` there is no chat.
    pub storage: Vec<String>,
    /// The SNS topics that exist; empty: all do.
    pub topic_arns: Vec<String>,
}

/// A flow, by the words of DescribeContactFlow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flow {
    /// `ACTIVE` or `ARCHIVED`.
    pub state: String,
    /// `PUBLISHED` or `SAVED`.
    pub status: String,
    /// `CONTACT_FLOW`, `CUSTOMER_QUEUE` …
    #[serde(rename = "type")]
    pub kind: String,
}

impl Default for Instance {
    fn default() -> Self {
        Self {
            ids: Vec::new(),
            status: "ACTIVE".to_owned(),
            flow_ids: Vec::new(),
            flows: BTreeMap::new(),
            storage: ["CHAT_TRANSCRIPTS", "ATTACHMENTS"].map(str::to_owned).into(),
            topic_arns: Vec::new(),
        }
    }
}

impl Default for Flow {
    fn default() -> Self {
        Self { state: "ACTIVE".to_owned(), status: "PUBLISHED".to_owned(), kind: "CONTACT_FLOW".to_owned() }
    }
}

impl Instance {
    /// ResourceNotFoundException where the instance does not exist.
    pub(crate) fn check(&self, id: Option<&str>) -> Result<(), ApiError> {
        check_known(&self.ids, id, "instance")
    }

    /// ResourceNotFoundException where the flow does not exist.
    pub(crate) fn check_flow(&self, id: Option<&str>) -> Result<(), ApiError> {
        check_known(&self.flow_ids, id, "flow")
    }

    /// Whether an SNS topic exists.
    pub(crate) fn has_topic(&self, arn: &str) -> bool {
        self.topic_arns.is_empty() || self.topic_arns.iter().any(|known| known == arn)
    }
}

fn check_known(known: &[String], id: Option<&str>, what: &str) -> Result<(), ApiError> {
    let found = known.is_empty() || known.iter().any(|known| id.is_some_and(|id| bare(id) == bare(known)));
    if found { Ok(()) } else { Err(ApiError::not_found(format!("The {what} does not exist"))) }
}

/// An id, or the last part of an ARN: Connect takes both.
pub(crate) fn bare(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// Paths: `http` traits of the Connect service model.
pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/instance/{id}", get(describe_instance))
        .route("/instance/{id}/storage-configs", get(list_instance_storage_configs))
        .route("/contact-flows/{id}/{flow}", get(describe_contact_flow))
}

fn answer(answer: Result<Value, ApiError>) -> Response {
    with_common_headers(answer.map(Json).into_response())
}

fn arn(config: &Config, id: &str) -> String {
    format!("arn:aws:connect:us-east-1:{}:instance/{}", config.account_id, bare(id))
}

async fn describe_instance(Shared(service): Shared<Arc<Service>>, Path(id): Path<String>) -> Response {
    let state = service.state();
    let config = state.config();
    answer(config.instance.check(Some(&id)).map(|()| {
        json!({ "Instance": {
            "Id": bare(&id), "Arn": arn(config, &id), "IdentityManagementType": "CONNECT_MANAGED", "InstanceAlias": "local",
            "InstanceStatus": config.instance.status, "InboundCallsEnabled": true, "OutboundCallsEnabled": true,
        } })
    }))
}

async fn describe_contact_flow(
    Shared(service): Shared<Arc<Service>>,
    Path((id, flow)): Path<(String, String)>,
) -> Response {
    let state = service.state();
    let config = state.config();
    let instance = &config.instance;
    answer(instance.check(Some(&id)).and_then(|()| instance.check_flow(Some(&flow))).map(|()| {
        let Flow { state, status, kind } = instance.flows.get(bare(&flow)).cloned().unwrap_or_default();
        json!({ "ContactFlow": {
            "Id": bare(&flow), "Arn": format!("{}/contact-flow/{}", arn(config, &id), bare(&flow)), "Name": "Local",
            "Type": kind, "State": state, "Status": status,
        } })
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    resource_type: String,
}

async fn list_instance_storage_configs(
    Shared(service): Shared<Arc<Service>>,
    Path(id): Path<String>,
    Query(listed): Query<Listed>,
) -> Response {
    let state = service.state();
    let instance = &state.config().instance;
    answer(instance.check(Some(&id)).map(|()| {
        let is_set = instance.storage.contains(&listed.resource_type);
        let configs = is_set.then(|| json!({ "AssociationId": listed.resource_type, "StorageType": "S3" }));
        json!({ "StorageConfigs": configs.as_slice() })
    }))
}
