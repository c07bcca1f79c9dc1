//! One story, wherever the store is and whoever we are there: alone, behind TLS, users, a socket, Sentinels or a Cluster.

use super::OPEN;
use super::story::BOTH;
use super::story::increments;
use super::story::nothing_old;
use super::story::story;
use crate::support::Certificate;
use crate::support::Cluster;
use crate::support::Origin;
use crate::support::Redis;
use crate::support::Sentinels;
use crate::support::Setup;
use crate::support::Sidecar;
use crate::support::reply;
use crate::support::sidecars;
use crate::support::soon;

/// Two that share the store at this URL. A machine that runs other tests too may take its time.
async fn two(app: &Origin, url: &str, setup: impl Fn(Setup) -> Setup) -> [Sidecar; 2] {
    let each = |one: Setup| {
        let one = one.redis(url).redis_fields("timeout: 1s");
        setup(one.config(OPEN).rules(BOTH))
    };
    sidecars(app, each).await
}

/// The story, and then once more on a store that was flushed.
async fn holds_on(redis: &Redis, url: &str, setup: impl Fn(Setup) -> Setup) {
    let app = Origin::start().await;
    let [a, b] = two(&app, url, setup).await;
    story(&app, &a, &b).await;
    redis.flush_all().await;
    nothing_old(&app, &a, &b).await;
}

#[tokio::test]
async fn d01_tls_with_an_authority_of_its_own() {
    let certificate = Certificate::of_loopback();
    let redis = Redis::setup().tls(&certificate).start().await;
    let trusting = |setup: Setup| {
        let setup = setup.file("ca.pem", &certificate.pem);
        setup.redis_fields("ca_file: ca.pem")
    };
    holds_on(&redis, &redis.tls_url(), trusting).await;
}

#[tokio::test]
async fn d01_a_server_that_nobody_vouches_for_is_not_believed() {
    let redis = Redis::setup()
        .tls(&Certificate::of_loopback())
        .start()
        .await;
    let app = Origin::start().await;
    let another = Certificate::of_loopback();
    let [a, b] = two(&app, &redis.tls_url(), |setup| {
        let setup = setup.file("ca.pem", &another.pem);
        setup.redis_fields("ca_file: ca.pem")
    })
    .await;
    for sidecar in [a, b] {
        let reasons = sidecar.reasons().await;
        let away = reasons.get("store-away").expect("it is told");
        assert!(away.to_lowercase().contains("certificate"), "{reasons:?}");
    }
    assert_eq!(redis.keys().await, Vec::<String>::new());
}

/// The rights that the page says suffice.
fn documented() -> &'static str {
    let page = include_str!("../../../docs/sharing.md");
    let line = page
        .lines()
        .find(|line| line.starts_with("user tagalong on "));
    let (_, rights) = line
        .and_then(|line| line.split_once(">PASSWORD "))
        .expect("the page has a line of rights");
    rights
}

#[tokio::test]
async fn d01_a_user_with_no_more_rights_than_documented() {
    let redis = Redis::setup()
        .user("tagalong", "s3same", documented())
        .start()
        .await;
    holds_on(&redis, &redis.url_of("tagalong", "s3same"), |setup| setup).await;
    // What else is there is not ours to touch (L11).
    let keys = redis.keys().await;
    let ours = |key: &String| {
        let prefixes = ["tagalong:{tagalong}:", "tagalong:1:tagalong:"];
        prefixes.iter().any(|prefix| key.starts_with(prefix))
    };
    assert!(!keys.is_empty() && keys.iter().all(ours), "{keys:?}");
}

#[tokio::test]
async fn d01_each_right_is_needed_and_the_one_that_is_missing_is_named() {
    let rights: Vec<&str> = documented().split(' ').collect();
    let (commands, rest): (Vec<&str>, Vec<&str>) =
        rights.into_iter().partition(|right| right.starts_with('+'));
    // First the one that is needed as long as the server has no scripts yet.
    let (first, others): (Vec<&str>, Vec<&str>) =
        commands.iter().partition(|right| **right == "+script|load");
    let redis = Redis::start().await;
    let app = Origin::start().await;
    app.answer("/strict", reply("x"));
    let lacks = async |lacking: &str| {
        let user = lacking.replace(['+', '|'], "");
        let has = commands.iter().copied().filter(|right| *right != lacking);
        let mut command = vec!["ACL", "SETUSER", &user, "on", ">s3same"];
        command.extend(rest.iter().copied().chain(has));
        assert_eq!(redis.command(&command).await.text(), "OK");
        let sidecar = Setup::new(&app)
            .real_time()
            .redis(&redis.url_of(&user, "s3same"))
            .redis_fields("timeout: 1s")
            .config(&format!("{OPEN}\nnamespace: {user}"))
            .rules(BOTH)
            .start()
            .await;
        let client = sidecar.client();
        let named = lacking
            .trim_start_matches('+')
            .replace("script|load", "script");
        let told = async {
            loop {
                client.get("/strict").await.has_status(200);
                increments(&sidecar, "User:42").await;
                let reasons = sidecar.reasons().await;
                let of = |code: &str| reasons.get(code).cloned().unwrap_or_default();
                let said = of("store-away") + &of("store-refuses");
                // Some servers do not name a command within a script.
                if said.contains(&format!("'{named}")) || said.contains("can't run this command") {
                    assert!(!said.contains(&format!("User {user}")), "{said}");
                    let scripts =
                        said.contains("scripts, by which tags change, cannot be run there");
                    assert!(lacking != "+evalsha" || scripts, "{said}");
                    break;
                }
            }
        };
        soon(format!("a reason without {lacking}"), told).await;
    };
    // Needed where a server has had another life, once in a while, or for who asks what operators did.
    let seldom = [
        "+del",
        "+unlink",
        "+pexpire",
        "+pttl",
        "+scan",
        "+xrevrange",
    ];
    for right in first {
        lacks(right).await;
    }
    let often = others.into_iter().filter(|right| !seldom.contains(right));
    futures_util::future::join_all(often.map(lacks)).await;
}

