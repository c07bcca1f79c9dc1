//! `tagalong change`: tells which attributes of something have changed.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Write;
use std::str::FromStr;

use clap::Args;

use crate::admin::view::ChangeRequest;
use crate::cli::Failure;
use crate::cli::people;
use crate::cli::remote::Remote;

/// Tell that something which responses of a rule show has changed: those filtered by its old values or its new ones are forgotten.
///
/// An attribute without a value is one that was absent. Of something new there is no --old, of something deleted no --new.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tagalong change --rule orders --old status=open --new status=paid
  tagalong change --rule orders --old status=open region=eu
  tagalong change --rule orders --old status --new status=open")]
pub(in crate::cli) struct Change {
    #[command(flatten)]
    remote: Remote,
    /// The id of the rule.
    #[arg(long, value_name = "ID")]
    rule: String,
    /// The values before.
    #[arg(long, value_name = "ATTRIBUTE=VALUE", num_args = 1..)]
    old: Vec<Attribute>,
    /// The values after.
    #[arg(long, value_name = "ATTRIBUTE=VALUE", num_args = 1..)]
    new: Vec<Attribute>,
}

/// An attribute, and its value if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute(String, Option<String>);

impl FromStr for Attribute {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Attribute, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, value)) => Attribute(name.to_owned(), Some(value.to_owned())),
            None => Attribute(text.to_owned(), None),
        })
    }
}

impl Change {
    pub(in crate::cli) fn run(self, out: &mut impl Write) -> Result<(), Failure> {
        let what = ChangeRequest {
            rule: self.rule,
            old: values("--old", self.old)?,
            new: values("--new", self.new)?,
        };
        self.remote.call(
            out,
            |client| Ok(client.change(&what)?),
            |done| format!("incremented {}\n", people::many(done.incremented, "tag")),
        )
    }
}

/// An attribute has one value.
fn values(
    option: &str,
    attributes: Vec<Attribute>,
) -> Result<BTreeMap<String, Option<String>>, Failure> {
    let mut values = BTreeMap::new();
    for Attribute(name, value) in attributes {
        if values.contains_key(&name) {
            return Err(Failure::Usage(format!("{option} says `{name}` twice")));
        }
        values.insert(name, value);
    }
    Ok(values)
}
