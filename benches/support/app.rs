//! An app on loopback, in a thread of its own for each connection: what it costs is no part of what is measured.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A page of 1 KiB with three tags. `Age` and what is left of its life keep their number of digits however long a bench runs.
const PAGE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\netag: \"v1\"\r\n\
    cache-control: max-age=90000\r\nage: 200\r\ncache-tag: product:1, category:7, products\r\ncontent-length: 1024\r\n\r\n";

/// The same, for nobody's store.
const PRIVATE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-store\r\n\
    content-length: 1024\r\n\r\n";

/// The path that begins all pages which nobody may store.
pub(crate) const UNSTORED: &str = "/private/";

/// Starts it; it ends with the process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // An error says that the client has left.
            thread::spawn(move || answer(client).ok());
        }
    });
    address
}

/// Answers requests without bodies until there are no more.
fn answer(client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut lines = BufReader::new(client.try_clone()?);
    let mut client = client;
    let mut request = String::new();
    loop {
        request.clear();
        while !request.ends_with("\r\n\r\n") {
            if lines.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let is_unstored = request.contains(&format!(" {UNSTORED}"));
        let mut response = if is_unstored { PRIVATE } else { PAGE }.as_bytes().to_vec();
        response.resize(response.len() + 1_024, b'x');
        client.write_all(&response)?;
    }
}
