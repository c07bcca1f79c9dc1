use std::path::PathBuf;

use super::*;
use crate::dialects::Groups;
use crate::dialects::Separator;
use crate::model::mistake::Mistake;
use crate::model::tag::Tag;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Files, variables and folders of a test.
#[derive(Default)]
struct Given {
    variables: &'static [(&'static str, &'static str)],
    files: &'static [(&'static str, &'static str)],
    rules: Option<&'static [(&'static str, &'static str)]>,
}

fn find(list: &[(&str, &str)], name: &str) -> Result<String, String> {
    let found = list.iter().find(|(other, _)| *other == name);
    found
        .map(|(_, text)| (*text).to_owned())
        .ok_or_else(|| format!("there is no `{name}`"))
}

impl Outside for Given {
    fn variable(&self, name: &str) -> Result<String, String> {
        find(self.variables, name)
    }

    fn file(&self, path: &str) -> Result<String, String> {
        find(self.files, path)
    }

    fn beside(&self, _from: &str, path: &str) -> Result<String, String> {
        self.file(path)
    }

    fn rules(&self, _: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        (
            self.rules.map(|files| files.iter().map(owned).collect()),
            Vec::new(),
        )
    }
}

fn compiled(text: &str) -> Result<Config, Vec<String>> {
    given(text, &Given::default())
}

fn given(text: &str, outside: &Given) -> Result<Config, Vec<String>> {
    compile("t.yaml", text, outside)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

fn shown(config: &Config) -> String {
    format!("{config:?}")
}

#[test]
fn an_empty_file_is_the_defaults() {
    let defaults = Config::default_for("http://127.0.0.1:8000".parse().unwrap());
    for text in [
        "",
        "# nothing",
        "upstream:\nheaders:\n  debug:\ndefaults: {}\n",
    ] {
        assert_eq!(shown(&compiled(text).unwrap()), shown(&defaults), "{text}");
    }
}

#[test]
fn the_reference_file_is_the_defaults_with_every_field() {
    let text = include_str!("../../tagalong.yaml");
    let defaults = Config::default_for("http://127.0.0.1:8000".parse().unwrap());
    let outside = Given {
        rules: Some(&[]),
        ..Given::default()
    };
    assert_eq!(shown(&given(text, &outside).unwrap()), shown(&defaults));
    // Each name of the schema stands in the file, in a comment where it has no default.
    let schema = schema::config();
    let mut names: Vec<&str> = Vec::new();
    let types = schema["$defs"].as_object().unwrap();
    let sections = [
        "Admin",
        "Upstream",
        "Health",
        "Headers",
        "Debug",
        "Store",
        "Memory",
        "Redis",
        "Tags",
        "Outbox",
        "Limits",
        "Log",
        "Webhook",
        "PurgeGroup",
    ];
    let own = sections.iter().map(|name| &types[*name]).chain([&schema]);
    for section in own {
        names.extend(
            section["properties"]
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str),
        );
    }
    assert!(names.len() > 30);
    for name in names {
        assert!(text.contains(&format!("{name}:")), "{name}");
    }
}

#[test]
fn the_reference_file_and_the_examples_load_from_disk() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tagalong.yaml");
    let config = load(&path).unwrap();
    // Without a shared store one example can do no more than any rule.
    let warnings = config.all_warnings(NOW);
    let [shared] = &*warnings else {
        panic!("{warnings:?}")
    };
    let (file, told) = (&shared.file, &shared.message);
    assert!(file.ends_with("14-shared.yaml"), "{file}");
    assert!(
        told.contains("without `store.redis` in the configuration"),
        "{told}"
    );
    let ids: Vec<_> = config
        .rules
        .rules()
        .iter()
        .filter_map(|rule| rule.id.as_deref())
        .collect();
    assert_eq!(
        ids,
        [
            "books",
            "covers",
            "health",
            "user-profile",
            "search",
            "listing",
            "pages",
            "account",
            "report",
            "user-write",
            "user-page",
            "articles",
            "landing",
            "api-me",
            "api-catalog",
            "front-page",
            "report-list",
            "catalog",
            "dashboard",
            "report-write",
            "book-search",
            "top-books",
            "author-name",
            "author-books",
            "my-orders",
            "my-orders-write",
            "team-page",
            "products",
            "migrated-articles",
            "article-lists",
            "migrated-search",
            "migrated-account",
            "watched-articles",
            "watched-search",
            "product-list",
            "product-create",
            "product-move",
            "graphql",
            "graphql-mutations",
            "posted-search",
            "stock",
            "yearly-report",
            "session-state"
        ]
    );
}

