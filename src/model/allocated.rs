//! What pieces of memory take, so that what is bounded in bytes is bounded by what the process grows by.

/// Larger steps are in memory by pages of the system, as far as they are written. (A piece that was in use before may be resident up
/// to the next of its four sizes: of 32 to 512 KiB a fifth more at most.)
const PAGE: usize = 4 << 10;
/// How an `Arc` begins.
const COUNTS: usize = 2 * size_of::<usize>();
/// The count that `Bytes` makes when somebody shares them.
const BYTES_COUNT: usize = 3 * size_of::<usize>();

/// What the allocator gives for so many bytes. jemalloc has no headers; it rounds up to a multiple of 16 up to 128, and above that
/// to the next of four sizes between a power of two and its double (its manual, "Size classes").
pub fn allocated(bytes: usize) -> usize {
    let power = bytes.saturating_sub(1).checked_ilog2().unwrap_or_default();
    let step = ((1 << power) / 4).clamp(16, PAGE);
    bytes.next_multiple_of(step)
}

/// The same for what an `Arc` counts.
pub fn counted(bytes: usize) -> usize {
    allocated(COUNTS + bytes)
}

/// The same for `Bytes`, with what is added by the first who shares them.
pub fn shared(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        some => allocated(some) + allocated(BYTES_COUNT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_takes_the_next_size_that_there_is() {
        for (bytes, expected) in [
            (0, 0),
            (1, 16),
            (16, 16),
            (49, 64),
            (64, 64),
            (65, 80),
            (128, 128),
            (129, 160),
            (257, 320),
            (1_024, 1_024),
            (1_025, 1_280),
            (16_385, 20_480),
            (1_000_001, 1_003_520),
        ] {
            assert_eq!(allocated(bytes), expected, "{bytes}");
        }
        assert_eq!(counted(47), 64);
        assert_eq!((shared(0), shared(1)), (0, 48));
    }
}
