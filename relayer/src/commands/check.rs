//! `relayer check-config`: what is wrong with a configuration, and with `--online` with the world that it names.

use std::{os::unix::fs::PermissionsExt, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use otp_core::{chain, cli};

use crate::{
    chain_view::{ChainView, Unavailable, Watched},
    config::{Config, SignerConfig},
    signer,
};

/// For everything that is asked over a network.
const PATIENCE: Duration = Duration::from_secs(30);

/// Checks and says what is wrong.
pub fn run(path: Option<&Path>, online: bool, json: bool) -> ExitCode {
    let faults = match Config::load(path) {
        Err(faults) => faults.0,
        Ok(config) => {
            let mut faults = files(&config);
            if online {
                faults.extend(ask(&config).err().map(|error| format!("{error:#}")));
            }
            faults
        }
    };
    cli::check("relayer", &faults, json)
}

/// Files that hold keys: nobody else may read them.
fn files(config: &Config) -> Vec<String> {
    let mut private: Vec<&Path> = config.keys.files().map(std::path::PathBuf::as_path).collect();
    if let SignerConfig::Keystore { path, .. } = &config.signer {
        private.push(path);
    }
    let fault = |path: &Path| {
        // What is not there is made at the first start, or missed by name when it is needed.
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| format!("{}: mode {mode:o} lets others read it; chmod 600", path.display()))
    };
    private.into_iter().filter_map(fault).collect()
}

fn ask(config: &Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, online(config)).await.context("no answer within 30 s")? })
}

/// The signing key opens, the node serves the right chain and contract, and the signer may issue and can pay for it.
async fn online(config: &Config) -> anyhow::Result<()> {
    let deployment = config.chain.deployment;
    let issuer = signer::open("signer", &config.signer, deployment.chain_id).await?.address();
    let (node, pool) = chain::connect(&config.chain.rpc, deployment.chain_id)?;
    chain::check(&node, &pool, &deployment).await?;
    let view = ChainView::new(Watched {
        deployment,
        issuer,
        min_balance_wei: config.min_balance_wei,
        purposes: config.otp.purposes.clone(),
        fresh_for: config.chain.fresh_for,
        max_head_age: config.chain.max_head_age,
    });
    view.refresh(&node).await?;
    match view.available() {
        Ok(()) => Ok(()),
        Err(Unavailable::Chain) => bail!("the chain stands still: its head is older than chain.max_head_age_ms"),
        Err(Unavailable::Paused) => bail!("the contract {} is paused", deployment.verifier),
        Err(Unavailable::NoRole) => bail!("the signer {issuer} lacks ISSUER_ROLE: grant it through the timelock"),
        Err(Unavailable::Unfunded) => {
            bail!("the signer {issuer} has {} wei, less than signer.min_balance_wei: fund it", view.balance_wei())
        }
        Err(other) => bail!("nothing can be issued: {other:?}"),
    }
}
