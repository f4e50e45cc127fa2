//! `relayer serve`: wires the parts and joins the tasks.

use std::sync::Arc;

use anyhow::{Context, bail};
use otp_core::{
    chain::{self, Pool},
    http,
    metrics::Recorder,
    seal::{Keyring, Resealing},
    store::Store,
    tasks::{Notice, Tasks},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, App},
    chain_view::{ChainView, Watched},
    changes,
    config::{Config, SponsorConfig},
    housekeeping,
    issuing::{Issuer, Parts, Sponsor, SponsorDesk},
    signer,
    warnings::Watch,
};

/// Runs until SIGINT or SIGTERM, or until a part fails.
///
/// # Errors
/// The first failure, in one line that says what to do.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    let recorder = Recorder::install()?;
    let listening = config.http.listening.clone();
    let notice = Notice { leaving: CancellationToken::new(), lasts: listening.lame_duck };
    let leaving = notice.leaving.clone();
    let mut tasks = Tasks::new(shutdown.clone(), notice);
    let (door, admin_door) = listening.bind().await?;
    let store = Store::open(&config.store_path).await.with_context(|| config.store_path.display().to_string())?;
    let token = http::write_admin_token(&listening.admin_token_file)
        .with_context(|| format!("cannot write {}", listening.admin_token_file.display()))?;
    let (parts, pool) = open(&config, store.clone()).await?;
    let warn = config.warn.clone();
    let (sponsor, desk) = open_sponsor(config.sponsor, &parts).await?.unzip();
    let (purposes, buckets) = (config.otp.purposes.clone(), config.limits.buckets);
    let app = App::new(api::Parts {
        store: store.clone(),
        keyring: parts.keyring.clone(),
        view: parts.view.clone(),
        http: config.http,
        otp: config.otp,
        limits: config.limits,
        contacts: config.contacts,
        session: config.session,
        actions: config.actions,
        node: parts.node.clone(),
        wake: parts.wake.clone(),
        sponsor: desk,
        leaving,
        shutdown: shutdown.clone(),
    });
    let (written, stop_store) = (store.clone(), shutdown.clone());
    tasks.spawn("store", async move {
        tokio::select! {
            () = stop_store.cancelled() => Ok(()),
            () = written.writer_ended() => bail!("the store's writer died"),
        }
    });
    let (public, admin) = (api::router(app.clone()), api::admin_router(app, token, recorder.clone()));
    let (stop, stop_admin) = (shutdown.clone(), shutdown.clone());
    tasks.spawn("public HTTP", async move { Ok(http::serve(door, public, stop).await?) });
    tasks.spawn("admin HTTP", async move { Ok(http::serve(admin_door, admin, stop_admin).await?) });
    let (changing, stop_changes) = (store.clone(), shutdown.clone());
    tasks.spawn("contact changes", async move { Ok(changes::run(changing, stop_changes).await?) });
    spawn_keys(&mut tasks, &parts, &shutdown);
    let housekeeping = housekeeping::run(store.clone(), purposes, buckets, shutdown.clone());
    tasks.spawn("housekeeping", async move {
        housekeeping.await;
        Ok(())
    });
    let watch = Watch {
        node: parts.node.clone(),
        pool: pool.clone(),
        store: store.clone(),
        view: parts.view.clone(),
        sponsor: sponsor.as_ref().map(Sponsor::address),
        fee_cap_wei: parts.issue.max_fee_cap_wei,
        config: warn,
    };
    spawn_watches(&mut tasks, pool.clone(), watch, &shutdown);
    spawn_chain_side(&mut tasks, parts, sponsor, pool, &shutdown);
    tasks.spawn("metrics", recorder.keep(shutdown));
    tracing::info!(listen = %listening.listen, admin_listen = %listening.admin_listen, "relayer serves");
    let outcome = tasks.join().await;
    store.close().await;
    outcome
}