#[tokio::test]
async fn d01_a_password_alone() {
    let redis = Redis::start().await;
    redis
        .command(&["ACL", "SETUSER", "default", "resetpass", ">s3same"])
        .await;
    let app = Origin::start().await;
    let url = redis.url().replace("//", "//:s3same@");
    let [a, b] = two(&app, &url, |setup| setup).await;
    story(&app, &a, &b).await;
}

#[tokio::test]
async fn d01_a_socket_and_a_database_by_number() {
    let redis = Redis::setup().unix_socket().start().await;
    let url = format!("redis+unix://{}?db=3", redis.socket().display());
    holds_on(&redis, &url, |setup| setup).await;
    assert_eq!(redis.keys().await, Vec::<String>::new(), "they are in 3");
    holds_on(&redis, &format!("{}/2", redis.url()), |setup| setup).await;
}

#[tokio::test]
async fn d01_sentinels_name_another_primary() {
    let app = Origin::start().await;
    let sentinels = Sentinels::start().await;
    let [a, b] = two(&app, &sentinels.url(), |setup| setup).await;
    story(&app, &a, &b).await;
    sentinels.failover().await;
    nothing_old(&app, &a, &b).await;
    sentinels.kill_primary().await;
    nothing_old(&app, &a, &b).await;
}

#[tokio::test]
async fn d01_sentinels_that_ask_for_a_password_some_of_them_dead() {
    let app = Origin::start().await;
    let sentinels = Sentinels::start().await;
    for sentinel in sentinels.sentinels() {
        let command = ["ACL", "SETUSER", "default", "resetpass", ">s3same"];
        assert_eq!(sentinel.command(&command).await.text(), "OK");
    }
    sentinels.sentinels()[0].pause(); // it takes connections and says nothing
    let url = format!("{}?sentinel_password=s3same", sentinels.url());
    let [a, b] = two(&app, &url, |setup| setup).await;
    story(&app, &a, &b).await;
    sentinels.sentinels()[0].kill();
    story(&app, &a, &b).await;
    let without = two(&app, &sentinels.url(), |setup| setup).await;
    let reasons = without[0].reasons().await;
    let away = reasons.get("store-away").expect("it is told");
    assert!(away.contains("Sentinels"), "{away}");
}

#[tokio::test]
async fn d01_a_slot_of_a_cluster_moves_and_its_owner_dies() {
    let app = Origin::start().await;
    let cluster = Cluster::start().await;
    let slot = cluster.slot_of("tagalong:{tagalong}:gen").await;
    let [a, b] = two(&app, &cluster.url(), |setup| setup).await;
    story(&app, &a, &b).await;

    // ASK: keys that are not there are asked for elsewhere. What we ask for has some of each kind.
    let to = (cluster.owner(slot).await + 1) % 3;
    cluster.begin_to_move(slot, to).await;
    increments(&a, "User:43").await;
    for path in ["/strict", "/bounded"] {
        a.client().get(path).await.has_status(200);
    }
    // MOVED.
    cluster.move_slot(slot, to).await;
    nothing_old(&app, &a, &b).await;
    let landed = async { while a.reasons().await.contains_key("increments-wait") {} };
    soon("what waited to be taken", landed).await;
    story(&app, &a, &b).await;

    let owner = &cluster.nodes()[to];
    owner.kill();
    let dead = async { while !a.reasons().await.contains_key("store-away") {} };
    soon("the death to be noticed", dead).await;
    a.client().get("/strict").await.has_status(200);
    owner.restart_empty().await;
    nothing_old(&app, &a, &b).await;
}
