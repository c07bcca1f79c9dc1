//! Finding the server that has the tags of a namespace, and connecting to it.
//!
//! Whatever the topology, the tags and the log of a namespace are on one server at a time: the only one, the primary that the
//! Sentinels name, or the node that has the slot.

use std::collections::HashMap;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, TlsCertificates, Value,
};

use crate::metrics::SharedError;
use crate::model::secret::Secret;
use crate::shared::Config;
use crate::shared::Error;
use crate::shared::config::Address;
use crate::shared::config::Endpoint;
use crate::shared::config::Tls;
use crate::shared::config::Topology;
use crate::shared::sentinels::Sentinels;

/// How long a new connection may take, whatever the time-out of commands: a handshake is several of them.
pub(super) const CONNECT: Duration = Duration::from_secs(1);

/// Which process a server is, in which of its lives as a primary: what it knew may be lost with either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerId(pub(super) String);

/// As whom a server knows us.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    user: Option<&'a str>,
    password: Option<&'a Secret>,
}

impl Known<'_> {
    pub(super) fn by(endpoint: &Endpoint) -> Known<'_> {
        Known {
            user: endpoint.user.as_deref(),
            password: endpoint.password.as_ref(),
        }
    }
}

/// Where the tags of the namespace are now.
pub(super) async fn locate(
    config: &Config,
    sentinels: &Sentinels,
    key: &str,
) -> Result<Address, Error> {
    match &config.endpoint.topology {
        Topology::Single(address) => Ok(address.clone()),
        Topology::Sentinel {
            service,
            user,
            password,
            ..
        } => {
            let known = Known {
                user: user.as_deref(),
                password: password.as_ref(),
            };
            sentinels.primary(&config.endpoint, service, known).await
        }
        Topology::Cluster(nodes) => slot_owner(config, nodes, key).await,
    }
}

/// The node of a Cluster that has a key.
async fn slot_owner(config: &Config, nodes: &[Address], key: &str) -> Result<Address, Error> {
    let mut failure = Error::new(SharedError::Connection, "no node of the Cluster is named");
    for node in nodes {
        match owner_by(config, node, key).await {
            Ok(owner) => return Ok(owner),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn owner_by(config: &Config, node: &Address, key: &str) -> Result<Address, Error> {
    let endpoint = &config.endpoint;
    let client = client(endpoint, node, Known::by(endpoint), 0)?;
    let mut connection = open(&client, CONNECT).await?;
    let slot: u16 = redis::cmd("CLUSTER")
        .arg("KEYSLOT")
        .arg(key)
        .query_async(&mut connection)
        .await?;
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER")
        .arg("SLOTS")
        .query_async(&mut connection)
        .await?;
    for range in ranges {
        let [first, last, primary, ..] = &range[..] else {
            continue;
        };
        let number = |value: &Value| redis::from_redis_value_ref::<u16>(value);
        if !(number(first)?..=number(last)?).contains(&slot) {
            continue;
        }
        let Value::Array(primary) = primary else {
            continue;
        };
        let [host, port, ..] = &primary[..] else {
            continue;
        };
        let host: Option<String> = redis::from_redis_value_ref(host)?;
        // A node that does not know its own address means the one it was asked at.
        let host = match (host.filter(|host| !host.is_empty() && host != "?"), node) {
            (Some(host), _) => host,
            (None, Address::Tcp { host, .. }) => host.clone(),
            (None, Address::Unix(_)) => return Err(Error::unexpected("CLUSTER SLOTS")),
        };
        let port = number(port)?;
        return Ok(Address::Tcp { host, port });
    }
    let text = format!("nobody in the Cluster has slot {slot}");
    Err(Error::new(SharedError::Moved, text))
}

/// A connection to the server at this address, whose commands have so long.
pub(super) async fn connect(
    config: &Config,
    address: &Address,
    timeout: Duration,
) -> Result<MultiplexedConnection, Error> {
    let endpoint = &config.endpoint;
    let client = client(endpoint, address, Known::by(endpoint), endpoint.db)?;
    open(&client, timeout).await
}

pub(super) async fn open(
    client: &Client,
    timeout: Duration,
) -> Result<MultiplexedConnection, Error> {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(timeout));
    Ok(client
        .get_multiplexed_async_connection_with_config(&limits)
        .await?)
}

pub(super) fn client(
    endpoint: &Endpoint,
    address: &Address,
    known: Known<'_>,
    db: i64,
) -> Result<Client, Error> {
    let info = info(endpoint, address, known, db)?;
    let client = match &endpoint.tls {
        Some(tls) => Client::build_with_tls(info, certificates(tls))?,
        None => Client::open(info)?,
    };
    Ok(client)
}

pub(super) fn certificates(tls: &Tls) -> TlsCertificates {
    TlsCertificates {
        client_tls: None,
        root_cert: tls.ca.as_ref().map(|ca| ca.pem().to_vec()),
    }
}

/// What the library needs to know to reach a server.
pub(super) fn info(
    endpoint: &Endpoint,
    address: &Address,
    known: Known<'_>,
    db: i64,
) -> Result<ConnectionInfo, Error> {
    let address = match (address, &endpoint.tls) {
        (Address::Tcp { host, port }, None) => ConnectionAddr::Tcp(host.clone(), *port),
        (Address::Tcp { host, port }, Some(_)) => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: false,
            tls_params: None,
        },
        (Address::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
    };
    let mut settings = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_db(db)
        .set_skip_set_lib_name();
    if let Some(user) = known.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = known.password {
        let password = std::str::from_utf8(password.reveal());
        settings = settings.set_password(password.map_err(|_| Error::unexpected("a password"))?);
    }
    let info = address.into_connection_info()?;
    Ok(info.set_redis_settings(settings))
}

/// What a server says of itself.
pub(super) struct Told(HashMap<String, String>);

impl Told {
    pub(super) async fn by(connection: &mut MultiplexedConnection) -> Result<Told, Error> {
        let mut all = HashMap::new();
        let mut questions = redis::pipe();
        for section in ["server", "replication", "memory"] {
            questions.cmd("INFO").arg(section);
        }
        let answers: Vec<String> = questions.query_async(connection).await?;
        for line in answers.iter().flat_map(|answer| answer.lines()) {
            if let Some((name, value)) = line.split_once(':') {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(Told(all))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Which server it is, if it is a primary: a replica may lag behind, and takes no increments.
    pub(super) fn primary(&self) -> Result<ServerId, Error> {
        let (Some(process), Some(history)) = (self.get("run_id"), self.get("master_replid")) else {
            return Err(Error::unexpected("INFO"));
        };
        if self.get("role") != Some("master") {
            let text = "the server is a replica";
            return Err(Error::new(SharedError::ReadOnly, text));
        }
        // The first process of a container may be the same each time it starts, by a poor source of chance; two names are not.
        Ok(ServerId(format!("{process}.{history}")))
    }
}
