//! Many sidecars, one truth: what holds between those that share a store, whatever becomes of it (design.md §6).

mod lost;
mod moved;
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

/// A sidecar of this namespace in front of the app, with this store.
async fn sidecar(app: &Origin, url: &str, rules: &str) -> Sidecar {
    Setup::new(app)
        .real_time()
        .redis(url)
        .rules(rules)
        .start()
        .await
}

/// The app answers this from now on.
fn says(app: &Origin, body: &str) {
    app.answer("/users/42", reply(body));
}
