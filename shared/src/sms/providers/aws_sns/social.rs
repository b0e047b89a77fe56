//! WhatsApp by AWS End User Messaging Social.

use serde_json::Value;

use super::Credentials;
use crate::{
    error::Result,
    sms::send::{ApiCall, AwsSocial, Outbound, misconfigured},
};

impl Credentials {
    /// `arn:aws:social-messaging:us-east-1:123456789012:phone-number-id/976c72a7`
    pub(super) fn region_of(&self, phone_number_id: &str) -> Option<String> {
        let named = phone_number_id.split(':').nth(3).filter(|region| !region.is_empty());
        named.or_else(|| self.region()).map(str::to_owned)
    }

    /// The request that sends this message by WhatsApp.
    pub(super) fn whatsapp(&self, outbound: &Outbound<'_>, message: &Value) -> Result<ApiCall> {
        let number = number_id(outbound)?;
        Ok(ApiCall::AwsSocial(AwsSocial {
            region: self.region_of(number),
            phone_number_id: number.to_owned(),
            message: message.to_string(),
        }))
    }
}

/// The ARN of our number.
pub(super) fn number_id<'a>(outbound: &Outbound<'a>) -> Result<&'a str> {
    outbound.from_id.ok_or_else(|| misconfigured("the number's id at AWS is not known"))
}
