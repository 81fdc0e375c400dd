//! The listeners of a server: ingress, API and the socket on which bindings are answered.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use stepwell_store::ScopedName;
use tokio::net::{TcpListener, UnixListener};

use crate::auth::Auth;
use crate::connections;
use crate::core::Core;
use crate::d1::D1;
use crate::hosting::{self, Hosting};
use crate::ingress::{self, Ingress, Proxy};
use crate::rest::{self, Api};
use crate::subscription::Subscriptions;
use crate::tail::requests::Requests;

/// How often idle databases are looked for.
const D1_SWEEP_EVERY: Duration = Duration::from_secs(30);

/// Listeners that are bound, before there is anything to serve: a port in use is known before anything is started.
pub struct Listeners {
    ingress: TcpListener,
    api: TcpListener,
}

/// Where a face is to listen.
pub struct Wanted {
    pub address: SocketAddr,
    /// What the user changes it with.
    pub option: &'static str,
}

/// What the faces need beside the core.
pub struct FaceSettings {
    /// Who may use the API.
    pub auth: Auth,
    /// Databases.
    pub d1: D1,
    /// Answers ingress hosts that name no script.
    pub default_script: Option<ScopedName>,
    /// `dev`.
    pub is_dev: bool,
    /// Where bindings are answered.
    pub host_socket: UnixListener,
}

impl Listeners {
    /// Binds both, each with the option that names it.
    ///
    /// # Errors
    /// Where an address is taken or not this machine's; the message says what to do.
    pub async fn bind(ingress: Wanted, api: Wanted) -> anyhow::Result<Self> {
        let port = ingress.address.port();
        ensure!(
            port == 0 || port != api.address.port() || !overlap(ingress.address.ip(), api.address.ip()),
            "requests to Workers ({}) and the API ({}) cannot share port {port}: give one of them another",
            ingress.option,
            api.option
        );
        Ok(Self { ingress: ingress.bind().await?, api: api.bind().await? })
    }

    /// Where the ingress listens.
    pub fn ingress_address(&self) -> std::io::Result<SocketAddr> {
        self.ingress.local_addr()
    }

    /// Where the API listens.
    pub fn api_address(&self) -> std::io::Result<SocketAddr> {
        self.api.local_addr()
    }

    /// Serves all faces in tasks of their own, until the process ends.
    ///
    /// # Errors
    /// Where the host socket cannot be made.
    pub fn serve(self, core: &Core, settings: FaceSettings) -> anyhow::Result<()> {
        tokio::spawn(tidy(settings.d1.clone()));
        let (tails, store) = (core.platform.tails.clone(), core.platform.store.clone());
        let requests = if settings.is_dev { Requests::logged(tails, store) } else { Requests::new(tails, store) };
        let proxy = Arc::new(Proxy::new(Arc::new(core.workers.clone()), requests));
        let hosting = Hosting {
            platform: core.platform.clone(),
            proxy: Arc::clone(&proxy),
            d1: settings.d1.clone(),
            subscriptions: Subscriptions::default(),
        };
        let host_socket = settings.host_socket;
        tokio::spawn(async move { report(axum::serve(host_socket, hosting::router(hosting)).await) });
        let ingress = Ingress {
            store: core.platform.store.clone(),
            accounts: core.accounts.clone(),
            proxy,
            default_script: settings.default_script,
            names_scripts: settings.is_dev,
        };
        let ingress_port = self.ingress.local_addr()?.port();
        tokio::spawn(connections::serve(self.ingress, ingress::router(ingress)));
        let deployer = Arc::new(core.deployer.clone());
        let platform = core.platform.clone();
        let (accounts, registry) = (core.accounts.clone(), core.registry.clone());
        let api = Api::new(platform, settings.auth, accounts, deployer, registry, settings.d1, ingress_port);
        tokio::spawn(connections::serve(self.api, rest::router(api)));
        Ok(())
    }
}

/// Keeps databases tidy, for ever.
async fn tidy(d1: D1) {
    if let Err(error) = d1.remove_deleted().await {
        tracing::warn!(%error, "files of deleted D1 databases may be left");
    }
    loop {
        tokio::time::sleep(D1_SWEEP_EVERY).await;
        d1.tidy().await;
    }
}

impl Wanted {
    async fn bind(&self) -> anyhow::Result<TcpListener> {
        let Self { address, option } = self;
        TcpListener::bind(address).await.map_err(|error| {
            let advice = match error.kind() {
                ErrorKind::AddrInUse => format!(
                    "stop what listens there (another stepwell or wrangler dev?) or choose another port with {option}"
                ),
                ErrorKind::AddrNotAvailable => format!(
                    "{} is no address of this machine; `ip addr` shows which are, and 0.0.0.0 is all of them: choose one with \
                     {option}",
                    address.ip()
                ),
                ErrorKind::PermissionDenied => format!("choose a port above 1023 with {option}, or allow this one"),
                _ => format!("choose another address with {option}"),
            };
            anyhow!("cannot listen on {address} ({error}): {advice}")
        })
    }
}

/// Whether listening on one port of both cannot work.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    let covers = |wide: IpAddr, other: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4());
    one == other || covers(one, other) || covers(other, one)
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::error!(%error, "a listener ended");
    }
}
