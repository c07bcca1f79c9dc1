//! `tagalong demo`: a small shop, Tagalong in front of it, and three `curl` lines to try. It needs nothing installed and
//! leaves nothing behind.

mod cart;
mod pages;
pub mod shop;
