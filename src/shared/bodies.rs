//! Responses in the store: records by which they are found, and their bytes. Spread over the nodes of a Cluster, and on
//! connections of their own, so that no tag waits behind a large body.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{Cmd, FromRedisValue, ProtocolVersion, Script, Value};

use crate::metrics::SharedError;
use crate::model::key::ComposedKey;
use crate::model::key::Variant;
use crate::shared::Config;
use crate::shared::Error;
use crate::shared::config::Address;
use crate::shared::config::Topology;
use crate::shared::connect;
use crate::shared::connect::Known;
use crate::shared::keys::Keys;

/// Where responses are kept.
#[derive(Clone)]
pub(super) struct Bodies(Connection);

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How many keys are looked at together.
const AT_ONCE: usize = 256;

/// A body takes longer than a tag.
pub(super) const PATIENCE: u32 = 4;

impl Bodies {
    /// A connection to those on this server, or all over the Cluster.
    pub(super) async fn connect(config: &Config, address: &Address) -> Result<Bodies, Error> {
        let patience = config.timeout * PATIENCE;
        let Topology::Cluster(nodes) = &config.endpoint.topology else {
            let connection = connect::connect(config, address, patience).await?;
            return Ok(Bodies(Connection::One(connection)));
        };
        let (endpoint, known) = (&config.endpoint, Known::by(&config.endpoint));
        let infos = nodes
            .iter()
            .map(|node| connect::info(endpoint, node, known, 0));
        let infos: Vec<_> = infos.collect::<Result<_, _>>()?;
        let mut builder = ClusterClientBuilder::new(infos)
            .use_protocol(ProtocolVersion::RESP2)
            .connection_timeout(connect::CONNECT)
            .response_timeout(patience)
            .retries(1);
        if let Some(tls) = &endpoint.tls {
            builder = builder.certs(connect::certificates(tls));
        }
        let connection = builder.build()?.get_async_connection().await?;
        Ok(Bodies(Connection::Cluster(connection)))
    }

    /// Those on this server, by a connection that is there already.
    pub(super) fn on_one(connection: MultiplexedConnection) -> Bodies {
        Bodies(Connection::One(connection))
    }

    /// Whether they are on the server that has the tags.
    pub(super) fn are_on_one(&self) -> bool {
        matches!(self.0, Connection::One(_))
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        let answer = match self.0.clone() {
            Connection::One(mut one) => one.req_packed_command(command).await?,
            Connection::Cluster(mut cluster) => cluster.req_packed_command(command).await?,
        };
        Ok(redis::from_redis_value(answer)?)
    }

    /// What is recorded under a variant.
    pub(super) async fn record(
        &self,
        keys: &Keys,
        variant: Variant,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.run(redis::cmd("GET").arg(keys.variant(variant))).await
    }

    /// The bytes of a response.
    pub(super) async fn response(
        &self,
        keys: &Keys,
        key: ComposedKey,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.run(redis::cmd("GET").arg(keys.response(key))).await
    }

    /// Whether there are the bytes of a response.
    pub(super) async fn has_response(&self, keys: &Keys, key: ComposedKey) -> Result<bool, Error> {
        let kind: String = self.run(redis::cmd("TYPE").arg(keys.response(key))).await?;
        Ok(kind != "none")
    }

    /// Puts the bytes of a response.
    pub(super) async fn put_response(
        &self,
        keys: &Keys,
        key: ComposedKey,
        bytes: &[u8],
        life: Duration,
    ) -> Result<(), Error> {
        self.put(keys.response(key), bytes, life, false)
            .await
            .map(|_| ())
    }

    /// Records something under a variant; what was recorded there before.
    pub(super) async fn put_record(
        &self,
        keys: &Keys,
        variant: Variant,
        bytes: &[u8],
        life: Duration,
    ) -> Result<Option<Vec<u8>>, Error> {
        let name = keys.variant(variant);
        match self.put(name.clone(), bytes, life, true).await {
            Err(error) if error.kind == SharedError::WrongType => {
                let () = self.run(redis::cmd("UNLINK").arg(&name)).await?; // it is under a name of ours
                self.put(name, bytes, life, false).await
            }
            other => other,
        }
    }

