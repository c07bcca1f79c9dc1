//! Compares in-memory caches on this project's access pattern: keys that are hashes of 128 bits, shared entries of 1–64 KiB
//! weighed by bytes, reads far more often than writes. Rounds alternate A B C D, A B C D; the table shows medians and spread.

mod cases;
mod stores;
mod work;

use std::collections::BTreeMap;
use std::process::Command;

use clap::Parser;

use crate::cases::Traces;
use crate::stores::Foyer;
use crate::stores::Moka;
use crate::stores::Quick;
use crate::stores::Store;
use crate::stores::TinyUfo;

/// Compare in-memory caches; prints a Markdown table.
#[derive(Parser)]
struct Arguments {
    /// Alternating rounds.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Only print the resident bytes per entry of this candidate (a process of its own, so that none inherits memory).
    #[arg(long, hide = true)]
    overhead_of: Option<String>,
}

const NAMES: [&str; 5] = [
    Quick::<8>::NAME,
    Quick::<1>::NAME,
    Moka::NAME,
    Foyer::NAME,
    TinyUfo::NAME,
];

/// Figures by row of the table (its order first) and candidate.
type Figures = BTreeMap<(usize, &'static str), BTreeMap<&'static str, Vec<f64>>>;

fn main() {
    let arguments = Arguments::parse();
    if let Some(name) = arguments.overhead_of {
        println!("{}", overhead_here(&name));
        return;
    }
    println!("load average before: {}", load());
    let traces = Traces::draw();
    let mut figures = Figures::new();
    for round in 0..arguments.rounds {
        measure::<Quick<8>>(&traces, &mut figures);
        measure::<Quick<1>>(&traces, &mut figures);
        measure::<Moka>(&traces, &mut figures);
        measure::<Foyer>(&traces, &mut figures);
        measure::<TinyUfo>(&traces, &mut figures);
        eprintln!(
            "round {} of {} done, load average {}",
            round + 1,
            arguments.rounds,
            load()
        );
    }
    print(&figures);
    println!("\nload average after: {}", load());
}

/// One round of one candidate.
fn measure<S: Store>(traces: &Traces, figures: &mut Figures) {
    let mut rows = Vec::new();
    let [alone, both] = [1, 2].map(|threads| {
        [
            cases::one_key::<S>(threads),
            cases::read_mostly::<S>(traces, threads),
            cases::put_evicting::<S>(threads),
        ]
    });
    rows.extend([
        ("get one key, 1 thread, ns", alone[0].each),
        ("zipf 99 % get 1 % put, 1 thread, ns", alone[1].each),
        ("put that evicts, 1 thread, ns", alone[2].each),
        ("get one key, 2 threads, ns", both[0].each),
        ("… cores used", both[0].cores),
        ("zipf 99 % get 1 % put, 2 threads, ns", both[1].each),
        ("… cores used by it", both[1].cores),
        ("put that evicts, 2 threads, ns", both[2].each),
        ("… cores used by them", both[2].cores),
    ]);
    let (plain, cost) = cases::hit_ratio::<S>(traces, false);
    let (scanned, scanned_cost) = cases::hit_ratio::<S>(traces, true);
    let (alone, alone_after) = cases::overshoot::<S>(1);
    let (both, both_after) = cases::overshoot::<S>(2);
    rows.extend([
        ("hit ratio, room for a tenth, %", plain * 100.0),
        ("… ns per request", cost),
        ("hit ratio beside a scan, %", scanned * 100.0),
        ("… ns per request beside a scan", scanned_cost),
        (
            "bytes alive at worst, 1 thread, % of the bound",
            alone * 100.0,
        ),
        ("… after it has settled, %", alone_after * 100.0),
        (
            "bytes alive at worst, 2 threads, % of the bound",
            both * 100.0,
        ),
        ("… after both have settled, %", both_after * 100.0),
        (
            "largest entry taken, % of the bound",
            cases::largest::<S>() * 100.0,
        ),
        (
            "put, replace, remove seen at once, 1 = yes",
            f64::from(u8::from(cases::immediate::<S>())),
        ),
        (
            "resident overhead per entry, bytes",
            overhead_elsewhere(S::NAME),
        ),
    ]);
    for (place, (row, figure)) in rows.into_iter().enumerate() {
        figures
            .entry((place, row))
            .or_default()
            .entry(S::NAME)
            .or_default()
            .push(figure);
    }
}

fn overhead_here(name: &str) -> f64 {
    match name {
        Moka::NAME => cases::overhead::<Moka>(),
        Foyer::NAME => cases::overhead::<Foyer>(),
        TinyUfo::NAME => cases::overhead::<TinyUfo>(),
        one if one == Quick::<1>::NAME => cases::overhead::<Quick<1>>(),
        _ => cases::overhead::<Quick<8>>(),
    }
}

fn overhead_elsewhere(name: &str) -> f64 {
    let this = std::env::current_exe().expect("the path of a running program");
    let output = Command::new(this)
        .args(["--overhead-of", name])
        .output()
        .expect("it has just been started");
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap_or(f64::NAN)
}

/// Median (least–most) of each row.
fn print(figures: &Figures) {
    println!(
        "\n| | {} |\n|---|{}",
        NAMES.join(" | "),
        "---|".repeat(NAMES.len())
    );
    for ((_, row), by_name) in figures {
        let cells = NAMES.map(|name| {
            let mut rounds = by_name.get(name).cloned().unwrap_or_default();
            rounds.sort_by(f64::total_cmp);
            let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
            let (median, least, most) = (
                at(rounds.len() / 2),
                at(0),
                at(rounds.len().saturating_sub(1)),
            );
            if least == most {
                return number(median);
            }
            format!("{} ({}–{})", number(median), number(least), number(most))
        });
        println!("| {row} | {} |", cells.join(" | "));
    }
}

fn number(figure: f64) -> String {
    if figure < 100.0 && figure.fract() != 0.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.0}")
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
