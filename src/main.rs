//! The command `tagalong`.

fn main() {}
