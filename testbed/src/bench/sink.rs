//! A mail server that keeps nothing but digits: RFC 5321 as far as a submission needs it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::heads::now_ms;

/// A running sink; dropped, it ends.
pub(super) struct Sink {
    pub(super) port: u16,
    kept: Arc<Kept>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    /// By the code's reference, or by the address where the message has none: the digits, and when they were taken first,
    /// in Unix milliseconds.
    digits: Mutex<HashMap<String, (String, f64)>>,
}

impl Sink {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let kept = Arc::new(Kept::default());
        let shared = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&shared);
                // A client that breaks off loses its own connection and nothing else.
                tokio::spawn(async move { converse(stream, &kept).await });
            }
        });
        Ok(Self { port, kept, task })
    }

    /// The digits in the last message with this reference, or to this address where it had none.
    pub(super) fn digits(&self, of: &str) -> Option<String> {
        self.kept.digits.lock().unwrap_or_else(PoisonError::into_inner).get(of).map(|(digits, _)| digits.clone())
    }

    /// When the first of these was taken, in Unix milliseconds.
    pub(super) fn taken_ms(&self, of: &str) -> Option<f64> {
        self.kept.digits.lock().unwrap_or_else(PoisonError::into_inner).get(of).map(|(_, at_ms)| *at_ms)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kept {
    fn take(&self, to: String, message: &str) {
        if let Some((reference, digits)) = read(message) {
            let of = reference.map_or(to, str::to_owned);
            let mut kept = self.digits.lock().unwrap_or_else(PoisonError::into_inner);
            let first_ms = kept.get(&of).map_or_else(now_ms, |(_, at_ms)| *at_ms);
            kept.insert(of, (digits.to_owned(), first_ms));
        }
    }
}

/// The reference, where there is one, and the first run of six digits that stands alone in the plain-text part.
fn read(message: &str) -> Option<(Option<&str>, &str)> {
    let (_, plain) = message.split_once("text/plain")?;
    let (_, body) = plain.split_once("\r\n\r\n")?;
    let mut runs = body.split(|c: char| !c.is_ascii_alphanumeric());
    let digits = runs.find(|run| run.len() == 6 && run.bytes().all(|b| b.is_ascii_digit()))?;
    let reference = body.split_once("Reference: ").and_then(|(_, rest)| rest.get(..6));
    Some((reference, digits))
}

async fn converse(stream: TcpStream, kept: &Kept) -> Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 sink\r\n").await?;
    let (mut line, mut to) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
            "RCPT" => {
                to = address(&line).context("RCPT without an address")?.to_owned();
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let message = message(&mut stream).await?;
                kept.take(std::mem::take(&mut to), &message);
                b"250 ok\r\n"
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}

fn address(line: &str) -> Option<&str> {
    Some(line.split_once('<')?.1.split_once('>')?.0)
}

async fn message(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        if stream.read_line(&mut text).await? == 0 || &text[start..] == ".\r\n" {
            return Ok(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_the_plain_part_alone() {
        let mail = "Message-ID: <123456@x>\r\nContent-Type: text/plain\r\n\r\nReference: ABCDEF.\r\n042137\r\n--x\r\n";
        assert_eq!(read(mail), Some((Some("ABCDEF"), "042137")));
        assert_eq!(read("Content-Type: text/plain\r\n\r\nConfirm: 042137.\r\n"), Some((None, "042137")));
        assert_eq!(read("Subject: 123456\r\n\r\nno part"), None);
    }
}
