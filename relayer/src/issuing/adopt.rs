//! Calls of senders that no process holds: after the issuer key was changed, or while another relayer is down. What they
//! signed is followed to its end, so that whoever waits for it is told, or waits for a number of this issuer's.

use super::{Head, Issuer, IssuingError, sender::Sender};

impl Issuer {
    /// Looks at every orphaned sender's calls once. Their keys are held for no longer than that: a process that comes
    /// back waits for nothing.
    pub(super) async fn follow_orphans(&self, head: Head) -> Result<(), IssuingError> {
        for address in self.parts.store.senders_with_open_calls().await? {
            if address == self.sender.lease.sender {
                continue;
            }
            if let Some(mut orphan) = Sender::adopt(self.sender.ground.clone(), address).await? {
                let in_flight = orphan.follow(head).await?.in_flight;
                tracing::debug!(sender = %address, in_flight, "followed what a sender left that no process holds");
            }
        }
        Ok(())
    }
}
