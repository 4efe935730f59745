//! Where the server is: one address, or those of the nodes of a cluster.

use std::{fs, path::PathBuf};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ServerErrorKind, TlsCertificates,
    Value,
};

use crate::error::Fatal;

/// The server, or one node of the cluster, as the user names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) url: String,
    // Files in PEM. Without the first, the certificates of the system are trusted.
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl From<String> for Server {
    fn from(url: String) -> Self {
        Server {
            url,
            ..Server::default()
        }
    }
}

impl Server {
    fn client(&self) -> Result<Client, Fatal> {
        let url = self.url.as_str();
        let [root_cert, cert, key] = [&self.cacert, &self.cert, &self.key].map(|file| {
            let read = |path: &PathBuf| {
                fs::read(path).map_err(|error| Fatal::File {
                    path: path.clone(),
                    error,
                })
            };
            file.as_ref().map(read).transpose()
        });
        let client_tls = cert?
            .zip(key?)
            .map(|(client_cert, client_key)| ClientTlsConfig {
                client_cert,
                client_key,
            });
        let certificates = TlsCertificates {
            client_tls,
            root_cert: root_cert?,
        };
        if certificates.client_tls.is_none() && certificates.root_cert.is_none() {
            Ok(Client::open(url)?)
        } else {
            Ok(Client::build_with_tls(url, certificates)?)
        }
    }
}

/// The nodes that are known, and the one that is spoken to. A server that is in no cluster is the
/// only one.
#[derive(Debug)]
pub(crate) struct Nodes {
    known: Vec<ConnectionInfo>,
    current: usize,
}

/// The node that a node of a cluster refers to, as `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// That node has the slot from now on.
    Moved(String),
    /// That node has this key, while the slot is on its way there.
    Ask(String),
}

impl Redirect {
    /// `None` for any other answer.
    pub(crate) fn read(answer: &Value) -> Option<Self> {
        let Value::ServerError(error) = answer else {
            return None;
        };
        // The number of the slot, and the address.
        let address = || Some(error.details()?.split_once(' ')?.1.to_owned());
        match error.kind()? {
            ServerErrorKind::Moved => address().map(Redirect::Moved),
            ServerErrorKind::Ask => address().map(Redirect::Ask),
            _ => None,
        }
    }
}

impl Nodes {
    pub(crate) fn new(server: &Server) -> Result<Self, Fatal> {
        let first = server.client()?.get_connection_info().clone();
        if matches!(first.addr(), ConnectionAddr::TcpTls { .. }) {
            // Refused if there is one already, which does as well.
            let provider = rustls::crypto::ring::default_provider();
            provider.install_default().ok();
        }
        Ok(Nodes {
            known: vec![first],
            current: 0,
        })
    }

    pub(crate) fn current(&self) -> &ConnectionInfo {
        &self.known[self.current]
    }

    /// Goes on to the next known node, after a failure.
    pub(crate) fn advance(&mut self) {
        self.current = (self.current + 1) % self.known.len();
    }

    /// Makes the node at this address the current one. Ignores an address that cannot be used.
    pub(crate) fn go_to(&mut self, address: &str) {
        if let Some(node) = self.at(address) {
            self.current = self.add(node);
        }
    }

    /// The node at this address. All that is not the address is as for the others: the user, the
    /// password, TLS.
    pub(crate) fn at(&self, address: &str) -> Option<ConnectionInfo> {
        let (host, port) = address.rsplit_once(':')?;
        let port = port.parse().ok()?;
        if host == "?" {
            // The node announces its host name, and none is configured.
            return None;
        }
        // A node that does not know its own address leaves it out: it is the one that was asked.
        let or_same = |same: &str| if host.is_empty() { same } else { host }.to_owned();
        let current = self.current();
        let address = match current.addr().clone() {
            ConnectionAddr::Tcp(same, _) => ConnectionAddr::Tcp(or_same(&same), port),
            ConnectionAddr::TcpTls {
                host: same,
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: or_same(&same),
                port,
                insecure,
                tls_params,
            },
            // Others have no port.
            _ => return None,
        };
        Some(current.clone().set_addr(address))
    }

