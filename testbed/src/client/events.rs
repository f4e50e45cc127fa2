//! Server-sent events of one request.

use reqwest::Response;
use serde::Deserialize;

use super::CallError;

/// An open stream.
pub struct Events {
    answer: Response,
    buffer: Vec<u8>,
}

/// A change of status.
#[derive(Debug, Clone)]
pub struct Event {
    /// To resume after.
    pub id: Option<String>,
    /// The new status.
    pub status: String,
}

#[derive(Deserialize)]
struct Data {
    status: String,
}

impl Events {
    pub(super) const fn new(answer: Response) -> Self {
        Self { answer, buffer: Vec::new() }
    }

    /// The next change; `None` when the stream ended.
    ///
    /// # Errors
    /// When the stream breaks or carries something else.
    pub async fn next(&mut self) -> Result<Option<Event>, CallError> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&block))? {
                    return Ok(Some(event));
                }
            }
            match self.answer.chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// A block of lines; `None` where it is a comment that keeps the connection alive.
fn parse(block: &str) -> Result<Option<Event>, CallError> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let Some(data) = field("data") else { return Ok(None) };
    let data: Data =
        serde_json::from_str(data).map_err(|_| CallError::Unexpected("an event's data has no status".to_owned()))?;
    Ok(Some(Event { id: field("id").map(str::to_owned), status: data.status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_passed_over_and_changes_are_read() {
        assert!(parse(": alive\n\n").unwrap().is_none());
        let event = parse("id: 3\nevent: status\ndata: {\"status\":\"issued\"}\n\n").unwrap().unwrap();
        assert_eq!((event.id.as_deref(), event.status.as_str()), (Some("3"), "issued"));
        assert!(parse("data: nonsense\n\n").is_err());
    }
}
