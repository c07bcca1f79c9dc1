//! A change of an object that lists are filtered by: which attributes had which values, and have now (rules.md §6).

/// What has changed, for the responses of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The id of the rule.
    pub rule: Box<str>,
    /// Each attribute once. None at all: whatever the rule has.
    pub attributes: Vec<Attribute>,
}

/// The values of one attribute before and after; `None`: it had none, which no text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name: see [`is_attribute`].
    pub name: Box<str>,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

impl Attribute {
    /// Whether the value is another now.
    pub fn has_changed(&self) -> bool {
        self.old != self.new
    }
}

/// Whether an attribute can have this name: what may follow the `old.` of a structured field's key (RFC 9651 §3.1.2).
pub fn is_attribute(name: &str) -> bool {
    let may = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*');
    !name.is_empty() && name.bytes().all(may)
}
