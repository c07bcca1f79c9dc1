//! A plan in words: what `tagalong explain` prints and the golden tests compare.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;

use crate::model::key::KeyFields;
use crate::model::outcome::{Bypass, Forward};
use crate::model::request::Head;
use crate::model::units;
use crate::rules::plan::OBSTACLES;
use crate::rules::refill::{
    Coalesce, OnInvalidate, OnTimeout, Refill, RefreshAhead, Revalidate, WhenInvalidated,
};
use crate::rules::{
    Authorization, ClientControl, Consistency, Cookies, KeptIn, Matched, Mode, Pass, Plan, Rule,
    SetCookie, SharedStore, StatusTtl,
};

/// A plan, ready to be shown.
#[derive(Debug)]
pub struct Explanation<'p> {
    plan: &'p Plan,
    head: &'p Head,
    matched: Matched,
}

impl Plan {
    /// The plan of `head`, in words.
    pub fn explain<'p>(&'p self, head: &'p Head) -> Explanation<'p> {
        Explanation {
            plan: self,
            head,
            matched: self.matched(head),
        }
    }
}

impl fmt::Display for Explanation<'_> {
    /// A line per fact, `name: value`; lists indented below their name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = self.plan.rule();
        match &rule.id {
            Some(id) => writeln!(f, "rule: {id}")?,
            None if rule.cache => writeln!(f, "rule: none matches; RFC 9111 alone")?,
            None => writeln!(f, "rule: none matches")?,
        }
        match self.plan {
            Plan::Lookup(query) => {
                writeln!(f, "plan: look up")?;
                writeln!(f, "key fields:")?;
                fields(f, &query.key)?;
                writeln!(f, "logical key: {}", query.logical_key(self.head))?;
                writeln!(f, "base key: {}", query.base)?;
                asked_as(f, rule, self.head)?;
                self.tags(f)?;
                mode(f, rule)?;
                freshness(f, rule)?;
                privacy(f, rule)?;
                client_control(f, rule)?;
                refill(f, rule)?;
                kept(f, rule)?;
                hooks(f, rule)?;
                would_bypass(f, rule)?;
                not_stored(f, rule)?;
            }
            Plan::Pass(pass) => {
                write!(f, "plan: pass to the app, because {}", because(pass))?;
                match (pass.why, &pass.claims) {
                    (Forward::Bypass(Bypass::Token), Err(why)) => writeln!(f, ": {why}")?,
                    (_, Ok(_)) => writeln!(f)?,
                    (_, Err(why)) => writeln!(f, "; and its token is not trusted: {why}")?,
                }
            }
        }
        self.increments(f)
    }
}

impl Explanation<'_> {
    fn tags(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tags:")?;
        match &self.matched.tags {
            Ok(tags) => {
                for tag in tags {
                    writeln!(f, "  {tag}")?;
                }
            }
            Err(missing) => writeln!(f, "  (not stored: {missing})")?,
        }
        for tags in &self.matched.body_tags {
            let (place, max) = (tags.of.pointer.as_str(), tags.of.max);
            match &tags.tag {
                Ok(tag) => writeln!(
                    f,
                    "  {tag} for each value at {place} in the body, at most {max}"
                )?,
                Err(missing) => writeln!(f, "  (not stored: {missing})")?,
            }
        }
        for constant in &self.plan.rule().constants {
            let version = constant.version.escape_default();
            writeln!(f, "  {} (always version {version})", constant.tag)?;
        }
        for tag in self.matched.implicit_tags(self.head) {
            writeln!(f, "  {tag}")?;
        }
        Ok(())
    }

    fn increments(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.matched.increments.is_empty() {
            writeln!(f, "increments:")?;
        }
        for declared in &self.matched.increments {
            for tag in &declared.tags {
                match tag {
                    Ok(tag) => {
                        write!(f, "  {tag} {}", declared.of.after)?;
                        match declared.of.again {
                            Some(again) => {
                                writeln!(f, ", and again after {}", units::Written(again))?
                            }
                            None => writeln!(f)?,
                        }
                    }
                    Err(missing) => writeln!(f, "  (skipped: {missing})")?,
                }
            }
        }
        self.changes(f)
    }

    fn changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.matched.changes.is_empty() {
            writeln!(f, "changes:")?;
        }
        for declared in &self.matched.changes {
            write!(f, "  {} {}", declared.of.rule, declared.of.after)?;
            if declared.of.attributes.is_empty() {
                write!(f, ": all of it")?;
            }
            writeln!(f)?;
            for (name, [old, new]) in declared.attributes() {
                writeln!(f, "    {name}: from {} to {}", old.shown(), new.shown())?;
            }
        }
        Ok(())
    }
}

