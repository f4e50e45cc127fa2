//! What befalls a database file.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

/// Another process that holds the write lock for so many milliseconds.
pub(super) struct Lock(Child);

impl Lock {
    pub(super) fn take(database: &Path, lasts_ms: u64) -> Self {
        const SCRIPT: &str = "import sqlite3, sys, time\n\
             db = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)\n\
             db.execute('BEGIN IMMEDIATE'); print('held', flush=True)\n\
             time.sleep(float(sys.argv[2]) / 1000); db.execute('ROLLBACK')";
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT]).arg(database).arg(lasts_ms.to_string()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut held = [0; 4];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
        Self(child)
    }

    pub(super) fn until_released(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}
