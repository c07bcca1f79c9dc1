//! Three primaries that share the slots of a Cluster.

use futures_util::future::join_all;

use super::Redis;
use super::Reply;
use super::room::Room;
use super::server::fields;
use super::until_agreed;

/// How many slots a Cluster has.
const SLOTS: u16 = 16_384;

/// How many nodes it has here.
const NODES: u16 = 3;

/// The nodes, by number from 0; they end together.
pub(crate) struct Cluster {
    nodes: Vec<Redis>,
    _room: Room,
}

impl Cluster {
    /// Comes back when all nodes say that all is well, and who has which slots.
    pub(crate) async fn start() -> Cluster {
        let room = Room::for_processes(NODES.into()).await;
        let nodes = join_all((0..NODES).map(|_| {
            Redis::setup()
                .cluster()
                // A node that is silent for so long has failed: longer than a busy machine makes it wait.
                .line("cluster-node-timeout 3000")
                .start_in(None)
        }))
        .await;
        let cluster = Cluster { nodes, _room: room };
        for (number, node) in (0..).zip(&cluster.nodes) {
            let from = (SLOTS / NODES * number).to_string();
            let to = match number + 1 {
                NODES => SLOTS - 1,
                next => SLOTS / NODES * next - 1,
            };
            // Each an epoch of its own, so that none has to give way to another.
            let epoch = (number + 1).to_string();
            node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            let slots = ["CLUSTER", "ADDSLOTSRANGE", &from, &to.to_string()];
            node.ask(&slots).await;
        }
        let first = &cluster.nodes[0];
        for node in &cluster.nodes[1..] {
            let meet = ["CLUSTER", "MEET", "127.0.0.1"];
            let (port, bus) = (node.port().to_string(), node.bus());
            first
                .ask(&[&meet[..], &[port.as_str(), bus.as_str()]].concat())
                .await;
        }
        cluster.until_agreed().await;
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let addresses: Vec<String> = self
            .nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", node.port()))
            .collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    pub(crate) fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// The slot of a key.
    pub(crate) async fn slot_of(&self, key: &str) -> u16 {
        let slot = self.nodes[0].ask(&["CLUSTER", "KEYSLOT", key]).await;
        slot.text().parse().expect("a slot")
    }

    /// The number of the node that has this slot.
    pub(crate) async fn owner(&self, slot: u16) -> usize {
        let slots = self.nodes[0].ask(&["CLUSTER", "SLOTS"]).await;
        let range = slots.list().iter().map(Reply::list).find(|range| {
            let bound = |at: usize| range[at].text().parse::<u16>().expect("a slot");
            (bound(0)..=bound(1)).contains(&slot)
        });
        let port = range.expect("every slot has a node")[2].list()[1].text();
        let mut nodes = self.nodes.iter();
        let owner = nodes.position(|node| node.port().to_string() == port);
        owner.expect("it is one of ours")
    }

    /// Moves a slot and its keys to another node. Who asks the old one is told MOVED.
    pub(crate) async fn move_slot(&self, slot: u16, to: usize) {
        self.begin_to_move(slot, to).await;
        let (from, to) = (&self.nodes[self.owner(slot).await], &self.nodes[to]);
        let number = slot.to_string();
        loop {
            let command = ["CLUSTER", "GETKEYSINSLOT", &number, "100"];
            let keys = from.ask(&command).await.texts();
            if keys.is_empty() {
                break;
            }
            let port = to.port().to_string();
            let mut command = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            command.extend(keys.iter().map(String::as_str));
            from.ask(&command).await;
        }
        // The new owner first: an old one that is told first has nobody to send clients to.
        let id = id_of(to).await;
        let said = ["CLUSTER", "SETSLOT", &number, "NODE", &id];
        to.ask(&said).await;
        for node in &self.nodes {
            node.ask(&said).await;
        }
        self.until_agreed().await;
    }

    /// The first half of a move: keys that the old node has not got are asked for at the new one (ASK). Whole with [`Cluster::move_slot`].
    pub(crate) async fn begin_to_move(&self, slot: u16, to: usize) {
        let (from, to) = (&self.nodes[self.owner(slot).await], &self.nodes[to]);
        let number = slot.to_string();
        let importing = ["CLUSTER", "SETSLOT", &number, "IMPORTING"];
        let migrating = ["CLUSTER", "SETSLOT", &number, "MIGRATING"];
        let (old, new) = (id_of(from).await, id_of(to).await);
        to.ask(&[&importing[..], &[old.as_str()]].concat()).await;
        from.ask(&[&migrating[..], &[new.as_str()]].concat()).await;
    }

    /// Until every node finds all well and says the same of the slots.
    async fn until_agreed(&self) {
        until_agreed("the nodes", async || {
            let mut said = Vec::new();
            for node in &self.nodes {
                let text = node.ask(&["CLUSTER", "INFO"]).await.text();
                let info = fields(&text);
                let says = |name: &str, value: &str| info.get(name).is_some_and(|is| is == value);
                let well = says("cluster_state", "ok")
                    && says("cluster_known_nodes", &NODES.to_string())
                    && says("cluster_slots_ok", &SLOTS.to_string());
                if !well {
                    return Err(format!("port {} says {text}", node.port()));
                }
                said.push(node.ask(&["CLUSTER", "SLOTS"]).await);
            }
            let same = said.windows(2).all(|pair| pair[0] == pair[1]);
            same.then_some(()).ok_or_else(|| format!("{said:?}"))
        })
        .await;
    }
}

async fn id_of(node: &Redis) -> String {
    node.ask(&["CLUSTER", "MYID"]).await.text()
}
