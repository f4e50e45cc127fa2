//! In-app: sealed to the person's key and kept until the page fetches it. Neither a provider nor whoever reads the database
//! can read it.

use std::time::Duration;

use otp_core::inapp::{self, Sealed};

use super::{Failure, HandedOver, Message, document};

/// Seals messages; cheap to clone.
#[derive(Debug, Clone, Copy)]
pub struct Inapp {
    /// `inapp.keep_seconds`: how long a message can be fetched after what it says is worth nothing any more.
    pub keep: Duration,
}

impl Inapp {
    /// Seals a message; whoever settles it keeps it in the same transaction.
    ///
    /// # Errors
    /// [`Failure::Impossible`]
    pub fn seal(&self, message: &Message) -> Result<HandedOver, Failure> {
        Ok(HandedOver::Keep(seal(message)?))
    }
}

fn seal(message: &Message) -> Result<Sealed, Failure> {
    inapp::seal(&message.address, &message.id, message.contact_id, document::write(message)?)
        .map_err(|_| Failure::Impossible("the contact is no X25519 public key"))
}
