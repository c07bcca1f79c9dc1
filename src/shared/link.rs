//! A connection to the tags of a namespace: one server, one history, until something is wrong with either.
//!
//! Whatever fails, the link is given up and another is made: commands that one server has not answered are never taken up
//! with another as if nothing had happened between.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Script};

use crate::clock::Clock;
use crate::metrics::SharedError;
use crate::model::stamp::Stamp;
use crate::model::tag::Tag;
use crate::model::time::Timestamp;
use crate::shared::Change;
use crate::shared::Config;
use crate::shared::Error;
use crate::shared::Finding;
use crate::shared::Record;
use crate::shared::bodies::Bodies;
use crate::shared::config::Address;
use crate::shared::config::Topology;
use crate::shared::connect;
use crate::shared::connect::Told;
use crate::shared::keys::Keys;
use crate::shared::record::legible;
use crate::shared::sentinels::Sentinels;
use crate::shared::state::Read;
use crate::shared::state::TagState;
use crate::shared::state::epoch;
use crate::shared::state::sequence;

/// How long what belongs to the namespace as a whole lives after somebody has last used it.
const LIFE: Duration = Duration::from_secs(30 * 86_400);

/// How long a tag's key lives that no entry carries: longer than any exchange takes to bring one.
const TAG_LIFE: Duration = Duration::from_secs(3_600);

/// How long records stay in the log: a sidecar that was away for longer begins anew.
pub(super) const LOG_AGE: Duration = Duration::from_secs(600);

/// The most records that are read at once.
const RECORDS: usize = 1_000;

/// The store of a namespace: how to get to it.
#[derive(Clone, Debug)]
pub struct Store {
    config: Config,
    sentinels: Sentinels,
    keys: Keys,
    /// Whether responses are kept there too.
    bodies: bool,
    clock: Clock,
}

/// A connection to it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    keys: Keys,
    address: Address,
    generation: Box<str>,
    commands: MultiplexedConnection,
    log: MultiplexedConnection,
    /// `None`: only tags are shared.
    bodies: Option<Bodies>,
    timeout: Duration,
    scripts: Scripts,
}

pub(super) struct Scripts {
    increment: Script,
    register: Script,
    purge: Script,
    pub(super) acquire: Script,
    pub(super) keep: Script,
    pub(super) release: Script,
    epoch: Script,
}

/// Where in a history a link begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Which history.
    pub generation: Box<str>,
    /// The last stamp given.
    pub last: Stamp,
    /// The stamp of the last record of the log.
    pub logged: Stamp,
    /// Where that record is.
    pub position: Position,
    /// The highest epoch ever set.
    pub epoch: u64,
    /// What is to be said of the store.
    pub findings: Vec<Finding>,
}

/// A place in the log: what follows has not been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position(Box<str>);

/// What came of reading the log for a while.
#[derive(Debug)]
pub struct Heard {
    /// In order; `None` is one that cannot be read at all.
    pub records: Vec<Option<Record>>,
    /// Where to go on.
    pub position: Position,
    /// Whether these are all there were.
    pub all: bool,
    /// The stamp of the last record of the log, as it was just afterwards.
    pub logged: Stamp,
    /// The epoch that the store held just afterwards; zero: it has lost it.
    pub epoch: u64,
}

/// What came of incrementing tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incremented {
    /// Their version; `None` if nothing was to be changed.
    pub stamp: Option<Stamp>,
    /// When one of them changed last before that; of what the store did not know it is just before.
    pub before: Stamp,
}

/// What came of making tags known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Up to which record the log must have been read before the answer counts.
    pub once_read: Stamp,
    /// The tags, in order.
    pub tags: Vec<TagState>,
}

/// A script that changes a namespace, with what all of them share before it.
macro_rules! script {
    ($name:literal) => {
        concat!(
            include_str!("scripts/namespace.lua"),
            include_str!(concat!("scripts/", $name, ".lua"))
        )
    };
}

impl Store {
    /// The store of this namespace, with responses or with tags alone; connects to nothing yet.
    pub fn new(config: Config, namespace: &str, bodies: bool, clock: Clock) -> Store {
        Store {
            sentinels: Sentinels::of(&config.endpoint),
            config,
            keys: Keys::new(namespace),
            bodies,
            clock,
        }
    }

