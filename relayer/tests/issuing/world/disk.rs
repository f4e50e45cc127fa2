//! The database from outside: other processes, backups, and what stands in its files.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use otp_core::store::Store;

use super::World;

impl World {
    /// Runs SQL from another process, and returns its rows as JSON.
    pub(crate) async fn sql(&self, text: &str) -> serde_json::Value {
        const SCRIPT: &str = "import json, sqlite3, sys\n\
             db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n\
             print(json.dumps(db.execute(sys.argv[2]).fetchall()))";
        let run =
            tokio::process::Command::new("python3").args(["-c", SCRIPT]).arg(self.store_path()).arg(text).output();
        let done = run.await.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Holds the write lock from another process; returns once it is held.
    pub(crate) async fn hold_write_lock(&self, time: Duration) -> tokio::task::JoinHandle<()> {
        const SCRIPT: &str = "import sqlite3, sys, time\n\
             db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n\
             db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(float(sys.argv[2])); db.execute('ROLLBACK')";
        let mut holder = tokio::process::Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(self.store_path())
            .arg(time.as_secs_f64().to_string())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut held = [0; 4];
        tokio::io::AsyncReadExt::read_exact(holder.stdout.as_mut().unwrap(), &mut held).await.unwrap();
        tokio::spawn(async move { assert!(holder.wait().await.unwrap().success()) })
    }

    /// Moves every time that the relayer has stored by so many milliseconds.
    pub(crate) async fn shift_times(&self, by_ms: i64) {
        for (table, column) in [
            ("requests", "created_at_ms"),
            ("requests", "queued_at_ms"),
            ("requests", "claimed_at_ms"),
            ("calls", "created_at_ms"),
            ("transactions", "signed_at_ms"),
        ] {
            self.sql(&format!("UPDATE {table} SET {column} = {column} + ({by_ms})")).await;
        }
    }

    /// Issuers with the number of their batches.
    pub(crate) async fn batches_by_issuer(&self) -> Vec<(String, u64)> {
        let rows = self.sql("SELECT hex(issuer), count(*) FROM batches GROUP BY issuer").await;
        serde_json::from_value(rows).unwrap()
    }

    /// A copy of the database as it is now.
    pub(crate) async fn back_up(&self) -> PathBuf {
        let backup = self.folder.path().join("backup.db");
        self.sql(&format!("VACUUM INTO '{}'", backup.display())).await;
        backup
    }

    /// Goes back to a copy.
    pub(crate) async fn restore(self, backup: &Path) -> Self {
        self.store.close().await;
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", self.store_path().display()));
        }
        std::fs::copy(backup, self.store_path()).unwrap();
        let store = Store::open(&self.store_path()).await.unwrap();
        Self { store, ..self }
    }

    /// Looks through the database and its companions.
    pub(crate) fn assert_no_file_holds(&self, text: &str) {
        let mut files = 0;
        for entry in std::fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("otp.db") {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{:?}", entry.path());
                files += 1;
            }
        }
        assert!(files >= 2, "the database and its log were read");
    }
}
