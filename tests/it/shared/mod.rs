//! Many sidecars, one truth: what holds between those that share a store, whatever becomes of it (design.md §6).

mod expiry;
mod lost;
mod outbox;
mod ready;
mod trouble;
mod truth;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;

/// One rule, with what is shared told at once.
const STRICT: &str = r#"
  - { id: users, match: { path: '/users/(?P<id>\d+)' }, tags: ["User:{id}"], ttl: 60s, consistency: strict }
"#;

/// The same, told within the stated bound.
const BOUNDED: &str = r#"
  - { id: users, match: { path: '/users/(?P<id>\d+)' }, tags: ["User:{id}"], ttl: 60s }
"#;

/// It can be asked how it is.
const ADMIN: &str = "admin: { listen: '127.0.0.1:0' }";

/// A sample of its metrics, by its name with labels as they are written; zero where it has never been.
async fn metric(sidecar: &Sidecar, name: &str) -> f64 {
    let answer = sidecar.admin().get("/metrics").await;
    answer.has_status(200);
    let text = answer.text();
    let mut samples = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = samples.find(|(found, _)| *found == name);
    found.map_or(0.0, |(_, value)| value.parse().expect("a number"))
}

/// A sidecar of this namespace in front of the app, with this store. A busy machine is no slow store to it.
async fn sidecar(app: &Origin, url: &str, rules: &str) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(url);
    let setup = setup.redis_fields("timeout: 2s");
    setup.rules(rules).start().await
}

/// The same, by which a store counts as slow as soon as by default.
async fn hasty(app: &Origin, url: &str, rules: &str) -> Sidecar {
    let setup = Setup::new(app).real_time().redis(url);
    setup.rules(rules).start().await
}

/// The app answers this from now on.
fn says(app: &Origin, body: &str) {
    app.answer("/users/42", reply(body));
}
