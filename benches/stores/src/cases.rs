//! The measurements, each generic over the candidate.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use rustix::time::ClockId;
use rustix::time::clock_gettime;

use crate::stores::Store;
use crate::work::Entry;
use crate::work::key;
use crate::work::size;
use crate::work::total;
use crate::work::zipf;

/// Distinct keys.
pub const KEYS: u64 = 100_000;
/// Requests a thread makes in one round.
const REQUESTS: usize = 1_000_000;

/// The requests, drawn once for all candidates.
pub struct Traces {
    /// Zipf over `KEYS`, one per thread.
    zipf: [Vec<u64>; 2],
}

impl Traces {
    pub fn draw() -> Traces {
        Traces {
            zipf: [1, 2].map(|seed| zipf(KEYS, REQUESTS, seed)),
        }
    }
}

fn entry(number: u64) -> Arc<Entry> {
    Entry::new(number, size(number))
}

/// A store that holds every key with room to spare.
fn filled<S: Store>() -> S {
    let store = S::new(2 * total(KEYS), KEYS as usize);
    for number in 0..KEYS {
        store.put(key(number), entry(number));
    }
    store.settle();
    store
}

/// CPU nanoseconds this process has used: what others do on the machine does not count.
fn cpu() -> f64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn nanoseconds(clock: ClockId) -> f64 {
    let now = clock_gettime(clock);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// What a number of requests cost.
pub struct Cost {
    /// CPU nanoseconds each.
    pub each: f64,
    /// Cores in use meanwhile: near 1 with two threads, they hardly met, and the figure says little of contention.
    pub cores: f64,
}

/// What each request costs when `threads` threads each work off `REQUESTS` of them.
fn per_request(threads: usize, work: impl Fn(usize) + Sync) -> Cost {
    let (before, started) = (cpu(), nanoseconds(ClockId::Monotonic));
    thread::scope(|scope| {
        for number in 1..threads {
            let work = &work;
            scope.spawn(move || work(number));
        }
        work(0);
    });
    let used = cpu() - before;
    Cost {
        each: used / (threads * REQUESTS) as f64,
        cores: used / (nanoseconds(ClockId::Monotonic) - started),
    }
}

/// `get` of one key, again and again: one page that everybody wants.
pub fn one_key<S: Store>(threads: usize) -> Cost {
    let store = filled::<S>();
    let key = key(0);
    per_request(threads, |_| {
        for _ in 0..REQUESTS {
            black_box(store.get(black_box(key)));
        }
    })
}

/// 99 gets and 1 replacing put in 100 requests, everything fits.
pub fn read_mostly<S: Store>(traces: &Traces, threads: usize) -> Cost {
    let store = filled::<S>();
    per_request(threads, |thread| {
        let trace = traces.zipf.get(thread).expect("two threads at most");
        for (at, &number) in trace.iter().enumerate() {
            if at % 100 == 0 {
                store.put(key(number), entry(number));
            } else {
                black_box(store.get(key(number)));
            }
        }
    })
}

/// Puts of keys never seen before into a full store: each evicts.
pub fn put_evicting<S: Store>(threads: usize) -> Cost {
    let store = S::new(total(KEYS) / 10, KEYS as usize / 10);
    for number in 0..KEYS / 5 {
        store.put(key(number), entry(number));
    }
    store.settle();
    per_request(threads, |thread| {
        let first = KEYS * (thread as u64 * 100 + 1);
        for number in first..first + REQUESTS as u64 {
            store.put(key(number), entry(number));
        }
    })
}

/// Zipf over a store with room for a tenth of the bytes; a miss puts. With `scan`, every other request asks for
/// something nobody asks for again. The share of hits among the zipf requests, and CPU nanoseconds per request.
pub fn hit_ratio<S: Store>(traces: &Traces, scan: bool) -> (f64, f64) {
    let store = S::new(total(KEYS) / 10, KEYS as usize / 10);
    let [trace, _] = &traces.zipf;
    let mut hits = 0usize;
    let before = cpu();
    for (at, &number) in trace.iter().enumerate() {
        if store.get(key(number)).is_some() {
            hits += 1;
        } else {
            store.put(key(number), entry(number));
        }
        if scan {
            let once = KEYS + at as u64;
            if store.get(key(once)).is_none() {
                store.put(key(once), entry(once));
            }
        }
    }
    let requests = REQUESTS * if scan { 2 } else { 1 };
    (
        hits as f64 / REQUESTS as f64,
        (cpu() - before) / requests as f64,
    )
}

/// The most bytes of entries alive while `threads` put as fast as they can, and those alive when they are done and the
/// store has settled; both over the bound.
pub fn overshoot<S: Store>(threads: usize) -> (f64, f64) {
    let bound = total(KEYS) / 100;
    let already = Entry::alive();
    let store = S::new(bound, KEYS as usize / 100);
    let peaks = thread::scope(|scope| {
        let running: Vec<_> = (0..threads as u64)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    let first = thread * KEYS;
                    (first..first + KEYS).fold(0, |peak: usize, number| {
                        store.put(key(number), entry(number));
                        peak.max(Entry::alive().saturating_sub(already))
                    })
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().expect("the thread only puts"))
            .max()
    });
    store.settle();
    let over = |bytes: usize| bytes as f64 / bound as f64;
    (
        over(peaks.unwrap_or(0)),
        over(Entry::alive().saturating_sub(already)),
    )
}

/// The largest entry, as a share of the bound, that an empty store told to expect many small ones still takes.
pub fn largest<S: Store>() -> f64 {
    let bound = 64 << 10;
    let takes = |percent: &usize| {
        let store = S::new(bound, 1_000);
        store.put(key(0), Entry::new(0, bound * percent / 100));
        store.settle();
        store.get(key(0)).is_some()
    };
    let largest = (1..=100).rev().find(takes);
    largest.unwrap_or(0) as f64 / 100.0
}

/// Whether a put, a replacement and a removal are seen by the next `get`, of the same and of another thread.
pub fn immediate<S: Store>() -> bool {
    let store = S::new(total(KEYS), KEYS as usize);
    let seen = |wanted: Option<u64>| {
        let seen = || store.get(key(0)).map(|entry| entry.number);
        let elsewhere = thread::scope(|scope| scope.spawn(seen).join().expect("it only gets"));
        seen() == wanted && elsewhere == wanted
    };
    (0..1_000).all(|number| {
        store.put(key(0), entry(number));
        let put = seen(Some(number));
        store.put(key(0), entry(number + 1));
        let replaced = seen(Some(number + 1));
        store.remove(key(0));
        put && replaced && seen(None)
    })
}

/// Resident bytes that the store itself adds for each of `KEYS` entries, which exist before it does.
pub fn overhead<S: Store>() -> f64 {
    let entries: Vec<_> = (0..KEYS).map(|number| Entry::new(number, 100)).collect();
    let before = resident();
    let store = S::new(200 * KEYS as usize, KEYS as usize);
    for (number, entry) in (0..KEYS).zip(&entries) {
        store.put(key(number), Arc::clone(entry));
    }
    store.settle();
    let held = (0..KEYS)
        .filter(|&number| store.get(key(number)).is_some())
        .count();
    (resident() - before) / held as f64
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.map_or(f64::NAN, |kib: f64| kib * 1024.0)
}
