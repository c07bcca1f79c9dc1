//! A Sentinel that says what the test wants it to say: the moment at which it changes its mind is the test's.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::resp::Messages;

/// Names one server as the primary, or does not answer. It stops with the test's runtime.
pub(crate) struct Witness {
    port: u16,
    names: watch::Sender<Option<u16>>,
}

impl Witness {
    /// One that names the server on this port.
    pub(crate) async fn of(port: u16) -> Witness {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("a bound listener has one");
        let names = watch::Sender::new(Some(port));
        let told = names.subscribe();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, told.clone()));
            }
        });
        Witness {
            port: at.port(),
            names,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/tagalong", self.port)
    }

    /// From now on it names the server on this port.
    pub(crate) fn names(&self, port: u16) {
        self.names.send_replace(Some(port));
    }

    /// From now on it answers nothing.
    pub(crate) fn is_silent(&self) {
        self.names.send_replace(None);
    }
}

async fn answer(mut socket: TcpStream, mut told: watch::Receiver<Option<u16>>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let (from, mut to) = socket.split();
    let mut questions = Messages::new(from);
    while let Some((question, _)) = questions.next().await? {
        let words = question.texts();
        assert_eq!(words[..2], ["SENTINEL", "get-master-addr-by-name"]);
        let named = told.wait_for(Option::is_some).await;
        let Some(port) = *named.map_err(io::Error::other)? else {
            continue; // not so: it was waited for
        };
        let port = port.to_string();
        let length = port.len();
        let reply = format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port}\r\n");
        to.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}
