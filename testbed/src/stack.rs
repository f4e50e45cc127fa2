//! Everything together, up and down.

mod cast;

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::{
    primitives::B256,
    signers::{
        k256::elliptic_curve::rand_core::{OsRng, RngCore},
        local::PrivateKeySigner,
    },
};
use anyhow::{Context, Result, bail};
use tokio::time::sleep;

use self::cast::Cast;
use crate::{
    anvil::{self, Anvil},
    daemons::{Setting, VAULT_FILE},
    deployment::Deployment,
    description::Description,
    kms::Kms,
    ports::{self, Ports},
    service::{Probe, Service, Spec},
    tools,
};

/// All that a stack leaves in its folder; nothing else there is touched.
const FOLDERS: [&str; 3] = ["data", "logs", "mail"];
const FILES: [&str; 4] = ["stack.json", "relayer.toml", "indexer.toml", VAULT_FILE];

/// How to bring a stack up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where its data, logs and description go. What a former stack left there is removed.
    pub folder: PathBuf,
    /// The first of its ports; free ones where there is none.
    pub port_base: Option<u16>,
    /// Each policy's time to live, in seconds.
    pub code_ttl_s: u32,
    /// Where the issuing key is.
    pub signing: Signing,
    /// Where the mail goes instead of the mailbox: a port on loopback.
    pub smtp_port: Option<u16>,
    /// Whether the relayer pays for verifications.
    pub sponsoring: bool,
    /// More of the relayer's configuration, as environment variables.
    pub relayer_env: Vec<(&'static str, String)>,
    /// More of the indexer's.
    pub indexer_env: Vec<(&'static str, String)>,
    /// Whether heads are announced to the indexer by WebSocket too; else it polls.
    pub indexer_by_socket: bool,
}

/// Where a stack's issuing key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// In an encrypted keystore file.
    Keystore,
    /// In the KMS stand-in.
    Kms {
        /// What each of its calls takes at the least, in milliseconds.
        latency_ms: u32,
    },
}

impl Options {
    /// A stack on free ports with a keystore, a mailbox, and codes that live a minute.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            port_base: None,
            code_ttl_s: 60,
            signing: Signing::Keystore,
            smtp_port: None,
            sponsoring: false,
            relayer_env: Vec::new(),
            indexer_env: Vec::new(),
            indexer_by_socket: false,
        }
    }
}

/// A daemon of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daemon {
    /// HTTP → KMS → chain.
    Relayer,
    /// Chain → database → inbox.
    Indexer,
}

/// A running stack. Dropped, it kills what it started; [`Stack::stop`] is the polite way.
pub struct Stack {
    /// Where everything is.
    pub description: Description,
    relayer: Service,
    indexer: Service,
    mail: Service,
    anvil: Service,
    kms: Option<Kms>,
    description_path: PathBuf,
    /// Held as long as the stack lives, so that no other one clears its folder.
    _lock: File,
}

impl Stack {
    /// Starts everything, waits until it is ready, and then writes `stack.json`.
    ///
    /// # Errors
    /// When a part is missing or fails; what was started by then is ended.
    pub async fn start(options: &Options) -> Result<Self> {
        let ports = options.port_base.map_or_else(Ports::free, Ports::from_base)?;
        fs::create_dir_all(&options.folder).with_context(|| format!("the folder {}", options.folder.display()))?;
        let folder = options.folder.canonicalize()?;
        let lock = lock(&folder)?;
        clear(&folder)?;
        let logs = folder.join("logs");
        for name in FOLDERS {
            fs::create_dir(folder.join(name))?;
        }

        let mut mail = mailbox(ports, &folder, &logs)?;
        mail.spawn()?;
        let anvil = Anvil::start(ports.rpc(), &logs).await?;
        let mut cast = Cast::new(&anvil).await?;
        let kms = match options.signing {
            Signing::Keystore => None,
            Signing::Kms { latency_ms } => Some(Kms::start(latency_ms, &logs).await?),
        };
        if let Some(kms) = &kms {
            anvil::fund(&anvil.node, kms.address).await?;
            cast.issuer_address = kms.address;
        }
        let deployment = Deployment::run(&cast.plan(options.code_ttl_s), &anvil.url, &logs).await?;

        let keystore = folder.join("data/issuer.json");
        let password = new_password();
        write_keystore(&cast.issuer, &keystore, password.clone()).await?;
        let smtp_port = options.smtp_port.unwrap_or_else(|| ports.smtp());
        let (rpc_url, deployment) = (&anvil.url, &deployment);
        let setting = Setting { folder: &folder, logs: &logs, ports, smtp_port, rpc_url, deployment };
        setting.write_vault_action()?;
        let mut env = options.relayer_env.clone();
        if options.sponsoring {
            env.extend(sponsor(&anvil, &folder).await?);
        }
        if let Some(kms) = &kms {
            env.extend(kms.environment());
            env.push(("OTP_RELAYER_SIGNER_KMS_KEY_ID", kms.key_id.clone()));
        }
        let mut relayer = setting.relayer(&keystore, password, env)?;
        let mut env = options.indexer_env.clone();
        if options.indexer_by_socket {
            env.push(("OTP_INDEXER_CHAIN_WS_URLS", anvil.url.as_str().replacen("http", "ws", 1)));
        }
        let mut indexer = setting.indexer(env)?;
        // Together: each migrates the store where the other has not yet.
        relayer.spawn()?;
        indexer.spawn()?;
        mail.until_ready().await?;
        relayer.until_ready().await?;
        indexer.until_ready().await?;

        let logs = [&anvil.service, &mail, &relayer, &indexer].map(|s| (s.name().to_owned(), s.log().to_owned()));
        let description = Description {
            logs: logs.into(),
            database_path: folder.join("data/otp.db"),
            ..cast.describe(&anvil, deployment, ports)?
        };
        let description_path = folder.join("stack.json");
        description.write(&description_path)?;
        Ok(Self { description, relayer, indexer, mail, anvil: anvil.service, kms, description_path, _lock: lock })
    }

