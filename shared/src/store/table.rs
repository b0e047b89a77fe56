//! A table of small items with one key: Amazon DynamoDB, or this process's memory where no table is set.
//!
//! Its contract is the template's: a string key `pk`, the time-to-live attribute `expires_at` (Unix seconds), no index.
//! DynamoDB deletes "typically within two days of expiration" ("Using time to live (TTL) in DynamoDB"), so an item past
//! its time is taken for absent here.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    aws::failure::Failure,
    deadline::{Deadline, now},
    error::{Error, Kind, Result},
    retry,
};

const KEY: &str = "pk";
const EXPIRES_AT: &str = "expires_at";

/// Memory is swept when it holds this many items.
const SWEEP_AT: usize = 10_000;

/// An item without its key. Not `Debug`: tokens are in it.
#[derive(Clone, Default)]
pub(super) struct Item(BTreeMap<Cow<'static, str>, Value>);

#[derive(Clone, PartialEq)]
enum Value {
    Text(String),
    Number(i64),
}

impl Item {
    /// Sets a text.
    pub(super) fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.insert(Cow::Borrowed(name), Value::Text(value.into()));
        self
    }

    /// Sets a text, if there is one.
    pub(super) fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Sets a number.
    pub(super) fn number(mut self, name: &'static str, value: i64) -> Self {
        self.0.insert(Cow::Borrowed(name), Value::Number(value));
        self
    }

    /// Sets when it is over, in Unix seconds.
    pub(super) fn until(self, second: i64) -> Self {
        self.number(EXPIRES_AT, second)
    }

    /// A text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) => Some(text),
            Value::Number(_) => None,
        }
    }

    /// A number.
    pub(super) fn get_number(&self, name: &str) -> Option<i64> {
        match self.0.get(name)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) => None,
        }
    }

    /// When it is over, in Unix seconds.
    pub(super) fn get_until(&self) -> Option<i64> {
        self.get_number(EXPIRES_AT)
    }

    fn is_over(&self) -> bool {
        self.get_until().is_some_and(|second| second <= now())
    }
}

