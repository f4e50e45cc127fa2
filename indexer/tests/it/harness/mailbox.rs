//! maildev: a real SMTP server with a REST interface to what it took.

use std::process::Command;

use serde_json::Value;

use super::{Process, checkout, eventually, free_port, start};

pub(crate) struct Mailbox {
    _maildev: Process,
    pub(crate) smtp_port: u16,
    web: String,
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let (smtp_port, web_port) = (free_port(), free_port());
        let mut command = Command::new("node");
        command.arg(checkout("testbed/node_modules/maildev/bin/maildev"));
        command.args(["--ip", "127.0.0.1", "--smtp", &smtp_port.to_string()]);
        command.args(["--web-ip", "127.0.0.1", "--web", &web_port.to_string()]);
        let maildev = start(&mut command, "MailDev SMTP Server running");
        let mailbox = Self { _maildev: maildev, smtp_port, web: format!("http://127.0.0.1:{web_port}") };
        eventually("maildev's web interface", || async { reqwest::get(&mailbox.web).await.ok() }).await;
        mailbox
    }

    /// Everything taken so far for an address.
    pub(crate) async fn of(&self, address: &str) -> Vec<Value> {
        let all: Vec<Value> = reqwest::get(format!("{}/email", self.web)).await.unwrap().json().await.unwrap();
        all.into_iter().filter(|mail| mail["to"][0]["address"] == address).collect()
    }

    /// The one message for an address, once it is there.
    pub(crate) async fn one(&self, address: &str) -> Value {
        let mut mails = eventually("a mail", || async {
            let mails = self.of(address).await;
            (!mails.is_empty()).then_some(mails)
        })
        .await;
        assert_eq!(mails.len(), 1, "more than one mail for {address}");
        mails.remove(0)
    }
}
