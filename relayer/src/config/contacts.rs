//! `contacts.*`: over which channels messages go out, and how long changes wait.

use std::{path::PathBuf, time::Duration};

use otp_core::{
    config::Reader,
    contact::{Channel, Disposable},
    language::Language,
};

/// `contacts.*`
#[derive(Debug, Clone)]
pub struct ContactsConfig {
    /// `contacts.channels`: those that contacts can be added for.
    pub channels: Vec<Channel>,
    /// `contacts.change_delay_seconds`: how long a change waits that no confirmed contact approves.
    pub change_delay: Duration,
    /// `contacts.disposable_domains_file`, added to the compiled-in list.
    pub disposable: Disposable,
    /// `contacts.language`: what contacts are written to in that ask for nothing else.
    pub language: Language,
}

pub(super) fn read(reader: &mut Reader) -> Option<ContactsConfig> {
    let channels = reader.list("contacts.channels", Some("email"));
    let change_delay = reader.seconds("contacts.change_delay_seconds", "259200", 1..=2_592_000);
    let file: Option<PathBuf> = reader.optional("contacts.disposable_domains_file")?;
    let disposable = match file.map(|path| Disposable::with_file(&path)).transpose() {
        Ok(list) => Some(list.unwrap_or_default()),
        Err(e) => {
            reader.fault(format!("contacts.disposable_domains_file: {e}"));
            None
        }
    };
    let language = reader.or("contacts.language", "en");
    let (channels, change_delay) = (channels?, change_delay?);
    Some(ContactsConfig { channels, change_delay, disposable: disposable?, language: language? })
}
