//! `indexer run`: wires the parts and joins the tasks.

use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow};
use otp_core::{
    chain::{self, Node, Pool},
    http,
    metrics::Recorder,
    seal::Keyring,
    store::{Outbox, Store},
    tasks::{Notice, Tasks},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, App},
    bounces::Reports,
    calls::Calls,
    channel::{Channels, email::Email, sms::Sms, webhook::Webhook},
    config::Config,
    deliver::{self, Worker},
    evidence::{self, Bucket, Notary, S3, Uploader},
    figures::Measuring,
    finality::Settler,
    governance::Governance,
    heads::Heads,
    inquiry::Inquiry,
    keys, lock,
    mail::{dkim::Signer, smtp::Postman},
    progress::Progress,
    source::Source,
    stats::Stats,
    tail::Tail,
    timelock::Timelock,
};

/// What tail and workers share.
struct Shared {
    store: Store,
    outbox: Outbox,
    progress: Progress,
    due: Arc<Notify>,
    keyring: Arc<OnceLock<Arc<Keyring>>>,
}

/// Runs until SIGINT or SIGTERM, or until a part fails.
///
/// # Errors
/// The first failure, in one line that says what to do.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let recorder = Recorder::install()?;
    let listening = config.http.listening.clone();
    let notice = Notice { leaving: CancellationToken::new(), lasts: listening.lame_duck };
    let leaving = notice.leaving.clone();
    let mut tasks = Tasks::new(shutdown.clone(), notice);
    let (door, admin_door) = listening.bind().await?;
    let store = Store::open(&config.store_path).await.with_context(|| config.store_path.display().to_string())?;
    let _only_one = lock::only_one(&config.store_path)?;
    let token = http::write_admin_token(&listening.admin_token_file)
        .with_context(|| format!("cannot write {}", listening.admin_token_file.display()))?;
    let mail_domain = config.mail.from.email.domain().to_owned();
    let outbox = Outbox { deployment: config.chain.deployment, mail_domain, depths: config.delivery.depths };
    let shared = Shared { store, outbox, progress: Progress::default(), due: Arc::default(), keyring: Arc::default() };
    shared.progress.mail_is(false);
    let reports = Reports { store: shared.store.clone(), outbox: shared.outbox.clone(), due: shared.due.clone() };
    let (node, pool) = chain::connect(&config.chain.rpc, config.chain.deployment.chain_id)?;
    let (deployment, timelock) = (config.chain.deployment, config.calls.timelock);
    let app = App {
        store: shared.store.clone(),
        reports: reports.clone(),
        deployment,
        confirmations: config.chain.confirmations,
        max_head_age: config.chain.max_head_age,
        progress: shared.progress.clone(),
        actions: Arc::new(config.actions.clone()),
        stats: Stats::new(shared.store.clone(), deployment),
        governance: Governance::new(shared.store.clone(), node.clone(), deployment, timelock),
        inquiry: Inquiry::new(node.clone()),
        keyring: shared.keyring.clone(),
        sms_callback: config.sms.as_ref().and_then(|sms| sms.callback().cloned()),
        is_tls: listening.is_public_tls(),
        leaving,
    };
    let strangers = shared.store.guest().await.context("opening the store for the public port")?;
    let open_to_all = App {
        store: strangers.clone(),
        inquiry: Inquiry::within(node.clone(), config.http.node_questions_per_second),
        ..app.clone()
    };
    let (public, admin) = (api::public(open_to_all), api::admin(app, token, recorder.clone()));
    let (stop, stop_admin) = (shutdown.clone(), shutdown.clone());
    tasks.spawn("public HTTP", async move { Ok(http::serve(door, public, stop).await?) });
    tasks.spawn("admin HTTP", async move { Ok(http::serve(admin_door, admin, stop_admin).await?) });
    spawn_tail(&mut tasks, &config, &shared, (node, pool), shutdown.clone());
    spawn_evidence(&mut tasks, &config, &shared, shutdown.clone());
    tasks.spawn("metrics", recorder.keep(shutdown.clone()));
    if let Some(maildir) = config.mail.bounce_maildir.clone() {
        tasks.spawn("bounces", reports.watch(maildir, shutdown.clone()));
    }
    let store = shared.store.clone();
    spawn_workers(&mut tasks, config, shared, shutdown)?;
    tracing::info!(listen = %listening.listen, admin_listen = %listening.admin_listen, "indexer runs");
    let outcome = tasks.join().await;
    strangers.close_guest().await;
    store.close().await;
    outcome
}

