//! Messages: what they say ([`letter`]), what of a requester's text they may show ([`plain`]), their link ([`link`]),
//! their MIME form ([`mime`]) and the way to the SMTP server ([`smtp`]).

pub mod letter;
pub mod link;
pub mod mime;
pub mod plain;
pub mod smtp;
