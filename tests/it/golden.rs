//! Golden files: rules and a request to a plan, wrong files to their mistakes, doubtful ones to warnings, files to what
//! `check` says of them; all as text.
//!
//! A file holds sections that begin with `=== name`. The last one is what is promised; with the environment variable
//! `BLESS` set the tests write it instead of comparing, and the difference is read in the review.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tagalong::config;
use tagalong::model::mistake::Mistake;
use tagalong::model::request::Head;
use tagalong::model::time::Timestamp;
use tagalong::rules::{Context, RuleSet, Texts};

#[test]
fn requests_are_planned_as_promised() {
    let files = each("plans", |sections| {
        let rules = match sections.first() {
            Some((name, text)) if name == "tagalong.yaml" => {
                config::compile(name, text, &Outside(sections))
                    .unwrap()
                    .rules
            }
            _ => compiled(&rule_files(sections), sections).unwrap(),
        };
        let mut head = request(section(sections, "request"));
        let body = sections.iter().find(|(name, _)| name == "body");
        if rules.reads(&mut head).is_some() {
            let body = body.map(|(_, text)| text.trim_end().to_owned());
            rules.read(&mut head, body.unwrap_or_default().into());
        }
        rules.plan(&head, NOW).explain(&head).to_string()
    });
    assert!(files >= 60, "{files} golden plans");
}

#[test]
fn mistakes_are_told_as_promised() {
    each("mistakes", |sections| {
        let mistakes = match sections.first() {
            Some((name, text)) if name == "tagalong.yaml" => {
                config::compile(name, text, &Outside(sections)).map(|_| ())
            }
            _ => compiled(&yaml_files(sections), sections).map(|_| ()),
        };
        let mistakes = mistakes.unwrap_err();
        mistakes
            .iter()
            .map(|mistake| format!("{mistake}\n"))
            .collect()
    });
}

/// What the tokens of golden plans are made for.
const NOW: Timestamp = Timestamp::from_secs(2_000_000_000);

/// Rules whose files are the other sections.
fn compiled(rules: &[(String, String)], sections: &Sections) -> Result<RuleSet, Vec<Mistake>> {
    let beside = |from: &str, path: &str| config::Outside::beside(&Outside(sections), from, path);
    let context = Context {
        texts: Texts::new(&beside),
        ..Context::new("shop")
    };
    RuleSet::compile(rules, &context)
}

#[test]
fn warnings_are_told_as_promised() {
    let files = each("warnings", |sections| {
        let warnings = match sections.first() {
            Some((name, text)) if name == "tagalong.yaml" => {
                let config = config::compile(name, text, &Outside(sections));
                config.unwrap().all_warnings(NOW)
            }
            _ => {
                let rules = RuleSet::compile(&yaml_files(sections), &Context::new("shop"));
                rules.unwrap().warnings().to_vec()
            }
        };
        let warnings = warnings.iter();
        warnings.map(|warning| format!("{warning}\n")).collect()
    });
    assert!(files >= 5, "{files} golden warnings");
}

/// `tagalong check` as a person sees it: what it prints, what it warns of, its exit code.
#[test]
fn checks_end_as_promised() {
    let files = each("checks", |sections| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("rules")).unwrap();
        for (name, text) in sections.iter().skip(1) {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let arguments = section(sections, "arguments").split_whitespace();
        let output = Command::new(env!("CARGO_BIN_EXE_tagalong"))
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        format!(
            "{}--- standard error\n{}--- exit code {}\n",
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
            output.status.code().unwrap(),
        )
    });
    assert!(files >= 8, "{files} golden checks");
}

/// An environment without anything but the other sections, as files.
struct Outside<'s>(&'s Sections);

impl config::Outside for Outside<'_> {
    fn variable(&self, name: &str) -> Result<String, String> {
        Err(format!("the environment variable `{name}` is not set"))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let found = self.0.iter().find(|(name, _)| name == path);
        let text = found.map(|(_, text)| text.clone());
        text.ok_or_else(|| format!("`{path}` cannot be read"))
    }

    fn beside(&self, _from: &str, path: &str) -> Result<String, String> {
        self.file(path)
    }

    fn rules(&self, _: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
        let rules = Some(rule_files(self.0)).filter(|files| !files.is_empty());
        (rules, Vec::new())
    }
}

/// The section of rules, as a file.
fn rule_files(sections: &Sections) -> Vec<(String, String)> {
    let rules = sections.iter().filter(|(name, _)| name == "rules");
    rules
        .map(|(_, text)| ("rules.yaml".to_owned(), text.clone()))
        .collect()
}

/// The sections that are files of rules by themselves.
fn yaml_files(sections: &Sections) -> Vec<(String, String)> {
    let files = sections.iter().filter(|(name, _)| name.ends_with(".yaml"));
    files.cloned().collect()
}

type Sections = Vec<(String, String)>;

/// Compares the last section of each file in a folder with what `made` makes of the others; how many files there are.
fn each(folder: &str, made: impl Fn(&Sections) -> String) -> usize {
    let bless = option_env!("BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut wrong = String::new();
    for path in &paths {
        let text = fs::read_to_string(path).unwrap();
        let (given, promised) = text
            .rsplit_once("=== expected\n")
            .unwrap_or_else(|| panic!("{} has no `=== expected`", path.display()));
        let made = made(&sections(given));
        if bless {
            fs::write(path, format!("{given}=== expected\n{made}")).unwrap();
        } else if made != promised {
            wrong.push_str(&format!(
                "{}\n--- promised\n{promised}--- found\n{made}\n",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    paths.len()
}

fn sections(text: &str) -> Sections {
    text.split("=== ")
        .skip(1)
        .map(|section| {
            let (name, body) = section.split_once('\n').unwrap_or((section, ""));
            (name.to_owned(), body.to_owned())
        })
        .collect()
}

fn section<'s>(sections: &'s Sections, name: &str) -> &'s str {
    let found = sections.iter().find(|(other, _)| other == name);
    &found.unwrap_or_else(|| panic!("no section {name}")).1
}

/// A head as it stands on the wire, `Host: shop.example` unless another is given.
fn request(text: &str) -> Head {
    let mut lines = text.lines();
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let mut request = http::Request::builder().method(method).uri(target);
    let mut host = false;
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        host |= name.eq_ignore_ascii_case("host");
        request = request.header(name, value);
    }
    if !host {
        request = request.header("host", "shop.example");
    }
    Head::new(request.body(()).unwrap().into_parts().0, "http").unwrap()
}