    /// How long an operation may take.
    pub fn timeout(&self) -> Duration {
        self.config.timeout
    }

    /// Connects, and goes on with the history of the namespace, or begins a new one where that is another server's (L3). New
    /// stamps are greater than `floor`; the store's epoch is `epoch` at least.
    ///
    /// # Errors
    ///
    /// There is no connection to be had, or nothing can be done with it.
    pub async fn link(&self, floor: Stamp, epoch: u64) -> Result<(Link, Beginning), Error> {
        let (config, keys) = (&self.config, &self.keys);
        let address = connect::locate(config, &self.sentinels, &keys.generation()).await?;
        let timeout = config.timeout;
        let mut commands = connect::connect(config, &address, timeout).await?;
        let told = Told::by(&mut commands).await?;
        let server = told.primary()?;
        let log = connect::connect(config, &address, timeout).await?;
        // Of the same server: it may have been replaced between the two.
        let mut log_told = log.clone();
        if Told::by(&mut log_told).await?.primary()? != server {
            return Err(Error::new(
                SharedError::Connection,
                "the server was replaced",
            ));
        }
        let bodies = match self.bodies {
            true if matches!(config.endpoint.topology, Topology::Cluster(_)) => {
                // In a Cluster they are on other servers: no tag waits for those.
                let connected = Bodies::connect(config, &address).await;
                let said = connected.inspect_err(|error| {
                    tracing::warn!(%error, "responses are not shared until the shared store is connected anew");
                });
                said.ok()
            }
            true => Some(Bodies::connect(config, &address).await?),
            false => None,
        };
        let (seconds, micros): (u64, u64) = run(&redis::cmd("TIME"), &mut commands).await?;
        let its_time = Timestamp::from_micros(seconds * 1_000_000 + micros);
        let scripts = |error: Error| {
            let refused = matches!(error.kind, SharedError::Authentication | SharedError::Other);
            match refused {
                true => error.about("scripts, by which tags change, cannot be run there"),
                false => error,
            }
        };
        let findings = Finding::all(&told, its_time, self.clock.now());

        let adopt = Script::new(include_str!("scripts/adopt.lua"));
        let token = format!("{:032x}", self.clock.random());
        let (generation, last, logged, position, epoch, _new): (String, u64, u64, String, u64, u8) =
            adopt
                .key(keys.generation())
                .key(keys.sequence())
                .key(keys.log())
                .key(keys.epoch())
                .arg(server.0)
                .arg(token)
                .arg(floor.get())
                .arg(epoch)
                .arg(LIFE.as_millis() as u64)
                .invoke_async(&mut commands)
                .await
                .map_err(|error| scripts(error.into()))?;
        let generation: Box<str> = generation.into();
        let beginning = Beginning {
            generation: generation.clone(),
            last: Stamp::from_raw(last),
            logged: Stamp::from_raw(logged),
            position: Position(position.into()),
            epoch,
            findings,
        };
        let link = Inner {
            keys: keys.clone(),
            address,
            generation,
            commands,
            log,
            bodies,
            timeout,
            scripts: Scripts {
                increment: Script::new(script!("increment")),
                register: Script::new(script!("register")),
                purge: Script::new(script!("purge")),
                acquire: Script::new(include_str!("scripts/acquire.lua")),
                keep: Script::new(include_str!("scripts/keep.lua")),
                release: Script::new(script!("release")),
                epoch: Script::new(include_str!("scripts/epoch.lua")),
            },
        };
        Ok((Link(Arc::new(link)), beginning))
    }

    /// Whether what this link leads to is still where the tags of the namespace are; to be asked where others decide that.
    ///
    /// # Errors
    ///
    /// Nobody knows.
    pub async fn is_current(&self, link: &Link) -> Result<bool, Error> {
        let address =
            connect::locate(&self.config, &self.sentinels, &self.keys.generation()).await?;
        Ok(address == link.0.address)
    }

    /// Whether somebody else decides which server has the tags: Sentinels, or a Cluster.
    pub fn may_move(&self) -> bool {
        self.config.endpoint.may_move()
    }

    /// Whether Sentinels decide that. A server they have replaced may not know it for a while.
    pub fn is_decided_by_sentinels(&self) -> bool {
        matches!(self.config.endpoint.topology, Topology::Sentinel { .. })
    }
}

