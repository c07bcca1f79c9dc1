//! A primary, its replica, and three Sentinels who agree on which is which.

use futures_util::future::join_all;

use super::AGREEMENT;
use super::Redis;
use super::Reply;
use super::room::Room;
use super::until;
use super::until_agreed;

/// What they call the primary.
const NAME: &str = "tagalong";

const SET: [&str; 3] = ["SENTINEL", "SET", NAME];
const DEBUG: [&str; 2] = ["SENTINEL", "DEBUG"];

/// Two of three must agree that the primary is down.
const QUORUM: usize = 2;

/// How long a server is silent before a Sentinel takes it for down, and how long a Sentinel gives a failover before it tries
/// another. While all run, a machine that is busy must not make them change sides.
const CALM: [&str; 4] = [
    "down-after-milliseconds",
    "10000",
    "failover-timeout",
    "30000",
];

/// The same once the primary is dead.
const ALARMED: [&str; 4] = ["down-after-milliseconds", "500", "failover-timeout", "2000"];

/// Sentinels look around every few seconds; these do so often. They also mistrust their clocks for half a minute after
/// a pause of two seconds, which a busy machine makes easily.
const EAGER: [&str; 12] = [
    "INFO-PERIOD",
    "200",
    "PING-PERIOD",
    "200",
    "ASK-PERIOD",
    "200",
    "MIN-LINK-RECONNECT-PERIOD",
    "1000",
    "TILT-TRIGGER",
    "20000",
    "TILT-PERIOD",
    "1000",
];

/// How often Sentinels tell others what they know. A server that is not what they know it to be has four times as long before
/// they make it that: usually enough for all to hear of a replica that one of them has promoted. Once all have, there is
/// nothing to wait for.
const USUAL: [&str; 2] = ["PUBLISH-PERIOD", "2000"];
const HURRIED: [&str; 2] = ["PUBLISH-PERIOD", "200"];

/// All five of them; they end together.
pub(crate) struct Sentinels {
    /// One is the primary; which one, changes.
    servers: [Redis; 2],
    sentinels: Vec<Redis>,
    _room: Room,
}

impl Sentinels {
    /// Comes back when each of them knows all the others.
    pub(crate) async fn start() -> Sentinels {
        let room = Room::for_processes(5).await;
        let server = || Redis::setup().line("repl-diskless-sync-delay 0");
        let primary = server().start_in(None).await;
        let follows = format!("replicaof 127.0.0.1 {}", primary.port());
        let replica = server().line(&follows).start_in(None).await;
        // The Sentinels ask the primary for its replicas when they come, and then only from time to time.
        until(AGREEMENT, "the replica to follow", async || {
            replica.is_following().await
        })
        .await;
        let monitor = format!("sentinel monitor {NAME} 127.0.0.1 {}", primary.port());
        let sentinels = join_all((0..3).map(|_| {
            Redis::setup()
                .sentinel()
                .line(&format!("{monitor} {QUORUM}"))
                .start_in(None)
        }))
        .await;
        let all = Sentinels {
            servers: [primary, replica],
            sentinels,
            _room: room,
        };
        all.tell(&SET, &CALM).await;
        all.tell(&DEBUG, &EAGER).await;
        all.settle_on(all.servers[0].port()).await;
        all
    }

    pub(crate) fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    pub(crate) fn url(&self) -> String {
        let each = self.ports().into_iter();
        let addresses: Vec<String> = each.map(|port| format!("127.0.0.1:{port}")).collect();
        self.url_by(&addresses)
    }

    /// By other ways to the Sentinels.
    pub(crate) fn url_by(&self, addresses: &[String]) -> String {
        format!("redis+sentinel://{}/{NAME}", addresses.join(","))
    }