    /// Records something under a variant for so long, if what is recorded there is still the same as before; whether it was.
    pub(super) async fn replace_record(
        &self,
        keys: &Keys,
        variant: Variant,
        (old, new): (&[u8], &[u8]),
        life: Duration,
    ) -> Result<bool, Error> {
        let script = Script::new(include_str!("scripts/replace.lua"));
        let mut call = script.key(keys.variant(variant));
        call.arg(old).arg(new).arg(millis(life));
        let replaced: bool = match self.0.clone() {
            Connection::One(mut one) => call.invoke_async(&mut one).await?,
            Connection::Cluster(mut cluster) => call.invoke_async(&mut cluster).await?,
        };
        Ok(replaced)
    }

    /// Lets a key live for so long at least; whether it is there.
    pub(super) async fn prolong(&self, key: String, life: Duration) -> Result<bool, Error> {
        let script = Script::new(include_str!("scripts/prolong.lua"));
        let mut call = script.key(key);
        call.arg(millis(life));
        let is_there: bool = match self.0.clone() {
            Connection::One(mut one) => call.invoke_async(&mut one).await?,
            Connection::Cluster(mut cluster) => call.invoke_async(&mut cluster).await?,
        };
        Ok(is_there)
    }

    async fn put(
        &self,
        key: String,
        bytes: &[u8],
        life: Duration,
        get: bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(bytes).arg("PX").arg(millis(life)); // L10
        if get {
            command.arg("GET");
            return self.run(&command).await;
        }
        let () = self.run(&command).await?;
        Ok(None)
    }

    /// Drops a response.
    pub(super) async fn drop_response(&self, keys: &Keys, key: ComposedKey) -> Result<(), Error> {
        self.run(redis::cmd("UNLINK").arg(keys.response(key))).await
    }

    /// Drops what is recorded under a variant.
    pub(super) async fn drop_record(&self, keys: &Keys, variant: Variant) -> Result<(), Error> {
        self.run(redis::cmd("UNLINK").arg(keys.variant(variant)))
            .await
    }

    /// Some of all records, with their names, and where to go on; `None`: that was all. It looks at about so many keys, and at
    /// no more than it may at once.
    pub(super) async fn some_records(
        &self,
        keys: &Keys,
        from: Scan,
        about: usize,
    ) -> Result<Batch, Error> {
        let about = about.clamp(1, AT_ONCE);
        let (names, rest) = self.scan(&keys.every_variant(), from, about).await?;
        let records = self.records(&names).await?;
        let found = names.into_iter().zip(records);
        let found = found.filter_map(|(name, record)| Some((name, record?)));
        Ok((found.collect(), rest))
    }

    /// What is under these names, without waiting for one before the next is asked for.
    async fn records(&self, names: &[String]) -> Result<Vec<Option<Vec<u8>>>, Error> {
        match &self.0 {
            Connection::One(_) if names.is_empty() => Ok(Vec::new()),
            Connection::One(_) => self.run(redis::cmd("MGET").arg(names)).await,
            // They are in many slots, each of which may have moved.
            Connection::Cluster(_) => {
                let asked = names.iter().map(async |name| {
                    match self.run(redis::cmd("GET").arg(name)).await {
                        Err(error) if error.kind == SharedError::WrongType => Ok(None), // nothing of ours
                        other => other,
                    }
                });
                try_join_all(asked).await
            }
        }
    }

