//! A small disk of its own, which can be full.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

const BALLAST: &str = "ballast";

/// A tmpfs, mounted until it is dropped. Mounting needs root.
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Mounts a disk of so many MiB on a folder, which it makes.
    ///
    /// # Errors
    /// When it cannot be mounted, as without root.
    pub fn mount(folder: &Path, mib: u32) -> Result<Self> {
        fs::create_dir_all(folder)?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder))
            .context("a disk that can be full is mounted, which needs root")?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When the file that takes it cannot be made.
    pub fn fill(&self) -> Result<()> {
        let mut ballast = File::options().create(true).append(true).open(self.folder.join(BALLAST))?;
        for size in [1 << 20, 4_096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When the file that takes it cannot be removed.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_file(self.folder.join(BALLAST)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Lets it be read-only, or not any more. While a file is open for writing, the system refuses.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn read_only(&self, read_only: bool) -> Result<()> {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        run(Command::new("mount").args(["-o", options]).arg(&self.folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: files may still be open.
        let _ = run(Command::new("umount").arg("-l").arg(&self.folder));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