/// A field a line, the value in clear; an absent one without.
fn fields(f: &mut fmt::Formatter<'_>, key: &KeyFields) -> fmt::Result {
    for (name, value) in key.iter() {
        match value {
            Some(b"") => writeln!(f, "  {name} is empty")?,
            // JSON, whose quotes say that it is a text.
            Some(value) if name.starts_with("jwt.") => {
                let value = value.escape_ascii().to_string().replace("\\\"", "\"");
                writeln!(f, "  {name} = {value}")?;
            }
            Some(value) => writeln!(f, "  {name} = {}", value.escape_ascii())?,
            None => writeln!(f, "  {name} is absent")?,
        }
    }
    Ok(())
}

/// What the app is asked with in place of what the request says.
fn asked_as(f: &mut fmt::Formatter<'_>, rule: &Rule, head: &Head) -> fmt::Result {
    let fields = &*rule.terms.asked_as;
    if !fields.is_empty() {
        writeln!(f, "for the store the app is asked with:")?;
    }
    for field in fields {
        match field.value(head.headers()) {
            Some(value) => writeln!(f, "  {}: {}", field.name, value.escape_ascii())?,
            None => writeln!(f, "  no {}", field.name)?,
        }
    }
    Ok(())
}

fn freshness(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let cap = units::Written(rule.terms.max_ttl);
    if let Some(forced) = rule.terms.forced_ttl {
        let life = units::Written(forced.min(rule.terms.max_ttl));
        writeln!(
            f,
            "freshness: {life} from when it arrives, whatever the response says"
        )?;
        statuses(f, rule)?;
        return after_life(f, rule);
    }
    match rule.terms.ttl {
        Some(ttl) if ttl.is_zero() => {
            writeln!(
                f,
                "freshness: what the response says, at most {cap}; if it says nothing, not stored"
            )
        }
        Some(ttl) => writeln!(
            f,
            "freshness: what the response says, at most {cap}; if it says nothing, {}",
            units::Written(ttl)
        ),
        None => writeln!(f, "freshness: what the response says, at most {cap}"),
    }?;
    statuses(f, rule)?;
    after_life(f, rule)
}

fn after_life(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    soft(f, rule)?;
    stale(f, "it is fetched again", rule.terms.stale_while_revalidate)?;
    stale(f, "the app fails", rule.terms.stale_if_error)
}

fn statuses(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    for (status, ttl) in rule.terms.statuses.iter() {
        if ttl == StatusTtl::Inherit && rule.terms.forced_ttl.is_some() {
            writeln!(f, "  with {status}: the same")?;
            continue;
        }
        write!(f, "  if it says nothing, with {status}: ")?;
        let ttl = match ttl {
            StatusTtl::Inherit => rule.terms.ttl,
            StatusTtl::For(ttl) => Some(ttl),
        };
        match ttl {
            Some(Duration::ZERO) => writeln!(f, "not stored")?,
            Some(ttl) => writeln!(f, "{}", units::Written(ttl))?,
            None => writeln!(f, "a tenth of the time since `Last-Modified`")?,
        }
    }
    Ok(())
}

fn soft(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    if let Some(soft) = rule.terms.soft_ttl {
        let then = match rule.refill.revalidate {
            Revalidate::Background => "served while it is fetched again",
            Revalidate::Sync => "fetched again before it is served, or served where the app fails",
        };
        writeln!(f, "soft life: {}; then {then}", units::Written(soft))?;
    }
    let jitter = rule.terms.jitter.percent();
    if jitter > 0.0 {
        writeln!(f, "jitter: expires up to {jitter} % earlier, by chance")?;
    }
    Ok(())
}

/// What is not the default of who waits for whom, and of what is served meanwhile.
fn refill(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let Refill {
        coalesce,
        hit_for_miss,
        on_invalidate,
        refresh_ahead,
        revalidate: _, // told with `soft_ttl`
    } = rule.refill;
    let usual = Refill::default();
    if coalesce != usual.coalesce {
        coalescing(f, coalesce)?;
    }
    if hit_for_miss.is_zero() {
        writeln!(
            f,
            "hit for miss: off, requests wait though nothing can be stored"
        )?;
    } else if hit_for_miss != usual.hit_for_miss {
        writeln!(
            f,
            "hit for miss: nobody waits for {} after a response that may not be stored",
            units::Written(hit_for_miss)
        )?;
    }
    invalidated(f, on_invalidate)?;
    if let Some(RefreshAhead {
        every,
        max,
        min_hits,
    }) = refresh_ahead
    {
        writeln!(
            f,
            "refresh ahead: every {}, what is about to expire and was used {min_hits} times or more, at most {max}",
            units::Written(every)
        )?;
    }
    Ok(())
}

