//! What is made of the definition of the command line: help, completions, pages for `man`. And docs/command-line.md, which
//! must tell of the same commands.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use super::done;
use super::failed;
use super::tagalong;
use super::text;

/// The commands below this one, as its help lists them.
fn below(of: &[&str]) -> Vec<String> {
    let help = done(&tagalong(&[of, &["--help"]].concat()));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    // What goes over several lines goes on further to the right.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !["", "help"].contains(name))
        .map(str::to_owned)
        .collect()
}

/// All commands, as words.
fn all() -> BTreeSet<Vec<String>> {
    let mut all = BTreeSet::new();
    for name in below(&[]) {
        for second in below(&[&name]) {
            all.insert(vec![name.clone(), second]);
        }
        all.insert(vec![name]);
    }
    assert!(all.len() > 25, "{all:?}");
    all
}

#[test]
fn completions_know_every_command() {
    let last = |command: &Vec<String>| command.last().cloned().expect("a word");
    let names: BTreeSet<String> = all().iter().map(last).collect();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = done(&tagalong(&["completions", shell]));
        let words = |c: char| !(c.is_alphanumeric() || c == '-');
        let words: BTreeSet<&str> = script.split(words).collect();
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !words.contains(name.as_str()))
            .collect();
        assert!(missing.is_empty(), "{shell} does not know {missing:?}");
    }
}

#[test]
fn bash_takes_its_completions() {
    let script = done(&tagalong(&["completions", "bash"]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tagalong");
    std::fs::write(&file, script).expect("a file");
    let complete = "source \"$1\"; COMP_WORDS=(tagalong tags incr); COMP_CWORD=2; _tagalong tagalong incr tags; echo \"${COMPREPLY[*]}\"";
    let bash = std::process::Command::new("bash")
        .args(["-c", complete, "bash", text(&file)])
        .output();
    let said = bash.expect("there is a bash");
    assert_eq!(
        String::from_utf8_lossy(&said.stdout),
        "increment\n",
        "{said:?}"
    );
}

#[test]
fn there_is_a_page_for_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("man/man1");
    done(&tagalong(&["man", "--out", text(&out)]));
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("the page is there");
    let first = read("tagalong.1");
    for command in all() {
        let name = format!("tagalong-{}", command.join("-"));
        let page = read(&format!("{name}.1"));
        assert!(page.contains(&format!(".TH {name} 1")), "{name}:\n{page}");
        if let [one] = command.as_slice() {
            let listed = format!("tagalong\\-{}(1)", one.replace('-', "\\-"));
            assert!(first.contains(&listed), "{listed} is not in\n{first}");
        }
    }
    assert!(read("tagalong-purge.1").contains("TAGALONG_ADMIN"));
    let printed = done(&tagalong(&["man"]));
    assert!(printed.contains(".SH SUBCOMMANDS"), "{printed}");
    let occupied = folder.path().join("man/man1/tagalong.1");
    failed(&tagalong(&["man", "--out", text(&occupied)]), 1);
}

/// The lines with a command that a text shows, without those that need more than it: other programs, files, a free port.
fn shown(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with("tagalong "));
    let more = |line: &&str| !line.contains(['|', '<', '>', '&', '~', '(']);
    let runs = ["tagalong serve", "tagalong demo", "tagalong man"];
    lines
        .filter(more)
        .filter(|line| !runs.iter().any(|run| line.starts_with(run)))
        .map(str::to_owned)
        .collect()
}

/// What a line means to a shell, asked of a sidecar that is not there: it fails for that, and not for how it is written.
#[track_caller]
fn is_well_formed(line: &str) {
    let folder = Path::new(env!("CARGO_BIN_EXE_tagalong"))
        .parent()
        .expect("it is in a folder");
    let path = format!("{}:{}", folder.display(), "/usr/bin:/bin");
    let said = std::process::Command::new("sh")
        .args(["-c", line])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PATH", path)
        .env("TAGALONG_ADMIN", "http://127.0.0.1:9")
        .env_remove("TAGALONG_ADMIN_TOKEN")
        .stdin(Stdio::null())
        .output()
        .expect("there is a shell");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(matches!(said.status.code(), Some(0 | 1)), "{line}\n{told}");
}

#[test]
fn every_example_of_the_help_is_well_formed() {
    let mut lines = 0;
    for command in all() {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let help = done(&tagalong(&[&words, &["--help"][..]].concat()));
        let (_, examples) = help.split_once("Examples:").unwrap_or_default();
        for line in shown(examples) {
            is_well_formed(&line);
            lines += 1;
        }
    }
    assert!(lines > 25, "the help shows {lines} examples only");
}

#[test]
fn the_page_tells_of_every_command_and_shows_them_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/command-line.md");
    let page = std::fs::read_to_string(page).expect("it is there");
    for command in all() {
        let name = command.join(" ");
        let told = page.contains(&format!("`tagalong {name}"))
            || page.contains(&format!("\ntagalong {name}"));
        assert!(
            told,
            "docs/command-line.md does not tell of `tagalong {name}`"
        );
    }
    let blocks = page.split("```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    let lines: Vec<String> = blocks.flat_map(shown).collect();
    assert!(lines.len() > 20, "{lines:?}");
    lines.iter().for_each(|line| is_well_formed(line));
}
