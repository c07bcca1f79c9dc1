//! Files, folders and environment: the only place that reads them.

use std::cell::RefCell;
use std::env::VarError;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::admin;
use crate::admin::Token;
use crate::config::compile::admin::{LISTEN, UNFIT, is_fit, is_taken};
use crate::config::compile::headers::NO_SECRET;
use crate::config::compile::{Outside, compile_with};
use crate::config::marks::Marks;
use crate::config::{Config, Listen, Target};
use crate::model::mistake::Mistake;
use crate::model::secret::Secret;

/// Reads the configuration at `path`, and the rule files and secrets it names; relative paths are relative to it.
///
/// # Errors
///
/// Every mistake of every file.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    read(Some(path), Instead::default())
}

/// What the command line says in place of the files.
#[derive(Clone, Debug, Default)]
pub struct Instead {
    /// The app.
    pub upstream: Option<Target>,
    /// Where clients reach us; empty: as the file says.
    pub listen: Vec<Listen>,
    /// Where operators reach us. Where the file has no token for them, it is that of [`ADMIN_TOKEN`], if there is one.
    pub admin_listen: Option<SocketAddr>,
    /// The folder of rule files.
    pub rules: Option<PathBuf>,
    /// Whether it is all that is said, so that what neither it nor the file says is as always: of a process that starts. Who only
    /// looks at files does not know yet what that will be told.
    pub complete: bool,
}

/// What others call this process: the name of its host, and its number.
pub fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.as_deref().map_or("unknown", str::trim_ascii);
    format!("{host}:{}", std::process::id())
}

/// As [`load`], with `instead` in place of what the file says. Without a file everything has its default, and there are
/// no rules but those of `instead`.
///
/// # Errors
///
/// Every mistake of every file.
pub fn read(path: Option<&Path>, instead: Instead) -> Result<Config, Vec<Mistake>> {
    let sources = Sources {
        path: path.map(Path::to_owned),
        instead,
    };
    let Read {
        config,
        marks,
        content,
    } = sources.read();
    let mut config = config?;
    if sources.path.is_some() || sources.instead.rules.is_some() {
        config.origin = Some(Origin {
            sources,
            marks,
            content,
        });
    }
    Ok(config)
}

/// What messages call what is in no file.
const ARGUMENTS: &str = "the command line";

/// What a configuration was read from: enough to read it again, and to know whether that is worth it.
#[derive(Clone, Debug)]
pub struct Origin {
    pub(super) sources: Sources,
    /// How the files looked.
    pub(super) marks: Marks,
    /// What was in them.
    pub(super) content: blake3::Hash,
}

/// Which files there are, and what holds in their place.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    path: Option<PathBuf>,
    instead: Instead,
}

/// What reading has brought.
pub(super) struct Read {
    pub(super) config: Result<Config, Vec<Mistake>>,
    pub(super) marks: Marks,
    pub(super) content: blake3::Hash,
}

impl Sources {
    /// Reads everything, now.
    pub(super) fn read(&self) -> Read {
        let path = self.path.as_deref();
        let files = Files {
            base: path.map(|path| path.parent().unwrap_or(Path::new("")).to_owned()),
            rules: self.instead.rules.clone(),
            seen: RefCell::default(),
        };
        let config = self.read_through(&files);
        let Seen { marks, content } = files.seen.into_inner();
        Read {
            config,
            marks,
            content: content.finalize(),
        }
    }

    /// What messages call the files as a whole.
    pub(super) fn name(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => ARGUMENTS.to_owned(),
        }
    }

    fn read_through(&self, files: &Files) -> Result<Config, Vec<Mistake>> {
        let name = self.name();
        let text = match &self.path {
            Some(path) => files.text(path),
            None => Ok(String::new()),
        };
        let text = text.map_err(|error| vec![unreadable(&name, &error)])?;
        let mut config = compile_with(&name, &text, files, &self.instead)?;
        if let Some(target) = self.instead.upstream.clone() {
            config.upstream.targets = target.into();
        }
        if !self.instead.listen.is_empty() {
            config.listen = self.instead.listen.clone();
        }
        if let Some(listen) = self.instead.admin_listen {
            let tokens = config
                .admin
                .take()
                .map(|admin| admin.tokens)
                .unwrap_or_default();
            let admin = admin_at(listen, tokens, &config.listen);
            config.admin = Some(admin.map_err(|message| vec![of_arguments(message)])?);
        }
        Ok(config)
    }
}

/// The admin interface where the command line wants it, with the tokens of the file; `clients`: where they reach us.
fn admin_at(
    listen: SocketAddr,
    mut tokens: Vec<Token>,
    clients: &[Listen],
) -> Result<admin::Config, String> {
    if listen.port() != 0 && is_taken(listen, clients) {
        return Err(format!(
            "`--admin-listen`: {listen} is given twice: clients reach us there"
        ));
    }
    if tokens.is_empty()
        && let Some(secret) = admin_token()?
    {
        if !is_fit(secret.reveal()) {
            return Err(format!("`{ADMIN_TOKEN}`: {UNFIT}"));
        }
        tokens.push(Token::new(Token::FIRST, secret));
    }
    let config = admin::Config { listen, tokens };
    if config.tokens.is_empty() && !config.is_local() {
        return Err(format!(
            "`--admin-listen`: other machines reach {listen}: expected a token in `{ADMIN_TOKEN}` or in the configuration, or a loopback address such as `{LISTEN}`"
        ));
    }
    Ok(config)
}