    /// The names of some keys that match, and where to go on; `None`: those were all. It looks at about so many keys.
    pub(super) async fn scan(
        &self,
        pattern: &str,
        from: Scan,
        about: usize,
    ) -> Result<(Vec<String>, Option<Scan>), Error> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(from.cursor)
            .arg("MATCH")
            .arg(pattern)
            .arg("COUNT")
            .arg(about);
        let (answer, nodes) = match self.0.clone() {
            Connection::One(mut one) => (one.req_packed_command(&scan).await?, 1),
            Connection::Cluster(mut cluster) => {
                let primaries = self.primaries().await?;
                let count = primaries.len();
                let Some(primary) = primaries.into_iter().nth(from.node) else {
                    return Ok((Vec::new(), None));
                };
                (cluster.route_command(scan, to(primary)).await?, count)
            }
        };
        let (cursor, names): (u64, Vec<Vec<u8>>) = redis::from_redis_value(answer)?;
        // A name that is no text is nobody's of ours.
        let texts = names.iter().map(|name| String::from_utf8_lossy(name));
        let texts = texts.map(Cow::into_owned).collect();
        Ok((texts, from.next(cursor, nodes)))
    }

    /// The bytes that all servers together use for everything they hold.
    pub(super) async fn used_memory(&self) -> Result<u64, Error> {
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let answers = match self.0.clone() {
            Connection::One(mut one) => vec![one.req_packed_command(&info).await?],
            Connection::Cluster(mut cluster) => {
                let mut answers = Vec::new();
                for primary in self.primaries().await? {
                    answers.push(cluster.route_command(info.clone(), to(primary)).await?);
                }
                answers
            }
        };
        let used = |answer| {
            let text: String = redis::from_redis_value(answer)?;
            let mut lines = text
                .lines()
                .filter_map(|line| line.strip_prefix("used_memory:"));
            let used = lines
                .next()
                .and_then(|bytes| bytes.trim().parse::<u64>().ok());
            used.ok_or_else(|| Error::unexpected("INFO"))
        };
        answers.into_iter().map(used).sum()
    }

    async fn primaries(&self) -> Result<Vec<(String, u16)>, Error> {
        let slots: Vec<Vec<Value>> = self.run(redis::cmd("CLUSTER").arg("SLOTS")).await?;
        Ok(primaries(&slots))
    }
}

/// The way to this server of a Cluster.
fn to((host, port): (String, u16)) -> RoutingInfo {
    RoutingInfo::SingleNode(SingleNodeRoutingInfo::ByAddress { host, port })
}

/// A life as the store takes it.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1)
}

/// The primaries of a Cluster, each once, in an order that stays.
fn primaries(slots: &[Vec<Value>]) -> Vec<(String, u16)> {
    let mut all = BTreeSet::new();
    for range in slots {
        if let [_, _, Value::Array(primary), ..] = &range[..]
            && let [host, port, ..] = &primary[..]
            && let (Ok(host), Ok(port)) = (
                redis::from_redis_value_ref(host),
                redis::from_redis_value_ref(port),
            )
        {
            all.insert((host, port));
        }
    }
    all.into_iter().collect()
}

/// Records with their names, and where to go on; `None`: these were the last.
pub type Batch = (Vec<(String, Vec<u8>)>, Option<Scan>);

/// Where a look at all records is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    node: usize,
    cursor: u64,
}

impl fmt::Display for Scan {
    /// `<node>-<cursor>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.cursor)
    }
}

impl Scan {
    /// Reads what was shown; every number of a node or cursor may be asked for.
    pub fn parse(text: &str) -> Option<Scan> {
        let (node, cursor) = text.split_once('-')?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let scan = Scan {
            node: node.parse().ok()?,
            cursor: cursor.parse().ok()?,
        };
        (is_number(node) && is_number(cursor)).then_some(scan)
    }

    fn next(self, cursor: u64, nodes: usize) -> Option<Scan> {
        let node = if cursor == 0 {
            self.node + 1
        } else {
            self.node
        };
        (node < nodes).then_some(Scan { node, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_over_all_nodes_to_their_ends() {
        let begin = Scan::default();
        let on = begin.next(7, 2).unwrap();
        assert_eq!(on, Scan { node: 0, cursor: 7 });
        let other = on.next(0, 2).unwrap();
        assert_eq!(other, Scan { node: 1, cursor: 0 });
        assert_eq!(other.next(0, 2), None);
        assert_eq!(begin.next(0, 1), None);
    }

    #[test]
    fn a_place_in_a_scan_is_read_as_it_is_shown_and_nothing_else_is() {
        let scan = Scan {
            node: 2,
            cursor: u64::MAX,
        };
        assert_eq!(Scan::parse(&scan.to_string()), Some(scan));
        for text in [
            "", "-", "1", "1-", "-1", "+1-1", "1-+1", "1-2-3", "x-1", " 1-1",
        ] {
            assert_eq!(Scan::parse(text), None, "{text}");
        }
    }
}
