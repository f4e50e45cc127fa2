//! The commands that act on a running relayer, through its admin port: so each table keeps its one writer, and an operator
//! needs neither the database nor a key.

pub mod check;
mod operate;
mod table;

use std::path::PathBuf;

use clap::Args;
use otp_core::cli::Admin;
use url::Url;

pub use self::operate::{Operation, run};
use crate::config::Config;

/// Which relayer.
#[derive(Debug, Args)]
pub struct Target {
    /// Its configuration, which says where the admin port and its token are
    #[arg(long)]
    config: Option<PathBuf>,
    /// The admin port's URL, where it is not the configuration's
    #[arg(long)]
    admin_url: Option<Url>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

impl Target {
    fn admin(&self) -> anyhow::Result<Admin> {
        Admin::open("relayer", &Config::listening(self.config.as_deref())?, self.admin_url.as_ref())
    }
}
