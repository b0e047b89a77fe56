//! What the other side of a chat does: the agent, the flow, and a test that breaks things. The library's methods and
//! the control API are both made of these. A chat is named by any contact id of its chain.

use uuid::Uuid;

use crate::{
    contact::{Contact, Participant, Role, Visibility},
    error::Refused,
    participant,
    state::{ChatKey, Draft, State},
};

/// Something that is said to the customer, or beside them.
#[derive(Clone, Debug)]
pub struct Line {
    /// Who says it. For `Agent` it is the chat's agent, who joins first where none has.
    pub role: Role,
    /// The name shown; `None`: the role's usual one.
    pub display_name: Option<String>,
    /// The content type. Any: Connect lets flows and agents send what customers may not.
    pub content_type: String,
    /// The text.
    pub content: String,
    /// Who may see it.
    pub visibility: Visibility,
}

fn find(state: &State, contact_id: &str) -> Result<ChatKey, Refused> {
    state.find(contact_id).ok_or(Refused::UnknownContact)
}

pub(crate) fn contact(state: &State, contact_id: &str) -> Option<Contact> {
    Some(state.chat(state.find(contact_id)?)?.contact.clone())
}

pub(crate) fn join(state: &mut State, contact_id: &str) -> Result<Participant, Refused> {
    state.join(find(state, contact_id)?)
}

pub(crate) fn say(state: &mut State, contact_id: &str, line: &Line) -> Result<String, Refused> {
    let key = find(state, contact_id)?;
    let mut participant = match line.role {
        Role::Agent => state.join(key)?,
        Role::Customer => state.chat(key).ok_or(Refused::UnknownContact)?.contact.customer(),
        role @ (Role::System | Role::CustomBot | Role::Supervisor) => Participant {
            id: Uuid::new_v4().to_string(),
            display_name: if role == Role::System { "SYSTEM_MESSAGE" } else { "BOT" }.to_owned(),
            role,
        },
    };
    let contact = &state.chat(key).ok_or(Refused::UnknownContact)?.contact;
    if contact.ended {
        return Err(Refused::Ended);
    }
    if !contact.connected {
        return Err(Refused::NotConnected);
    }
    if let Some(name) = &line.display_name {
        participant.display_name.clone_from(name);
    }
    let draft = Draft { visibility: line.visibility, ..Draft::message(participant, &line.content_type, &line.content) };
    Ok(state.add(key, draft).ok_or(Refused::UnknownContact)?.id)
}

pub(crate) fn agent_event(
    state: &mut State,
    contact_id: &str,
    content_type: &str,
    content: Option<&str>,
) -> Result<String, Refused> {
    let key = find(state, contact_id)?;
    let agent = state.join(key)?;
    let item = participant::add_event(state, key, agent, content_type, content.map(str::to_owned));
    Ok(item.ok_or(Refused::UnknownContact)?.id)
}

pub(crate) fn transfer(state: &mut State, contact_id: &str) -> Result<String, Refused> {
    state.transfer(find(state, contact_id)?)
}

pub(crate) fn end(state: &mut State, contact_id: &str) -> Result<(), Refused> {
    let key = find(state, contact_id)?;
    let contact = &state.chat(key).ok_or(Refused::UnknownContact)?.contact;
    if contact.ended {
        return Err(Refused::Ended);
    }
    let agent = contact.agent.clone();
    state.end(key, "AGENT_DISCONNECT", agent);
    Ok(())
}

pub(crate) fn expire_connection_tokens(state: &mut State, contact_id: &str) -> Result<(), Refused> {
    let key = find(state, contact_id)?;
    state.expire_connection_tokens(key);
    Ok(())
}

pub(crate) fn drop_websockets(state: &mut State, contact_id: &str) -> Result<(), Refused> {
    let key = find(state, contact_id)?;
    state.drop_websockets(key);
    Ok(())
}
