//! Tagalong: a sidecar HTTP cache that forgets exactly the right responses.
//!
//! It stands in front of a web app. The app tags what it answers (`Cache-Tag: User:42`) and reports what has changed
//! (`Cache-Tag-Increment: User:42`). Every tag has a version; a stored response is valid as long as each of its tags has
//! the version it was stored under, so one increment makes all of them unreachable at once, at constant cost.
//!
//! The way of a request:
//!
//! ```text
//! client -> proxy::listen -> Proxy::handle
//!                        | RuleSet::plan ---- Pass -------------------------------> Fetch::pass --+
//!                        | Lookup(query)                                                          |
//!                      Cache::trust    with others: have they been heard of?                      |
//!                      Cache::lookup   base key, variant, entry; a load per tag                   |
//!                        |- Hit ----> respond   the whole, ranges of it, or 304                   |
//!                        |- Stale --> respond, and a Fill behind it --+                           |
//!                        |- Miss(Fill) -------------------------------+-------> Fetch::fill --+   |
//!                        |- Join(Follower) <--+                                               |   |
//!                        '- Pass (a HEAD, with what it may renew; what nobody else may have) -|---+
//!                                             |   in its client's task; in its own once that leaves:
//!                                             |   0 with others: has one of them stored it? is one fetching it for all?
//! client <- respond::stamp <---- Follower <---+   1 Upstream::turn, then a Snapshot of the tags (L1)
//!                                             |   2 Upstream::send -> app: for the whole, whether what is stored is
//!                                             |     still right, for the rest of a part, or for a part
//!                                             |   3 policy::signals -> Cache::increment (L4)
//!                                             |   4 what is stored and a 304 or its rest as one; in place of an error
//!                                             |   5 policy::judge
//!                                             '-- 6 head to the followers, body into the spool
//!                                                 7 body whole? L1 once more, then store; then tell the others
//! ```
//!
//! All the time, where tags are shared: `Cache::keep_in_touch` follows the log of increments, and sends those of this sidecar.
//! For no request, when it is due: `Fetch::by_schedule` repeats increments (`again`), and runs the `Fill`s that
//! `Cache::refreshes_due` gives the right to (`refresh`, `refresh_ahead`), a few at a time. Others are told of increments, hits and
//! misses by tasks of `hooks`, which nobody waits for.
//!
//! The parts, each of which imports only parts above it (`tests/it/architecture.rs` holds the table):
//!
//! | part | what it is |
//! |---|---|
//! | [`model`] | plain data: tags, stamps, keys, entries, outcomes |
//! | [`clock`], [`body`] | the only reader of time; bodies in motion |
//! | [`metrics`] | what is counted and measured, in one table |
//! | [`yaml`] | text to typed values, every mistake with its place |
//! | [`offload`] | a thread behind all others, for what operators ask for and what takes long |
//! | [`dialects`] | how header fields spell tags, increments, and `Cache-Status` |
//! | [`rules`] | what a request means: rule, key, tags; `plan` is also what `explain` prints |
//! | [`policy`] | what a response means: RFC 9111, privacy, signals |
//! | [`telemetry`] | the log |
//! | [`shared`] | Redis or Valkey, which all sidecars of an app share |
//! | [`tags`] | tag versions: snapshot, seal, increment; what others change; what waits for the store |
//! | [`store`] | entries in memory, bounded by bytes; entries as bytes that other sidecars read |
//! | [`audit`] | what operators have done, in memory and in a stream that all sidecars share |
//! | [`upstream`] | the exchange with the app, through Pingora |
//! | [`hooks`] | calls to others, who are told of increments, hits and misses |
//! | [`cache`] | the engine, without sockets: lookup, fills and their followers |
//! | [`fetch`] | exchanges and what must happen to each, whether or not their clients stay |
//! | [`proxy`] | the side that faces the clients, on hyper |
//! | [`admin`] | the side that faces operators, on a listener of its own |
//! | [`config`] | files and environment to a validated value per part |
//! | [`app`] | configuration to running parts; drain and stop |
//! | [`demo`], [`cli`] | the shop of `tagalong demo`; the command line |
//!
//! The laws L1 to L15 that comments name are those of the design: L1 nothing computed before an increment is stored
//! after it; L2 a version is never given twice; L3 lost versions mean misses; L4 an increment is committed before the
//! reply that carried it; L5 a failed refill makes nothing fresh; L6 no increment is lost silently; L7 keys are injective;
//! L8 empty is a value; L9 coalescing neither hangs nor stampedes; L10 everything stored has a finite life; L11 a purge
//! keeps to its namespace; L12 private by default; L13 the cache may fail, the request may not; L14 looking changes
//! nothing; L15 no hidden sharing.

// Loom walks through the atomics of `tags`, and its own panic outside of a walk: what stands on them is left out then.
#[cfg(not(feature = "loom"))]
pub mod admin;
#[cfg(not(feature = "loom"))]
pub mod app;
#[cfg(not(feature = "loom"))]
pub mod audit;
#[cfg(not(feature = "loom"))]
pub mod body;
#[cfg(not(feature = "loom"))]
pub mod cache;
#[cfg(not(feature = "loom"))]
pub mod cli;
pub mod clock;
#[cfg(not(feature = "loom"))]
pub mod config;
#[cfg(not(feature = "loom"))]
pub mod demo;
#[cfg(not(feature = "loom"))]
pub mod dialects;
#[cfg(not(feature = "loom"))]
pub mod fetch;
#[cfg(not(feature = "loom"))]
pub mod hooks;
pub mod metrics;
pub mod model;
#[cfg(not(feature = "loom"))]
pub mod offload;
#[cfg(not(feature = "loom"))]
pub mod policy;
#[cfg(not(feature = "loom"))]
pub mod proxy;
#[cfg(not(feature = "loom"))]
pub mod rules;
pub mod shared;
#[cfg(not(feature = "loom"))]
pub mod store;
pub mod tags;
#[cfg(not(feature = "loom"))]
pub mod telemetry;
#[cfg(not(feature = "loom"))]
pub mod upstream;
#[cfg(not(feature = "loom"))]
pub mod yaml;
