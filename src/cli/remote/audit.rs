//! `tagalong audit`: who has changed what.

use std::io::Write;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::admin::view::Audit as View;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;
use crate::cli::remote::line;
use crate::cli::table::Table;

/// Show who has changed what, or tried to, through the admin interface: the newest first.
///
/// With --json each is a document on a line of its own (JSON Lines).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong audit
  tagalong audit --limit 1000 --json | jq 'select(.what == \"purge\")'")]
pub(in crate::cli) struct Audit {
    #[command(flatten)]
    remote: Remote,
    /// No more than so many.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
}

/// A page that is handed on as it came.
#[derive(Deserialize)]
struct Raw {
    audit: Vec<Box<RawValue>>,
    cursor: Option<String>,
}

/// How many are asked for at once.
const PAGE: u64 = 1_000;

impl Audit {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let json = self.remote.json;
        let client = self.remote.reach.client()?;
        let mut table = Table::headed(&["at", "who", "what", "status", "target", "effect"]);
        let (mut left, mut cursor) = (self.limit, None);
        loop {
            let page: Raw = client.audit(left.min(PAGE), cursor.as_deref())?.read_as()?;
            for record in &page.audit {
                match json {
                    true => line(out, record.get())?,
                    false => table.row(cells(&serde_json::from_str(record.get())?)),
                }
            }
            if !json {
                table.print(out)?;
            }
            out.flush()?;
            left = left.saturating_sub(page.audit.len() as u64);
            cursor = page.cursor;
            if cursor.is_none() || left == 0 {
                return Ok(());
            }
        }
    }
}

fn cells(record: &View) -> Vec<String> {
    vec![
        people::moment(&record.at),
        format!("{} at {}", record.who, record.sidecar),
        record.what.clone(),
        record.status.to_string(),
        brief(&record.target),
        brief(&record.effect),
    ]
}

/// `tags=["User:42"] soft=true`; of what was too long to be kept its beginning.
fn brief(value: &Value) -> String {
    let Value::Object(fields) = value else {
        return value.to_string();
    };
    if let Some(Value::String(beginning)) = fields.get("cut") {
        return format!("{beginning} … (too long: the rest is not kept)");
    }
    let field = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}={text}"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("{name}={value}")
        }
    };
    fields.iter().map(field).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_done_is_shown_by_its_fields_and_what_is_too_long_by_its_beginning() {
        for (value, expected) in [
            (json!({ "url": "/a", "soft": true }), "soft=true url=/a"),
            (json!(null), "null"),
            (
                json!({ "cut": "{\"tags\":[\"a" }),
                "{\"tags\":[\"a … (too long: the rest is not kept)",
            ),
        ] {
            assert_eq!(brief(&value), expected);
        }
    }
}
