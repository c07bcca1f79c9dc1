//! The servers of the harness tested without what it tests: each starts, answers, fails as told and recovers.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::support::Certificate;
use crate::support::Cluster;
use crate::support::Cut;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::RedisReply;
use crate::support::Sentinels;
use crate::support::Setup;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

const PING: &str = "*1\r\n$4\r\nPING\r\n";
const INCR_X: &str = "*2\r\n$4\r\nINCR\r\n$1\r\nx\r\n";

/// What is said on this connection.
async fn says(connection: impl AsyncReadExt + AsyncWriteExt, asked: &str) -> String {
    let mut connection = std::pin::pin!(connection);
    let answer = async {
        connection.write_all(asked.as_bytes()).await?;
        let mut answer = vec![0; 200];
        let length = connection.read(&mut answer).await?;
        answer.truncate(length);
        std::io::Result::Ok(answer)
    };
    let answer = soon("an answer", answer).await.expect("it answers");
    String::from_utf8(answer).expect("text")
}

/// A connection to what this URL names; `None` where it is refused.
async fn connection_to(url: &str) -> Option<TcpStream> {
    let address = url.strip_prefix("redis://").expect("an address");
    let socket = TcpStream::connect(address).await.ok()?;
    // What is written leaves, whether or not what was written before has been answered.
    socket.set_nodelay(true).expect("an open socket takes it");
    Some(socket)
}

async fn text(redis: &Redis, command: &[&str]) -> String {
    redis.command(command).await.text()
}

#[track_caller]
fn is_error(reply: &RedisReply, start: &str) {
    let is_one = matches!(reply, RedisReply::Error(why) if why.starts_with(start));
    assert!(is_one, "expected {start}, but {reply:?}");
}

#[tokio::test]
async fn a_server_answers_counts_lists_and_forgets() {
    let redis = Redis::start().await;
    assert_eq!(text(&redis, &["SET", "x", "1"]).await, "OK");
    assert_eq!(text(&redis, &["GET", "x"]).await, "1");
    assert_eq!(text(&redis, &["INCR", "x"]).await, "2");
    let absent = redis.command(&["GET", "absent"]).await;
    assert_eq!(absent, RedisReply::Nil);
    let bytes = [&b"SET"[..], b"a\r\n", b"\xff\0\r\n"];
    assert_eq!(redis.command(&bytes).await.text(), "OK");
    let got = redis.command(&["GET", "a\r\n"]).await;
    assert_eq!(got, RedisReply::Text((&b"\xff\0\r\n"[..]).into()));
    is_error(&redis.command(&["HGET", "x", "y"]).await, "WRONGTYPE");

    assert_eq!(redis.command_stats().await["get"], 3);
    assert_eq!(redis.keys().await, ["a\r\n", "x"]);
    assert_eq!(redis.info("persistence").await["aof_enabled"], "0");
    redis.flush_all().await;
    assert_eq!(redis.keys().await, Vec::<String>::new());

    let script = ["SCRIPT", "LOAD", "return 7"];
    let digest = text(&redis, &script).await;
    assert_eq!(text(&redis, &["EVALSHA", &digest, "0"]).await, "7");
    redis.forget_scripts().await;
    is_error(&redis.command(&["EVALSHA", &digest, "0"]).await, "NOSCRIPT");
}

#[tokio::test]
async fn all_keys_are_listed_however_many() {
    let redis = Redis::start().await;
    let many: Vec<String> = (0..3_000).map(|n| format!("k{n:04}")).collect();
    let pairs = many.iter().flat_map(|key| [key.as_str(), "v"]);
    let command: Vec<&str> = ["MSET"].into_iter().chain(pairs).collect();
    assert_eq!(text(&redis, &command).await, "OK");
    assert_eq!(redis.keys().await, many);
}