/// On what a write depends.
#[derive(Clone, PartialEq)]
pub(super) enum Condition {
    /// On nothing.
    None,
    /// No such item, or one past its time.
    Free,
    /// The item has this text.
    Text(&'static str, String),
    /// The item has this number.
    Number(&'static str, i64),
    /// No such item, or it has at least this number. Its time does not count.
    AtLeast(&'static str, i64),
}

/// One write.
#[derive(Clone)]
pub(super) struct Write {
    key: String,
    change: Change,
    condition: Condition,
}

#[derive(Clone)]
enum Change {
    Put(Item),
    Delete,
    /// Only the condition counts.
    Nothing,
}

impl Write {
    pub(super) fn put(key: impl Into<String>, item: Item) -> Self {
        Self { key: key.into(), change: Change::Put(item), condition: Condition::None }
    }

    pub(super) fn delete(key: impl Into<String>) -> Self {
        Self { key: key.into(), change: Change::Delete, condition: Condition::None }
    }

    /// Changes nothing, but the others are only written where the condition holds.
    pub(super) fn check(key: impl Into<String>, condition: Condition) -> Self {
        Self { key: key.into(), change: Change::Nothing, condition }
    }

    /// Only where the condition holds.
    pub(super) fn only_if(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }
}

/// The table.
pub(super) enum Table {
    Dynamo { client: Client, name: String },
    Memory(Mutex<HashMap<String, Item>>),
}

impl Table {
    pub(super) fn dynamo(config: &SdkConfig, name: impl Into<String>) -> Self {
        Self::Dynamo { client: Client::new(config), name: name.into() }
    }

    pub(super) fn memory() -> Self {
        Self::Memory(Mutex::default())
    }

    /// Reads items, in the order of their keys, all as they are now: one call.
    pub(super) async fn read(&self, keys: &[String], deadline: Deadline) -> Result<Vec<Option<Item>>> {
        let mut found = match self {
            Self::Memory(items) => {
                let items = lock(items);
                keys.iter().filter_map(|key| Some((key.clone(), items.get(key)?.clone()))).collect()
            }
            Self::Dynamo { client, name } => {
                let keys = keys.iter().map(|key| HashMap::from([(KEY.to_owned(), AttributeValue::S(key.clone()))]));
                let asked = KeysAndAttributes::builder()
                    .set_keys(Some(keys.collect()))
                    .consistent_read(true)
                    .build()
                    .map_err(Error::internal)?;
                let request = client.batch_get_item().request_items(name, asked);
                retry(deadline, async || {
                    let output =
                        Box::pin(request.clone().send()).await.map_err(|error| refused("BatchGetItem", &error))?;
                    if output.unprocessed_keys.is_some_and(|keys| !keys.is_empty()) {
                        return Err(failed("BatchGetItem left keys out"));
                    }
                    let items = output.responses.and_then(|mut tables| tables.remove(name)).unwrap_or_default();
                    Ok(items.into_iter().filter_map(from_dynamo).collect::<HashMap<_, _>>())
                })
                .await?
            }
        };
        Ok(keys.iter().map(|key| found.remove(key).filter(|item| !item.is_over())).collect())
    }

    /// Writes all or nothing: one call. `false`: a condition did not hold, which may also be this call's own doing, where
    /// an earlier try took effect and its answer was lost.
    pub(super) async fn write(&self, writes: &[Write], deadline: Deadline) -> Result<bool> {
        match self {
            Self::Memory(items) => Ok(write_memory(&mut lock(items), writes)),
            Self::Dynamo { client, name } => {
                retry(deadline, async || match writes {
                    [Write { key, change: Change::Put(item), condition }] => {
                        let mut request = client.put_item().table_name(name).set_item(Some(to_dynamo(key, item)));
                        if let Some((expression, names, values)) = expression(condition) {
                            request = request
                                .condition_expression(expression)
                                .set_expression_attribute_names(Some(names))
                                .set_expression_attribute_values(Some(values));
                        }
                        match Box::pin(request.send()).await {
                            Ok(_) => Ok(true),
                            Err(SdkError::ServiceError(error))
                                if error.err().is_conditional_check_failed_exception() =>
                            {
                                Ok(false)
                            }
                            Err(error) => Err(refused("PutItem", &error)),
                        }
                    }
                    _ => {
                        let items = writes.iter().map(|write| transact(name, write)).collect::<Result<Vec<_>>>()?;
                        let request = client.transact_write_items().set_transact_items(Some(items));
                        match Box::pin(request.send()).await {
                            Ok(_) => Ok(true),
                            Err(error) if is_condition(&error) => Ok(false),
                            Err(error) if is_invalid(&error) => {
                                Err(rejected(Failure::of("TransactWriteItems", &error)))
                            }
                            Err(error) => Err(refused("TransactWriteItems", &error)),
                        }
                    }
                })
                .await
            }
        }
    }
}

fn lock(items: &Mutex<HashMap<String, Item>>) -> MutexGuard<'_, HashMap<String, Item>> {
    items.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write_memory(items: &mut HashMap<String, Item>, writes: &[Write]) -> bool {
    let holds = |write: &Write| {
        let known = items.get(&write.key);
        match &write.condition {
            Condition::None => true,
            Condition::Free => known.is_none_or(Item::is_over),
            Condition::Text(name, text) => known.is_some_and(|item| item.get(name) == Some(text)),
            Condition::Number(name, number) => known.is_some_and(|item| item.get_number(name) == Some(*number)),
            Condition::AtLeast(name, number) => {
                known.is_none_or(|item| item.get_number(name).is_some_and(|known| known >= *number))
            }
        }
    };
    if !writes.iter().all(holds) {
        return false;
    }
    if items.len() >= SWEEP_AT {
        items.retain(|_, item| !item.is_over());
    }
    for write in writes {
        match &write.change {
            Change::Put(item) => drop(items.insert(write.key.clone(), item.clone())),
            Change::Delete => drop(items.remove(&write.key)),
            Change::Nothing => (),
        }
    }
    true
}

fn transact(table: &str, write: &Write) -> Result<TransactWriteItem> {
    let (condition, names, values) = match expression(&write.condition) {
        Some((expression, names, values)) => (Some(expression), Some(names), Some(values)),
        None => (None, None, None),
    };
    let item = TransactWriteItem::builder();
    let key = AttributeValue::S(write.key.clone());
    // Three types of the SDK with the same methods.
    macro_rules! conditioned {
        ($builder:expr) => {
            $builder
                .table_name(table)
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values)
                .build()
                .map_err(Error::internal)?
        };
    }
    Ok(match &write.change {
        Change::Put(content) => item.put(conditioned!(Put::builder().set_item(Some(to_dynamo(&write.key, content))))),
        Change::Delete => item.delete(conditioned!(Delete::builder().key(KEY, key))),
        Change::Nothing => item.condition_check(conditioned!(ConditionCheck::builder().key(KEY, key))),
    }
    .build())
}

type Expression = (String, HashMap<String, String>, HashMap<String, AttributeValue>);

fn expression(condition: &Condition) -> Option<Expression> {
    const FREE: &str = "attribute_not_exists(pk) OR #e <= :e";
    const AT_LEAST: &str = "attribute_not_exists(pk) OR #n >= :v";
    let (expression, name, value) = match condition {
        Condition::None => return None,
        Condition::Free => (FREE.to_owned(), None, None),
        Condition::Text(name, text) => ("#n = :v".to_owned(), Some(*name), Some(AttributeValue::S(text.clone()))),
        Condition::AtLeast(name, number) => {
            (AT_LEAST.to_owned(), Some(*name), Some(AttributeValue::N(number.to_string())))
        }
        Condition::Number(name, number) => {
            ("#n = :v".to_owned(), Some(*name), Some(AttributeValue::N(number.to_string())))
        }
    };
    let mut names: HashMap<_, _> = name.map(|name| ("#n".to_owned(), name.to_owned())).into_iter().collect();
    let mut values: HashMap<_, _> = value.map(|value| (":v".to_owned(), value)).into_iter().collect();
    if expression.contains("#e") {
        names.insert("#e".to_owned(), EXPIRES_AT.to_owned());
        values.insert(":e".to_owned(), AttributeValue::N(now().to_string()));
    }
    Some((expression, names, values))
}

fn to_dynamo(key: &str, item: &Item) -> HashMap<String, AttributeValue> {
    let fields = item.0.iter().map(|(name, value)| {
        let value = match value {
            Value::Text(text) => AttributeValue::S(text.clone()),
            Value::Number(number) => AttributeValue::N(number.to_string()),
        };
        (name.to_string(), value)
    });
    fields.chain([(KEY.to_owned(), AttributeValue::S(key.to_owned()))]).collect()
}

fn from_dynamo(mut attributes: HashMap<String, AttributeValue>) -> Option<(String, Item)> {
    let AttributeValue::S(key) = attributes.remove(KEY)? else { return None };
    let mut item = Item::default();
    for (name, value) in attributes {
        let value = match value {
            AttributeValue::S(text) => Value::Text(text),
            AttributeValue::N(number) => match number.parse() {
                Ok(number) => Value::Number(number),
                Err(_) => continue,
            },
            _ => continue,
        };
        item.0.insert(Cow::Owned(name), value);
    }
    Some((key, item))
}

/// Whether the transaction was cancelled for a condition, and not for another transaction that was under way.
fn is_condition(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> bool {
    let SdkError::ServiceError(error) = error else { return false };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.err() else { return false };
    cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
}

/// Whether the transaction was cancelled for what one of its items holds.
fn is_invalid(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> bool {
    let SdkError::ServiceError(error) = error else { return false };
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error.err() else { return false };
    let permanent = ["ValidationError", "ItemCollectionSizeLimitExceeded"];
    cancelled.cancellation_reasons().iter().any(|reason| reason.code().is_some_and(|code| permanent.contains(&code)))
}

/// A call that DynamoDB refuses as invalid will be refused again; any other failure may pass.
fn refused<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = Failure::of(operation, error);
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some("ValidationException" | "ItemCollectionSizeLimitExceededException") => rejected(failure),
        _ => failed(failure),
    }
}

fn rejected(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::StoreRejected, "The table refuses what was to be recorded").caused_by(cause)
}

/// Whatever else the table answers, it is for its owner or for AWS to mend, and the message waits meanwhile.
fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::StoreUnavailable, "Conversations can't be read or written now; try again").caused_by(cause)
}

