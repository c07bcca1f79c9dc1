//! Fields that are structured (RFC 9651): groups, by RFC 9875; changes of attributes.

use std::collections::BTreeMap;

use sfv::BareItem;
use sfv::List;
use sfv::ListEntry;
use sfv::Parser;

use crate::dialects::Lines;
use crate::dialects::Said;
use crate::dialects::Why;
use crate::model::change::Attribute;
use crate::model::change::Change;
use crate::model::change::is_attribute;

/// The names of a list of groups (RFC 9875 §2, §3). Parameters mean nothing; a malformed field, or one with a member that is
/// no string, is ignored whole.
pub(super) fn groups(lines: Lines, said: &mut Said) -> Vec<String> {
    let field = joined(lines);
    let list = Parser::new(&field).parse::<List>().ok();
    let names = list.and_then(|list| list.into_iter().map(name).collect());
    names.unwrap_or_else(|| {
        said.ignore(lines.name, &field, Why::Structured);
        Vec::new()
    })
}

/// Changes: `rule;old.size="1";new.size="2"`, the rule a token or a string, a value anything that has a text. A malformed
/// field, or one with another member, is ignored whole; a parameter that nobody understands makes the change one of the
/// whole rule, as more may have changed than the rest of them say.
pub(super) fn changes(lines: Lines, said: &mut Said) -> Vec<Change> {
    let field = joined(lines);
    let list = Parser::new(&field).parse::<List>().ok();
    let changes: Option<Vec<_>> = list.and_then(|list| list.into_iter().map(change).collect());
    let Some(changes) = changes else {
        said.ignore(lines.name, &field, Why::Changes);
        return Vec::new();
    };
    let mut understood = Vec::new();
    for (change, odd) in changes {
        for parameter in odd {
            said.ignore(lines.name, parameter.as_bytes(), Why::Attribute);
        }
        understood.push(change);
    }
    understood
}

/// A member, and the names of the parameters that mean nothing.
fn change(member: ListEntry) -> Option<(Change, Vec<String>)> {
    let ListEntry::Item(item) = member else {
        return None;
    };
    let (BareItem::Token(_) | BareItem::String(_)) = &item.bare_item else {
        return None;
    };
    let rule = text(&item.bare_item)?;
    let mut attributes: BTreeMap<&str, Attribute> = BTreeMap::new();
    let mut odd = Vec::new();
    for (key, value) in &item.params {
        let (side, name) = key.as_str().split_once('.').unwrap_or_default();
        let value = text(value).filter(|_| matches!(side, "old" | "new") && is_attribute(name));
        let Some(value) = value else {
            odd.push(key.as_str().to_owned());
            continue;
        };
        let attribute = attributes.entry(name).or_insert_with(|| Attribute {
            name: name.into(),
            old: None,
            new: None,
        });
        let side = match side {
            "old" => &mut attribute.old,
            _ => &mut attribute.new,
        };
        *side = Some(value);
    }
    let known = odd.is_empty();
    let change = Change {
        rule: rule.into(),
        attributes: attributes.into_values().filter(|_| known).collect(),
    };
    Some((change, odd))
}

/// The text of a value; dates and bytes have none.
fn text(value: &BareItem) -> Option<String> {
    match value {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        BareItem::Token(token) => Some(token.as_str().to_owned()),
        BareItem::DisplayString(text) => Some(text.clone()),
        BareItem::Integer(number) => Some(number.to_string()),
        BareItem::Decimal(number) => Some(number.to_string()),
        BareItem::Boolean(truth) => Some(truth.to_string()),
        BareItem::ByteSequence(_) | BareItem::Date(_) => None,
    }
}

/// RFC 9651 §4.2: several lines are one list.
fn joined(lines: Lines) -> Vec<u8> {
    let values: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    values.join(&b", "[..])
}

fn name(member: ListEntry) -> Option<String> {
    match member {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::String(name) => Some(name.into()),
            BareItem::Decimal(_)
            | BareItem::Integer(_)
            | BareItem::ByteSequence(_)
            | BareItem::Boolean(_)
            | BareItem::Token(_)
            | BareItem::Date(_)
            | BareItem::DisplayString(_) => None,
        },
        ListEntry::InnerList(_) => None,
    }
}
