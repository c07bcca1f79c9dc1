//! `tagalong.yaml` as written (rules.md §1). Docstrings here are what editors show: the JSON Schema is made of these types.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use crate::model::compress::Compress;
use crate::rules::Consistency;
use crate::rules::Unmatched;
use crate::rules::source::Defaults;
use crate::rules::source::TagList;
use crate::telemetry::log::Format as LogFormat;
use crate::yaml::Spanned;
use crate::yaml::units::{Share, Size, Span};
use crate::yaml::{TextOrMap, text_or_map};

/// The configuration of a sidecar. Every field has a default.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Prefix of everything in a shared store, and part of every key. Default: `tagalong`.
    #[serde(default)]
    pub(super) namespace: Option<Spanned<String>>,
    /// Where clients reach us. HTTP/1.1 and HTTP/2 on each. Default: `127.0.0.1:8080`.
    #[serde(default)]
    pub(super) listen: Option<Spanned<Vec<Spanned<ListenItem>>>>,
    /// The app.
    #[serde(default)]
    pub(super) upstream: Upstream,
    /// Where operators reach us, and what watches over us: health, metrics. Default: nowhere; `{}` is `127.0.0.1:9080`.
    #[serde(default)]
    pub(super) admin: Option<Admin>,
    /// Part of every key: raise it to forget everything that is stored; 0 to 9007199254740991. The highest that a shared store
    /// has ever seen counts. Default: 1.
    #[serde(default)]
    pub(super) epoch: Option<Spanned<u64>>,
    /// What becomes of requests that no rule matches. Default: `rfc9111`.
    #[serde(default)]
    pub(super) unmatched: Option<Unmatched>,
    /// A folder of `*.yaml`, read in name order; relative to this file. Default: `./rules`, if it is there.
    #[serde(default)]
    pub(super) rules: Option<Spanned<String>>,
    /// Which header fields are read, and what is told to clients.
    #[serde(default)]
    pub(super) headers: Headers,
    /// Where entries are kept.
    #[serde(default)]
    pub(super) store: Store,
    /// When increments that are made elsewhere count here.
    #[serde(default)]
    pub(super) tags: Tags,
    /// What is too much.
    #[serde(default)]
    pub(super) limits: Limits,
    /// Who is told of increments: a CDN, a search index.
    #[serde(default)]
    pub(super) increment_webhooks: Vec<Spanned<Webhook>>,
    /// How long running requests may take once we are told to stop. Default: `10s`.
    #[serde(default)]
    pub(super) drain: Option<Span>,
    /// Whether plain hits over HTTP/1.1 are answered before the HTTP library sees them, which costs less. Off, every request takes
    /// the long way: the answers are the same. Default: `true`.
    #[serde(default)]
    pub(super) fast_path: Option<bool>,
    /// What is logged.
    #[serde(default)]
    pub(super) log: Log,
    /// Who collects traces.
    #[serde(default)]
    pub(super) telemetry: Telemetry,
    /// Lists of tags by name, for rules to `use`.
    #[serde(default)]
    pub(super) templates: Named<TagList>,
    /// Names for what is forgotten together: `{ books: { tags: [books] }, all: { all: true } }`.
    #[serde(default)]
    pub(super) purge_groups: Named<PurgeGroup>,
    /// Defaults for the fields of all rules.
    #[serde(default)]
    pub(super) defaults: Defaults,
}

/// Where clients reach us: a place, or one with TLS.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub(super) enum ListenItem {
    /// `127.0.0.1:8080` or `unix:/run/tagalong.sock`, without TLS.
    Plain(String),
    /// An address for clients that speak TLS.
    Tls(TlsListen),
}

/// An address for clients that speak TLS.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsListen {
    /// Such as `0.0.0.0:8443`.
    pub(super) addr: Spanned<String>,
    /// What it shows them.
    pub(super) tls: Tls,
}

/// The certificate of a listener; read at start, so that a new one needs a restart.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate, then those that vouch for it, as PEM; relative to this file.
    pub(super) cert_file: Spanned<String>,
    /// Its private key, as PEM, without a passphrase; relative to this file.
    pub(super) key_file: Spanned<String>,
}

impl TextOrMap for ListenItem {
    type Map = TlsListen;
    const EXPECTED: &'static str =
        "an address, or `{ addr: …, tls: { cert_file: …, key_file: … } }`";

    fn of_text(text: &str) -> Option<ListenItem> {
        Some(ListenItem::Plain(text.to_owned()))
    }

