//! The contracts, deployed by the same script as anywhere else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::json;
use tokio::{process::Command, sync::Mutex, time::timeout};
use url::Url;

use crate::tools;

/// Includes a first compile of the contracts with the slow compiler.
const DEPLOY_WITHIN: Duration = Duration::from_secs(300);
/// Begins the name of a deployment's folder; its process's number follows.
const SCRATCH: &str = "deploy-";
/// forge writes its cache into the checkout: two scripts of one process that begin together can spoil it for each other.
static FORGE: Mutex<()> = Mutex::const_new(());
const PURPOSES: [&str; 4] = ["login", "withdraw", "keys", "roles"];

/// Who is who in a deployment, and how long codes live.
pub struct Plan {
    /// Pays for the deployment and holds nothing afterwards.
    pub deployer: PrivateKeySigner,
    /// The Safe's owners; two of them sign.
    pub owners: Vec<Address>,
    /// The faster guardian.
    pub guardian: Address,
    /// The issuer, and a standby.
    pub issuers: Vec<Address>,
    /// Each policy's time to live, in seconds.
    pub code_ttl_s: u32,
}

/// What the script says that it deployed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The `OtpVerifier` proxy.
    pub verifier: Address,
    /// The proxy's admin, owned by the timelock.
    pub proxy_admin: Address,
    /// The governor.
    pub timelock: Address,
    /// The timelock's proposer.
    pub safe: Address,
    /// The example vault.
    pub vault: Address,
    /// No log of the verifier is older.
    pub deployment_block: u64,
}

impl Deployment {
    /// Runs the script against a node.
    ///
    /// # Errors
    /// When forge is not installed, fails, or does not end in time; the log says why.
    pub async fn run(plan: &Plan, rpc_url: &Url, logs: &Path) -> Result<Self> {
        // Before the folder is written: a process has one.
        let _alone = FORGE.lock().await;
        let scratch = Scratch::new()?;
        let (input, output) = (scratch.0.join("config.json"), scratch.0.join("deployment.json"));
        fs::write(&input, plan.config().to_string())?;
        let log_path = logs.join("deploy.log");
        let log = fs::File::create(&log_path)?;
        let key = plan.deployer.to_bytes().to_string();
        let forge = Command::new(tools::foundry("forge")?)
            .args(["script", "script/Deploy.s.sol", "--broadcast"])
            .args(["--rpc-url", rpc_url.as_str(), "--private-key", &key])
            .current_dir(tools::checkout())
            .env("DEPLOY_CONFIG", &input)
            .env("DEPLOY_OUT", &output)
            // what was sent belongs to this stack alone
            .env("FOUNDRY_BROADCAST", scratch.0.join("broadcast"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .status();
        let status = timeout(DEPLOY_WITHIN, forge).await.context("forge script did not end in time")??;
        ensure!(status.success(), "forge script ended with {status}: see {}", log_path.display());
        let text = fs::read_to_string(&output).context("forge script left no result")?;
        let deployment: Self = serde_json::from_str(&text).context("the result of forge script")?;
        // The script names the head that it began from, which on a new chain is the genesis: no log is in there.
        Ok(Self { deployment_block: deployment.deployment_block.max(1), ..deployment })
    }
}

impl Plan {
    fn config(&self) -> serde_json::Value {
        // A life of more than three minutes has to be asked for by name.
        let waiver = self.code_ttl_s > 180;
        let policy = |purpose| json!({ "purpose": purpose, "ttl": self.code_ttl_s, "grace": 300, "maxAttempts": 3, "enabled": true, "waiver": waiver });
        json!({
            "owners": self.owners,
            "threshold": 2,
            "delay": 10,
            "guardian": self.guardian,
            "issuers": self.issuers,
            "policies": PURPOSES.map(policy),
            "vault": true,
        })
    }
}

/// A folder where forge lets the script read and write (`fs_permissions`), wherever the stack's own folder is.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let all = tools::checkout().join(".stack");
        let folder = all.join(format!("{SCRATCH}{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        sweep(&all)?;
        Ok(Self(folder))
    }
}

/// Removes what processes left that were killed while they deployed.
fn sweep(all: &Path) -> Result<()> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(SCRATCH)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !is_running(pid)) {
            // Another stack may sweep at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Where it cannot be asked, it counts as running.
fn is_running(pid: u32) -> bool {
    let asked = std::process::Command::new("/bin/sh")
        .args(["-c", "kill -0 \"$0\"", &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    asked.map_or(true, |status| status.success())
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing depends on it any more; the next deployment sweeps what stays.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_left_that_is_gone_is_swept_and_nothing_else() {
        let all = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let (gone, own) = (format!("deploy-{}", gone.id()), format!("deploy-{}", std::process::id()));
        for name in [&gone, &own, "deploy-not-a-number", "data"] {
            fs::create_dir_all(all.path().join(name).join("broadcast")).unwrap();
        }
        sweep(all.path()).unwrap();
        let stays = |name: &str| all.path().join(name).exists();
        assert!(!stays(&gone) && stays(&own) && stays("deploy-not-a-number") && stays("data"));
    }
}
