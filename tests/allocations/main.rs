//! What a hit allocates, counted: the figures in `benches/results/allocations.md` hold, and nobody raises them unnoticed. With the
//! environment variable `BLESS` set they are written anew.
//!
//! A program of its own, as its allocator counts. The sidecar's work is all done by the thread that is counted; the app is
//! in others.

#![cfg(test)]

#[path = "../../benches/support/app.rs"]
mod app;
#[path = "../../benches/support/sidecar.rs"]
mod sidecar;
mod weights;

use std::fs;
use std::path::Path;

use crate::sidecar::Sidecar;

/// So many come before those that are counted: what is allocated once, for a connection or for all, is there then.
const FIRST: u64 = 100;

/// What is asked, and how steady its figures are.
struct Asked {
    name: &'static str,
    path: &'static str,
    /// Further lines of the head.
    lines: &'static str,
    /// Of the answer.
    status: &'static str,
    /// How its `Cache-Status` begins.
    outcome: &'static str,
    /// So many are counted: what is allocated now and then is told as its share.
    times: u64,
    /// By how much figures may differ, as a share: where sockets take part, what is read at once differs from run to run.
    give: f64,
}

const HIT: Asked = Asked {
    name: "a hit of 1 KiB with three tags",
    path: "/page",
    lines: "",
    status: "200 OK",
    outcome: "hit",
    times: 1_000,
    give: 0.05, // half an allocation
};

const ASKED: [Asked; 4] = [
    HIT,
    Asked {
        name: "the same, asked by a browser",
        lines: "user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
            accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
            accept-language: de,en-US;q=0.7,en;q=0.3\r\naccept-encoding: gzip, deflate, br, zstd\r\n",
        ..HIT
    },
    Asked {
        name: "a 304",
        lines: "if-none-match: \"v1\"\r\n",
        status: "304 Not Modified",
        ..HIT
    },
    Asked {
        name: "a pass of 1 KiB",
        path: "/private/page",
        outcome: "fwd=bypass",
        times: 200,
        give: 0.10,
        ..HIT
    },
];

#[test]
fn what_a_hit_allocates_is_what_the_table_says() {
    let measured: Vec<Figures> = ASKED.iter().map(counted).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/results/allocations.md");
    let page = fs::read_to_string(&file).expect("the page of figures");
    let (before, table) = page.split_once(TABLE).expect("its table");
    let rows = || ASKED.iter().zip(&measured);
    let written: String = rows().map(|(asked, it)| it.row(asked)).collect();
    if is_blessing() {
        let old = |line: &&str| line.starts_with('|');
        let after: String = table.split_inclusive('\n').skip_while(old).collect();
        fs::write(&file, format!("{before}{TABLE}{written}{after}")).expect("it can be written");
        return;
    }
    let agree = rows().all(|(asked, it)| it.agree(&Figures::read(table, asked), asked.give));
    assert!(
        agree,
        "measured, and not what {} says (BLESS=1 writes it, if that is meant):\n{written}",
        file.display()
    );
}

/// How the table begins.
const TABLE: &str = "| | allocations | bytes |\n|---|---|---|\n";

#[expect(
    clippy::disallowed_methods,
    reason = "the way to tell a test that its figures are to be written"
)]
fn is_blessing() -> bool {
    std::env::var_os("BLESS").is_some()
}

/// What one request allocates.
struct Figures {
    allocations: f64,
    bytes: f64,
}

impl Figures {
    fn row(&self, asked: &Asked) -> String {
        let Figures { allocations, bytes } = self;
        format!("| {} | {allocations:.1} | {bytes:.0} |\n", asked.name)
    }

    /// What the row of the table says.
    fn read(table: &str, asked: &Asked) -> Figures {
        let mut rows = table.lines().map(|line| line.split('|').map(str::trim));
        let row = rows.find_map(|mut cells| cells.any(|cell| cell == asked.name).then_some(cells));
        let mut cells = row.expect("a row of each").map(|cell| cell.parse());
        let mut figure = || cells.next().expect("two figures").expect("a number");
        Figures {
            allocations: figure(),
            bytes: figure(),
        }
    }

    fn agree(&self, other: &Figures, give: f64) -> bool {
        let near = |one: f64, other: f64| (one - other).abs() <= other * give;
        near(self.allocations, other.allocations) && near(self.bytes, other.bytes)
    }
}

fn counted(asked: &Asked) -> Figures {
    let runtime = sidecar::runtime();
    let app = app::start();
    let (_stays, mut client, question) = runtime.block_on(async {
        let (sidecar, ..) = Sidecar::new(app, "");
        let mut client = sidecar.client();
        let question = client.learn(asked.path, asked.lines, asked.status, asked.outcome);
        let question = question.await;
        (sidecar, client, question)
    });
    let mut ask = |times| {
        runtime.block_on(async {
            for _ in 0..times {
                client.ask(&question).await;
            }
        });
    };
    ask(FIRST);
    let counted = allocation_counter::measure(|| ask(asked.times));
    let each = |count: u64| count as f64 / asked.times as f64;
    Figures {
        allocations: each(counted.count_total),
        bytes: each(counted.bytes_total),
    }
}