    /// Where the Sentinels listen.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(Redis::port).collect()
    }

    /// Whom the first Sentinel names.
    pub(crate) async fn primary(&self) -> &Redis {
        self.pair().await.0
    }

    pub(crate) async fn replica(&self) -> &Redis {
        self.pair().await.1
    }

    /// Makes the replica the primary, and the primary its replica; comes back when all say so.
    pub(crate) async fn failover(&self) {
        let (_, replica) = self.pair().await;
        let to = replica.port();
        until(AGREEMENT, "a Sentinel to begin a failover", async || {
            let begun = self.sentinels[0].command(&["SENTINEL", "FAILOVER", NAME]);
            let said = begun.await;
            // One is under way, or it has not heard from the replica of late.
            let not_yet = matches!(&said, Reply::Error(why)
                if why.starts_with("INPROG") || why.starts_with("NOGOODSLAVE"));
            assert!(not_yet || matches!(said, Reply::Text(_)), "{said:?}");
            !not_yet
        })
        .await;
        self.settle_on(to).await;
    }

    /// Kills the primary; comes back when all Sentinels name the other server, and it takes writes. The dead one stays dead.
    pub(crate) async fn kill_primary(&self) {
        let (primary, replica) = self.pair().await;
        primary.kill();
        self.tell(&SET, &ALARMED).await;
        until(AGREEMENT, "another primary", async || {
            self.all_name(replica.port()).await && replica.says_of_replication("role:master").await
        })
        .await;
    }

    /// Tells each Sentinel.
    async fn tell(&self, command: &[&str], values: &[&str]) {
        for sentinel in &self.sentinels {
            sentinel.ask(&[command, values].concat()).await;
        }
    }

    async fn pair(&self) -> (&Redis, &Redis) {
        let [a, b] = &self.servers;
        let named = named(&self.sentinels[0]).await;
        if named == a.port() {
            (a, b)
        } else {
            assert_eq!(named, b.port(), "there are two servers");
            (b, a)
        }
    }

    /// Until this one is the primary, the other its replica, all Sentinels know both and each other, and another failover
    /// would find everything in place.
    async fn settle_on(&self, primary: u16) {
        until(AGREEMENT, "all Sentinels to name the same", async || {
            self.all_name(primary).await
        })
        .await;
        self.tell(&DEBUG, &HURRIED).await;
        until_agreed("the Sentinels", async || {
            let replica = self.servers.iter().find(|server| server.port() != primary);
            if !replica.expect("there are two").is_following().await {
                return Err("the replica does not follow".into());
            }
            for sentinel in &self.sentinels {
                is_settled(sentinel).await?;
            }
            Ok(())
        })
        .await;
        self.tell(&DEBUG, &USUAL).await;
    }

    async fn all_name(&self, primary: u16) -> bool {
        for sentinel in &self.sentinels {
            if named(sentinel).await != primary {
                return false;
            }
        }
        true
    }
}

impl Redis {
    /// Whether it is a replica that has all its primary has.
    async fn is_following(&self) -> bool {
        self.says_of_replication("master_link_status:up").await
    }

    /// Whether INFO has this line. Sentinels close the connections of a server that changes sides, this one too.
    async fn says_of_replication(&self, line: &str) -> bool {
        match self.try_to_ask(&["INFO", "replication"]).await {
            Ok(info) => info.text().lines().any(|said| said == line),
            Err(_) => false,
        }
    }
}

/// The port of the primary, as this one knows it.
async fn named(sentinel: &Redis) -> u16 {
    let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
    let address = sentinel.ask(&command).await.texts();
    address[1].parse().expect("a port")
}

/// Whether this Sentinel has nothing under way, sees all in good health, and knows enough others for an election.
async fn is_settled(sentinel: &Redis) -> Result<(), String> {
    let primary = sentinel.ask(&["SENTINEL", "MASTER", NAME]).await;
    let replicas = sentinel.ask(&["SENTINEL", "REPLICAS", NAME]).await;
    let others = sentinel.ask(&["SENTINEL", "SENTINELS", NAME]).await;
    let quorum = sentinel.command(&["SENTINEL", "CKQUORUM", NAME]).await;
    let each = |list: &Reply, name: &str| -> Vec<String> {
        let list = list.list().iter();
        list.map(|one| one.value(name)).collect()
    };
    let settled = primary.value("flags") == "master"
        && each(&replicas, "flags") == ["slave"]
        && each(&replicas, "master-link-status") == ["ok"]
        && each(&others, "flags") == ["sentinel", "sentinel"]
        && matches!(quorum, Reply::Text(_));
    if settled {
        return Ok(());
    }
    Err(format!(
        "port {} says {primary:?}, {replicas:?}, {others:?}, {quorum:?}",
        sentinel.port()
    ))
}
