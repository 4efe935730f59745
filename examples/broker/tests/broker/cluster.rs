//! A Redis Cluster of one test: nodes on ports of the loopback interface.

use std::process::{Command, Stdio};

use redis::{Client, Connection, FromRedisValue, cmd};

use crate::{
    fixture::is_redis_missing,
    ports::{Process, on_free_ports},
    programs::Dir,
    support::eventually,
};

/// The key of the stream. Its slot is among the first half of all.
pub(crate) const STREAM: &str = "{works}";
const SLOT: &str = "6178";

/// The first node has the first half of the slots, and the second node the second half.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) dir: Dir,
}

pub(crate) struct Node {
    process: Process,
    port: u16,
    connection: Connection,
    id: String,
}

impl Cluster {
    /// `None` where there is no Redis.
    #[track_caller]
    pub(crate) fn start(test: &str) -> Option<Self> {
        if is_redis_missing() {
            return None;
        }
        let dir = Dir::new(test);
        let mut nodes: Vec<Node> = (0..2).map(|_| Node::start(&dir)).collect();
        for (node, slots) in nodes.iter_mut().zip([["0", "8191"], ["8192", "16383"]]) {
            node.cluster::<String>("ADDSLOTSRANGE", &slots);
        }
        let mut cluster = Cluster { nodes, dir };
        cluster.introduce(1);
        cluster.nodes.iter_mut().for_each(Node::await_cluster);
        Some(cluster)
    }

    /// Adds a node that replicates the first, and has all that the first has. Returns its place.
    pub(crate) fn add_replica(&mut self) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node::start(&self.dir));
        self.introduce(place);
        let first = self.nodes[0].id.clone();
        // It has to have heard of the first node.
        eventually(|| {
            self.nodes[place]
                .ask::<String>("CLUSTER", &["NODES"])
                .contains(&first)
        });
        self.nodes[place].cluster::<String>("REPLICATE", &[&first]);
        eventually(|| {
            let info: String = self.nodes[place].ask("INFO", &["replication"]);
            info.contains("master_link_status:up")
        });
        self.nodes[place].await_cluster();
        place
    }

    /// Lets a new node and the first one know each other.
    fn introduce(&mut self, new: usize) {
        let port = self.nodes[new].port.to_string();
        let bus = self.nodes[new].bus().to_string();
        self.nodes[0].cluster::<String>("MEET", &["127.0.0.1", &port, &bus]);
        let count = new + 1;
        for node in 0..count {
            eventually(|| {
                let nodes: String = self.nodes[node].ask("CLUSTER", &["NODES"]);
                nodes.lines().count() == count && !nodes.contains("handshake")
            });
        }
    }

    /// Declares that the slot is on its way from the first node to the second. Its keys stay.
    pub(crate) fn begin_to_move(&mut self) {
        let [from, to] = [self.nodes[0].id.clone(), self.nodes[1].id.clone()];
        self.nodes[1].cluster::<String>("SETSLOT", &[SLOT, "IMPORTING", &from]);
        self.nodes[0].cluster::<String>("SETSLOT", &[SLOT, "MIGRATING", &to]);
    }

    /// Moves the stream. From now on the first node refers to the second for it.
    pub(crate) fn move_stream(&mut self) {
        let port = self.nodes[1].port.to_string();
        let args = ["127.0.0.1", &port, "", "0", "10000", "KEYS", STREAM];
        let moved: String = self.nodes[0].ask("MIGRATE", &args);
        assert_eq!(moved, "OK");
    }

    /// Moves the slot.
    pub(crate) fn end_to_move(&mut self) {
        let to = self.nodes[1].id.clone();
        for node in [1, 0] {
            self.nodes[node].cluster::<String>("SETSLOT", &[SLOT, "NODE", &to]);
        }
    }
}

impl Node {
    fn start(dir: &Dir) -> Self {
        let (process, [port, _]) = on_free_ports(|[port, bus]| {
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .args(["--cluster-enabled", "yes"])
                .args(["--cluster-port", &bus.to_string()])
                .args(["--cluster-config-file", &format!("nodes-{port}.conf")])
                .args(["--cluster-require-full-coverage", "no"])
                .args(["--repl-diskless-sync-delay", "0"])
                // A node that is gone is not voted out in the middle of a test.
                .args(["--cluster-node-timeout", "60000"])
                .args(["--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(&dir.0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        });
        let client = Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let mut node = Node {
            process,
            port,
            connection: client.get_connection().unwrap(),
            id: String::new(),
        };
        node.id = node.cluster("MYID", &[]);
        node
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Of the connections between the nodes.
    fn bus(&mut self) -> u16 {
        let config: (String, u16) = self.ask("CONFIG", &["GET", "cluster-port"]);
        config.1
    }

    fn await_cluster(&mut self) {
        eventually(|| {
            let info: String = self.ask("CLUSTER", &["INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384")
        });
    }

    /// Sends a message, which belongs to this node, or is on its way to it.
    pub(crate) fn send(&mut self, fields: &[(&str, u64)]) {
        cmd("ASKING").exec(&mut self.connection).unwrap();
        let mut add = cmd("XADD");
        add.arg(STREAM).arg("*").arg(fields);
        add.exec(&mut self.connection).unwrap();
    }

    /// How many messages are pending, on this node or on their way to it.
    pub(crate) fn pending(&mut self) -> u64 {
        cmd("ASKING").exec(&mut self.connection).unwrap();
        let (pending, ..): (u64, redis::Value, redis::Value, redis::Value) =
            self.ask("XPENDING", &[STREAM, "workers"]);
        pending
    }

    pub(crate) fn dead(&mut self) -> usize {
        self.ask("XLEN", &["{works}:dead"])
    }

    pub(crate) fn cluster<T: FromRedisValue>(&mut self, name: &str, args: &[&str]) -> T {
        self.ask("CLUSTER", &[&[name], args].concat())
    }

    pub(crate) fn ask<T: FromRedisValue>(&mut self, name: &str, args: &[&str]) -> T {
        cmd(name).arg(args).query(&mut self.connection).unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }
}
