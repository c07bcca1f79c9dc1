//! Responses in the store: records by which they are found, and their bytes. Spread over the nodes of a Cluster, and on
//! connections of their own, so that no tag waits behind a large body.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{Cmd, FromRedisValue, ProtocolVersion};

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

/// A body takes longer than a tag.
const PATIENCE: u32 = 4;

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

    async fn put(
        &self,
        key: String,
        bytes: &[u8],
        life: Duration,
        get: bool,
    ) -> Result<Option<Vec<u8>>, Error> {
        let life = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut command = redis::cmd("SET");
        command.arg(key).arg(bytes).arg("PX").arg(life); // L10
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
}