fn coalescing(f: &mut fmt::Formatter<'_>, coalesce: Option<Coalesce>) -> fmt::Result {
    let Some(Coalesce {
        wait,
        on_timeout,
        shared,
        lease,
    }) = coalesce
    else {
        return writeln!(f, "coalesce: none, each request is fetched for itself");
    };
    let then = match on_timeout {
        OnTimeout::Fetch => "is fetched for itself",
        OnTimeout::Stale => "gets what is stored, though it has expired, or is fetched for itself",
        OnTimeout::Refuse => "gets 503",
    };
    let wait = units::Written(wait);
    writeln!(
        f,
        "coalesce: waits at most {wait} for another's response, then {then}"
    )?;
    match shared {
        false => Ok(()),
        true => writeln!(
            f,
            "  shared: for that of another sidecar too, which has a lease of {}",
            units::Written(lease)
        ),
    }
}

fn invalidated(f: &mut fmt::Formatter<'_>, on: OnInvalidate) -> fmt::Result {
    let max_stale = units::Written(on.max_stale);
    match on.mode {
        WhenInvalidated::Miss if on.max_stale == OnInvalidate::default().max_stale => {}
        WhenInvalidated::Miss => writeln!(
            f,
            "when softly invalidated: served for at most {max_stale} while one fill fetches it again"
        )?,
        WhenInvalidated::Stale => writeln!(
            f,
            "when invalidated: served for at most {max_stale} while one fill fetches it again"
        )?,
        WhenInvalidated::Refresh => writeln!(
            f,
            "when invalidated: served for at most {max_stale}; fetched again after {} if it was used, at most {} for each increment",
            units::Written(on.delay),
            on.max_entries
        )?,
    }
    if on.stale_if_error {
        writeln!(
            f,
            "when invalidated and the app fails: served for at most {max_stale}"
        )?;
    }
    Ok(())
}

fn stale(f: &mut fmt::Formatter<'_>, when: &str, most: Option<Duration>) -> fmt::Result {
    let Some(most) = most else {
        return Ok(());
    };
    write!(
        f,
        "stale while {when}: what the response says; if it says nothing, "
    )?;
    match most.is_zero() {
        true => writeln!(f, "never"),
        false => writeln!(f, "for {}", units::Written(most)),
    }
}

/// A line per term that is not the default.
fn privacy(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    match rule.terms.cookies {
        Cookies::KeyOrPublic => {}
        Cookies::Ignore => writeln!(
            f,
            "cookies: ignored; what is meant for the store is asked for without"
        )?,
    }
    let claims = rule.terms.claimed.contains(&AUTHORIZATION);
    match rule.terms.authorization {
        Authorization::Bypass => {}
        Authorization::Key if claims => writeln!(
            f,
            "authorization: one entry for each value of the claims in the key"
        )?,
        Authorization::Key => writeln!(f, "authorization: one entry per credential")?,
        Authorization::Rfc9111 => writeln!(
            f,
            "authorization: stored for everyone if the response says `public` or `s-maxage`"
        )?,
    }
    match rule.terms.set_cookie {
        SetCookie::NeverStore => {}
        SetCookie::Strip => writeln!(f, "set-cookie: stored without it")?,
        SetCookie::Store => writeln!(f, "set-cookie: stored with it")?,
    }
    match rule.terms.response_vary {
        true => Ok(()),
        false => writeln!(f, "vary: of no account, but for `*`"),
    }
}

/// What becomes of the answer in shadow mode.
fn mode(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let Mode::Shadow(shadow) = &rule.mode else {
        return Ok(());
    };
    write!(f, "mode: shadow; the app answers, and its status, ")?;
    for name in &*shadow.headers {
        write!(f, "`{name}`, ")?;
    }
    writeln!(f, "and body are compared with what is stored")
}

/// What is not the default of what clients may ask for.
fn client_control(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let ClientControl { honor, min_age } = rule.client_control;
    match honor {
        false => writeln!(f, "client control: none, but for `no-store`"),
        true if min_age.is_zero() => Ok(()),
        true => writeln!(
            f,
            "client control: a fresher one than is stored only if that is {} old",
            units::Written(min_age)
        ),
    }
}

/// What is not the default of where responses are kept, and of when increments count.
fn kept(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    match rule.kept_in {
        KeptIn::Default => {}
        KeptIn::Memory => writeln!(f, "store: memory")?,
        KeptIn::Redis => writeln!(f, "store: redis")?,
    }
    match (rule.consistency, rule.shared_store) {
        (Consistency::Bounded, _) => Ok(()),
        (Consistency::Strict, SharedStore::None) => writeln!(
            f,
            "consistency: strict; alone in memory every lookup sees every increment at once anyway"
        ),
        (Consistency::Strict, SharedStore::Tags | SharedStore::Bodies) => writeln!(
            f,
            "consistency: strict; every lookup asks the shared store for the versions of the tags"
        ),
    }
}

