//! What `testbed up` starts is gone when it is gone, however it ends.
#![expect(clippy::unwrap_used, reason = "a test tells what is wrong by failing")]

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use testbed::description::Description;

fn up(folder: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args(["up", "--dir"])
        .arg(folder)
        .env("PORT_BASE", "") // as if it were unset
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(Duration::from_millis(100));
    }
}

fn described(folder: &Path) -> Description {
    let text = until("stack.json", Duration::from_secs(120), || std::fs::read(folder.join("stack.json")).ok());
    serde_json::from_slice(&text).unwrap()
}

fn ports(it: &Description) -> Vec<SocketAddr> {
    let urls =
        [&it.rpc_url, &it.mail_url, &it.relayer_url, &it.relayer_admin_url, &it.indexer_url, &it.indexer_admin_url];
    urls.iter().flat_map(|url| url.socket_addrs(|| None).unwrap()).chain([it.smtp_address.parse().unwrap()]).collect()
}

fn is_open(port: &SocketAddr) -> bool {
    TcpStream::connect(port).is_ok()
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("/bin/sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_stack_ends_with_zero_when_its_terminal_goes_and_its_description_is_gone_already() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = up(folder.path());
    let description = described(folder.path());
    std::fs::remove_file(folder.path().join("stack.json")).unwrap();
    signal("HUP", stack.id());
    let status = until("the end", Duration::from_secs(30), || stack.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(!ports(&description).iter().any(is_open));
}

#[test]
fn a_stack_ends_with_zero_at_sigterm_and_leaves_nothing_running() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = up(folder.path());
    let description = described(folder.path());
    assert!(ports(&description).iter().all(is_open));
    let text = std::fs::read_to_string(folder.path().join("stack.json")).unwrap();
    assert!(text.contains("\"http://127.0.0.1:") && !text.contains("/\""), "a URL ends in a slash: {text}");
    let keystore = std::fs::metadata(folder.path().join("data/issuer.json")).unwrap();
    assert_eq!(keystore.permissions().mode() & 0o777, 0o600);
    let second = up(folder.path()).wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&second.stderr).contains("STACK_DIR"), "a second stack took the folder");
    signal("TERM", stack.id());
    let status = until("the end", Duration::from_secs(30), || stack.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(!ports(&description).iter().any(is_open));
}

#[test]
fn a_stack_that_is_killed_takes_its_processes_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = up(folder.path());
    let description = described(folder.path());
    stack.kill().unwrap();
    stack.wait().unwrap();
    let all_closed = || (!ports(&description).iter().any(is_open)).then_some(());
    until("every port closed", Duration::from_secs(10), all_closed);
}

#[test]
fn a_stack_under_control_stops_and_starts_a_daemon_and_ends_with_its_orders() {
    let folder = tempfile::tempdir().unwrap();
    let mut stack = Command::new(env!("CARGO_BIN_EXE_testbed"))
        .args(["up", "--control", "--dir"])
        .arg(folder.path())
        .env("PORT_BASE", "")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let description = described(folder.path());
    let relayer = description.relayer_url.socket_addrs(|| None).unwrap()[0];
    let mut orders = stack.stdin.take().unwrap();
    writeln!(orders, "stop relayer").unwrap();
    until("the relayer's port closed", Duration::from_secs(30), || (!is_open(&relayer)).then_some(()));
    assert!(ports(&description).iter().any(is_open), "the others ended with it");
    writeln!(orders, "start relayer").unwrap();
    until("the relayer's port open", Duration::from_secs(60), || is_open(&relayer).then_some(()));
    drop(orders);
    let status = until("the end", Duration::from_secs(60), || stack.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(!ports(&description).iter().any(is_open));
}