/// What is wrong with what is in no file.
pub(super) fn of_arguments(message: String) -> Mistake {
    Mistake {
        file: ARGUMENTS.into(),
        place: None,
        message,
    }
}

fn unreadable(name: &str, error: &io::Error) -> Mistake {
    Mistake {
        file: name.into(),
        place: None,
        message: format!("cannot be read: {error}"),
    }
}

/// The real outside.
struct Files {
    /// The folder of the configuration; `None`: there is none, so nothing names a folder of rules.
    base: Option<PathBuf>,
    /// The folder of rules in place of the one that is named.
    rules: Option<PathBuf>,
    seen: RefCell<Seen>,
}

/// What has been read.
#[derive(Default)]
struct Seen {
    marks: Marks,
    /// Of every name and text, so that a file that was only touched is told from one that says something else.
    content: blake3::Hasher,
}

impl Seen {
    /// Notes what a file says.
    fn said(&mut self, name: &[u8], text: &str) {
        for part in [name, text.as_bytes()] {
            self.content.update(&(part.len() as u64).to_le_bytes());
            self.content.update(part);
        }
    }
}

impl Files {
    /// Whatever is wrong is noted as well: it is told when it is new.
    fn noted(&self, mistake: Mistake) -> Mistake {
        let mut seen = self.seen.borrow_mut();
        seen.said(mistake.file.as_bytes(), &mistake.message);
        mistake
    }

    /// The text of a file, which is noted.
    fn text(&self, path: &Path) -> io::Result<String> {
        let mut seen = self.seen.borrow_mut();
        seen.marks.file(path);
        let text = std::fs::read_to_string(path);
        let said = match &text {
            Ok(text) => text.clone(),
            Err(error) => error.to_string(),
        };
        seen.said(path.as_os_str().as_encoded_bytes(), &said);
        text
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.as_deref().unwrap_or(Path::new("")).join(path)
    }
}

/// The environment variable that holds the token for other sidecars' admin interfaces.
pub const ADMIN_TOKEN: &str = "TAGALONG_ADMIN_TOKEN";

/// The token that the command line presents to a sidecar's admin interface, if there is one. It is an argument nowhere: those
/// are seen by everybody on the machine. White space at its end does not count.
///
/// # Errors
///
/// What is wrong with the variable.
pub fn admin_token() -> Result<Option<Secret>, String> {
    let text = match read_variable(ADMIN_TOKEN) {
        Ok(text) => text,
        Err(VarError::NotPresent) => return Ok(None),
        Err(error) => return Err(wrong_variable(ADMIN_TOKEN, &error)),
    };
    // Not as if there were none: who meant to set one would have an open door.
    let secret = Secret::new(text.trim_ascii_end().as_bytes());
    let secret =
        secret.ok_or_else(|| format!("`{ADMIN_TOKEN}`: {NO_SECRET}; unset it where there is none"));
    secret.map(Some)
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
fn read_variable(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

fn wrong_variable(name: &str, error: &VarError) -> String {
    match error {
        VarError::NotPresent => format!("the environment variable `{name}` is not set"),
        VarError::NotUnicode(_) => format!("the environment variable `{name}` is not UTF-8"),
    }
}

impl Outside for Files {
    fn variable(&self, name: &str) -> Result<String, String> {
        read_variable(name).map_err(|error| wrong_variable(name, &error))
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let path = self.at(path);
        self.text(&path)
            .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))
    }

    fn beside(&self, from: &str, path: &str) -> Result<String, String> {
        let folder = Path::new(from).parent().unwrap_or(Path::new(""));
        self.text(&folder.join(path))
            .map_err(|error| format!("cannot be read: {error}"))
    }

    fn rules(&self, folder: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
        let folder = match (&self.rules, &self.base) {
            (Some(instead), _) => instead.clone(),
            (None, Some(_)) => self.at(folder),
            (None, None) => return (None, Vec::new()),
        };
        self.seen.borrow_mut().marks.folder(&folder);
        let paths = match rule_files(&folder) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.rules.is_none() => {
                return (None, Vec::new());
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let mistake = Mistake {
                    file: folder.display().to_string().into(),
                    place: None,
                    message: "expected a folder of rule files (`*.yaml`), found a file: name the folder that it is in"
                        .to_owned(),
                };
                return (None, vec![self.noted(mistake)]);
            }
            Err(error) => {
                let name = folder.display().to_string();
                return (None, vec![self.noted(unreadable(&name, &error))]);
            }
        };
        let (mut files, mut mistakes) = (Vec::new(), Vec::new());
        for path in paths {
            let name = path.display().to_string();
            if path.extension().is_some_and(|end| end == "yml") {
                mistakes.push(self.noted(Mistake {
                    file: name.into(),
                    place: None,
                    message: "rule files end in `.yaml`: this one would not be read".to_owned(),
                }));
                continue;
            }
            match self.text(&path) {
                Ok(text) => files.push((name, text)),
                Err(error) => mistakes.push(self.noted(unreadable(&name, &error))),
            }
        }
        (Some(files), mistakes)
    }
}

/// The YAML files of a folder in name order; hidden ones, such as an editor's and those of a mounted ConfigMap, are not rules.
pub(super) fn rule_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let yaml = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        if yaml && !hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