#[test]
fn everything_can_be_said_otherwise() {
    let text = "
namespace: shop
listen: ['0.0.0.0:80', '[::1]:0', 'unix:/run/t.sock']
admin: { listen: '0.0.0.0:81', token_env: S, tokens: [{ name: deploy, token_file: d }] }
upstream: { url: 'unix:/run/app.sock', connect_timeout: 250ms, read_timeout: 5m, retries: 0, max_concurrent: 1, queue: 0, queue_timeout: 90s }
rules: r
headers:
  tags: [X-A, { name: X-B, separator: '|' }]
  increments: []
  changes: [X-C]
  vary: [X-V]
  targeted: [X-T]
  groups: shared
  expose: true
  cache_status: false
  debug: { enabled: true, secret_env: S }
store: { memory: { max_bytes: 1GiB }, redis: { url_env: R, timeout: 1s, bodies: false, compress: none, ca_file: ca } }
tags: { consistency: strict, max_lag: 100ms, outbox: { max: 1 } }
increment_webhooks: [{ url: 'https://u/?t=sesame', batch: 0, max: 7, header_env: { Authorization: S }, header_file: { X-Key: f } }, { url: 'h2c://v' }]
purge_groups: { books: { tags: [books, 'Book:1'] }, all: { all: true } }
limits: { max_object: 1, max_tags: 2, max_tag_bytes: 3, max_variants: 7, max_head: 8KiB, client_header_timeout: 4, client_body_timeout: 5, client_idle_timeout: 6 }
drain: 0
log: { format: json, access: true }
defaults: { ttl: 60s }
";
    let made = rcgen::generate_simple_self_signed(["redis.example".to_owned()]).unwrap();
    let ca: &str = made.cert.pem().leak();
    let outside = Given {
        variables: &[
            ("S", "sesame\n"),
            ("R", "rediss+cluster://ann:sesame@a,b:1\n"),
        ],
        files: vec![("f", " sesame\n"), ("ca", ca), ("d", "simsim\n")].leak(),
        rules: Some(&[(
            "r/a.yaml",
            "rules: [{ id: a }, { id: b, consistency: bounded }]",
        )]),
    };
    let config = given(text, &outside).unwrap();
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["0.0.0.0:80", "[::1]:0", "unix:/run/t.sock"]);
    let admin = config.admin.as_ref().unwrap();
    assert_eq!(admin.listen.to_string(), "0.0.0.0:81");
    assert!(!admin.is_local());
    let [first, deploy] = &admin.tokens[..] else {
        panic!("two tokens, not {:?}", admin.tokens);
    };
    assert!(&*first.name == "admin" && first.secret.is(b"sesame"));
    assert!(&*deploy.name == "deploy" && deploy.secret.is(b"simsim"));
    assert_eq!(config.namespace, "shop");
    assert_eq!(config.upstream.targets.to_string(), "unix:/run/app.sock");
    assert_eq!(config.upstream.connect_timeout, Duration::from_millis(250));
    assert_eq!(
        (config.upstream.retries, config.upstream.max_head),
        (0, 8192)
    );
    let upstream = &config.upstream;
    assert_eq!((upstream.max_concurrent, upstream.queue), (1, 0));
    assert_eq!(upstream.queue_timeout, Duration::from_secs(90));
    assert_eq!(config.dialects.tags[0].name, "x-a");
    assert_eq!(
        config.dialects.tags[1].separator,
        Separator::try_from('|').ok()
    );
    assert!(
        config.dialects.increments.is_empty() && config.dialects.expose && !config.cache_status
    );
    assert_eq!(config.dialects.groups, Groups::Shared);
    assert!(config.debug.enabled && config.debug.secret.as_ref().unwrap().is(b"sesame"));
    assert!(
        !shown(&config).contains("sesame"),
        "a secret is never printed"
    );
    let [one, other] = &config.increment_webhooks[..] else {
        panic!("two webhooks")
    };
    assert_eq!((one.batch, one.max), (Duration::ZERO, 7));
    assert_eq!(one.url.target(), "/?t=sesame");
    for name in ["authorization", "x-key"] {
        assert_eq!(one.headers[name], "sesame");
    }
    assert_eq!((other.batch, other.max), (Duration::from_secs(1), 30));
    assert!(other.headers.is_empty());
    let tags = ["books", "Book:1"].map(|tag| Tag::parse(tag).unwrap());
    assert_eq!(config.purge_groups["books"], PurgeGroup::Tags(tags.into()));
    assert_eq!(config.purge_groups["all"], PurgeGroup::All);
    assert_eq!(config.store.max_bytes, 1 << 30);
    let redis = config.store.redis.as_ref().unwrap();
    assert_eq!((redis.bodies, redis.compress), (false, Compress::None));
    assert_eq!(redis.shared.timeout, Duration::from_secs(1));
    let endpoint = &redis.shared.endpoint;
    assert_eq!(endpoint.to_string(), "rediss+cluster://a:6379,b:1");
    assert_eq!(endpoint.user.as_deref(), Some("ann"));
    assert!(endpoint.password.as_ref().unwrap().is(b"sesame"));
    let trusted = endpoint.tls.as_ref().and_then(|tls| tls.ca.as_ref());
    assert_eq!(trusted.unwrap().pem(), ca.as_bytes());
    assert_eq!(
        config.tags,
        Tags {
            consistency: Consistency::Strict,
            max_lag: Duration::from_millis(100),
            outbox_max: 1
        }
    );
    let rules = config.rules.rules().iter();
    let consistency: Vec<_> = rules.map(|rule| rule.consistency).collect();
    assert_eq!(consistency, [Consistency::Strict, Consistency::Bounded]);
    assert_eq!(
        config.limits.tags,
        TagLimits {
            max_tags: 2,
            max_tag_bytes: 3
        }
    );
    assert_eq!(config.limits.max_variants, 7);
    assert_eq!(config.limits.client_idle_timeout, Duration::from_secs(6));
    assert_eq!(
        (config.drain, config.log.format),
        (Duration::ZERO, LogFormat::Json)
    );
    assert_eq!(
        config.rules.rules()[0].terms.ttl,
        Some(Duration::from_secs(60))
    );
}

