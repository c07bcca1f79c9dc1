//! `tagalong demo`: a small shop, Tagalong in front of it, its dashboard, and three `curl` lines to try. It needs nothing installed and
//! leaves nothing behind.

mod cart;
mod pages;
pub mod shop;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::app::StartError;
use crate::config;
use crate::config::Outside;
use crate::model::mistake::Mistake;

/// What the shop takes for a page: long enough to notice, short enough to wait for.
const WORK: Duration = Duration::from_millis(300);

/// Where people expect it.
const PORT: u16 = 8080;

/// Where they expect the dashboard.
const DASHBOARD_PORT: u16 = 9080;

/// For any free port.
const FREE: u16 = 0;

/// The one rule: the app's headers say the rest.
const RULES: &str = r#"
rules:
  - id: products
    match: { path: '/products(/\d+)?' }
    vary_on: { query: { mode: none } }    # ?utm_source=… makes no second copy
"#;

/// A running shop with a sidecar in front.
pub struct Demo {
    app: App,
    url: String,
    dashboard: String,
    /// The ports on which people expect it, and which others have.
    taken: Vec<u16>,
    shop: JoinHandle<io::Result<()>>,
}

/// Why the demo did not start.
#[derive(Debug, Error)]
pub enum DemoError {
    /// The shop found no port.
    #[error("the shop cannot listen on a loopback port")]
    Shop(#[source] io::Error),
    /// The configuration above is wrong: a mistake in Tagalong itself.
    #[error("the demo's own configuration is wrong: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Configuration(Vec<Mistake>),
    /// The sidecar did not start.
    #[error(transparent)]
    Sidecar(#[from] StartError),
}

/// Starts the shop on a free port and the sidecar on `port`, with the dashboard on a free one; without one on 8080 and 9080, or
/// free ones where those are taken.
///
/// # Errors
///
/// See [`DemoError`].
pub async fn start(port: Option<u16>) -> Result<Demo, DemoError> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(DemoError::Shop)?;
    let upstream = listener.local_addr().map_err(DemoError::Shop)?;
    let (app, taken) = match port {
        Some(port) => (sidecar(upstream, port, FREE).await?, Vec::new()),
        None => usual(upstream).await?,
    };
    let address = app.addresses().first().map(ToString::to_string);
    let admin = app.admin_address().map(|it| it.to_string());
    Ok(Demo {
        url: format!("http://{}", address.unwrap_or_default()),
        dashboard: format!("http://{}/", admin.unwrap_or_default()),
        app,
        taken,
        shop: tokio::spawn(axum::serve(listener, shop::router(WORK)).into_future()),
    })
}

/// On the ports that people expect, as far as they are free; and those that are not.
async fn usual(upstream: SocketAddr) -> Result<(App, Vec<u16>), DemoError> {
    for (port, admin, taken) in [
        (PORT, DASHBOARD_PORT, vec![]),
        (PORT, FREE, vec![DASHBOARD_PORT]),
        (FREE, DASHBOARD_PORT, vec![PORT]),
    ] {
        if let Ok(app) = sidecar(upstream, port, admin).await {
            return Ok((app, taken));
        }
    }
    // Whatever is wrong besides the ports is wrong here too.
    let app = sidecar(upstream, FREE, FREE).await?;
    Ok((app, vec![PORT, DASHBOARD_PORT]))
}

async fn sidecar(upstream: SocketAddr, port: u16, admin: u16) -> Result<App, DemoError> {
    let text = format!(
        "listen: ['127.0.0.1:{port}']\nadmin: {{ listen: '127.0.0.1:{admin}' }}\nupstream: {{ url: 'http://{upstream}' }}\n"
    );
    let config = config::compile("demo", &text, &RulesAlone).map_err(DemoError::Configuration)?;
    Ok(App::start(config, Default::default()).await?)
}

/// The one rule, and nothing of the machine the demo runs on.
struct RulesAlone;

impl Outside for RulesAlone {
    fn variable(&self, name: &str) -> Result<String, String> {
        Err(format!("the demo does not read `{name}`"))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("the demo does not read `{path}`"))
    }

    fn beside(&self, _from: &str, path: &str) -> Result<String, String> {
        self.file(path)
    }

    fn rules(&self, _folder: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
        (
            Some(vec![("demo".to_owned(), RULES.to_owned())]),
            Vec::new(),
        )
    }
}

impl Demo {
    /// Where the sidecar listens, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Finishes what runs, then closes the shop.
    pub async fn shutdown(self) {
        self.app.shutdown().await;
        self.shop.abort();
    }

    /// The three lines: a miss, a hit, an invalidation.
    pub fn lines(&self) -> [String; 3] {
        let url = &self.url;
        let look = format!(
            "curl -si -w 'took %{{time_total}} s\\n' {url}/products/1 | grep -iE '^cache-status|in stock|^took'"
        );
        let order = format!("curl -s -d product=1 {url}/orders && {look}");
        [look.clone(), look, order]
    }
}

impl fmt::Display for Demo {
    /// What to try.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [miss, hit, order] = self.lines();
        writeln!(
            f,
            "A small shop is open, and Tagalong is in front of it: {}",
            self.url
        )?;
        match self.taken.as_slice() {
            [] => {}
            [port] => writeln!(f, "Port {port} is taken: it has a free one instead.")?,
            ports => {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let ports = ports.join(" and ");
                writeln!(f, "Ports {ports} are taken: it has free ones instead.")?;
            }
        }
        write!(
            f,
            "\
Each page costs the shop {WORK:?}. In another terminal, or in a browser:

# 1. a miss: the shop makes the page
{miss}

# 2. a hit: the same page at once, from the store
{hit}

# 3. an order changes the stock, says so in a header, and the stored page is forgotten
{order}

All of it as it happens, and why each miss was one: {dashboard}

Ctrl-C ends it.",
            dashboard = self.dashboard
        )
    }
}