fn spawn_tail(
    tasks: &mut Tasks,
    config: &Config,
    shared: &Shared,
    (node, pool): (Node, Pool),
    shutdown: CancellationToken,
) {
    let chain = config.chain.clone();
    let (watched, stop) = (pool.clone(), shutdown.clone());
    let source = Source::new(node.clone(), pool.clone(), chain.deployment.verifier);
    let (store, outbox) = (shared.store.clone(), shared.outbox.clone());
    spawn_figures(tasks, config, shared, &node, &shutdown);
    let (progress, due) = (shared.progress.clone(), shared.due.clone());
    let settler =
        Settler::new(source.clone(), store.clone(), outbox.clone(), chain.clone(), progress.clone(), due.clone());
    let (heads, sockets) = Heads::of(&chain.ws_urls, &shutdown);
    for socket in sockets {
        tasks.spawn("announcements", socket);
    }
    let tail = Tail::new(source, store, outbox, chain.clone(), progress, due);
    tasks.spawn("finality", settler.run(shutdown.clone()));
    tasks.spawn("tail", async move {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            usable = chain::wait_until_usable(&node, &pool, &chain.deployment) => usable?,
        }
        tail.run(heads, shutdown).await
    });
    tasks.spawn("nodes", async move {
        watched.watch(stop).await;
        Ok(())
    });
}

fn spawn_evidence(tasks: &mut Tasks, config: &Config, shared: &Shared, shutdown: CancellationToken) {
    let (chain, keys, config) = (config.chain.clone(), config.keys.clone(), config.evidence.clone());
    let store = shared.store.clone();
    if let Some(bucket) = config.bucket.clone() {
        let (store, deployment, progress) = (store.clone(), chain.deployment, shared.progress.clone());
        let stop = shutdown.clone();
        tasks.spawn("evidence upload", async move {
            let s3 = S3::from_environment(&bucket.name).await?;
            Uploader { store, deployment, bucket: Bucket::new(s3, bucket), progress }.run(stop).await
        });
    }
    tasks.spawn("evidence", async move {
        // Its own ring: all that it takes is a sub-key, which is the same for the life of the deployment.
        let keyring = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            keyring = keys::wait(&store, &keys) => Arc::new(keyring?),
        };
        let key = evidence::ensure_key(&store, chain.deployment, chain.deployment_block, &config).await?;
        Notary::new(store, chain.deployment, keyring, key, config).run(shutdown).await
    });
}

/// What is read and counted behind the tail.
fn spawn_figures(tasks: &mut Tasks, config: &Config, shared: &Shared, node: &Node, shutdown: &CancellationToken) {
    let (chain, store) = (&config.chain, &shared.store);
    let (deployment, confirmations) = (chain.deployment, chain.confirmations);
    if config.calls.search {
        let from = (chain.deployment_block, confirmations);
        let progress = shared.progress.clone();
        let calls = Calls::new(node.clone(), store.clone(), deployment, from, config.calls, progress);
        tasks.spawn("calls", calls.run(shutdown.clone()));
    }
    if let Some(timelock) = config.calls.timelock {
        let from = (chain.deployment_block, chain.range_blocks);
        let timelock = Timelock::new(node.clone(), store.clone(), deployment, timelock, from);
        tasks.spawn("timelock", timelock.run(shutdown.clone()));
    }
    let measuring = Measuring { store: store.clone(), deployment, confirmations, progress: shared.progress.clone() };
    tasks.spawn("figures", measuring.run(shutdown.clone()));
}

fn spawn_workers(tasks: &mut Tasks, config: Config, shared: Shared, shutdown: CancellationToken) -> anyhow::Result<()> {
    let postman = Postman::new(&config.mail, config.delivery.workers)
        .map_err(|e| anyhow!("mail.smtp_host {}: {e}", config.mail.host))?;
    let dkim = config.mail.dkim.as_ref();
    let signer = dkim.map(|dkim| Signer::open(&dkim.selector, &dkim.domain, &dkim.key_file)).transpose()?;
    let sms = config.sms.clone().map(Sms::new).transpose().context("sms")?;
    let webhook = config.webhook.map(Webhook::new).transpose().context("webhook")?;
    tasks.spawn("delivery", async move {
        let keyring = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            keyring = keys::wait(&shared.store, &config.keys) => Arc::new(keyring?),
        };
        // Set once: this task starts once.
        let _ = shared.keyring.set(keyring.clone());
        let (from, timeout, progress) = (config.mail.from, config.mail.timeout, shared.progress.clone());
        let email = Email { postman, from, timeout, signer, progress };
        let worker = Worker {
            store: shared.store,
            keyring: keyring.clone(),
            outbox: shared.outbox,
            channels: Channels { email, sms, webhook, inapp: config.inapp },
            public_url: config.http.public_url,
            config: config.delivery,
            progress: shared.progress,
            due: shared.due,
        };
        tokio::select! {
            ended = deliver::run(worker, shutdown) => ended,
            never = keyring.watch() => match never {},
        }
    });
    Ok(())
}