#[test]
fn the_admin_interface_is_where_the_file_says_and_nowhere_without_it() {
    for (text, expected) in [
        ("", None),
        ("admin:", None),
        ("admin: {}", Some(("127.0.0.1:9080", true))),
        ("admin: { listen: '[::1]:0' }", Some(("[::1]:0", true))),
        (
            "admin: { listen: '127.9.9.9:1' }",
            Some(("127.9.9.9:1", true)),
        ),
        (
            "admin: { listen: '[::ffff:127.0.0.1]:1' }",
            Some(("[::ffff:127.0.0.1]:1", true)),
        ),
        (
            "admin: { listen: '10.0.0.1:1', token_file: t }",
            Some(("10.0.0.1:1", false)),
        ),
        (
            "{ listen: ['127.0.0.1:0'], admin: { listen: '127.0.0.1:0' } }",
            Some(("127.0.0.1:0", true)),
        ),
    ] {
        let outside = Given {
            files: &[("t", "sesame\r\n")],
            ..Given::default()
        };
        let admin = given(text, &outside).unwrap().admin;
        let found = admin.map(|it| (it.listen.to_string(), it.is_local()));
        let expected = expected.map(|(listen, local)| (listen.to_owned(), local));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn the_app_has_one_address_or_several() {
    let upstream = |text: &str| given(&format!("upstream: {{ {text} }}"), &Given::default());
    let health = |path: Option<&str>, seconds| {
        let path = path.map(|path| path.parse().unwrap());
        let interval = Duration::from_secs(seconds);
        Some(upstream::Health { path, interval })
    };
    for (text, targets, checks) in [
        ("", "http://127.0.0.1:8000", None),
        ("url: 'http://a'", "http://a", None),
        ("urls: ['http://a']", "http://a", None),
        (
            "urls: ['h2c://a', 'h2c://b:81']",
            "h2c://a, h2c://b:81",
            None,
        ),
        ("urls: ['unix:/a', 'unix:/b']", "unix:/a, unix:/b", None),
        ("url: 'http://a', health: {}", "http://a", health(None, 5)),
        (
            "urls: ['https://a', 'https://b'], health: { path: '/up?x=1', interval: 2 }",
            "https://a, https://b",
            health(Some("/up?x=1"), 2),
        ),
    ] {
        let config = upstream(text).unwrap().upstream;
        assert_eq!(config.targets.to_string(), targets, "{text}");
        assert_eq!(config.health, checks, "{text}");
    }
    for (text, expected) in [
        (
            "url: 'http://a', urls: ['http://b']",
            "t.yaml:1:36: expected `url` or `urls`, found both",
        ),
        (
            "url: \"http://a/b?token=sesame\\nc\"",
            "t.yaml:1:18: an upstream has no path, query or fragment: requests keep the path they came with, found `http://a/…`",
        ),
        (
            "url: 'http://me:sesame@a'",
            "t.yaml:1:18: expected a host with an optional port, found `http://…`",
        ),
        (
            "url: 'me:sesame@a'",
            "t.yaml:1:18: expected `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` or `unix:/path`, found `…`",
        ),
        (
            "url: 'app:8000/?token=sesame'",
            "t.yaml:1:18: expected `http://host[:port]`, `https://host[:port]`, `h2c://host[:port]` or `unix:/path`, found `app:8000/…`",
        ),
        (
            "url: \"unix:a\\nb\"",
            "t.yaml:1:18: expected `unix:` and the absolute path of a socket, at most 107 bytes, found `unix:a\\nb`",
        ),
        (
            "urls: []",
            "t.yaml:1:19: expected an address at least, found an empty list",
        ),
        (
            "urls: ['http://a', 'https://b']",
            "t.yaml:1:32: expected the scheme of the first address, `http`, found `https://b`",
        ),
        (
            "urls: ['http://a', 'unix:/b']",
            "t.yaml:1:32: expected the scheme of the first address, `http`, found `unix:/b`",
        ),
        (
            "urls: ['http://a', 'http://a:80']",
            "t.yaml:1:32: expected an address that is not given before, found `http://a:80`",
        ),
        (
            "health: { path: health }",
            "t.yaml:1:29: expected a path such as `/health`, found `health`",
        ),
        (
            "health: { path: '/a#b' }",
            "t.yaml:1:29: expected a path such as `/health`, found `/a#b`",
        ),
        (
            "health: { path: '/a b' }",
            "t.yaml:1:29: expected a path such as `/health`, found `/a b`",
        ),
        (
            "health: { interval: 0 }",
            "t.yaml:1:33: expected a time longer than 0",
        ),
    ] {
        assert_eq!(upstream(text).unwrap_err(), [expected], "{text}");
    }
}

#[test]
fn nobody_is_their_own_app() {
    let is = |url: &str, by: &str| {
        format!("the app's address `{url}` is where this sidecar listens itself, by `{by}`")
    };
    for (name, text, expected) in [
        (
            "by name",
            "upstream: { url: 'http://localhost:8080' }",
            Some(("t.yaml:1:18", is("http://localhost:8080", "listen"))),
        ),
        (
            "all addresses",
            "listen: ['0.0.0.0:8000', '[::]:8001']\nupstream: { urls: ['http://app:1', 'http://127.0.0.1:8001'] }",
            Some(("t.yaml:2:36", is("http://127.0.0.1:8001", "listen"))),
        ),
        (
            "a socket",
            "listen: ['unix:/run/t.sock']\nupstream: { url: 'unix:/run/t.sock' }",
            Some(("t.yaml:2:18", is("unix:/run/t.sock", "listen"))),
        ),
        (
            "operators",
            "upstream: { url: 'http://127.0.0.1:9080' }\nadmin: {}",
            Some(("t.yaml:1:18", is("http://127.0.0.1:9080", "admin.listen"))),
        ),
        (
            "the app where none is given",
            "listen: ['127.0.0.1:7', '0.0.0.0:8000']",
            Some((
                "t.yaml:1:25",
                "the app's address `http://127.0.0.1:8000`, which holds where none is given, is where this sidecar listens itself, by `listen`".to_owned(),
            )),
        ),
        (
            "any address of this machine",
            "listen: ['127.0.0.1:7']\nupstream: { url: 'http://0.0.0.0:7' }",
            Some(("t.yaml:2:18", is("http://0.0.0.0:7", "listen"))),
        ),
        (
            "IPv4 in IPv6",
            "listen: ['127.0.0.1:7']\nupstream: { url: 'http://[::ffff:127.0.0.1]:7' }",
            Some(("t.yaml:2:18", is("http://[::ffff:127.0.0.1]:7", "listen"))),
        ),
        ("another port", "upstream: { url: 'http://localhost:8081' }", None),
        ("another name", "upstream: { url: 'http://app:8080' }", None),
        ("nobody listens there", "upstream: { url: 'http://localhost:9080' }", None),
        (
            "any free port",
            "listen: ['127.0.0.1:0']\nupstream: { url: 'http://localhost:8080' }",
            None,
        ),
    ] {
        let started = Instead {
            complete: true,
            ..Instead::default()
        };
        let texts = |mistakes: &[Mistake]| mistakes.iter().map(ToString::to_string).collect();
        let found = compile::compile_with("t.yaml", text, &Given::default(), &started);
        let found: Vec<String> = found.err().map(|found| texts(&found)).unwrap_or_default();
        let expected = expected.map(|(place, message)| format!("{place}: {message}"));
        let expected = Vec::from_iter(expected);
        assert_eq!(found, expected, "{name}");
        // Before it starts it may still be told otherwise, where the file does not say both.
        let looked_at: Vec<String> = match compile("t.yaml", text, &Given::default()) {
            Ok(config) => texts(&config.warnings),
            Err(mistakes) => texts(&mistakes),
        };
        let unless = |text: &String| format!("{text}, unless the command line says otherwise");
        let warned: Vec<String> = expected.iter().map(unless).collect();
        assert!(looked_at == expected || looked_at == warned, "{name}: {looked_at:?}");
        let says_both = text.contains("listen") && text.contains("url");
        assert_eq!(looked_at == expected, says_both || expected.is_empty(), "{name}");
    }
}

#[test]
fn what_cannot_be_read_makes_nobody_their_own_app() {
    for text in [
        "listen: 0.0.0.0:9000\nupstream: { url: 'http://127.0.0.1:8080' }",
        "admin: { listn: '127.0.0.1:9000' }\nupstream: { url: 'http://127.0.0.1:9080' }",
    ] {
        let started = Instead {
            complete: true,
            ..Instead::default()
        };
        let found = compile::compile_with("t.yaml", text, &Given::default(), &started);
        let mistakes = found.unwrap_err();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    }
}

#[test]
fn a_certificate_that_clients_refuse_is_a_warning_with_its_date() {
    struct Pem(String, String);
    impl Outside for Pem {
        fn variable(&self, name: &str) -> Result<String, String> {
            Err(name.to_owned())
        }
        fn file(&self, path: &str) -> Result<String, String> {
            let Pem(certificate, key) = self;
            Ok(if path == "c.pem" { certificate } else { key }.clone())
        }
        fn beside(&self, _: &str, path: &str) -> Result<String, String> {
            self.file(path)
        }
        fn rules(&self, _: &str) -> (Option<Vec<(String, String)>>, Vec<Mistake>) {
            (None, Vec::new())
        }
    }
    let mut params = rcgen::CertificateParams::new(["shop.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 2);
    params.not_after = rcgen::date_time_ymd(2027, 1, 2);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    let text =
        "listen:\n  - { addr: '127.0.0.1:8443', tls: { cert_file: c.pem, key_file: k.pem } }\n";
    let outside = Pem(made.pem(), key.serialize_pem());
    let config = compile("t.yaml", text, &outside).unwrap();
    for (name, now, expected) in [
        (
            "before",
            "2026-01-01T23:59:59Z",
            Some(
                "t.yaml:2:49: the certificate in `c.pem` is not valid yet: clients refuse it until Fri, 02 Jan 2026 00:00:00 GMT",
            ),
        ),
        ("its first moment", "2026-01-02T00:00:00Z", None),
        ("its last moment", "2027-01-02T00:00:00Z", None),
        (
            "after",
            "2027-01-02T00:00:01Z",
            Some(
                "t.yaml:2:49: the certificate in `c.pem` has expired: it was valid until Sat, 02 Jan 2027 00:00:00 GMT, and clients refuse it",
            ),
        ),
    ] {
        let warnings = config.all_warnings(Timestamp::from_rfc3339(now).unwrap());
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(told, Vec::from_iter(expected.map(str::to_owned)), "{name}");
    }
}

/// What the command line says counts, and not what the file says of the same.
#[test]
fn the_command_line_makes_nobody_their_own_app_either() {
    let own = |url: &str| Instead {
        upstream: Some(url.parse().unwrap()),
        complete: true,
        ..Instead::default()
    };
    let at = |place: &str| Instead {
        listen: vec![place.parse().unwrap()],
        complete: true,
        ..Instead::default()
    };
    let operators = Instead {
        admin_listen: Some("127.0.0.1:8000".parse().unwrap()),
        complete: true,
        ..Instead::default()
    };
    let ours = "upstream: { url: 'http://127.0.0.1:8080' }";
    for (name, text, instead, expected) in [
        (
            "its app",
            "",
            own("http://127.0.0.1:8080"),
            Some(
                "the command line: the app's address `http://127.0.0.1:8080` is where this sidecar listens itself, by `listen`",
            ),
        ),
        (
            "its place",
            "upstream: { url: 'http://127.0.0.1:7' }",
            at("127.0.0.1:7"),
            Some(
                "t.yaml:1:18: the app's address `http://127.0.0.1:7` is where this sidecar listens itself, by `--listen`",
            ),
        ),
        (
            "the app where none is given",
            "",
            operators,
            Some(
                "the command line: the app's address `http://127.0.0.1:8000`, which holds where none is given, is where this sidecar listens itself, by `--admin-listen`",
            ),
        ),
        (
            "another app than that of the file",
            ours,
            own("http://127.0.0.1:7"),
            None,
        ),
        (
            "another place than that of the file",
            ours,
            at("127.0.0.1:7"),
            None,
        ),
    ] {
        let found = compile::compile_with("t.yaml", text, &Given::default(), &instead);
        let found = found.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect());
        let found: Vec<String> = found.err().unwrap_or_default();
        assert_eq!(found, Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn secrets_come_from_outside() {
    let outside = Given {
        variables: &[("EMPTY", "\n")],
        files: &[("/s", "sesame\n")],
        ..Given::default()
    };
    let debug = |more: &str| given(&format!("headers: {{ debug: {{ {more} }} }}"), &outside);
    assert!(
        debug("secret_file: /s")
            .unwrap()
            .debug
            .secret
            .unwrap()
            .is(b"sesame")
    );
    for (text, expected) in [
        ("secret_env: NONE", "t.yaml:1:33: there is no `NONE`"),
        (
            "secret_env: EMPTY",
            "t.yaml:1:33: expected a secret, found an empty text",
        ),
        (
            "secret_env: A, secret_file: B",
            "t.yaml:1:49: expected `secret_env` or `secret_file`, found both",
        ),
        (
            "secret: x",
            "t.yaml:1:21: unknown field `secret`, expected `enabled`, `secret_env` or `secret_file`",
        ),
    ] {
        assert_eq!(debug(text).unwrap_err(), [expected], "{text}");
    }
}

#[test]
fn the_shared_store_is_where_one_url_says() {
    let outside = Given {
        variables: &[
            ("URL", " redis://:sesame@h:1/2\n"),
            ("BAD", "redis://ses@me@h"),
        ],
        files: &[("/url", "rediss://h\n"), ("/none", "\n"), ("/ca", "sesame")],
        ..Given::default()
    };
    let redis = |more: &str| given(&format!("store: {{ redis: {{ {more} }} }}"), &outside);
    let warning = "t.yaml:1:24: there is a password in this URL: keep it out of the file, and say by `url_env` or `url_file` where the URL stands";
    let sentinels = "url: 'redis+sentinel://a/s?sentinel_password=sesame'";
    for (text, endpoint, warnings) in [
        ("url: 'valkey://h'", "redis://h:6379", None),
        ("url: 'unix:/r?db=1'", "redis+unix:///r?db=1", None),
        ("url: 'redis://:sesame@h'", "redis://h:6379", Some(warning)),
        (sentinels, "redis+sentinel://a:26379/s", Some(warning)),
        ("url_env: URL", "redis://h:1/2", None),
        ("url_file: /url", "rediss://h:6379", None),
    ] {
        let config = redis(text).unwrap();
        let found = config.store.redis.as_ref().unwrap();
        assert_eq!(found.shared.endpoint.to_string(), endpoint, "{text}");
        assert_eq!(found.shared.timeout, Duration::from_millis(50));
        assert_eq!((found.bodies, found.compress), (true, Compress::Zstd));
        let told: Vec<_> = config
            .all_warnings(NOW)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told, Vec::from_iter(warnings), "{text}");
        assert!(!shown(&config).contains("sesame"), "{text}");
    }
    let tls = "`ca_file` is for TLS, which this URL does not ask for: expected `rediss://` there";
    let unencoded = "expected `/`, `?`, `#` and `@` in user and password percent-encoded (`%2F`, `%3F`, `%23`, `%40`)";
    for (text, expected) in [
        ("", vec!["1:17: expected `url`, `url_env` or `url_file`".to_owned()]),
        ("url: 'redis://h', url_file: /url", vec!["1:47: expected one of `url`, `url_env` and `url_file`, found several".to_owned()]),
        ("url_env: NONE", vec!["1:28: there is no `NONE`".to_owned()]),
        ("url_env: 'redis://:sesame@h'", vec!["1:28: expected the name of an environment variable, made of letters, digits and `_`; the value stands in the variable".to_owned()]),
        ("url_env: BAD", vec![format!("1:28: {unencoded}")]),
        ("url: 'redis://ses@me@h'", vec![format!("1:24: {unencoded}")]),
        ("url: 'redis://h', timeout: 0, ca_file: /ca", vec![
            "1:46: expected a time longer than 0".to_owned(),
            "1:58: expected certificates (PEM), found none, in `/ca`".to_owned(),
            format!("1:58: {tls}"),
        ]),
        ("url: 'redis://h', compress: gzip", vec!["1:47: expected `none` or `zstd`, found `gzip`".to_owned()]),
    ] {
        let expected: Vec<_> = expected.iter().map(|it| format!("t.yaml:{it}")).collect();
        assert_eq!(redis(text).unwrap_err(), expected, "{text}");
    }
    let empty = redis("url_file: /none").unwrap_err();
    assert!(
        empty[0].starts_with("t.yaml:1:29: expected a URL with `redis://`"),
        "{empty:?}"
    );
}

#[test]
fn a_store_that_is_wrong_is_no_fault_of_the_rules() {
    let outside = Given {
        rules: Some(&[("r.yaml", "rules: [{ id: a, store: redis }]")]),
        ..Given::default()
    };
    for (text, mistakes) in [
        ("store: { redis: { url: h } }", 1),
        ("store: { redis: h }", 1),
        ("store: { redis: { url: 'redis://h', bodies: maybe } }", 1),
        ("store: { redis: { url: 'redis://h' } }", 0),
    ] {
        let found = given(text, &outside).err().unwrap_or_default();
        assert_eq!(found.len(), mistakes, "{text}: {found:?}");
        assert!(
            found.iter().all(|it| it.starts_with("t.yaml:")),
            "{found:?}"
        );
    }
}

#[test]
fn what_is_shared_is_bounded() {
    for (text, expected) in [
        (
            "max_lag: 99ms",
            "t.yaml:1:18: expected a duration of at least `100ms`, found `99ms`",
        ),
        (
            "outbox: { max: 0 }",
            "t.yaml:1:24: expected 1 tag at least, found 0",
        ),
        (
            "consistency: eventual",
            "t.yaml:1:22: expected `bounded` or `strict`, found `eventual`",
        ),
    ] {
        let found = compiled(&format!("tags: {{ {text} }}"));
        assert_eq!(found.unwrap_err(), [expected], "{text}");
    }
    for namespace in ["{a}", "a b", "a\u{a0}b", "'a\tb'"] {
        assert!(compiled(&format!("namespace: \"{namespace}\"")).is_err());
    }
}

#[test]
fn a_folder_that_is_named_must_be_there() {
    assert!(compiled("").unwrap().rules.rules().is_empty());
    assert_eq!(
        compiled("rules: here").unwrap_err(),
        ["t.yaml:1:8: expected a folder, found nothing at `here`"]
    );
}

#[test]
fn files_are_read_in_name_order_and_none_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    write("t.yaml", "headers: { debug: { secret_file: secret } }");
    write("secret", "sesame");
    write("rules/b.yaml", "rules: [{ id: b }]");
    write("rules/a.yaml", "rules: [{ id: a }]");
    write("rules/.hidden.yaml", "nonsense");
    write("rules/notes.txt", "nonsense");
    let config = load(&folder.path().join("t.yaml")).unwrap();
    let ids: Vec<_> = config
        .rules
        .rules()
        .iter()
        .filter_map(|rule| rule.id.as_deref())
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(config.debug.secret.unwrap().is(b"sesame"));
    write("rules/c.yml", "rules: []");
    let mistakes = load(&folder.path().join("t.yaml")).unwrap_err();
    assert!(
        mistakes[0]
            .to_string()
            .ends_with("rules/c.yml: rule files end in `.yaml`: this one would not be read")
    );
    let mistakes = load(&folder.path().join("none.yaml")).unwrap_err();
    assert!(
        mistakes[0]
            .to_string()
            .contains("none.yaml: cannot be read: ")
    );
}

#[test]
fn schemas_describe_both_kinds_of_file() {
    for (name, schema, field) in [
        ("config", schema::config(), "namespace"),
        ("rules", schema::rules(), "rules"),
    ] {
        assert_eq!(schema["additionalProperties"], false, "{name}");
        assert!(schema["properties"][field].is_object(), "{name}");
    }
    let rule = &schema::rules()["$defs"]["Rule"];
    assert!(rule["properties"]["vary_on"].is_object());
    assert_eq!(rule["additionalProperties"], false);
}

#[test]
fn the_schema_of_rules_knows_every_form_of_a_field() {
    let schema = schema::rules();
    let types = &schema["$defs"];
    let fields = &types["Rule"]["properties"];
    let none = serde_json::json!({ "const": "none" });
    for (field, name) in [("coalesce", "Coalesce"), ("refresh_ahead", "RefreshAhead")] {
        let section = serde_json::json!({ "$ref": format!("#/$defs/{name}") });
        let forms = &fields[field]["anyOf"][0]["anyOf"];
        assert_eq!(*forms, serde_json::json!([none, section]), "{field}");
        assert_eq!(types[name]["additionalProperties"], false, "{name}");
    }
    assert_eq!(
        types["OnTimeout"]["enum"],
        serde_json::json!(["fetch", "stale", "503", 503]),
        "with and without quotes"
    );
    let name = types["Statuses"]["propertyNames"]["pattern"].as_str();
    assert_eq!(name, Some("^(?!206|304)[2-5]([0-9][0-9]|xx)$"));
    assert_eq!(types["Share"]["maximum"], 1);
    // What `defaults` of the configuration take is described once, in one way.
    let config = schema::config();
    let defaults = config["$defs"]["Defaults"]["properties"]
        .as_object()
        .unwrap();
    for (field, form) in defaults {
        if !["match", "vary_on", "tags"].contains(&field.as_str()) {
            assert_eq!(form.get("anyOf"), fields[field].get("anyOf"), "{field}");
            assert_eq!(form.get("$ref"), fields[field].get("$ref"), "{field}");
        }
    }
}

proptest! {
    #[test]
    fn no_file_stops_the_compiler(cut in 0usize..3000, at in 0usize..3000, junk in "[ -~\\n]{0,6}") {
        let mut text = include_str!("../../tagalong.yaml")[..].to_owned();
        text.truncate(text.floor_char_boundary(cut));
        text.insert_str(at.min(text.len()), &junk);
        if let Err(mistakes) = compiled(&text) {
            prop_assert!(!mistakes.is_empty());
        }
    }
}

#[test]
fn the_command_line_holds_in_place_of_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let rule = |id: &str| format!("rules: [{{ id: {id}, match: {{ path: /{id} }} }}]");
    for (name, id) in [("rules", "named"), ("other", "instead")] {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("a.yaml"), rule(id)).unwrap();
    }
    let text = "listen: ['127.0.0.1:81']\nupstream: { url: 'http://127.0.0.1:82' }\nadmin: { listen: '127.0.0.1:83' }\n";
    std::fs::write(at("t.yaml"), text).unwrap();
    let file = at("t.yaml");
    let said = |config: Config| {
        let rules = config.rules.rules();
        let ids: Vec<_> = rules.iter().filter_map(|rule| rule.id.as_deref()).collect();
        let admin = config.admin.map(|admin| admin.listen.to_string());
        let admin = admin.unwrap_or_default();
        format!(
            "{} {} {admin} {ids:?}",
            config.listen[0], config.upstream.targets
        )
    };
    let instead = Instead {
        upstream: "h2c://127.0.0.1:92".parse().ok(),
        listen: vec!["127.0.0.1:91".parse().unwrap()],
        admin_listen: "127.0.0.1:93".parse().ok(),
        rules: Some(at("other")),
        complete: true,
    };
    for (name, path, instead, expected) in [
        (
            "the file alone",
            Some(&file),
            Instead::default(),
            "127.0.0.1:81 http://127.0.0.1:82 127.0.0.1:83 [\"named\"]",
        ),
        (
            "over the file",
            Some(&file),
            instead.clone(),
            "127.0.0.1:91 h2c://127.0.0.1:92 127.0.0.1:93 [\"instead\"]",
        ),
        (
            "without a file",
            None,
            instead,
            "127.0.0.1:91 h2c://127.0.0.1:92 127.0.0.1:93 [\"instead\"]",
        ),
        (
            "nothing at all",
            None,
            Instead::default(),
            "127.0.0.1:8080 http://127.0.0.1:8000  []",
        ),
    ] {
        let config = read(path.map(PathBuf::as_path), instead).unwrap();
        assert_eq!(said(config), expected, "{name}");
    }
    let taken = Instead {
        listen: vec!["127.0.0.1:91".parse().unwrap()],
        admin_listen: "127.0.0.1:91".parse().ok(),
        ..Instead::default()
    };
    let mistakes = read(Some(&file), taken).unwrap_err();
    let said = mistakes[0].to_string();
    assert!(
        said.starts_with("the command line: `--admin-listen`: 127.0.0.1:91 is given twice"),
        "{said}"
    );
    let nowhere = Instead {
        rules: Some(at("nowhere")),
        ..Instead::default()
    };
    let mistakes = read(None, nowhere).unwrap_err();
    assert!(
        mistakes[0].to_string().contains("nowhere: cannot be read"),
        "{mistakes:?}"
    );
}
