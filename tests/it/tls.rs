//! Providers behind TLS: a real handshake with certificates that are made here.

use crate::support::{Plan, World};
use dgm::sys::durable;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

const PLAN: Plan = Plan {
    stages: &[&["missing-rebate"]],
    generations: 1,
    attempts: 1,
    barrier: true,
    workers: 1,
    backend: "local",
};
const REPLY: &str = r#"{"choices":[{"message":{"content":"ready"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;

fn openssl(folder: &Path, line: &str) {
    let output = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("the command `openssl` is there (tests/bring openssl)");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {line}: {fault}");
}

/// Makes an authority, and a certificate of it for one name.
fn certify(folder: &Path, authority: &str, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let own = format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN={authority}");
    openssl(folder, &own);
    openssl(
        folder,
        &format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=server"),
    );
    let names = format!("subjectAltName=DNS:{name}\n");
    durable::write(&folder.join("names"), names.as_bytes()).unwrap();
    openssl(
        folder,
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 7 -days 2 -extfile names \
         -out leaf.pem",
    );
}

/// A provider's server that speaks TLS.
struct Server {
    world: World,
    authorities: tempfile::TempDir,
    connections: Arc<AtomicUsize>,
    _runtime: Runtime,
}

impl Server {
    /// Starts one with a certificate for a name, at the address `localhost`.
    fn named(name: &str) -> Self {
        let authorities = tempfile::tempdir().unwrap();
        certify(authorities.path(), "known", name);
        let file = |name: &str| authorities.path().join(name);
        let chain = vec![CertificateDer::from_pem_file(file("leaf.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(file("leaf.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let connections = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("localhost:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = connections.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answer(acceptor.clone(), stream));
            }
        });
        let world = World::new(&PLAN);
        world.serve(&format!("https://localhost:{port}"), "");
        world.done("init demo --config config.toml");
        Self {
            world,
            authorities,
            connections,
            _runtime: runtime,
        }
    }

    fn authority(&self) -> PathBuf {
        self.authorities.path().join("ca.pem")
    }

    /// Asks the model of each role; returns the exit code and what the first of them said.
    fn ask(&self, trusted: &Path) -> (Option<i32>, Value) {
        let mut command = self.world.command("doctor demo --models --json");
        let output = command.env("SSL_CERT_FILE", trusted).output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), found["models"][0].clone())
    }

    fn connections(&self) -> usize {
        self.connections.swap(0, Ordering::Relaxed)
    }
}

/// Returns whether a request's body is as long as its head says.
fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse().ok());
    length == Some(body.len())
}

/// Answers one request, if the client goes as far as to ask.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream) {
    let Ok(mut stream) = acceptor.accept(stream).await else {
        return;
    };
    let mut asked = Vec::new();
    while !is_whole(&asked) {
        if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let reply = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{REPLY}",
        REPLY.len()
    );
    stream.write_all(reply.as_bytes()).await.unwrap_or_default();
    stream.shutdown().await.unwrap_or_default();
}

#[test]
fn a_trusted_server_answers_and_another_one_is_not_asked() {
    let server = Server::named("localhost");
    let (code, model) = server.ask(&server.authority());
    assert_eq!((code, &model["answered"]), (Some(0), &Value::Bool(true)));
    assert_eq!(model["tokens"]["input"], 3, "{model}");
    assert_eq!(server.connections(), 3, "one for each role");

    // An authority that nobody here knows of.
    let other = tempfile::tempdir().unwrap();
    certify(other.path(), "other", "localhost");
    let (code, model) = server.ask(&other.path().join("ca.pem"));
    assert_eq!(code, Some(4), "{model}");
    let error = model["error"].as_str().unwrap();
    for part in [
        "the certificate of `https://localhost:",
        "is not accepted: no authority that is trusted here has signed it",
        "name it in `SSL_CERT_FILE`, which takes the place of the system's",
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(server.connections(), 3, "no call is tried again");
}

#[test]
fn a_certificate_for_another_name_and_no_certificates_are_told_apart() {
    let server = Server::named("elsewhere.test");
    let (code, model) = server.ask(&server.authority());
    assert_eq!(code, Some(4), "{model}");
    let error = model["error"].as_str().unwrap();
    assert!(error.contains("check `base_url`"), "{error}");
    assert_eq!(server.connections(), 3);

    let (code, model) = server.ask(Path::new("no-such-file.pem"));
    assert_eq!(code, Some(4), "{model}");
    let error = model["error"].as_str().unwrap();
    assert!(error.contains("name it in `SSL_CERT_FILE`"), "{error}");
    assert_eq!(server.connections(), 0);
}
