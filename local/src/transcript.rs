//! GetTranscript's paging.

use crate::{
    contact::Item,
    state::{Chat, Direction, Page, opaque_token},
    validate::{Valid, bad_parameter},
};

/// Items of a page where `MaxResults` is absent (GetTranscript API reference).
const DEFAULT_PAGE: usize = 10;

/// Where to begin.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// With this item.
    Id(String),
    /// With the first item at or after this time, or the last at or before it, by direction.
    Time(String),
    /// With the n-th item from the end.
    MostRecent(usize),
}

/// A GetTranscript request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) max_results: Option<usize>,
    pub(crate) next_token: Option<String>,
    pub(crate) direction: Option<Direction>,
    pub(crate) ascending: bool,
    pub(crate) start: Option<Start>,
}

/// A page of what the customer may see, and the token of the next one.
pub(crate) fn read(chat: &mut Chat, query: &Query) -> Valid<(Vec<Item>, Option<String>)> {
    let items: Vec<_> = chat.contact.transcript.iter().filter(|item| item.customer_sees()).collect();
    let Page { direction, edge } = match &query.next_token {
        Some(token) => match chat.pages.get(token) {
            Some(page) => *page,
            None => return bad_parameter("NextToken is not a token of this chat"),
        },
        None => first_page(&items, query)?,
    };
    let size = query.max_results.filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE);
    let (begin, end) = match direction {
        Direction::Forward => (edge, edge.saturating_add(size).min(items.len())),
        Direction::Backward => (edge.saturating_sub(size), edge),
    };
    let mut page: Vec<_> = items.get(begin..end).unwrap_or_default().iter().map(|item| (*item).clone()).collect();
    if !query.ascending {
        page.reverse();
    }
    let next = match direction {
        Direction::Forward if end < items.len() => Some(end),
        Direction::Backward if begin > 0 => Some(begin),
        Direction::Forward | Direction::Backward => None,
    };
    let token = next.map(|edge| {
        let token = opaque_token();
        chat.pages.insert(token.clone(), Page { direction, edge });
        token
    });
    Ok((page, token))
}

/// "Default: BACKWARD when no StartPosition is provided, FORWARD with StartPosition." The item at the position belongs
/// to the page.
fn first_page(items: &[&Item], query: &Query) -> Valid<Page> {
    let default = if query.start.is_some() { Direction::Forward } else { Direction::Backward };
    let direction = query.direction.unwrap_or(default);
    let backward = direction == Direction::Backward;
    let edge = match &query.start {
        None if backward => items.len(),
        None => 0,
        Some(Start::Id(id)) => match items.iter().position(|item| item.id == *id) {
            Some(index) => index + usize::from(backward),
            None => return bad_parameter("StartPosition.Id is not an item of this chat"),
        },
        // Times of one format in one zone sort as text.
        Some(Start::Time(time)) if backward => items.partition_point(|item| item.absolute_time <= *time),
        Some(Start::Time(time)) => items.partition_point(|item| item.absolute_time < *time),
        Some(Start::MostRecent(count)) => items.len().saturating_sub(*count) + usize::from(backward && *count > 0),
    };
    Ok(Page { direction, edge: edge.min(items.len()) })
}
