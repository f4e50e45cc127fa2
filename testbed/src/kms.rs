//! A stand-in for AWS KMS with a real key: see `testbed/kms/server.py`.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use alloy::{
    primitives::Address,
    signers::{Signer, aws::AwsSigner},
};
use anyhow::{Context, Result, ensure};
use aws_sdk_kms::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{KeySpec, KeyUsageType},
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    ports,
    service::{Probe, Service, Spec},
    tools,
};

const REGION: &str = "us-east-1";
/// Any will do: the stand-in asks for none.
const CREDENTIAL: &str = "stand-in";

/// What goes wrong; `testbed/kms/server.py` says more. The default is nothing.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Switches {
    /// Every call takes so much longer, in milliseconds.
    pub latency_ms: u64,
    /// So many of the next calls are throttled; -1 is all.
    pub throttle: i64,
    /// Every key is disabled.
    pub disabled: bool,
    /// Signatures are another key's.
    pub wrong_key: bool,
    /// Which s signatures have.
    pub s: SValue,
}

/// Which of a signature's two s is given out.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SValue {
    /// High in about half of all, as in AWS.
    #[default]
    AsSigned,
    /// The one that chains refuse.
    High,
    /// The one that chains take.
    Low,
}

#[derive(Deserialize)]
struct Counted {
    signatures: u64,
}

/// A running stand-in with one signing key.
pub struct Kms {
    /// The process.
    pub service: Service,
    /// The key's id.
    pub key_id: String,
    /// The key's account.
    pub address: Address,
    client: Client,
    endpoint: Url,
}

impl Kms {
    /// Starts it and makes a key; every call then takes at least `latency_ms`.
    ///
    /// # Errors
    /// When it is not installed or not ready in time.
    pub async fn start(latency_ms: u32, logs: &Path) -> Result<Self> {
        let (service, url) = start_moto("kms", logs).await?;
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(CREDENTIAL, CREDENTIAL, None, None, CREDENTIAL))
            .endpoint_url(url.as_str())
            .build();
        let client = Client::from_conf(config);
        let made = client.create_key().key_spec(KeySpec::EccSecgP256K1).key_usage(KeyUsageType::SignVerify).send();
        let key_id = made.await?.key_metadata.context("KMS made no key")?.key_id;
        let address = AwsSigner::new(client.clone(), key_id.clone(), None).await?.address();
        let kms = Self { service, key_id, address, client, endpoint: url };
        kms.set(Switches { latency_ms: latency_ms.into(), ..Switches::default() }).await?;
        Ok(kms)
    }

    /// Sets all switches.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn set(&self, switches: Switches) -> Result<()> {
        let url = self.endpoint.join("switches")?;
        reqwest::Client::new().post(url).json(&switches).send().await?.error_for_status()?;
        Ok(())
    }

    /// How many signatures it made.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn signatures(&self) -> Result<u64> {
        let url = self.endpoint.join("switches")?;
        Ok(reqwest::get(url).await?.json::<Counted>().await?.signatures)
    }

    /// What a process that uses the stand-in needs in its environment.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.endpoint)
    }

    /// Signs with the key.
    ///
    /// # Errors
    /// When the stand-in does not answer.
    pub async fn signer(&self, chain_id: u64) -> Result<AwsSigner> {
        Ok(AwsSigner::new(self.client.clone(), self.key_id.clone(), Some(chain_id)).await?)
    }
}

/// Starts what stands in for AWS: the process, and where it listens.
pub(crate) async fn start_moto(name: &'static str, logs: &Path) -> Result<(Service, Url)> {
    let (python, server) = (python()?, tools::checkout().join("testbed/kms/server.py"));
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = ports::http(port)?;
    let mut service = Service::new(Spec {
        name,
        program: python,
        args: vec![server.into(), port.to_string().into()],
        env: Vec::new(),
        log: logs.join(format!("{name}.log")),
        probe: Probe::Get(url.join("moto-api/")?),
    });
    service.start().await?;
    Ok((service, url))
}

/// What a process that uses a stand-in at `endpoint` needs in its environment.
pub(crate) fn environment(endpoint: &Url) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_string()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", CREDENTIAL.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", CREDENTIAL.to_owned()),
    ]
}

/// The Python that has moto.
pub(crate) fn python() -> Result<PathBuf> {
    let python = tools::checkout().join("testbed/kms/.venv/bin/python");
    ensure!(python.is_file(), "{} is missing: run `make setup-test`", python.display());
    Ok(python)
}