    /// Learns the nodes from an answer to `CLUSTER SLOTS`, so that there is somebody to ask when the
    /// current one is gone. Nodes that have left the cluster are forgotten, but not the first, which
    /// the user named. A server that is in no cluster refuses the question.
    pub(crate) fn learn(&mut self, answer: &Value) {
        let mut named = Vec::new();
        for slots in items(answer) {
            // The first and the last slot, and then the nodes that have them.
            for node in items(slots).iter().skip(2) {
                if let [host, Value::Int(port), ..] = items(node)
                    && let Some(node) = self.at(&format!("{}:{port}", text(host)))
                {
                    named.push(node);
                }
            }
        }
        if named.is_empty() {
            return;
        }
        let (first, current) = (self.known[0].clone(), self.current().clone());
        self.known.retain(|node| {
            let mut kept = [&first, &current].into_iter().chain(&named);
            kept.any(|one| one.addr() == node.addr())
        });
        self.current = self.add(current);
        for node in named {
            self.add(node);
        }
    }

    /// Returns the node's index in `known`.
    fn add(&mut self, node: ConnectionInfo) -> usize {
        let place = self.known.iter().position(|one| one.addr() == node.addr());
        place.unwrap_or_else(|| {
            self.known.push(node);
            self.known.len() - 1
        })
    }
}

fn items(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn text(answer: &Value) -> &str {
    match answer {
        Value::BulkString(bytes) => str::from_utf8(bytes).unwrap_or_default(),
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(url: &str) -> Nodes {
        Nodes::new(&url.to_owned().into()).unwrap()
    }

    fn addresses(nodes: &Nodes) -> Vec<String> {
        let known = nodes.known.iter();
        known.map(|node| node.addr().to_string()).collect()
    }

    #[test]
    fn a_redirect_goes_to_the_address_that_it_names() {
        let mut nodes = nodes("redis://user:secret@first:7000");
        let cases = [
            ("10.0.0.2:7001", "10.0.0.2:7001"),
            ("fd00::2:7002", "fd00::2:7002"),
            // The node does not know its own address.
            (":7003", "fd00::2:7003"),
            // Nobody knows that name: it stays where it is.
            ("?:7004", "fd00::2:7003"),
            ("first:7000", "first:7000"),
        ];
        for (named, reached) in cases {
            nodes.go_to(named);
            assert_eq!(nodes.current().addr().to_string(), reached);
            assert_eq!(nodes.current().redis_settings().username(), Some("user"));
        }
        assert_eq!(nodes.known.len(), 4);
    }

    #[test]
    fn nodes_are_learned_once_and_take_turns() {
        let text = |text: &str| Value::BulkString(text.into());
        let node = |host: &str, port| {
            let id = text("0123456789");
            Value::Array(vec![
                text(host),
                Value::Int(port),
                id,
                Value::Array(Vec::new()),
            ])
        };
        let range = |first, last, nodes: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
        };
        let answer = Value::Array(vec![
            range(0, 8_191, vec![node("a", 1), node("b", 2)]),
            range(8_192, 16_383, vec![node("b", 2), node("", 3)]),
        ]);
        let mut nodes = nodes("rediss://a:1");
        nodes.learn(&answer);
        nodes.learn(&answer);
        assert_eq!(addresses(&nodes), ["a:1", "b:2", "a:3"]);
        let mut tried = Vec::new();
        for _ in 0..4 {
            tried.push(nodes.current().addr().to_string());
            nodes.advance();
        }
        assert_eq!(tried, ["a:1", "b:2", "a:3", "a:1"]);
        let is_tls = |node: &ConnectionInfo| matches!(node.addr(), ConnectionAddr::TcpTls { .. });
        assert!(nodes.known.iter().all(is_tls));
        // A server that is in no cluster refuses the question.
        nodes.learn(&Value::Okay);
        assert_eq!(nodes.known.len(), 3);
        // The first and the current one stay, whether they are named or not.
        nodes.go_to("c:4");
        nodes.learn(&Value::Array(vec![range(0, 16_383, vec![node("a", 3)])]));
        assert_eq!(addresses(&nodes), ["a:1", "a:3", "c:4"]);
        assert_eq!(nodes.current().addr().to_string(), "c:4");
        nodes.go_to("a:3");
        nodes.learn(&Value::Array(vec![range(0, 16_383, vec![node("a", 3)])]));
        assert_eq!(addresses(&nodes), ["a:1", "a:3"]);
        assert_eq!(nodes.current().addr().to_string(), "a:3");
    }
}
