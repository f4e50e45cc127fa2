//! A mail server that fails on demand: RFC 5321 as far as a submission needs it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::ports;

/// How a message fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpFault {
    /// The connection ends before the message.
    Refuse,
    /// 451 to the recipient, as greylisting answers.
    Greylist,
    /// 550 to the recipient.
    Reject,
    /// The connection ends in the midst of the message, which is not taken.
    Break,
    /// The message is taken, and no answer comes until the client goes away.
    Hang,
    /// The message is taken, and the connection ends before the answer.
    LoseAnswer,
    /// The message is taken, and the answer comes this much later.
    Late(Duration),
}

/// A message that was taken, told so or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Without angle brackets; empty where it has none.
    pub message_id: String,
    /// The recipient.
    pub to: String,
    /// Header and body as they came.
    pub text: String,
}

/// A running server; dropped, it ends.
pub struct SmtpServer {
    /// Its port on loopback.
    pub port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    faults: Mutex<VecDeque<SmtpFault>>,
    taken: Mutex<Vec<Taken>>,
}

impl SmtpServer {
    /// A server on a port of its own.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(ports::loopback(0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, serving })
    }

    /// Spoils one more message, after those that are to be spoiled already.
    pub fn inject(&self, fault: SmtpFault) {
        held(&self.shared.faults).push_back(fault);
    }

    /// Takes back what has not happened yet.
    pub fn heal(&self) {
        held(&self.shared.faults).clear();
    }

    /// Faults that have not happened yet.
    #[must_use]
    pub fn left(&self) -> usize {
        held(&self.shared.faults).len()
    }

    /// How many were taken since the last [`drain`](Self::drain).
    #[must_use]
    pub fn taken(&self) -> usize {
        held(&self.shared.taken).len()
    }

    /// Everything that was taken since the last call, in order.
    #[must_use]
    pub fn drain(&self) -> Vec<Taken> {
        std::mem::take(&mut *held(&self.shared.taken))
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A client that breaks off loses its own connection and nothing else.
        connections.spawn(async move { converse(stream, &shared).await });
        while connections.try_join_next().is_some() {}
    }
}

/// Ends, and with it the connection, where a fault says so.
async fn converse(stream: TcpStream, shared: &Shared) -> Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 faults\r\n").await?;
    let (mut line, mut to, mut fault) = (String::new(), String::new(), None);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match (line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str(), fault) {
            ("EHLO", _) => b"250-faults\r\n250 8BITMIME\r\n",
            ("MAIL", _) => {
                fault = held(&shared.faults).pop_front();
                if fault == Some(SmtpFault::Refuse) {
                    return Ok(());
                }
                b"250 ok\r\n"
            }
            ("RCPT", Some(SmtpFault::Greylist)) => b"451 4.7.1 come back later\r\n",
            ("RCPT", Some(SmtpFault::Reject)) => b"550 5.1.1 nobody of that name\r\n",
            ("RCPT", _) => {
                to = address(&line).unwrap_or_default().to_owned();
                b"250 ok\r\n"
            }
            ("DATA", _) => {
                stream.write_all(b"354 go on\r\n").await?;
                if fault == Some(SmtpFault::Break) {
                    stream.read_line(&mut line).await?;
                    return Ok(());
                }
                let text = message(&mut stream).await?;
                let taken = Taken { message_id: message_id(&text), to: std::mem::take(&mut to), text };
                held(&shared.taken).push(taken);
                match fault {
                    Some(SmtpFault::LoseAnswer) => return Ok(()),
                    Some(SmtpFault::Hang) => {
                        while stream.read_line(&mut line).await? > 0 {}
                        return Ok(());
                    }
                    Some(SmtpFault::Late(by)) => {
                        sleep(by).await;
                        b"250 ok\r\n"
                    }
                    _ => b"250 ok\r\n",
                }
            }
            ("QUIT", _) => {
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

fn message_id(text: &str) -> String {
    let header = text.lines().take_while(|line| !line.is_empty());
    let line = header.map(str::to_owned).find(|line| line.to_ascii_lowercase().starts_with("message-id:"));
    line.as_deref().and_then(address).unwrap_or_default().to_owned()
}

/// The message up to the line that ends it; an error where the client goes away before that.
async fn message(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut text = String::new();
    loop {
        let start = text.len();
        anyhow::ensure!(stream.read_line(&mut text).await? > 0, "the message broke off");
        if &text[start..] == ".\r\n" {
            text.truncate(start);
            return Ok(text);
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
