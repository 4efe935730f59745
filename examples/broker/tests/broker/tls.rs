//! A Redis with TLS, which asks its clients for certificates, too.

use std::process::{Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::{
    fixture::{is_redis_missing, program},
    ports::{Process, on_free_ports},
    programs::Dir,
};

pub(crate) struct TlsRedis {
    _process: Process,
    port: u16,
    pub(crate) dir: Dir,
}

impl TlsRedis {
    /// `None` where there is no Redis.
    #[track_caller]
    pub(crate) fn start(test: &str) -> Option<Self> {
        if is_redis_missing() {
            return None;
        }
        let dir = Dir::new(test);
        let authority = authority(&dir, "authority");
        for name in ["server", "client"] {
            sign(&authority, &dir, name);
        }
        // Trusted by nobody.
        self::authority(&dir, "stranger");
        let (process, [port]) = on_free_ports(|[port]| {
            Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--port", "0"])
                .args(["--tls-port", &port.to_string(), "--tls-auth-clients", "yes"])
                .args(["--tls-ca-cert-file", "authority.crt"])
                .args(["--tls-cert-file", "server.crt"])
                .args(["--tls-key-file", "server.key"])
                .args(["--save", "", "--appendonly", "no"])
                .current_dir(&dir.0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        });
        Some(TlsRedis {
            _process: process,
            port,
            dir,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.port)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.0.join(name).display().to_string()
    }

    /// The options of a client that trusts the server, and that the server trusts.
    pub(crate) fn certificates(&self) -> Vec<String> {
        let files = [
            "--cacert",
            "authority.crt",
            "--cert",
            "client.crt",
            "--key",
            "client.key",
        ];
        let pairs = files.chunks(2);
        pairs
            .flat_map(|pair| [pair[0].to_owned(), self.path(pair[1])])
            .collect()
    }

    pub(crate) fn produce(&self, count: u64, options: &[String]) -> Command {
        let mut command = program();
        command.args([
            "produce",
            "--url",
            &self.url(),
            "--count",
            &count.to_string(),
        ]);
        command.args(options);
        command
    }
}

/// Somebody who signs certificates.
fn authority(dir: &Dir, name: &str) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    dir.write(
        format!("{name}.crt"),
        params.self_signed(&key).unwrap().pem(),
    );
    Issuer::new(params, key)
}

fn sign(authority: &Issuer<'_, KeyPair>, dir: &Dir, name: &str) {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).unwrap();
    // Otherwise its name is that of the authority, and it looks as if it had signed itself.
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    dir.write(format!("{name}.crt"), certificate.pem());
    dir.write(format!("{name}.key"), key.serialize_pem());
}
