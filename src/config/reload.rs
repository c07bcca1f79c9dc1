//! The files read again while the sidecar runs: when they have changed, or when somebody asks. What is right comes into
//! force as a whole; what is wrong changes nothing and is told. Only rules, and what they are built with, can change so: what
//! else has changed waits for a restart, which is told too.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::files::{Origin, Read};
use crate::metrics::Metrics;
use crate::model::health::Code;
use crate::model::health::Reason;
use crate::model::mistake::{Location, Mistake};
use crate::model::reread::{Files, Reread};
use crate::model::time::Timestamp;
use crate::rules::{KeptIn, LiveRules};

/// Keeps the rules in force to what the files say.
#[derive(Debug)]
pub struct Reload {
    /// What the sidecar was started with.
    started: Config,
    /// As the files were when they were last read.
    origin: Origin,
    /// As they looked the last time, where that was not so.
    changing: Option<super::marks::Marks>,
    rules: LiveRules,
    metrics: Metrics,
    /// What is wrong with the files, while something is.
    refused: watch::Sender<Option<Reason>>,
    /// How it went the last time.
    last: watch::Sender<Reread>,
    /// The epoch in the files that were right last.
    epoch: watch::Sender<u64>,
    /// Since when these rules are in force.
    since: Timestamp,
    clock: Clock,
}

/// Has the files read again. Clones ask the same.
#[derive(Clone, Debug)]
pub struct Rereader {
    asked: mpsc::Sender<Wish>,
    last: watch::Receiver<Reread>,
}

/// Somebody asks for the files to be read, and may wait for what comes of it.
type Wish = oneshot::Sender<Reread>;

/// How many may ask before the first one is answered; more wait until they may ask.
const WISHES: usize = 16;

impl Rereader {
    /// Asks, and does not wait.
    pub fn ask(&self) {
        let (wish, _) = oneshot::channel();
        if self.asked.try_send(wish).is_err() {
            tracing::debug!("the files are about to be read again, or never more");
        }
    }
}

impl Files for Rereader {
    fn last(&self) -> Reread {
        self.last.borrow().clone()
    }

    fn reread(&self) -> Pin<Box<dyn Future<Output = Option<Reread>> + Send>> {
        let asked = self.asked.clone();
        Box::pin(async move {
            let (wish, read) = oneshot::channel();
            asked.send(wish).await.ok()?;
            read.await.ok()
        })
    }
}

/// How often it is looked whether something has changed. What has changed is read once it has stayed the same from one look
/// to the next: who writes a file may not be done.
const EVERY: Duration = Duration::from_millis(500);

impl Reload {
    /// For the rules of this configuration, just put in force; `None` if it was read from no file.
    pub fn new(
        started: &Config,
        rules: LiveRules,
        metrics: Metrics,
        clock: Clock,
    ) -> Option<Reload> {
        let last = Reread {
            at: clock.now(),
            mistakes: [].into(),
        };
        Some(Reload {
            last: watch::Sender::new(last),
            started: started.clone(),
            origin: started.origin.clone()?,
            changing: None,
            rules,
            metrics,
            refused: watch::Sender::new(None),
            epoch: watch::Sender::new(started.rules.epoch()),
            since: clock.now(),
            clock,
        })
    }

    /// What is wrong with the files, while something is.
    pub fn refused(&self) -> watch::Receiver<Option<Reason>> {
        self.refused.subscribe()
    }

    /// The epoch in the files that were right last.
    pub fn epoch(&self) -> watch::Receiver<u64> {
        self.epoch.subscribe()
    }

    /// Who asks for the files to be read, and what reads them, now and then too, for as long as it is polled.
    pub fn begin(self) -> (Rereader, impl Future<Output = ()>) {
        let (asked, wishes) = mpsc::channel(WISHES);
        let last = self.last.subscribe();
        (Rereader { asked, last }, self.watch(wishes))
    }

