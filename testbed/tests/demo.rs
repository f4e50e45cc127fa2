//! The whole path, and the attacks that must fail, on real parts.

use std::{io, sync::mpsc};

use testbed::{
    demo::{self, Report},
    stack::{Options, Stack},
};

/// What the report wrote, to be shown where a step did not hold.
struct Lines(mpsc::Sender<u8>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.iter().try_for_each(|byte| self.0.send(*byte)).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_goes_from_the_request_to_the_payout_and_every_attack_fails() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().to_owned());
    let stack = Stack::start(&options).await.unwrap();
    let (sender, lines) = mpsc::channel();
    let mut report = Report::new(Lines(sender), false);

    let walked = demo::run(&stack.description, &mut report).await;

    let steps = report.steps();
    drop(report);
    let text = String::from_utf8(lines.iter().collect()).unwrap();
    assert!(walked.is_ok(), "{text}");
    assert_eq!(text.matches("\nok  ").count(), steps, "{text}");
    stack.stop().await.unwrap();
}