/// Who is told of what.
fn hooks(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    for (when, hook) in [("hit", &rule.hooks.on_hit), ("miss", &rule.hooks.on_miss)] {
        let Some(hook) = hook else { continue };
        let log = hook.log.map(|level| format!("log {level}"));
        let webhook = hook.webhook.as_ref().map(|url| format!("POST {url}"));
        let told: Vec<String> = log.into_iter().chain(webhook).collect();
        writeln!(f, "on {when}: {}", told.join(", "))?;
    }
    Ok(())
}

/// What would keep such a request from being looked up.
fn would_bypass(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let mut all = Vec::new();
    for obstacle in &OBSTACLES {
        match obstacle.why {
            Bypass::Upgrade => all.push("to ask for another protocol".to_owned()),
            Bypass::RequestBody if rule.reads_bodies() => {
                all.push("with a body that the key cannot be made of".to_owned());
            }
            Bypass::RequestBody => all.push("with a body".to_owned()),
            Bypass::Authorization if rule.terms.authorization == Authorization::Bypass => {
                all.push("with `Authorization`".to_owned());
            }
            Bypass::Skip => {
                let conditions = rule.skip_when.iter().filter(|it| !it.is_of_response());
                all.extend(conditions.map(|it| format!("if {it}")));
            }
            // It is looked up, so its rule lets it; the others have to do with what is stored.
            Bypass::Rule
            | Bypass::Authorization
            | Bypass::Token
            | Bypass::Cookie
            | Bypass::Range
            | Bypass::HitForMiss
            | Bypass::ShadowHit
            | Bypass::ShadowMiss
            | Bypass::ShadowDiffers
            | Bypass::Fenced => {}
        }
    }
    if !rule.fields.tokens.is_empty() {
        all.push("with a token that is not trusted".to_owned());
    }
    writeln!(f, "would bypass: {}", all.join("; "))
}

/// What of its response its rule would keep out of the store.
fn not_stored(f: &mut fmt::Formatter<'_>, rule: &Rule) -> fmt::Result {
    let mut all = vec!["it says `private` or `no-store`".to_owned()];
    if rule.terms.set_cookie == SetCookie::NeverStore {
        all.push("it sets a cookie".to_owned());
    }
    if !rule.terms.keys_on_cookie && rule.terms.cookies == Cookies::KeyOrPublic {
        all.push("it is for a cookie and does not say `public` or `s-maxage`".to_owned());
    }
    let conditions = rule.skip_when.iter().filter(|it| it.is_of_response());
    all.extend(conditions.map(ToString::to_string));
    writeln!(f, "not stored if: {}", all.join("; "))
}

fn because(pass: &Pass) -> &'static str {
    match pass.why {
        Forward::Method => "its method is not cached",
        Forward::Bypass(Bypass::Rule) if pass.rule.id.is_none() => {
            "the configuration says `unmatched: bypass`"
        }
        Forward::Bypass(Bypass::Rule) if pass.rule.mode == Mode::Bypass => {
            "its rule says `mode: bypass`"
        }
        Forward::Bypass(Bypass::Rule) => "its rule says `cache: false`",
        Forward::Bypass(Bypass::Authorization) => {
            "it carries credentials, and no rule says `authorization: key` or `rfc9111`"
        }
        Forward::Bypass(Bypass::Token) => "its token is not trusted",
        Forward::Bypass(Bypass::Skip) => "`skip_when` of its rule says so",
        Forward::Bypass(Bypass::RequestBody) if pass.rule.reads_bodies() => {
            "no key can be made of its body: it is longer than `max`, is no JSON, lacks the first of the values, has a member on the way twice, or is encoded; or it asks by `Range` or `If-…`"
        }
        Forward::Bypass(Bypass::RequestBody) => "it has a body, which the key does not hold",
        Forward::Bypass(Bypass::Upgrade) => "it asks for another protocol",
        Forward::Bypass(
            Bypass::Cookie
            | Bypass::Range
            | Bypass::HitForMiss
            | Bypass::ShadowHit
            | Bypass::ShadowMiss
            | Bypass::ShadowDiffers
            | Bypass::Fenced,
        )
        | Forward::UriMiss
        | Forward::VaryMiss
        | Forward::Partial
        | Forward::Expired
        | Forward::Invalidated
        | Forward::Request => "what is stored cannot answer it",
    }
}