impl Link {
    /// Which history this is.
    pub fn generation(&self) -> &str {
        &self.0.generation
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(super) fn scripts(&self) -> &Scripts {
        &self.0.scripts
    }

    pub(super) fn bodies(&self) -> Option<&Bodies> {
        self.0.bodies.as_ref()
    }

    pub(super) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(super) fn commands(&self) -> MultiplexedConnection {
        self.0.commands.clone()
    }

    /// Whether it is the same link.
    pub fn is(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Gives tags a version they never had, as one atomic change (L2).
    ///
    /// # Errors
    ///
    /// It may have been done all the same.
    pub async fn increment(
        &self,
        changes: &[(&Tag, Change)],
        by: &str,
    ) -> Result<Incremented, Error> {
        let inner = &self.0;
        let mut call = inner.scripts.increment.prepare_invoke();
        call.key(inner.keys.generation())
            .key(inner.keys.sequence())
            .key(inner.keys.log());
        call.arg(&*inner.generation)
            .arg(&*legible(by))
            .arg(TAG_LIFE.as_millis() as u64)
            .arg(LOG_AGE.as_millis() as u64);
        for (tag, change) in changes {
            call.key(inner.keys.tag(tag));
            match change {
                Change::Hard => call.arg("h"),
                Change::Soft => call.arg("s"),
                Change::Version(version) => call.arg(version),
            };
        }
        let (stamp, before): (u64, u64) = call.invoke_async(&mut inner.commands.clone()).await?;
        Ok(Incremented {
            stamp: (stamp != 0).then(|| Stamp::from_raw(stamp)),
            before: Stamp::from_raw(before),
        })
    }

    /// Says in the log that everything whose logical key matches is to be forgotten.
    ///
    /// # Errors
    ///
    /// It may have been done all the same.
    pub async fn purge(&self, pattern: &str, by: &str) -> Result<Stamp, Error> {
        let inner = &self.0;
        let stamp: u64 = inner
            .scripts
            .purge
            .key(inner.keys.generation())
            .key(inner.keys.sequence())
            .key(inner.keys.log())
            .arg(&*inner.generation)
            .arg(&*legible(by))
            .arg(LOG_AGE.as_millis() as u64)
            .arg(pattern)
            .invoke_async(&mut inner.commands.clone())
            .await?;
        Ok(Stamp::from_raw(stamp))
    }

    /// Makes tags known for `life` at least, as something is to be stored that carries them.
    ///
    /// # Errors
    ///
    /// Nothing is to be stored.
    pub async fn register(&self, tags: &[&Tag], life: Duration) -> Result<Registered, Error> {
        let inner = &self.0;
        let mut call = inner.scripts.register.prepare_invoke();
        call.key(inner.keys.generation()).key(inner.keys.sequence());
        call.arg(&*inner.generation).arg(life.as_millis() as u64);
        for tag in tags {
            call.key(inner.keys.tag(tag));
        }
        let answer: Vec<Vec<u8>> = call.invoke_async(&mut inner.commands.clone()).await?;
        let unexpected = || Error::unexpected("the registration of tags");
        let (first, states) = answer.split_first().ok_or_else(unexpected)?;
        let once_read = std::str::from_utf8(first)
            .ok()
            .and_then(|it| it.parse().ok());
        let states: Option<Vec<TagState>> = states.iter().map(|it| TagState::parse(it)).collect();
        let states = states.filter(|states| states.len() == tags.len());
        Ok(Registered {
            once_read: Stamp::from_raw(once_read.ok_or_else(unexpected)?),
            tags: states.ok_or_else(unexpected)?,
        })
    }

    /// Raises the epoch of all sidecars to this one, unless it is higher; gives the one it is then.
    ///
    /// # Errors
    ///
    /// It may have been done all the same.
    pub async fn raise_epoch(&self, epoch: u64) -> Result<u64, Error> {
        let inner = &self.0;
        let raised: u64 = inner
            .scripts
            .epoch
            .key(inner.keys.epoch())
            .arg(epoch)
            .arg(LIFE.as_millis() as u64)
            .invoke_async(&mut inner.commands.clone())
            .await?;
        Ok(raised)
    }

    /// How things are now, in one round trip; creates nothing (L14).
    ///
    /// # Errors
    ///
    /// Nobody knows; [`SharedError::Generation`] if this history has ended.
    pub async fn read(&self, tags: &[&Tag]) -> Result<Read, Error> {
        let inner = &self.0;
        let mut question = redis::cmd("MGET");
        question
            .arg(inner.keys.generation())
            .arg(inner.keys.sequence())
            .arg(inner.keys.epoch());
        for tag in tags {
            question.arg(inner.keys.tag(tag));
        }
        let answer: Vec<Option<Vec<u8>>> = run(&question, &mut inner.commands.clone()).await?;
        let [generation, found, highest, states @ ..] = &answer[..] else {
            return Err(Error::unexpected("MGET"));
        };
        let (last, logged) = inner.is_ours(generation.as_deref(), found.as_deref())?;
        let state = |it: &Option<Vec<u8>>| it.as_deref().and_then(TagState::parse);
        Ok(Read {
            last,
            logged,
            epoch: epoch(highest.as_deref()),
            tags: states.iter().map(state).collect(),
        })
    }

    /// Waits for records after `position`, for at most `patience`.
    ///
    /// # Errors
    ///
    /// The log cannot be read; [`SharedError::Generation`] if this history has ended.
    pub async fn follow(&self, position: &Position, patience: Duration) -> Result<Heard, Error> {
        let inner = &self.0;
        let mut log = inner.log.clone();
        // As long again as it was to wait: a machine that is busy for a moment is no reason to connect anew.
        log.set_response_timeout(patience + inner.timeout.max(patience));
        let mut questions = redis::pipe();
        questions
            .cmd("XREAD")
            .arg("COUNT")
            .arg(RECORDS)
            .arg("BLOCK")
            .arg((patience.as_millis() as u64).max(1))
            .arg("STREAMS")
            .arg(inner.keys.log())
            .arg(&*position.0);
        // Who flushes the store, or raises the epoch, wakes nobody who reads its log: so it is looked for each time (L3).
        questions
            .cmd("MGET")
            .arg(inner.keys.generation())
            .arg(inner.keys.sequence())
            .arg(inner.keys.epoch());
        let (read, state): (Streams, Vec<Option<Vec<u8>>>) =
            questions.query_async(&mut log).await?;
        let [generation, found, highest] = &state[..] else {
            return Err(Error::unexpected("MGET"));
        };
        let (_, logged) = inner.is_ours(generation.as_deref(), found.as_deref())?;
        let records = read
            .unwrap_or_default()
            .into_iter()
            .flat_map(|(_, them)| them);
        let (mut at, mut all) = (position.clone(), Vec::new());
        for (id, fields) in records {
            at = Position(id.into());
            all.push(Record::read(&fields));
        }
        Ok(Heard {
            all: all.len() < RECORDS,
            records: all,
            position: at,
            logged,
            epoch: epoch(highest.as_deref()),
        })
    }

    /// Lets what belongs to the namespace as a whole live on.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn renew(&self) -> Result<(), Error> {
        let keys = &self.0.keys;
        let mut commands = redis::pipe();
        for key in [keys.generation(), keys.sequence(), keys.log(), keys.epoch()] {
            commands
                .cmd("PEXPIRE")
                .arg(key)
                .arg(LIFE.as_millis() as u64)
                .ignore();
        }
        let () = commands.query_async(&mut self.0.commands.clone()).await?;
        Ok(())
    }
}

/// What `XREAD` answers: of each stream its name and its records, of each of these its place, fields and values.
type Streams = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

impl Inner {
    /// The last stamp given and that of the last record, if this is still our history.
    fn is_ours(
        &self,
        generation: Option<&[u8]>,
        found: Option<&[u8]>,
    ) -> Result<(Stamp, Stamp), Error> {
        let name = generation.and_then(|it| it.split(|byte| *byte == b' ').next());
        if name != Some(self.generation.as_bytes()) {
            return Err(Error::new(SharedError::Generation, "another history"));
        }
        let stamps = found.and_then(sequence);
        stamps.ok_or_else(|| Error::new(SharedError::Generation, "the sequence is lost"))
    }
}

async fn run<T: FromRedisValue>(
    command: &Cmd,
    connection: &mut MultiplexedConnection,
) -> Result<T, Error> {
    Ok(command.query_async(connection).await?)
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.0.generation).finish()
    }
}
