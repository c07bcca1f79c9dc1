//! Fields that are structured (RFC 9651): groups, by RFC 9875.

use sfv::BareItem;
use sfv::List;
use sfv::ListEntry;
use sfv::Parser;

use crate::dialects::Lines;
use crate::dialects::Said;
use crate::dialects::Why;

/// The names of a list of groups (RFC 9875 §2, §3). Parameters mean nothing; a malformed field, or one with a member that is
/// no string, is ignored whole.
pub(super) fn groups(lines: Lines, said: &mut Said) -> Vec<String> {
    let values: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    // RFC 9651 §4.2: several lines are one list.
    let field = values.join(&b", "[..]);
    let list = Parser::new(&field).parse::<List>().ok();
    let names = list.and_then(|list| list.into_iter().map(name).collect());
    names.unwrap_or_else(|| {
        said.ignore(lines.name, &field, Why::Structured);
        Vec::new()
    })
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
