//! Who the customer is, and which past contacts are theirs: fields that need a signed claim.

use std::collections::BTreeMap;

use crate::{
    chat::{
        self, CONTACT_ID_CHARS, CUSTOMER_ID_CHARS, Persistent, SEGMENT_NAME_CHARS, SEGMENT_VALUE_CHARS, SegmentValue,
    },
    error::{Error, Kind, Result},
    json::Json,
    widget::field::{Field, Object},
};

/// What the fields of the body are called.
const FIELDS: [&str; 4] = ["CustomerId", "SegmentAttributes", "PersistentChat", "RelatedContactId"];

/// The members of `PersistentChat`.
const PERSISTENT: [&str; 2] = ["RehydrationType", "SourceContactId"];

/// The fields that say who the customer is.
pub(super) struct Identity {
    pub(super) segment_attributes: BTreeMap<String, SegmentValue>,
    pub(super) related_contact_id: Option<String>,
    pub(super) customer_id: Option<String>,
    pub(super) persistent: Option<Persistent>,
}

impl Identity {
    /// Of the claims alone, where there are some; else of the body, where the owner trusts it.
    pub(super) fn read(root: &Object<'_>, claims: Option<&Object<'_>>, trusts_body: bool) -> Result<Self> {
        match claims {
            Some(claims) => {
                refuse_in_body(root, "is taken from the signed token only")?;
                Self::of_claims(claims)
            }
            None => {
                if !trusts_body {
                    refuse_in_body(root, "is taken from a signed token only")?;
                }
                Self::of_body(root)
            }
        }
    }

    fn of_body(root: &Object<'_>) -> Result<Self> {
        let identity = Self {
            segment_attributes: segment_attributes(root, "SegmentAttributes")?,
            related_contact_id: root.text("RelatedContactId", CONTACT_ID_CHARS)?,
            customer_id: root.text("CustomerId", CUSTOMER_ID_CHARS)?,
            persistent: persistent(root, "PersistentChat", PERSISTENT)?,
        };
        identity.checked()
    }

    fn of_claims(claims: &Object<'_>) -> Result<Self> {
        let members = match claims.object("persistentChat")? {
            Some(object) if object.field("RehydrationType").is_some() => PERSISTENT,
            _ => ["rehydrationType", "sourceContactId"],
        };
        let identity = Self {
            segment_attributes: segment_attributes(claims, "segmentAttributes")?,
            related_contact_id: claims.text("relatedContactId", CONTACT_ID_CHARS)?,
            customer_id: claims.text("customerId", CUSTOMER_ID_CHARS)?,
            persistent: persistent(claims, "persistentChat", members)?,
        };
        identity.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.persistent.is_some() && self.related_contact_id.is_some() {
            return Err(Error::invalid("RelatedContactId", "can't be given together with PersistentChat"));
        }
        Ok(self)
    }
}

/// What says nothing is forgiven, as it is elsewhere: clients send what they have no value for.
fn refuse_in_body(root: &Object<'_>, rule: &str) -> Result<()> {
    for name in FIELDS {
        let Some(field) = root.field(name) else { continue };
        let says_something = match field.value {
            Json::Null => false,
            Json::Text(text) => !text.is_empty(),
            Json::Object(_) if name == "PersistentChat" => persistent(root, name, PERSISTENT)?.is_some(),
            Json::Object(_) => !field.object()?.is_empty(),
            Json::Bool(_) | Json::Number(_) | Json::List(_) => true,
        };
        if says_something {
            return Err(Error::new(Kind::FieldNotAllowed, format!("{name} {rule}")).at(name));
        }
    }
    Ok(())
}

/// A past chat to go on from. Clients send the object with empty or missing members when there is none.
fn persistent(root: &Object<'_>, name: &str, [kind, source]: [&str; 2]) -> Result<Option<Persistent>> {
    let Some(object) = root.object(name)? else { return Ok(None) };
    let present = |name| -> Result<Option<String>> {
        Ok(object.text(name, 0..=*CONTACT_ID_CHARS.end())?.filter(|text| !text.is_empty()))
    };
    let (Some(_), Some(source_contact_id)) = (present(kind)?, present(source)?) else {
        return Ok(None);
    };
    let rehydration_type = object.word(kind, &chat::REHYDRATION_TYPES)?.unwrap_or_default();
    Ok(Some(Persistent { rehydration_type, source_contact_id }))
}

fn segment_attributes(root: &Object<'_>, name: &str) -> Result<BTreeMap<String, SegmentValue>> {
    root.object(name)?.map_or_else(|| Ok(BTreeMap::new()), |object| segment_map(&object))
}

fn segment_map(object: &Object<'_>) -> Result<BTreeMap<String, SegmentValue>> {
    let mut segments = BTreeMap::new();
    for (name, field) in object.fields() {
        field.length(name.chars().count(), SEGMENT_NAME_CHARS)?;
        field.no_nul(name)?;
        if !field.value.is_null() {
            segments.insert(name.to_owned(), segment_value(&field)?);
        }
    }
    Ok(segments)
}

fn segment_value(field: &Field<'_>) -> Result<SegmentValue> {
    let object = field.object()?;
    let known = ["ValueString", "ValueMap", "ValueInteger", "ValueList", "ValueArn"];
    let mut set = known.into_iter().filter_map(|name| Some((name, object.field(name)?)));
    let (Some((name, member)), None) = (set.next(), set.next()) else {
        let rule = "must hold exactly one of ValueString, ValueMap, ValueInteger, ValueList and ValueArn";
        return Err(field.invalid(rule));
    };
    Ok(match name {
        "ValueMap" => SegmentValue::Map(segment_map(&member.object()?)?),
        "ValueList" => SegmentValue::List(member.items()?.iter().map(segment_value).collect::<Result<_>>()?),
        "ValueInteger" => SegmentValue::Integer(member.integer()?),
        "ValueArn" => SegmentValue::Arn(member.string()?.to_owned()),
        _ => {
            let text = member.string()?;
            member.length(text.chars().count(), 0..=SEGMENT_VALUE_CHARS)?;
            SegmentValue::String(text.to_owned())
        }
    })
}