async fn open(config: &Config, store: Store) -> anyhow::Result<(Parts, Pool)> {
    let deployment = config.chain.deployment;
    if store.follows_another(&deployment).await? {
        bail!("the database holds another deployment's events: set store.path to a file of its own");
    }
    let keyring = Keyring::open_or_create(&store, &config.keys.wrapper().await).await?;
    let signer = signer::open("signer", &config.signer, deployment.chain_id).await?;
    let watched = Watched {
        deployment,
        issuer: signer.address(),
        min_balance_wei: config.min_balance_wei,
        purposes: config.otp.purposes.clone(),
        fresh_for: config.chain.fresh_for,
        max_head_age: config.chain.max_head_age,
    };
    let (node, pool) = chain::connect(&config.chain.rpc, deployment.chain_id)?;
    let parts = Parts {
        store,
        store_path: config.store_path.clone(),
        keyring: Arc::new(keyring),
        node,
        chain: config.chain.clone(),
        issue: config.issue.clone(),
        view: ChainView::new(watched),
        signer,
        wake: Arc::new(Notify::new()),
    };
    Ok((parts, pool))
}

/// The sponsor's key, where one is configured. It must not be the issuer's: two sequences of nonces over one account would
/// each take the other's.
async fn open_sponsor(config: Option<SponsorConfig>, parts: &Parts) -> anyhow::Result<Option<(Sponsor, SponsorDesk)>> {
    let Some(config) = config else { return Ok(None) };
    let signer = signer::open("sponsor", &config.signer, parts.chain.deployment.chain_id).await?;
    if signer.address() == parts.signer.address() {
        bail!("the sponsor's key is the issuer's: make one of its own with `relayer keystore` and fund it");
    }
    Ok(Some(Sponsor::new(parts, signer, config)))
}

/// New data keys are loaded, and what stands under older ones is sealed anew.
fn spawn_keys(tasks: &mut Tasks, parts: &Parts, shutdown: &CancellationToken) {
    let (keyring, stop) = (parts.keyring.clone(), shutdown.clone());
    let (resealing, stop_resealing) = (Resealing::new(parts.store.clone(), keyring.clone()), shutdown.clone());
    tasks.spawn("data keys", async move {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            never = keyring.watch() => match never {},
        }
    });
    tasks.spawn("resealing", async move {
        resealing.run(stop_resealing).await;
        Ok(())
    });
}

/// Of the nodes, and of what may stop issuance soon.
fn spawn_watches(tasks: &mut Tasks, pool: Pool, watch: Watch, shutdown: &CancellationToken) {
    let (stop, stop_watch) = (shutdown.clone(), shutdown.clone());
    tasks.spawn("nodes", async move {
        pool.watch(stop).await;
        Ok(())
    });
    tasks.spawn("warnings", async move {
        watch.run(stop_watch).await;
        Ok(())
    });
}

/// View and issuing start once a node is known to be the right one; until then issuance answers 503.
fn spawn_chain_side(
    tasks: &mut Tasks,
    parts: Parts,
    sponsor: Option<Sponsor>,
    pool: Pool,
    shutdown: &CancellationToken,
) {
    let (chain, node, view) = (parts.chain.clone(), parts.node.clone(), parts.view.clone());
    let checked = CancellationToken::new();
    let (go, stop) = (checked.clone(), shutdown.clone());
    tasks.spawn("chain view", async move {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            usable = chain::wait_until_usable(&node, &pool, &chain.deployment) => usable?,
        }
        go.cancel();
        view.follow(node, chain.poll, stop).await;
        Ok(())
    });
    if let Some(sponsor) = sponsor {
        let (go, stop) = (checked.clone(), shutdown.clone());
        tasks.spawn("sponsoring", async move {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = go.cancelled() => {}
            }
            Ok(sponsor.run(stop).await?)
        });
    }
    let stop = shutdown.clone();
    tasks.spawn("issuing", async move {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = checked.cancelled() => {}
        }
        match Issuer::start(parts, &stop).await? {
            Some(issuer) => Ok(issuer.run(stop).await?),
            None => Ok(()),
        }
    });
}