    fn of_map(map: TlsListen) -> ListenItem {
        ListenItem::Tls(map)
    }
}

impl<'de> Deserialize<'de> for ListenItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ListenItem, D::Error> {
        text_or_map(deserializer)
    }
}

/// Where operators reach us, and what watches over us.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Admin {
    /// An address and a port. One that other machines can reach needs a token. Default: `127.0.0.1:9080`.
    #[serde(default)]
    pub(super) listen: Option<Spanned<String>>,
    /// The environment variable that holds the token: who presents it (`Authorization: Bearer …`) is trusted, and called `admin`.
    #[serde(default)]
    pub(super) token_env: Option<Spanned<String>>,
    /// The file that holds it; relative to this file.
    #[serde(default)]
    pub(super) token_file: Option<Spanned<String>>,
    /// More tokens, each with a name by which the audit calls who presents it.
    #[serde(default)]
    pub(super) tokens: Vec<AdminToken>,
}

/// A token of the admin interface, and who has it. One of `token_env` and `token_file` says where it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminToken {
    /// 1 to 100 letters, digits, `_`, `-` or `.`; neither `admin` nor `local`.
    pub(super) name: Spanned<String>,
    /// The environment variable that holds it.
    #[serde(default)]
    pub(super) token_env: Option<Spanned<String>>,
    /// The file that holds it; relative to this file.
    #[serde(default)]
    pub(super) token_file: Option<Spanned<String>>,
}

/// The app.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    /// `http://host:port`, `https://…`, `h2c://…` or `unix:/run/app.sock`. Default: `http://127.0.0.1:8000`.
    #[serde(default)]
    pub(super) url: Option<Spanned<String>>,
    /// In place of `url`: several addresses of the same app, asked by turns. All of one scheme.
    #[serde(default)]
    pub(super) urls: Option<Spanned<Vec<Spanned<String>>>>,
    /// How the addresses are checked. Default: several by a connection every `5s`, a single one not at all.
    #[serde(default)]
    pub(super) health: Option<Health>,
    /// The longest wait for a connection. Default: `1s`.
    #[serde(default)]
    pub(super) connect_timeout: Option<Spanned<Span>>,
    /// The longest wait for the next bytes of a response. Default: `30s`.
    #[serde(default)]
    pub(super) read_timeout: Option<Spanned<Span>>,
    /// Further tries of idempotent requests after a failed connection, at most 10. Default: 1.
    #[serde(default)]
    pub(super) retries: Option<Spanned<u32>>,
    /// Exchanges with the app at once, at least 1; upgraded connections do not count, and those whose requests are still on their way
    /// have half of it. Default: 256.
    #[serde(default)]
    pub(super) max_concurrent: Option<Spanned<u32>>,
    /// How many more requests may wait for their turn; beyond that 503. Default: 1024.
    #[serde(default)]
    pub(super) queue: Option<u32>,
    /// The longest wait for a turn; then 503. Default: `5s`.
    #[serde(default)]
    pub(super) queue_timeout: Option<Spanned<Span>>,
}

/// How the addresses of the app are checked.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// What is asked for: 2xx and 3xx are healthy answers. Default: nothing, a connection is enough.
    #[serde(default)]
    pub(super) path: Option<Spanned<String>>,
    /// How often. Default: `5s`.
    #[serde(default)]
    pub(super) interval: Option<Spanned<Span>>,
}

/// Which header fields are read, and what is told to clients.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Headers {
    /// Response fields that tag the response.
    #[serde(default)]
    pub(super) tags: Option<Vec<Spanned<HeaderItem>>>,
    /// Response fields that increment tags.
    #[serde(default)]
    pub(super) increments: Option<Vec<Spanned<HeaderItem>>>,
    /// Response fields that report changes of attributes.
    #[serde(default)]
    pub(super) changes: Option<Vec<Spanned<String>>>,
    /// Response fields that select a variant beyond `Vary`.
    #[serde(default)]
    pub(super) vary: Option<Vec<Spanned<String>>>,
    /// Targeted cache control fields (RFC 9213); the first one present wins.
    #[serde(default)]
    pub(super) targeted: Option<Vec<Spanned<String>>>,
    /// Whom a group of RFC 9875 belongs to. Default: `origin`.
    #[serde(default)]
    pub(super) groups: Option<Groups>,
    /// Whether the fields stay on responses to clients. Default: `false`.
    #[serde(default)]
    pub(super) expose: Option<bool>,
    /// Whether responses carry `Cache-Status`. Default: `true`.
    #[serde(default)]
    pub(super) cache_status: Option<bool>,
    /// Who sees keys and tags in responses.
    #[serde(default)]
    pub(super) debug: Debug,
}