/// As [`retry::until`], which speaks of Connect where time runs out.
async fn retry<T>(deadline: Deadline, attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    retry::until(deadline, attempt).await.map_err(|error| match error.kind() {
        Kind::Timeout | Kind::ConnectUnavailable => failed("the table did not answer in time"),
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn text(table: &Table, key: &str) -> Option<String> {
        let read = table.read(&[key.to_owned()], Deadline::after(Duration::from_secs(1))).await.unwrap();
        read[0].as_ref().map(|item| item.get("by").unwrap_or_default().to_owned())
    }

    /// The same against DynamoDB's API is a story: `tests/stories/conversations.rs`.
    #[tokio::test]
    async fn conditions_in_memory() {
        let table = Table::memory();
        let deadline = Deadline::after(Duration::from_secs(1));
        let item = |by: &str, seconds: i64| Item::default().text("by", by).until(now() + seconds);
        let free = |by: &str, seconds| Write::put("k", item(by, seconds)).only_if(Condition::Free);
        assert!(table.write(&[free("a", 100)], deadline).await.unwrap());
        assert!(!table.write(&[free("b", 100)], deadline).await.unwrap(), "taken");
        assert_eq!(text(&table, "k").await.as_deref(), Some("a"));
        let mine = Write::delete("k").only_if(Condition::Text("by", "b".to_owned()));
        let other = Write::put("other", item("x", 100));
        assert!(!table.write(&[other, mine], deadline).await.unwrap(), "all or nothing");
        assert_eq!(text(&table, "other").await, None);
        assert!(table.write(&[Write::put("k", item("c", 0))], deadline).await.unwrap());
        assert_eq!(text(&table, "k").await, None, "past its time");
        assert!(table.write(&[free("d", 100)], deadline).await.unwrap());
        assert_eq!(text(&table, "k").await.as_deref(), Some("d"));
    }
}
