//! What the crate is compiled from beside its sources.
//!
//! A new migration is a reason to compile: `sqlx::migrate!` reads the folder, and cargo knows only of files that it read.
//! The pages are embedded from `web/dist`, which `make build` fills; where they are not built, the daemons compile all the
//! same and say so in their answers.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=src/store/migrations");
    let dist = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../web/dist");
    // The folder itself is in the repository: one that is not there would count as changed at each build.
    println!("cargo:rerun-if-changed={}", dist.display());
    let files = built(&dist)?;
    if files.is_empty() {
        println!(
            "cargo:warning=the pages are not built (web/dist): the daemons will answer 503 for them; run `make build`"
        );
    }
    let mut table = String::from("&[\n");
    for (name, path) in files {
        writeln!(table, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    table.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), table)?;
    Ok(())
}

/// The files below `dist`, by their path there. None unless the pages are among them.
fn built(dist: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for (folder, prefix) in [(dist.to_owned(), ""), (dist.join("assets"), "assets/")] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|name| format!("{} is no UTF-8", name.display()))?;
            if entry.file_type()?.is_file() && !name.starts_with('.') {
                files.push((format!("{prefix}{name}"), entry.path().canonicalize()?));
            }
        }
    }
    files.sort();
    let is_whole = ["wallet.html", "ops.html"].iter().all(|page| files.iter().any(|(name, _)| name == page));
    Ok(if is_whole { files } else { Vec::new() })
}