/// A response field that holds tags: its name, or with a separator of its own.
#[derive(Clone, Debug, JsonSchema)]
#[serde(untagged)]
pub(super) enum HeaderItem {
    /// Read by the grammar usual for a field of this name; an unknown one like `Cache-Tag`.
    Name(String),
    /// Plain tags with this separator between them.
    Separated(SeparatedHeader),
}

/// A header with a separator of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SeparatedHeader {
    /// Its name.
    pub(super) name: String,
    /// One punctuation mark, or a space.
    pub(super) separator: String,
}

impl TextOrMap for HeaderItem {
    type Map = SeparatedHeader;
    const EXPECTED: &'static str = "the name of a header, or `{ name: …, separator: … }`";

    fn of_text(text: &str) -> Option<HeaderItem> {
        Some(HeaderItem::Name(text.to_owned()))
    }

    fn of_map(map: SeparatedHeader) -> HeaderItem {
        HeaderItem::Separated(map)
    }
}

impl<'de> Deserialize<'de> for HeaderItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderItem, D::Error> {
        text_or_map(deserializer)
    }
}

/// Whom a group of RFC 9875 belongs to.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Groups {
    /// To the origin of the request, as the RFC says.
    Origin,
    /// To all: group and tag names are one.
    Shared,
}

/// Who sees keys and tags in responses.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Debug {
    /// Everybody. Default: `false`.
    #[serde(default)]
    pub(super) enabled: Option<bool>,
    /// The environment variable that holds the secret to be presented in `Tagalong-Debug`.
    #[serde(default)]
    pub(super) secret_env: Option<Spanned<String>>,
    /// The file that holds it.
    #[serde(default)]
    pub(super) secret_file: Option<Spanned<String>>,
}

/// Where entries are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Store {
    /// In memory.
    #[serde(default)]
    pub(super) memory: Memory,
    /// In Redis or Valkey too, for all sidecars of the app; tag versions are shared through it as well.
    #[serde(default)]
    pub(super) redis: Option<Spanned<Redis>>,
}

/// The memory store.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Memory {
    /// The most bytes of entries. Default: `256MiB`.
    #[serde(default)]
    pub(super) max_bytes: Option<Size>,
}

/// The shared store. One of `url`, `url_env` and `url_file` says where it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Redis {
    /// `redis://[[user]:password@]host[:port][/db]`, `rediss://…` for TLS, `redis+unix:///path`,
    /// `redis+sentinel://host,host/service[/db]` or `redis+cluster://host,host`. Without a password: that stands elsewhere.
    #[serde(default)]
    pub(super) url: Option<Spanned<String>>,
    /// The environment variable that holds the URL.
    #[serde(default)]
    pub(super) url_env: Option<Spanned<String>>,
    /// The file that holds the URL; relative to this file.
    #[serde(default)]
    pub(super) url_file: Option<Spanned<String>>,
    /// How long the store may take to answer; then it counts as down. Default: `50ms`.
    #[serde(default)]
    pub(super) timeout: Option<Spanned<Span>>,
    /// `false`: tag versions alone are shared, bodies stay in memory. Default: `true`.
    #[serde(default)]
    pub(super) bodies: Option<bool>,
    /// How bodies are compressed there. Default: `zstd`.
    #[serde(default)]
    pub(super) compress: Option<Compress>,
    /// With `rediss://`: the certificates of those who vouch for the servers, as PEM; relative to this file. Default: those
    /// the system trusts.
    #[serde(default)]
    pub(super) ca_file: Option<Spanned<String>>,
}

/// When increments that are made elsewhere count here, and what becomes of ours while the shared store is down.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tags {
    /// For rules that do not say it, and for requests that no rule matches. Default: `bounded`.
    #[serde(default)]
    pub(super) consistency: Option<Consistency>,
    /// With `bounded`: how long after an increment was committed another sidecar may still serve what it invalidates, at
    /// least `100ms`. Default: `1s`.
    #[serde(default)]
    pub(super) max_lag: Option<Spanned<Span>>,
    /// Increments that the shared store could not take yet.
    #[serde(default)]
    pub(super) outbox: Outbox,
}