#[tokio::test]
async fn what_others_ask_can_be_watched() {
    let redis = Redis::start().await;
    let mut watch = redis.connect().await;
    let watching = soon("MONITOR", watch.ask(&["MONITOR"])).await;
    assert_eq!(watching.expect("it answers").text(), "OK");
    redis.command(&["GET", "x"]).await;
    let seen = soon("what was asked", watch.reply()).await;
    let seen = seen.expect("it is told").text();
    assert!(seen.ends_with(r#""GET" "x""#), "{seen}");
}

#[tokio::test]
async fn a_server_stands_still_and_goes_on() {
    let redis = Redis::start().await;
    for _ in 0..3 {
        redis.pause();
        let mut waiting = redis_asked(&redis).await;
        let mut byte = [0];
        // It cannot have answered: it stood still before it was asked.
        let nothing = waiting.try_read(&mut byte).expect_err("no answer");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        redis.resume();
        let answer = soon("an answer", waiting.read_exact(&mut byte)).await;
        answer.expect("it answers");
        assert_eq!(byte, *b"+");
    }
    redis.pause(); // and ends all the same
}

/// A connection on which PING was sent.
async fn redis_asked(redis: &Redis) -> TcpStream {
    let mut socket = connection_to(&redis.url()).await.expect("it listens");
    socket.write_all(b"PING\r\n").await.expect("it is open");
    socket
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_empty_at_its_place() {
    let redis = Redis::start().await;
    let port = redis.port();
    for paused in [false, true] {
        text(&redis, &["SET", "x", "1"]).await;
        let mut kept = redis.connect().await;
        if paused {
            redis.pause();
        }
        redis.kill();
        assert!(connection_to(&redis.url()).await.is_none());
        let closed = soon("the connection to end", kept.ask(&["PING"])).await;
        closed.expect_err("it is gone");
        redis.restart_empty().await;
        assert_eq!(redis.port(), port);
        assert_eq!(redis.command(&["GET", "x"]).await, RedisReply::Nil);
    }
    text(&redis, &["SET", "x", "1"]).await;
    redis.restart_empty().await; // one that runs
    assert_eq!(redis.command(&["GET", "x"]).await, RedisReply::Nil);
}

#[tokio::test]
async fn a_server_that_is_dropped_is_gone() {
    let redis = Redis::start().await;
    let client = connection_to(&redis.url()).await.expect("it listens");
    redis.pause(); // one that stands still closes nothing
    drop(redis);
    is_closed(client).await;
}

#[tokio::test]
async fn a_server_knows_its_users() {
    let redis = Redis::setup()
        .user("shop", "secret", "~shop:* +@all")
        .start()
        .await;
    assert_eq!(text(&redis, &["SET", "session:abc", "1"]).await, "OK");
    let url = redis.url_of("shop", "secret");
    assert_eq!(url, redis.url().replace("//", "//shop:secret@"));

    let open = || connection_to_port(redis.port());
    let said = says(open().await, "GET shop:x\r\n").await;
    assert!(said.starts_with("-NOAUTH"), "{said}");
    let said = says(open().await, "AUTH shop secret\r\n").await;
    assert_eq!(said, "+OK\r\n");
    let mut shop = redis.connect().await;
    for (command, expected) in [
        (&["AUTH", "shop", "secret"][..], "OK"),
        (&["SET", "shop:x", "1"], "OK"),
    ] {
        let said = soon("an answer", shop.ask(command)).await;
        assert_eq!(said.expect("it answers").text(), expected);
    }
    let refused = soon("an answer", shop.ask(&["GET", "session:abc"])).await;
    is_error(&refused.expect("it answers"), "NOPERM");
}

async fn connection_to_port(port: u16) -> TcpStream {
    let url = format!("redis://127.0.0.1:{port}");
    connection_to(&url).await.expect("it listens")
}

#[tokio::test]
async fn a_server_speaks_tls_and_on_a_unix_socket() {
    let certificate = Certificate::of_loopback();
    let redis = Redis::setup().tls(&certificate).unix_socket().start().await;
    let url = redis.tls_url();
    let address = url.strip_prefix("rediss://").expect("a URL");
    let trust = certificate.trust(&[]);
    let address = address.parse().expect("an address");
    let secured = soon("TLS", trust.connect_as("127.0.0.1", address)).await;
    assert_eq!(
        says(secured.expect("it is trusted"), "PING\r\n").await,
        "+PONG\r\n"
    );
    let local = UnixStream::connect(redis.socket()).await;
    assert_eq!(
        says(local.expect("it listens"), "PING\r\n").await,
        "+PONG\r\n"
    );
    redis.restart_empty().await;
    let again = soon("TLS", trust.connect_as("127.0.0.1", address)).await;
    again.expect("it is there again");
}

#[tokio::test]
async fn a_server_that_is_full_refuses_or_evicts() {
    let redis = Redis::setup().max_memory("4mb", "noeviction").start().await;
    let value = "x".repeat(1 << 20);
    let fill = async || {
        for key in ["a", "b", "c", "d", "e"] {
            let reply = redis.command(&["SET", key, &value]).await;
            if reply.clone() != RedisReply::Text("OK".into()) {
                return Some(reply);
            }
        }
        None
    };
    is_error(&fill().await.expect("too much"), "OOM");
    redis.config_set("maxmemory-policy", "allkeys-lru").await;
    assert_eq!(fill().await, None);
    assert!(redis.keys().await.len() < 5);
}

#[tokio::test]
async fn sentinels_agree_on_another_primary() {
    let all = Sentinels::start().await;
    assert!(all.url().ends_with("/tagalong"));
    let first = all.primary().await.port();
    let other = all.replica().await.port();
    all.failover().await;
    assert_eq!(all.primary().await.port(), other);
    assert_eq!(all.replica().await.port(), first);
    assert_eq!(text(all.primary().await, &["SET", "x", "1"]).await, "OK");
    is_error(
        &all.replica().await.command(&["SET", "x", "2"]).await,
        "READONLY",
    );
    all.kill_primary().await;
    assert_eq!(all.primary().await.port(), first);
    assert_eq!(text(all.primary().await, &["SET", "x", "3"]).await, "OK");
}

#[tokio::test]
async fn a_cluster_moves_a_slot_to_another_node() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.url().split(',').count(), cluster.nodes().len());
    let slot = cluster.slot_of("{x}:1").await;
    let owner = cluster.owner(slot).await;
    let to = (owner + 1) % cluster.nodes().len();
    let [old, new] = [owner, to].map(|number| &cluster.nodes()[number]);
    assert_eq!(text(old, &["SET", "{x}:1", "1"]).await, "OK");
    assert_eq!(text(old, &["SET", "{x}:2", "2"]).await, "OK");
    is_error(&new.command(&["GET", "{x}:1"]).await, "MOVED");

    cluster.begin_to_move(slot, to).await;
    assert_eq!(text(old, &["GET", "{x}:1"]).await, "1");
    is_error(&old.command(&["GET", "{x}:3"]).await, "ASK");
    let both = ["MGET", "{x}:1", "{x}:3"];
    is_error(&old.command(&both).await, "TRYAGAIN");

    cluster.move_slot(slot, to).await;
    assert_eq!(cluster.owner(slot).await, to);
    let moved = format!("MOVED {slot} 127.0.0.1:{}", new.port());
    is_error(&old.command(&["GET", "{x}:1"]).await, &moved);
    assert_eq!(text(new, &["GET", "{x}:1"]).await, "1");
    assert_eq!(new.keys().await, ["{x}:1", "{x}:2"]);
}

/// A server, the way to it, and a connection that has been used.
async fn behind_a_cut() -> (Redis, Cut, TcpStream) {
    let redis = Redis::start().await;
    let cut = Cut::before(redis.port()).await;
    let client = through(&cut).await;
    (redis, cut, client)
}

async fn through(cut: &Cut) -> TcpStream {
    let mut client = connection_to(&cut.url()).await.expect("it accepts");
    assert_eq!(says(&mut client, PING).await, "+PONG\r\n");
    client
}

/// Comes back when what was sent before would have come through: requests of its own have gone to the server and back,
/// several times. A barrier for what must not show.
async fn settle(redis: &Redis) {
    for _ in 0..5 {
        redis.command(&["ECHO", "settled"]).await;
    }
}

/// Nothing more comes on it.
async fn is_closed(mut client: TcpStream) {
    let mut rest = Vec::new();
    let ended = soon("the end of a connection", client.read_to_end(&mut rest)).await;
    if let Err(error) = ended {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn what_is_cut_is_closed_and_refused_until_it_is_healed() {
    let (_redis, cut, client) = behind_a_cut().await;
    for _ in 0..3 {
        let other = through(&cut).await;
        cut.cut().await;
        cut.cut().await; // changes nothing
        is_closed(other).await;
        assert!(connection_to(&cut.url()).await.is_none());
        cut.heal().await;
    }
    is_closed(client).await;
    through(&cut).await;
}

#[tokio::test]
async fn a_way_to_a_dead_server_closes_what_it_accepted() {
    let (redis, cut, client) = behind_a_cut().await;
    redis.kill();
    is_closed(client).await;
    is_closed(connection_to(&cut.url()).await.expect("it accepts")).await;
    redis.restart_empty().await;
    through(&cut).await;
}

#[tokio::test]
async fn what_is_stalled_comes_late() {
    let (redis, cut, mut client) = behind_a_cut().await;
    let before = redis.command_stats().await["ping"];
    cut.stall();
    client.write_all(PING.as_bytes()).await.expect("open");
    let mut fresh = connection_to(&cut.url()).await.expect("it accepts");
    fresh.write_all(PING.as_bytes()).await.expect("open");
    settle(&redis).await;
    assert_eq!(redis.command_stats().await["ping"], before);
    cut.heal().await;
    for client in [&mut client, &mut fresh] {
        assert_eq!(says(client, "").await, "+PONG\r\n");
    }
    assert_eq!(redis.command_stats().await["ping"], before + 2);
}

#[tokio::test]
async fn what_was_asked_and_given_up_arrives_all_the_same() {
    let (redis, cut, mut client) = behind_a_cut().await;
    cut.stall();
    client.write_all(INCR_X.as_bytes()).await.expect("open");
    drop(client);
    settle(&redis).await;
    assert_eq!(redis.keys().await, Vec::<String>::new());
    cut.heal().await;
    let arrives = async { while text(&redis, &["GET", "x"]).await != "1" {} };
    soon("the request", arrives).await;
}

#[tokio::test]
async fn a_request_is_done_and_its_reply_lost() {
    let (redis, cut, mut client) = behind_a_cut().await;
    cut.hold_replies();
    client.write_all(INCR_X.as_bytes()).await.expect("open");
    let done = async { while text(&redis, &["GET", "x"]).await != "1" {} };
    soon("the request to be done", done).await;
    cut.cut().await;
    is_closed(client).await;

    cut.heal().await;
    let mut client = through(&cut).await;
    cut.hold_replies();
    client.write_all(INCR_X.as_bytes()).await.expect("open");
    cut.heal().await;
    assert_eq!(says(client, "").await, ":2\r\n");
}

#[tokio::test]
async fn what_is_slow_takes_its_time_both_ways() {
    let (_redis, cut, mut client) = behind_a_cut().await;
    let delay = Duration::from_millis(50);
    cut.slow(delay);
    let began = tokio::time::Instant::now();
    assert_eq!(says(&mut client, PING).await, "+PONG\r\n");
    assert!(began.elapsed() >= 2 * delay);

    cut.slow(Duration::from_secs(3_600));
    client.write_all(PING.as_bytes()).await.expect("open");
    cut.heal().await;
    assert_eq!(says(client, "").await, "+PONG\r\n");
}

#[tokio::test]
async fn errors_answer_in_place_of_the_server() {
    let (redis, cut, mut client) = behind_a_cut().await;
    let before = redis.command_stats().await["ping"];
    cut.answer_errors(Some("-OOM command not allowed"));
    let error = "-OOM command not allowed\r\n";
    for _ in 0..2 {
        assert_eq!(says(&mut client, PING).await, error);
    }
    // A message in two parts is one request, two messages at once are two.
    client.write_all(b"*1\r\n$4\r").await.expect("open");
    assert_eq!(says(&mut client, "\nPING\r\n").await, error);
    let mut fresh = connection_to(&cut.url()).await.expect("it accepts");
    fresh
        .write_all(PING.repeat(2).as_bytes())
        .await
        .expect("open");
    let mut both = vec![0; 2 * error.len()];
    let answers = soon("two answers", fresh.read_exact(&mut both)).await;
    answers.expect("it answers");
    assert_eq!(both, error.repeat(2).as_bytes());
    assert_eq!(redis.command_stats().await["ping"], before);

    cut.answer_errors(None);
    assert_eq!(says(&mut client, PING).await, "+PONG\r\n");
}

#[tokio::test]
async fn what_has_passed_is_answered_by_the_server_and_first() {
    let (redis, cut, mut client) = behind_a_cut().await;
    let block = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n0\r\n";
    client.write_all(block).await.expect("open");
    let blocked = async { while redis.info("clients").await["blocked_clients"] != "1" {} };
    soon("the request to wait", blocked).await;
    cut.answer_errors(Some("-LOADING"));
    client.write_all(PING.as_bytes()).await.expect("open");
    settle(&redis).await;
    redis.command(&["LPUSH", "l", "v"]).await;
    let expected = b"*2\r\n$1\r\nl\r\n$1\r\nv\r\n-LOADING\r\n";
    let mut answers = vec![0; expected.len()];
    let read = soon("both answers", client.read_exact(&mut answers)).await;
    read.expect("it answers");
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn more_servers_than_there_is_room_for_wait_or_come_at_once() {
    // A test that has one gets more without waiting, however many others have: else two could wait for each other.
    let mut servers = Vec::new();
    for _ in 0..9 {
        servers.push(Redis::start().await);
    }
    for redis in &servers {
        assert_eq!(text(redis, &["PING"]).await, "PONG");
    }
    let mut ports: Vec<u16> = servers.iter().map(Redis::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 9);
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let started = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(Redis::start())
    });
    let redis = started.join().expect("it starts");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let pong = runtime.block_on(text(&redis, &["PING"]));
    assert_eq!(pong, "PONG");
}

#[tokio::test]
async fn several_sidecars_stand_before_one_app() {
    let origin = Origin::start().await;
    origin.answer("/x", reply("x").header("Cache-Control", "max-age=60"));
    let [a, b] = sidecars(&origin, |setup| setup).await;
    assert_ne!(a.address(), b.address());
    // With no store in common each asks for itself.
    for sidecar in [&a, &b] {
        sidecar.client().get("/x").await.is_miss();
        sidecar.client().get("/x").await.is_hit();
    }
    assert_eq!(origin.calls("/x"), 2);

    let setup = Setup::new(&origin)
        .redis("redis://127.0.0.1:1")
        .redis_fields("bodies: true");
    let (file, _) = setup.write();
    let written = std::fs::read_to_string(file).expect("it was written");
    let expected = "store:\n  redis: { url: \"redis://127.0.0.1:1\", bodies: true }\n";
    assert!(written.contains(expected), "{written}");
}
