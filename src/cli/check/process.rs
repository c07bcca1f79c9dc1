//! What is in force besides the rules.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::cli::check::rule::{Seconds, word};
use crate::cli::table::Table;
use crate::config::{Config, Limits, Redis, Tags};
use crate::model::compress::Compress;
use crate::model::purge::PurgeGroup;
use crate::model::units::Bytes;

/// The process, as far as it has to do with what is cached.
#[derive(Debug, Serialize)]
pub(super) struct ProcessView {
    namespace: String,
    listen: Vec<String>,
    /// The token itself is shown nowhere.
    admin: Option<String>,
    upstream: String,
    store: StoreView,
    tags: TagsView,
    epoch: u64,
    unmatched: &'static str,
    limits: LimitsView,
    increment_webhooks: Vec<WebhookView>,
    purge_groups: BTreeMap<String, PurgeGroupView>,
}

/// The URL is shown without its query.
#[derive(Debug, Serialize)]
struct WebhookView {
    url: String,
    batch: Seconds,
    max: usize,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum PurgeGroupView {
    Tags { tags: Vec<String> },
    All { all: bool },
}

#[derive(Debug, Serialize)]
struct StoreView {
    max_bytes: usize,
    redis: Option<RedisView>,
}

/// The URL is shown without user and passwords.
#[derive(Debug, Serialize)]
struct RedisView {
    url: String,
    timeout: Seconds,
    bodies: bool,
    compress: &'static str,
}

#[derive(Debug, Serialize)]
struct TagsView {
    consistency: &'static str,
    max_lag: Seconds,
    outbox_max: usize,
}

#[derive(Debug, Serialize)]
struct LimitsView {
    max_object: usize,
    max_tags: usize,
    max_tag_bytes: usize,
    max_variants: usize,
    max_head: usize,
    client_header_timeout: Seconds,
    client_body_timeout: Seconds,
    client_idle_timeout: Seconds,
}

impl ProcessView {
    pub(super) fn of(config: &Config) -> ProcessView {
        ProcessView {
            namespace: config.namespace.clone(),
            listen: config.listen.iter().map(ToString::to_string).collect(),
            admin: config.admin.as_ref().map(|it| it.listen.to_string()),
            upstream: config.upstream.targets.to_string(),
            store: StoreView {
                max_bytes: config.store.max_bytes,
                redis: config.store.redis.as_ref().map(RedisView::of),
            },
            tags: TagsView::of(&config.tags),
            epoch: config.rules.epoch(),
            unmatched: match config.rules.stores_unmatched() {
                true => "rfc9111",
                false => "bypass",
            },
            limits: LimitsView::of(&config.limits),
            increment_webhooks: config
                .increment_webhooks
                .iter()
                .map(|webhook| WebhookView {
                    url: webhook.url.to_string(),
                    batch: Seconds(webhook.batch),
                    max: webhook.max,
                })
                .collect(),
            purge_groups: config
                .purge_groups
                .iter()
                .map(|(name, group)| (name.clone(), PurgeGroupView::of(group)))
                .collect(),
        }
    }
}

impl RedisView {
    fn of(redis: &Redis) -> RedisView {
        RedisView {
            url: redis.shared.endpoint.to_string(),
            timeout: Seconds(redis.shared.timeout),
            bodies: redis.bodies,
            compress: match redis.compress {
                Compress::None => "none",
                Compress::Zstd => "zstd",
            },
        }
    }
}

impl fmt::Display for RedisView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RedisView { url, timeout, .. } = self;
        write!(f, "{url} within {timeout}, ")?;
        match (self.bodies, self.compress) {
            (false, _) => f.write_str("tag versions alone"),
            (true, "none") => f.write_str("with bodies"),
            (true, by) => write!(f, "with bodies, by {by}"),
        }
    }
}

impl TagsView {
    fn of(tags: &Tags) -> TagsView {
        TagsView {
            consistency: word(tags.consistency),
            max_lag: Seconds(tags.max_lag),
            outbox_max: tags.outbox_max,
        }
    }

    fn named(&self) -> [(&'static str, String); 3] {
        [
            ("consistency", self.consistency.to_owned()),
            ("max_lag", self.max_lag.to_string()),
            ("outbox.max", self.outbox_max.to_string()),
        ]
    }
}

impl PurgeGroupView {
    fn of(group: &PurgeGroup) -> PurgeGroupView {
        match group {
            PurgeGroup::Tags(tags) => PurgeGroupView::Tags {
                tags: tags.iter().map(ToString::to_string).collect(),
            },
            PurgeGroup::All => PurgeGroupView::All { all: true },
        }
    }
}

impl fmt::Display for PurgeGroupView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PurgeGroupView::Tags { tags } => f.write_str(&tags.join(", ")),
            PurgeGroupView::All { .. } => f.write_str("everything"),
        }
    }
}

impl LimitsView {
    fn of(limits: &Limits) -> LimitsView {
        LimitsView {
            max_object: limits.max_object,
            max_tags: limits.tags.max_tags,
            max_tag_bytes: limits.tags.max_tag_bytes,
            max_variants: limits.max_variants,
            max_head: limits.max_head,
            client_header_timeout: Seconds(limits.client_header_timeout),
            client_body_timeout: Seconds(limits.client_body_timeout),
            client_idle_timeout: Seconds(limits.client_idle_timeout),
        }
    }

    fn named(&self) -> [(&'static str, String); 8] {
        [
            ("max_object", Bytes(self.max_object).to_string()),
            ("max_tags", self.max_tags.to_string()),
            ("max_tag_bytes", Bytes(self.max_tag_bytes).to_string()),
            ("max_variants", self.max_variants.to_string()),
            ("max_head", Bytes(self.max_head).to_string()),
            (
                "client_header_timeout",
                self.client_header_timeout.to_string(),
            ),
            ("client_body_timeout", self.client_body_timeout.to_string()),
            ("client_idle_timeout", self.client_idle_timeout.to_string()),
        ]
    }
}

impl fmt::Display for ProcessView {
    /// A line per fact; of tags and limits those that are not the default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::default();
        let mut fact = |name: &str, value: String| table.row(vec![name.to_owned(), value]);
        fact("namespace", self.namespace.clone());
        fact("listen", self.listen.join(", "));
        if let Some(admin) = &self.admin {
            fact("admin", admin.clone());
        }
        fact("upstream", self.upstream.clone());
        fact("store", format!("memory, {}", Bytes(self.store.max_bytes)));
        if let Some(redis) = &self.store.redis {
            fact("shared store", redis.to_string());
        }
        let usual = TagsView::of(&Tags::default()).named();
        let tags = self.tags.named().into_iter().zip(usual);
        for ((name, value), _) in tags.filter(|(said, usual)| said != usual) {
            fact(&format!("tags.{name}"), value);
        }
        fact("epoch", self.epoch.to_string());
        fact("unmatched", self.unmatched.to_owned());
        let usual = LimitsView::of(&Limits::default()).named();
        let limits = self.limits.named().into_iter().zip(usual);
        for ((name, value), _) in limits.filter(|(limit, usual)| limit != usual) {
            fact(&format!("limits.{name}"), value);
        }
        for WebhookView { url, batch, max } in &self.increment_webhooks {
            let how = format!("for {batch} together, at most {max} tags a call");
            fact("increment webhook", format!("{url}, {how}"));
        }
        for (name, group) in &self.purge_groups {
            fact(&format!("purge group {name}"), group.to_string());
        }
        table.fmt(f)
    }
}