/// Increments that the shared store could not take yet.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Outbox {
    /// How many tags may wait, at least 1. Default: 10000.
    #[serde(default)]
    pub(super) max: Option<Spanned<u32>>,
}

/// What is too much.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    /// The largest body that is stored; larger ones stream through. Default: `8MiB`.
    #[serde(default)]
    pub(super) max_object: Option<Size>,
    /// The most tags of one response. Default: 256.
    #[serde(default)]
    pub(super) max_tags: Option<u32>,
    /// The most bytes of all tags of one response. Default: `16KiB`.
    #[serde(default)]
    pub(super) max_tag_bytes: Option<Size>,
    /// The most stored responses of one key that differ in what their `Vary` names, 1 to 4096. Default: 64.
    #[serde(default)]
    pub(super) max_variants: Option<Spanned<u32>>,
    /// The largest head of a request or response, at least `8KiB`. Default: `64KiB`.
    #[serde(default)]
    pub(super) max_head: Option<Spanned<Size>>,
    /// How long a client may take for a request's head, and for a TLS handshake. Default: `10s`.
    #[serde(default)]
    pub(super) client_header_timeout: Option<Spanned<Span>>,
    /// How long a client may pause within a request's body; after the first time of this length a body of declared length comes with 500
    /// bytes a second on average. Default: `60s`.
    #[serde(default)]
    pub(super) client_body_timeout: Option<Spanned<Span>>,
    /// How long a connection may be idle. Default: `60s`.
    #[serde(default)]
    pub(super) client_idle_timeout: Option<Spanned<Span>>,
}

/// Somebody who is told of increments: `{"namespace", "at", "tags": ["User:42"]}` by POST.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// `http://host:port/path`, `https://…` or `h2c://…`.
    pub(super) url: Spanned<String>,
    /// How long tags are collected for one call, from the first one on. Default: `1s`.
    #[serde(default)]
    pub(super) batch: Option<Span>,
    /// The most tags of one call, at least 1; more tags are more calls. Default: 30.
    #[serde(default)]
    pub(super) max: Option<Spanned<u32>>,
    /// Headers of each call: by name, the environment variable that holds the value.
    #[serde(default)]
    pub(super) header_env: Named<String>,
    /// Headers of each call: by name, the file that holds the value.
    #[serde(default)]
    pub(super) header_file: Named<String>,
}

/// What a name of `purge_groups` stands for: either of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PurgeGroup {
    /// What carries one of these tags.
    #[serde(default)]
    pub(super) tags: Option<Spanned<Vec<Spanned<String>>>>,
    /// `true`: everything.
    #[serde(default)]
    pub(super) all: Option<Spanned<bool>>,
}

/// Values by name, in the order of the text.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Named<T>, D::Error> {
        struct Map<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Map<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map (`name: value`)")
            }

            fn visit_unit<E: Error>(self) -> Result<Named<T>, E> {
                Ok(Named::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    all.push(entry);
                }
                Ok(Named(all))
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let values = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": values })
    }
}

/// What is logged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Log {
    /// Default: `text`.
    #[serde(default)]
    pub(super) format: Option<LogFormat>,
    /// A line per request. Default: `false`.
    #[serde(default)]
    pub(super) access: Option<bool>,
}

/// Who collects traces.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Telemetry {
    /// Where an OpenTelemetry collector takes OTLP over HTTP: `http://host:4318`, `https://…` or `h2c://…`; `/v1/traces` is
    /// added. Default: nowhere, and there are no traces.
    #[serde(default)]
    pub(super) otlp_endpoint: Option<Spanned<String>>,
    /// The share of the traces begun here that are recorded, from 0 to 1; of others whoever began them decides. Default: 1.
    #[serde(default)]
    pub(super) sample: Option<Share>,
    /// What the spans say they come from. Default: `tagalong`.
    #[serde(default)]
    pub(super) service_name: Option<Spanned<String>>,
    /// Headers of each call to the collector: by name, the environment variable that holds the value.
    #[serde(default)]
    pub(super) header_env: Named<String>,
    /// Headers of each call to the collector: by name, the file that holds the value.
    #[serde(default)]
    pub(super) header_file: Named<String>,
}

/// Whether rules.md has a field at this dotted path that is not supported yet.
pub(super) fn is_later(path: &str) -> bool {
    LATER.contains(&path)
}

const LATER: &[&str] = &[];