    /// Looks now and then, and reads at once when somebody asks. Never ends by itself.
    async fn watch(self, mut wishes: mpsc::Receiver<Wish>) {
        let clock = self.clock.clone();
        let reload = Arc::new(Mutex::new(self));
        loop {
            let wish = tokio::select! {
                biased;
                Some(wish) = wishes.recv() => Some(wish),
                () = clock.sleep_until(clock.now() + EVERY) => None,
            };
            let reload = Arc::clone(&reload);
            // Files may be far away.
            let looked = spawn_blocking(move || {
                let mut reload = reload.lock().unwrap_or_else(PoisonError::into_inner);
                match wish {
                    None => reload.look(),
                    Some(wish) => {
                        reload.read();
                        wish.send(reload.last.borrow().clone()).ok(); // who asked may have left
                    }
                }
            });
            if let Err(error) = looked.await {
                tracing::error!(%error, "reading the files again ended badly");
            }
        }
    }

    /// Reads the files if they have changed, and have not since the last look.
    pub fn look(&mut self) {
        let marks = self.origin.marks.again();
        if marks == self.origin.marks {
            self.changing = None;
        } else if self.changing.as_ref() == Some(&marks) {
            self.read_if(|before, now| before != now); // one that was only touched says nothing new
        } else {
            self.changing = Some(marks);
        }
    }

    /// Reads the files, whether or not they have changed.
    pub fn read(&mut self) {
        self.read_if(|_, _| true);
    }

    fn read_if(&mut self, counts: impl Fn(blake3::Hash, blake3::Hash) -> bool) {
        let Read {
            config,
            marks,
            content,
        } = self.origin.sources.read();
        self.changing = None;
        self.origin.marks = marks;
        let before = std::mem::replace(&mut self.origin.content, content);
        if !counts(before, content) {
            return;
        }
        match config.and_then(|config| self.goes_on(config)) {
            Ok(config) => self.replace(config),
            Err(mistakes) => self.refuse(&mistakes),
        }
    }

    /// What is stored was made under the epoch of before: a lower one would bring back what was forgotten. And where it is stored
    /// changes with a restart alone.
    fn goes_on(&self, config: Config) -> Result<Config, Vec<Mistake>> {
        let (before, found) = (*self.epoch.borrow(), config.rules.epoch());
        let mut mistakes = self.without_shared_store(&config);
        if found < before {
            mistakes.push(Mistake {
                file: self.origin.sources.name().into(),
                place: None,
                message: format!(
                    "expected `epoch` to be {before} at least, as it was before, found {found}"
                ),
            });
        }
        match mistakes.is_empty() {
            true => Ok(config),
            false => Err(mistakes),
        }
    }

    /// Rules that keep what they store in a shared store alone, where this process has none that takes it.
    fn without_shared_store(&self, config: &Config) -> Vec<Mistake> {
        let redis = &self.started.store.redis;
        if redis.as_ref().is_some_and(|redis| redis.bodies) {
            return Vec::new();
        }
        let rules = config.rules.rules().iter();
        let alone = rules.filter(|rule| rule.kept_in == KeptIn::Redis);
        let places = alone.filter_map(|rule| rule.at.as_ref());
        let mistake = |at: &Location| Mistake {
            file: Arc::clone(&at.file),
            place: Some(at.place),
            message: "`store: redis` needs what `store.redis` says, which waits for a restart"
                .to_owned(),
        };
        places.map(mistake).collect()
    }

    fn replace(&mut self, config: Config) {
        let fields = self.started.needing_restart(&config);
        if !fields.is_empty() {
            let fields = fields.join(", ");
            tracing::warn!(
                fields,
                "what these say has changed, and waits for a restart"
            );
        }
        warn(&config, self.clock.now());
        let count = config.rules.rules().len();
        let epoch = config.rules.epoch();
        self.rules.replace(config.rules.counted(&self.metrics));
        self.epoch.send_if_modified(|before| {
            let rises = *before < epoch;
            *before = epoch;
            rises
        });
        let in_force = self.rules.load().epoch();
        if epoch < in_force {
            tracing::warn!(
                epoch,
                in_force,
                "the files' epoch is lower than that of the shared store, which counts"
            );
        }
        self.metrics.rules_reload_failed.set(false);
        self.refused.send_replace(None);
        self.note(&[]);
        self.since = self.clock.now();
        tracing::info!(
            rules = count,
            "the files have been read again: these rules are in force"
        );
    }

    fn note(&self, mistakes: &[Mistake]) {
        self.last.send_replace(Reread {
            at: self.clock.now(),
            mistakes: mistakes.into(),
        });
    }

