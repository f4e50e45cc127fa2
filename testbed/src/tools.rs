//! Where the programs are that the testbed starts. Whatever is missing is named with the command that mends it.

use std::{
    env::consts::{ARCH, OS},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// The checkout that this testbed was built from.
#[must_use]
pub fn checkout() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// The native `forge` or `anvil`: the launchers of the packages lose the exit code and leave their child behind.
///
/// # Errors
/// When it is not installed for this platform.
pub fn foundry(tool: &str) -> Result<PathBuf> {
    let system = if OS == "macos" { "darwin" } else { OS };
    let machine = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    installed(checkout().join(format!("lib/node_modules/@foundry-rs/{tool}-{system}-{machine}/bin/{tool}")))
}

/// The script that starts the mailbox, to be run by node.
///
/// # Errors
/// When it is not installed.
pub fn maildev() -> Result<PathBuf> {
    installed(checkout().join("testbed/node_modules/maildev/bin/maildev"))
}

/// A daemon of this workspace, from the folder that the running program was built into.
///
/// # Errors
/// When it was not built.
pub fn daemon(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is the running program?")?;
    let folder = own.parent().context("the running program has no folder")?;
    // test binaries stand one folder deeper
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is missing: run `make build`", path.display());
    Ok(path)
}

fn installed(path: PathBuf) -> Result<PathBuf> {
    ensure!(path.is_file(), "{} is missing: run `make setup`", path.display());
    Ok(path)
}
