//! What a request means: the plan that the sidecar follows, for machines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::outcome::Forward;
use crate::model::request::Head;
use crate::rules;
use crate::rules::MissingTagValue;
use crate::rules::RuleIncrement;

/// What a request means. What does not apply is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Absent where no rule matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Whether it is looked up.
    #[serde(flatten)]
    pub what: What,
    /// The tags of its response.
    pub tags: PlannedTags,
    /// What its response will increment.
    pub increments: Vec<PlannedIncrement>,
}

/// Whether a request is looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "plan", rename_all = "lowercase")]
pub enum What {
    /// It is.
    Lookup {
        /// The fields of its key.
        fields: Vec<Field>,
        /// The key for people.
        logical_key: String,
        /// The key, before `Vary` and tags.
        base_key: String,
    },
    /// The app answers.
    Pass {
        /// The word of `Cache-Status`: `method`, or why it is a bypass.
        why: String,
        /// Why its token is not trusted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
}

/// A field of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value; `null`: the request has none.
    pub value: Option<String>,
}

/// The tags a stored response would get from its rule and from the cache itself, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PlannedTags {
    /// Their names.
    Tags(Vec<String>),
    /// What is missing for them.
    Missing {
        /// What is missing, in words.
        missing: String,
    },
}

/// What a response increments by the rule of its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedIncrement {
    /// With which statuses.
    pub on_status: String,
    /// The tags.
    pub tags: PlannedTags,
}

impl Plan {
    /// The plan of `head`.
    pub fn of(plan: &rules::Plan, head: &Head) -> Plan {
        let matched = plan.matched(head);
        let implicit = matched.implicit_tags(head);
        Plan {
            rule: matched.rule.id.as_deref().map(str::to_owned),
            what: What::of(plan, head),
            tags: PlannedTags::of(matched.tags, |tags| {
                tags.iter()
                    .chain(&implicit)
                    .map(ToString::to_string)
                    .collect()
            }),
            increments: matched
                .increments
                .iter()
                .flat_map(PlannedIncrement::of)
                .collect(),
        }
    }
}

impl What {
    fn of(plan: &rules::Plan, head: &Head) -> What {
        match plan {
            rules::Plan::Lookup(query) => {
                let field = |(name, value): (&str, Option<&[u8]>)| Field {
                    name: name.to_owned(),
                    value: value.map(|value| String::from_utf8_lossy(value).into_owned()),
                };
                What::Lookup {
                    fields: query.key.iter().map(field).collect(),
                    logical_key: query.logical_key(head),
                    base_key: query.base.to_string(),
                }
            }
            rules::Plan::Pass(pass) => What::Pass {
                token: pass.claims.as_ref().err().map(ToString::to_string),
                why: why(pass.why).to_owned(),
            },
        }
    }
}

/// Why a request is not looked up, in the word of `Cache-Status`.
fn why(why: Forward) -> &'static str {
    match why {
        Forward::Bypass(reason) => reason.word(),
        Forward::Method
        | Forward::UriMiss
        | Forward::Partial
        | Forward::VaryMiss
        | Forward::Expired
        | Forward::Invalidated
        | Forward::Request => "method",
    }
}

impl PlannedIncrement {
    /// What has a value together, and each that has none by itself.
    fn of(declared: &RuleIncrement) -> Vec<PlannedIncrement> {
        let of = |tags| PlannedIncrement {
            on_status: declared.on_status().to_string(),
            tags,
        };
        let known: Vec<String> = declared.tags().flatten().collect();
        let known = Some(known).filter(|tags| !tags.is_empty());
        let missing = declared.tags().filter_map(Result::err);
        let missing = missing.map(|missing| PlannedTags::Missing {
            missing: missing.to_string(),
        });
        known
            .map(PlannedTags::Tags)
            .into_iter()
            .chain(missing)
            .map(of)
            .collect()
    }
}

impl PlannedTags {
    fn of<T>(
        rendered: Result<T, MissingTagValue>,
        names: impl FnOnce(T) -> Vec<String>,
    ) -> PlannedTags {
        match rendered {
            Ok(tags) => PlannedTags::Tags(names(tags)),
            Err(missing) => PlannedTags::Missing {
                missing: missing.to_string(),
            },
        }
    }
}
