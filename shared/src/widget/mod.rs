//! Web widgets and apps: what they send, what they may ask for, and what they read back.

mod attributes;
pub mod connect_shape;
pub mod cors;
mod field;
mod identity;
pub mod request;
pub mod response;
pub mod signed;
pub mod token;
