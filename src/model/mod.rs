//! Plain data that every part shares: no I/O, no clock, no tasks.

pub mod allocated;
pub mod change;
pub mod common;
pub mod compress;
pub mod cookies;
pub mod entry;
pub mod fields;
pub mod glob;
pub mod health;
pub mod hook;
pub mod key;
pub mod mistake;
pub mod outcome;
pub mod preferences;
pub mod printable;
pub mod purge;
pub mod request;
pub mod reread;
pub mod secret;
pub mod stamp;
pub mod tag;
pub mod tally;
pub mod time;
pub mod units;
pub mod watcher;
pub mod words;