    fn refuse(&self, mistakes: &[Mistake]) {
        for mistake in mistakes {
            tracing::error!("{mistake}");
        }
        let (count, since) = (mistakes.len(), self.since);
        tracing::error!(
            mistakes = count,
            "the files are wrong: the rules of {since} stay in force"
        );
        self.metrics.rules_reload_failed.set(true);
        self.note(mistakes);
        // The mistakes themselves are in the log: they may quote what is not for everybody who may ask for this.
        let message =
            format!("The files are wrong (mistakes: {count}): the rules of {since} stay in force.");
        self.refused.send_replace(Some(Reason {
            code: Code::RulesNotReloaded,
            message: message.into(),
        }));
    }
}

/// Logs what is surely not meant in these files. Once for each time they are read.
pub fn warn(config: &Config, now: Timestamp) {
    for warning in config.all_warnings(now) {
        tracing::warn!("{warning}");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use tempfile::TempDir;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::config::{Instead, read};
    use crate::rules::Consistency;

    /// Files, what keeps rules to them, and what that says.
    struct Stage {
        folder: TempDir,
        rules: LiveRules,
        reload: Reload,
        log: Log,
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Log;

        fn make_writer(&'a self) -> Log {
            self.clone()
        }
    }

    const V1: &str = "rules: [{ id: v1 }]";
    const V2: &str = "rules: [{ id: v2 }]";
    const BAD: &str = "rules:\n  - id: v3\n    colour: red\n";

    impl Stage {
        /// With this in `tagalong.yaml`, and `V1` in `rules/a.yaml`.
        fn new(config: &str) -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let rules = folder.path().join("rules");
            fs::create_dir(&rules).unwrap();
            fs::write(rules.join("a.yaml"), V1).unwrap();
            Stage::of(folder, config)
        }

        fn of(folder: TempDir, config: &str) -> Stage {
            let path = folder.path().join("tagalong.yaml");
            fs::write(&path, config).unwrap();
            let config = read(Some(&path), Instead::default()).unwrap();
            let rules = LiveRules::new(config.rules.clone());
            let clock = Clock::manual(Timestamp::from_secs(1_000_000));
            let reload = Reload::new(&config, rules.clone(), Metrics::default(), clock).unwrap();
            Stage {
                folder,
                rules,
                reload,
                log: Log::default(),
            }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        /// What is said while something is done.
        fn said(&mut self, what: impl FnOnce(&mut Reload)) -> String {
            let subscriber = tracing_subscriber::fmt()
                .with_writer(self.log.clone())
                .with_ansi(false)
                .finish();
            let reload = &mut self.reload;
            tracing::subscriber::with_default(subscriber, || what(reload));
            let said = std::mem::take(&mut *self.log.0.lock().unwrap());
            String::from_utf8(said).unwrap()
        }

        /// What a change that is done with brings.
        fn looks_twice(&mut self) -> String {
            self.said(|reload| {
                reload.look();
                reload.look();
            })
        }

        fn ids(&self) -> String {
            let rules = self.rules.load();
            let ids = rules.rules().iter().filter_map(|rule| rule.id.as_deref());
            ids.collect::<Vec<_>>().join(" ")
        }
    }

    #[test]
    fn what_has_changed_comes_into_force_once_it_stays_the_same() {
        let mut stage = Stage::new("");
        assert_eq!(stage.looks_twice(), "", "nothing has changed");
        stage.write("rules/a.yaml", "rules: [{ id: v2 },");
        stage.reload.look();
        stage.write("rules/a.yaml", "rules: [{ id: v2 }, { id: more }]");
        stage.reload.look();
        assert_eq!(stage.ids(), "v1", "it may not be whole");
        let said = stage.said(Reload::look);
        assert_eq!(stage.ids(), "v2 more");
        assert!(said.contains("INFO") && said.contains("rules=2"), "{said}");
        assert_eq!(stage.looks_twice(), "", "once");
    }

    #[test]
    fn every_way_in_which_files_change_is_seen() {
        type Change = fn(&Stage);
        let changes: [(&str, Change, &str); 8] = [
            ("in place", |it| it.write("rules/a.yaml", V2), "v2"),
            (
                "by renaming over it, as old and as long",
                |it| {
                    let (new, old) = (it.path("rules/.a.yaml.swp"), it.path("rules/a.yaml"));
                    fs::write(&new, V2).unwrap();
                    let modified = fs::metadata(&old).unwrap().modified().unwrap();
                    let new_file = fs::File::options().write(true).open(&new).unwrap();
                    new_file.set_modified(modified).unwrap();
                    fs::rename(new, old).unwrap();
                },
                "v2",
            ),
            ("one more", |it| it.write("rules/b.yaml", V2), "v1 v2"),
            (
                "one less",
                |it| fs::remove_file(it.path("rules/a.yaml")).unwrap(),
                "",
            ),
            (
                "another name",
                |it| {
                    it.write("rules/b.yaml", V2);
                    fs::rename(it.path("rules/a.yaml"), it.path("rules/c.yaml")).unwrap();
                },
                "v2 v1",
            ),
            (
                "another folder",
                |it| {
                    fs::create_dir(it.path("other")).unwrap();
                    it.write("other/a.yaml", V2);
                    it.write("tagalong.yaml", "rules: other");
                },
                "v2",
            ),
            (
                "no folder",
                |it| fs::remove_dir_all(it.path("rules")).unwrap(),
                "",
            ),
            (
                "the folder is another's",
                |it| {
                    fs::create_dir(it.path("new")).unwrap();
                    it.write("new/a.yaml", V2);
                    fs::rename(it.path("rules"), it.path("old")).unwrap();
                    symlink("new", it.path("rules")).unwrap();
                },
                "v2",
            ),
        ];
        for (name, change, expected) in changes {
            let mut stage = Stage::new("");
            change(&stage);
            stage.looks_twice();
            assert_eq!(stage.ids(), expected, "{name}");
        }
    }

    /// What the kubelet does: the files are links into `..data`, itself a link, which is replaced as a whole.
    #[test]
    fn a_config_map_that_points_elsewhere_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules");
        let version = |name: &str, text: &str| {
            fs::create_dir_all(rules.join(name)).unwrap();
            fs::write(rules.join(name).join("a.yaml"), text).unwrap();
        };
        let point = |rules: &Path, name: &str| {
            symlink(name, rules.join("..data_tmp")).unwrap();
            fs::rename(rules.join("..data_tmp"), rules.join("..data")).unwrap();
        };
        version("..2026_11_28_1", V1);
        version("..2026_11_28_2", V2);
        point(&rules, "..2026_11_28_1");
        symlink("..data/a.yaml", rules.join("a.yaml")).unwrap();
        let mut stage = Stage::of(folder, "rules: rules");
        assert_eq!(stage.ids(), "v1");
        point(&stage.path("rules"), "..2026_11_28_2");
        fs::remove_dir_all(stage.path("rules/..2026_11_28_1")).unwrap();
        stage.looks_twice();
        assert_eq!(stage.ids(), "v2");
    }

    #[test]
    fn what_is_wrong_changes_nothing_and_is_told_once_with_its_place() {
        let mut stage = Stage::new("");
        stage.write("rules/a.yaml", BAD);
        let refused = stage.reload.refused();
        let said = stage.looks_twice();
        assert_eq!(stage.ids(), "v1");
        let reason = refused.borrow().clone().unwrap();
        assert_eq!(reason.code, Code::RulesNotReloaded);
        assert!(!reason.message.contains("colour"), "{reason:?}");
        for part in [
            "ERROR",
            "a.yaml:3:5: ",
            "`colour`",
            "the rules of Mon, 12 Jan 1970 13:46:40 GMT stay in force",
        ] {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
        assert_eq!(stage.looks_twice(), "", "told once");
        stage.write("rules/a.yaml", BAD);
        assert_eq!(stage.looks_twice(), "", "the same mistakes");
        stage.write("rules/a.yaml", &format!("{BAD}    size: 1\n"));
        let said = stage.looks_twice();
        assert!(said.contains(":4:5: "), "another file, {said}");
        let said = stage.said(Reload::read);
        assert!(said.contains(":4:5: "), "who asks is told, {said}");
        stage.write("rules/a.yaml", V1);
        let said = stage.looks_twice();
        assert!(said.contains("rules=1"), "repaired: {said}");
        assert_eq!(*refused.borrow(), None);
    }

    #[test]
    fn what_is_surely_not_meant_is_told_with_each_load() {
        let mut stage = Stage::new("");
        let unreached = "rules: [{ match: { path: '/a*' } }, { match: { path: /ab } }]";
        stage.write("rules/a.yaml", unreached);
        let said = stage.looks_twice();
        for part in [
            "WARN",
            "a.yaml:1:37: no request reaches the rule `/ab`",
            "INFO",
        ] {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
        assert_eq!(stage.ids(), "/a* /ab");
        assert_eq!(stage.looks_twice(), "", "once");
    }

    /// What cannot be read has no text that could have changed.
    #[test]
    fn a_file_that_is_not_read_is_told_once_as_well() {
        type Change = fn(&Stage);
        let changes: [(&str, Change, &str); 2] = [
            (
                "rules/b.yml",
                |it| it.write("rules/b.yml", V2),
                "rule files end in `.yaml`",
            ),
            (
                "rules/b.yaml",
                |it| fs::write(it.path("rules/b.yaml"), b"rules: [{ id: \xff }]").unwrap(),
                "cannot be read",
            ),
        ];
        for (name, change, expected) in changes {
            let mut stage = Stage::new("");
            change(&stage);
            let said = stage.looks_twice();
            for part in ["ERROR", name, expected, "stay in force"] {
                assert!(said.contains(part), "{part} is missing in\n{said}");
            }
            assert_eq!(stage.ids(), "v1", "{name}");
            assert_eq!(stage.looks_twice(), "", "{name}: once");
            fs::remove_file(stage.path(name)).unwrap();
            let said = stage.looks_twice();
            assert!(said.contains("rules=1"), "{name}, repaired: {said}");
        }
    }

    #[test]
    fn who_asks_is_told_what_is_in_force_though_nothing_has_changed() {
        let mut stage = Stage::new("");
        let said = stage.said(Reload::read);
        assert!(said.contains("rules=1"), "{said}");
    }

    #[test]
    fn defaults_and_epoch_come_into_force_and_a_lower_epoch_is_refused() {
        let mut stage = Stage::new("epoch: 2");
        let terms = |stage: &Stage| stage.rules.load().rules()[0].terms.ttl;
        assert_eq!(terms(&stage), None);
        stage.write("tagalong.yaml", "{ epoch: 3, defaults: { ttl: 5s } }");
        let said = stage.looks_twice();
        assert_eq!(terms(&stage), Some(Duration::from_secs(5)));
        assert_eq!(stage.rules.load().epoch(), 3);
        assert!(!said.contains("restart"), "{said}");
        stage.write("tagalong.yaml", "epoch: 2");
        let said = stage.looks_twice();
        assert!(said.contains("expected `epoch` to be 3 at least"), "{said}");
        assert_eq!(terms(&stage), Some(Duration::from_secs(5)));
    }

    #[test]
    fn k16_an_epoch_that_others_have_raised_stays_in_force_and_lets_other_changes_pass() {
        let mut stage = Stage::new("epoch: 2");
        let mut told = stage.reload.epoch();
        stage.rules.raise_epoch(5);
        stage.write("rules/a.yaml", V2);
        let said = stage.looks_twice();
        assert!(said.contains("which counts epoch=2 in_force=5"), "{said}");
        assert_eq!((&*stage.ids(), stage.rules.load().epoch()), ("v2", 5));
        assert!(!told.has_changed().unwrap());
        for (epoch, in_force) in [(3, 5), (6, 6)] {
            stage.write("tagalong.yaml", &format!("epoch: {epoch}"));
            stage.looks_twice();
            assert_eq!(*told.borrow_and_update(), epoch);
            assert_eq!(stage.rules.load().epoch(), in_force);
        }
    }

    #[test]
    fn what_waits_for_a_restart_is_named() {
        for (config, expected) in [
            ("namespace: other", "\"namespace\""),
            ("listen: ['127.0.0.1:1']", "\"listen\""),
            ("admin: {}", "\"admin\""),
            ("upstream: { retries: 0 }", "\"upstream\""),
            ("headers: { expose: true }", "\"headers\""),
            ("headers: { cache_status: false }", "\"headers\""),
            ("headers: { debug: { secret_file: s } }", "\"headers\""),
            ("store: { memory: { max_bytes: 1MiB } }", "\"store\""),
            ("store: { redis: { url: 'redis://h' } }", "\"store\""),
            ("tags: { max_lag: 2s }", "\"tags\""),
            ("tags: { outbox: { max: 1 } }", "\"tags\""),
            ("limits: { max_tags: 1 }", "\"limits\""),
            ("drain: 1s", "\"drain\""),
            ("{ log: { access: true }, drain: 1s }", "\"drain, log\""),
        ] {
            let mut stage = Stage::new("");
            stage.write("s", "open sesame");
            stage.write("tagalong.yaml", config);
            stage.write("rules/a.yaml", V2);
            let said = stage.looks_twice();
            let told = format!("fields={expected}");
            assert!(said.contains("WARN") && said.contains(&told), "{said}");
            assert_eq!(stage.ids(), "v2", "{config}: the rules do not wait");
        }
    }

    #[test]
    fn rules_do_not_keep_what_they_store_in_a_store_that_is_not_there_yet() {
        let redis =
            |bodies: bool| format!("store: {{ redis: {{ url: 'redis://h', bodies: {bodies} }} }}");
        let kept = "rules: [{ id: v2, store: redis }]";
        for before in ["", &redis(false)] {
            let mut stage = Stage::new(before);
            stage.write("tagalong.yaml", &redis(true));
            stage.write("rules/a.yaml", kept);
            let said = stage.looks_twice();
            let told = "a.yaml:1:9: `store: redis` needs what `store.redis` says, which waits for a restart";
            assert!(said.contains(told), "{said}");
            assert_eq!(stage.ids(), "v1");
        }
        let mut stage = Stage::new(&redis(true));
        stage.write("rules/a.yaml", kept);
        stage.looks_twice();
        assert_eq!(stage.ids(), "v2");
    }

    #[test]
    fn how_consistent_rules_are_comes_into_force_with_them() {
        let mut stage = Stage::new("");
        stage.write("tagalong.yaml", "tags: { consistency: strict }");
        let said = stage.looks_twice();
        let rules = stage.rules.load();
        assert_eq!(rules.rules()[0].consistency, Consistency::Strict);
        assert!(!said.contains("restart"), "{said}");
    }

    #[test]
    fn a_url_that_has_changed_is_seen_and_not_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("u"), "redis://:open-sesame@h").unwrap();
        let mut stage = Stage::of(folder, "store: { redis: { url_file: u } }");
        stage.write("u", "redis://:abracadabra@h");
        let said = stage.looks_twice();
        assert!(said.contains("fields=\"store\""), "{said}");
        assert!(!said.contains("abracadabra"), "{said}");
        stage.write("u", "redis://:abra@cadabra@h");
        let said = stage.looks_twice();
        assert!(
            said.contains("tagalong.yaml:1:29: expected `/`, `?`"),
            "{said}"
        );
        assert!(!said.contains("abra"), "{said}");
    }

    #[test]
    fn a_secret_that_has_changed_is_seen_and_not_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("s"), "open sesame").unwrap();
        let mut stage = Stage::of(folder, "headers: { debug: { secret_file: s } }");
        stage.write("s", "abracadabra");
        let said = stage.looks_twice();
        assert!(said.contains("fields=\"headers\""), "{said}");
        assert!(!said.contains("abracadabra"), "{said}");
    }

    #[test]
    fn a_certificate_that_clients_refuse_is_told_each_time_the_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["shop.example".to_owned()]).unwrap();
        fs::write(folder.path().join("c.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        fs::write(folder.path().join("k.pem"), key).unwrap();
        let config =
            "listen: [{ addr: '127.0.0.1:1', tls: { cert_file: c.pem, key_file: k.pem } }]";
        let mut stage = Stage::of(folder, config);
        for _ in 0..2 {
            // By the clock here it is 1970, and rcgen's certificates begin later.
            let said = stage.said(Reload::read);
            let expected = "the certificate in `c.pem` is not valid yet: clients refuse it until";
            assert!(said.contains(expected), "{said}");
        }
    }
}
