//! Messages: what they say ([`letter`]), what of a requester's text they may show ([`plain`]), their link ([`link`]),
//! their MIME form ([`mime`]) and its signature ([`dkim`]), the way to the SMTP server ([`smtp`]) and what comes back from it
//! ([`bounce`]).

pub mod bounce;
pub mod dkim;
pub mod letter;
pub mod link;
pub mod mime;
pub mod plain;
pub mod smtp;
