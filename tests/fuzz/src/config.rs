//! `tagalong.yaml`, of any text, and what must hold of what is said of it.

use tagalong::config::Outside;
use tagalong::config::compile;
use tagalong::model::mistake::Mistake;
use tagalong::model::time::Timestamp;

use super::mistakes;

const FILE: &str = "tagalong.yaml";

/// When certificates are looked at.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// What a secret is in the environment.
const SECRET: &str = "nobody-sees-this-0123456789abcdef";

/// Fails if something does not hold that must hold for any input.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    let read = || compile(FILE, &text, &Beside);
    // Who writes it into the file is told what stands there.
    let shows = |told: &str| told.contains(SECRET) && !text.contains(SECRET);
    match read() {
        Err(all) => {
            assert!(!all.is_empty(), "refused, and nothing is wrong");
            for mistake in &all {
                mistakes::right(mistake, FILE, &text);
                assert!(!shows(&mistake.to_string()), "{mistake}");
            }
            assert_eq!(read().err(), Some(all), "the same text, other mistakes");
        }
        Ok(config) => {
            for warning in config.all_warnings(NOW) {
                mistakes::right(&warning, FILE, &text);
            }
            let told = format!("{config:?}");
            assert!(!shows(&told), "a secret is shown: {told}");
            assert!(!config.listen.is_empty());
            assert!(config.limits.max_head > 0);
        }
    }
}

/// Whether an input is a configuration.
pub fn is_right(input: &[u8]) -> bool {
    compile(FILE, &String::from_utf8_lossy(input), &Beside).is_ok()
}

/// One variable, no files but a token's, and no rules.
struct Beside;

impl Outside for Beside {
    fn variable(&self, name: &str) -> Result<String, String> {
        match name {
            "SECRET" => Ok(SECRET.to_owned()),
            _ => Err("it is not set".to_owned()),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        match path {
            "secret" => Ok(SECRET.to_owned()),
            _ => Err("there is none".to_owned()),
        }
    }

    fn beside(&self, _: &str, path: &str) -> Result<String, String> {
        self.file(path)
    }

    fn rules(&self, _: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
        (Some(Vec::new()), Vec::new())
    }
}
