//! Ports that nobody else gets while a server is not listening: before it starts, between two starts, after a cut.

use std::net::Ipv4Addr;
use std::net::SocketAddr;

use socket2::Domain;
use socket2::Socket;
use socket2::Type;

/// A loopback port held by a socket that is bound and does not listen. Who asks for any free port, or connects from one,
/// does not get it; a server that names it and sets `SO_REUSEADDR`, as all do here, may listen on it beside this socket.
pub(super) struct Port {
    pub(super) number: u16,
    _held: Socket,
}

impl Port {
    pub(super) fn hold() -> Port {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("room for a socket");
        held.set_reuse_address(true).expect("a new socket takes it");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        held.bind(&any.into()).expect("a free port");
        let bound = held.local_addr().expect("a bound socket has one");
        let number = bound.as_socket().expect("an address of IPv4").port();
        Port {
            number,
            _held: held,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        address(self.number)
    }
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