    /// Waits until a process of the stack ends by itself, and says which.
    ///
    /// # Errors
    /// Always: this is how a broken stack shows.
    pub async fn broken(&mut self) -> Result<()> {
        loop {
            for service in [&mut self.anvil, &mut self.mail, &mut self.relayer, &mut self.indexer] {
                if let Some(status) = service.ended()? {
                    bail!("{} ended with {status}\n{}", service.name(), service.last_words());
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Kills a daemon with SIGKILL.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self, daemon: Daemon) -> Result<()> {
        self.service(daemon).kill().await
    }

    /// Starts a daemon that was killed, on the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready in time.
    pub async fn restart(&mut self, daemon: Daemon) -> Result<()> {
        self.service(daemon).start().await
    }

    /// Starts a daemon that was killed as another program, with `env` beside its own, and does not wait.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_as(&mut self, daemon: Daemon, program: PathBuf, env: Vec<(&'static str, String)>) -> Result<()> {
        let service = self.service(daemon);
        service.become_program(program, env);
        service.spawn()
    }

    /// Waits until a daemon ends by itself.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn until_ended(&mut self, daemon: Daemon, limit: Duration) -> Result<()> {
        self.service(daemon).until_ended(limit).await.map(drop)
    }

    /// Ends a daemon with SIGTERM, to be started again or not.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn stop_daemon(&mut self, daemon: Daemon) -> Result<()> {
        self.service(daemon).stop().await
    }

    /// The process id of a daemon that runs.
    #[must_use]
    pub fn pid(&self, daemon: Daemon) -> Option<u32> {
        match daemon {
            Daemon::Relayer => self.relayer.pid(),
            Daemon::Indexer => self.indexer.pid(),
        }
    }

    /// The KMS stand-in, where the issuing key is in it.
    #[must_use]
    pub const fn kms(&self) -> Option<&Kms> {
        self.kms.as_ref()
    }

    /// Takes the description away and ends every process: first who depends on others.
    ///
    /// # Errors
    /// When the system refuses; the others are ended all the same.
    pub async fn stop(mut self) -> Result<()> {
        let mut outcome = absent(fs::remove_file(&self.description_path)).context("removing stack.json");
        for service in [&mut self.relayer, &mut self.indexer, &mut self.mail, &mut self.anvil] {
            outcome = outcome.and(service.stop().await);
        }
        if let Some(kms) = &mut self.kms {
            outcome = outcome.and(kms.service.stop().await);
        }
        outcome
    }

    const fn service(&mut self, daemon: Daemon) -> &mut Service {
        match daemon {
            Daemon::Relayer => &mut self.relayer,
            Daemon::Indexer => &mut self.indexer,
        }
    }
}

fn mailbox(ports: Ports, folder: &Path, logs: &Path) -> Result<Service> {
    let (smtp, web) = (ports.smtp().to_string(), ports.mail().to_string());
    let mut args = vec![tools::maildev()?.into_os_string()];
    args.extend(["--ip", "127.0.0.1", "--smtp", &smtp, "--web-ip", "127.0.0.1", "--web", &web].map(Into::into));
    args.extend(["--mail-directory".into(), folder.join("mail").into_os_string()]);
    Ok(Service::new(Spec {
        name: "maildev",
        program: "node".into(),
        args,
        env: Vec::new(),
        log: logs.join("maildev.log"),
        probe: Probe::Get(ports::http(ports.mail())?.join("healthz")?),
    }))
}

fn new_password() -> String {
    let mut bytes = B256::ZERO;
    OsRng.fill_bytes(bytes.as_mut_slice());
    bytes.to_string()
}

/// Key derivation takes long on purpose, so it runs beside the runtime.
async fn write_keystore(issuer: &PrivateKeySigner, path: &Path, password: String) -> Result<()> {
    let (folder, name) = path.parent().zip(path.file_name()).context("the keystore's path")?;
    let (folder, name) = (folder.to_owned(), name.to_string_lossy().into_owned());
    // What is there keeps its mode when it is written over.
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let key = issuer.to_bytes();
    let written = tokio::task::spawn_blocking(move || {
        PrivateKeySigner::encrypt_keystore(folder, &mut OsRng, key, password, Some(&name))
    });
    written.await?.context("writing the issuer's keystore")?;
    Ok(())
}

/// A key that pays for verifications, with ether, and what tells the relayer of it.
async fn sponsor(anvil: &Anvil, folder: &Path) -> Result<[(&'static str, String); 2]> {
    let keystore = folder.join("data/sponsor.json");
    let password = new_password();
    write_keystore(&anvil.new_account().await?, &keystore, password.clone()).await?;
    let keystore = keystore.to_str().context("the folder's name is no text")?.to_owned();
    Ok([("OTP_RELAYER_SPONSOR_KEYSTORE", keystore), ("OTP_RELAYER_SPONSOR_KEYSTORE_PASSWORD", password)])
}

fn lock(folder: &Path) -> Result<File> {
    let lock = File::create(folder.join("lock"))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(_) => bail!("another stack runs in {}: end it, or set STACK_DIR", folder.display()),
    }
}

/// That there was nothing to remove is fine.
fn absent(removed: std::io::Result<()>) -> std::io::Result<()> {
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn clear(folder: &Path) -> Result<()> {
    for name in FILES {
        absent(fs::remove_file(folder.join(name)))?;
    }
    for name in FOLDERS {
        absent(fs::remove_dir_all(folder.join(name)))?;
    }
    Ok(())
}
