//! Many sidecars, one truth: what holds between those that share a store, whatever becomes of it (design.md §6).

mod audit;
mod bodies;
mod causes;
mod entries;
mod epoch;
mod expiry;
mod findings;
mod lease;
mod lost;
mod moved;
mod objects;
mod operator;
mod outbox;
mod purge;
mod ready;
mod story;
mod told;
mod topology;
mod trouble;
mod truth;
mod versions;

use crate::support::Origin;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;

/// Operators reach it, without a token.
const OPEN: &str = "admin: { listen: '127.0.0.1:0' }";

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
    calm(Setup::new(app).real_time().redis(url).rules(rules))
        .start()
        .await
}

/// With more time than the defaults give, where it is not about time: tests share their machine.
fn calm(setup: Setup) -> Setup {
    setup
        .redis_fields("timeout: 2s")
        .config("tags: { max_lag: 5s }")
}

/// The app answers this from now on.
fn says(app: &Origin, body: &str) {
    app.answer("/users/42", reply(body));
}
