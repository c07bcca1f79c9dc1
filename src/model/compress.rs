//! Whether what other sidecars read is made smaller first.

/// How entries are written for other sidecars. Each reads what another wrote, however it writes itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// As they are: the least work, the most traffic.
    None,
    /// By Zstandard (RFC 8878), where that makes them smaller.
    #[default]
    Zstd,
}
