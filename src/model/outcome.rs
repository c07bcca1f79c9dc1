//! What became of a request: one word each for the header, the log line and the metric label.

use http::{HeaderName, StatusCode, header};

use crate::model::words::words;

/// What became of a request (design.md §3, RFC 9211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered from the store; `ttl` is the rest of its life in seconds.
    Hit {
        /// Seconds until the entry expires; negative after that.
        ttl: i64,
        /// Why it may be served though it is stale; `None`: it is fresh.
        stale: Option<Stale>,
    },
    /// Answered by the app.
    Forwarded {
        /// Why the store could not answer.
        why: Forward,
        /// The app's status, where it is not the one that is sent (RFC 9211 §2.3).
        status: Option<StatusCode>,
        /// What became of the app's response.
        end: End,
        /// What it changed.
        commit: Commit,
    },
    /// Answered by somebody else's fill.
    Collapsed {
        /// Why the store could not answer.
        why: Forward,
    },
    /// Refused without asking the app.
    Refused(Refusal),
    /// A mistake of ours (a panic) has come between.
    Broken,
}

/// What became of a request, in one word, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answered from the store, fresh.
    Hit,
    /// Answered from the store, though stale.
    Stale,
    /// Answered by somebody else's fill.
    Collapsed,
    /// Nothing was stored.
    Miss,
    /// What was stored had expired.
    Expired,
    /// A tag of what was stored had changed.
    Invalidated,
    /// The client asked for a fresh one.
    Request,
    /// Its method is not cached.
    Method,
    /// It was not looked up.
    Bypass,
    /// Refused: the client wanted a stored response only.
    OnlyIfCached,
    /// Refused: the app has all it can take.
    Overloaded,
    /// Refused: another request's answer was waited for too long.
    Waited,
    /// A mistake of ours has come between.
    Broken,
}

/// What has become of a change that a response reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// Everybody sees it: at once, or within the stated bound.
    #[default]
    Done,
    /// The store could not take it in time: it counts here, and waits for the store (L6).
    Deferred,
}

impl Commit {
    /// Of two changes together.
    pub fn and(self, other: Commit) -> Commit {
        match self {
            Commit::Done => other,
            Commit::Deferred => Commit::Deferred,
        }
    }
}

/// What was found for a request that was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookedUp {
    /// The store has answered, stale or not.
    Hit,
    /// It could not, and the app was to answer, for this request or for one that asked before.
    Miss,
}

/// Why the app was not asked though nothing stored could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The client wanted a stored response only (`only-if-cached`).
    OnlyIfCached,
    /// The app has all the exchanges it may have, and others wait already or this one waited too long.
    Overloaded,
    /// Another request's answer was waited for too long, and the rule says to stop there.
    Waited,
}

/// Why a stale response was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It is fetched again meanwhile (RFC 5861 §3).
    WhileRevalidate,
    /// The app failed (RFC 5861 §4).
    IfError,
    /// The app could not be reached (RFC 9111 §4.2.4).
    Disconnected,
    /// The client accepts it (RFC 9111 §5.2.1.2).
    MaxStale,
    /// It is fresh, but past the soft life that its rule gives it, and is fetched again meanwhile.
    Soft,
    /// A tag of it was incremented, and its rule or the increment says that it may be served for a while.
    Invalidated,
    /// Another request's answer was waited for too long, and the rule says to serve this instead.
    Waited,
}

/// Why a request was forwarded to the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Nothing is stored under its key.
    UriMiss,
    /// Something is stored under its key, for other values of the fields in `Vary`.
    VaryMiss,
    /// What is stored is a part, and not the one that is asked for.
    Partial,
    /// What is stored has expired.
    Expired,
    /// A tag of what is stored has a new version.
    Invalidated,
    /// The client asked for a fresh one.
    Request,
    /// Its method is not cached.
    Method,
    /// It was not looked up.
    Bypass(Bypass),
}

/// Why a request was not looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// Its rule says `cache: false`.
    Rule,
    /// It carries credentials, and no rule says that such requests are looked up (L12).
    Authorization,
    /// It carries a cookie and what is stored is not for sharing (L12).
    Cookie,
    /// It has a body, which the key does not hold.
    RequestBody,
    /// Its rule's `skip_when` says so.
    Skip,
    /// Its token is not trusted: who it is for is not known (L12).
    Token,
    /// It asks for another protocol.
    Upgrade,
    /// It asks for several parts of the response, and they are not stored; or for any, and its rule only looks on.
    Range,
    /// The last response could not be stored for reasons of its own, so nobody waits for this one.
    HitForMiss,
    /// Nothing has been heard of the shared store for so long that what is stored is not trusted.
    Fenced,
    /// Its rule only looks on: what is stored would have been served, and the app's answer is the same.
    ShadowHit,
    /// Its rule only looks on: nothing that is stored could have been served.
    ShadowMiss,
    /// Its rule only looks on: what is stored would have been served, and the app's answer is another.
    ShadowDiffers,
}

/// What became of the app's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is meant for the store.
    Stored,
    /// It says that what is stored is still right (304), and makes it fresh again.
    Revalidated,
    /// It is not stored, for this reason.
    NotStored(NoStore),
    /// It was never meant for the store.
    Passed,
}

/// Why a response was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStore {
    /// `no-store` in the response or the request.
    NoStore,
    /// `private` in the response.
    Private,
    /// Its rule's `skip_when` says so.
    Skip,
    /// It sets a cookie (L12).
    SetCookie,
    /// The request had credentials and the response does not say that it is for others too (L12, RFC 9111 §3.5).
    Authorization,
    /// The request had a cookie and the response is not explicitly for sharing (L12).
    Cookie,
    /// Nothing says how long it is fresh.
    NoFreshness,
    /// Its life is over, or it has none.
    AlreadyExpired,
    /// The app took longer to answer than it is fresh.
    TooSlow,
    /// Its status is not one that may be stored.
    Status,
    /// Its method is not one whose responses are stored.
    Method,
    /// `Vary: *`.
    VaryAny,
    /// It varies by something that is not understood (`X-LiteSpeed-Vary`).
    VaryUnknown,
    /// It is a part that nobody asked for, or not what it says it is; or it is what a range alone has brought about.
    Partial,
    /// One of its tags was incremented after the app was asked (L1).
    Raced,
    /// It carries more tags than `limits` allow.
    TooManyTags,
    /// As many responses for other values of the fields in `Vary` as `limits` allow are stored already.
    TooManyVariants,
    /// One of its tags could not be read.
    BadTag,
    /// The app's own version of one of its tags is not the newest.
    OldVersion,
    /// A placeholder of one of its rule's tags has no value.
    MissingTagValue,
    /// Its rule reads tags from its body, which cannot be read.
    UnreadableBody,
    /// It is larger than `limits.max_object`.
    TooLarge,
    /// The app could not be reached or did not answer properly.
    UpstreamFailed,
    /// The client's own body ended early.
    RequestCut,
    /// The client took too long with its body.
    RequestLate,
    /// It was fetched for one client, because what others waited for could not be shared.
    Alone,
    /// Nothing has been heard of the shared store for so long that nobody knows the versions of its tags, or it does not answer.
    Fenced,
}

impl Outcome {
    /// The outcome of a response that is sent with this status: the app's own is told where it is another.
    pub fn sent_as(mut self, sent: StatusCode) -> Outcome {
        if let Outcome::Forwarded { status, .. } = &mut self {
            *status = status.filter(|status| *status != sent);
        }
        self
    }

    /// The word for the log line and the metric label.
    pub fn word(self) -> &'static str {
        self.kind().word()
    }

    /// What it is in one word.
    pub fn kind(self) -> Kind {
        match self {
            Outcome::Hit { stale: None, .. } => Kind::Hit,
            Outcome::Hit { .. } => Kind::Stale,
            Outcome::Collapsed { .. } => Kind::Collapsed,
            Outcome::Refused(Refusal::OnlyIfCached) => Kind::OnlyIfCached,
            Outcome::Refused(Refusal::Overloaded) => Kind::Overloaded,
            Outcome::Refused(Refusal::Waited) => Kind::Waited,
            Outcome::Broken => Kind::Broken,
            Outcome::Forwarded { why, .. } => match why {
                Forward::UriMiss | Forward::VaryMiss | Forward::Partial => Kind::Miss,
                Forward::Expired => Kind::Expired,
                Forward::Invalidated => Kind::Invalidated,
                Forward::Request => Kind::Request,
                Forward::Method => Kind::Method,
                Forward::Bypass(_) => Kind::Bypass,
            },
        }
    }

    /// What was found; `None` where nothing was looked for, or where neither the store nor the app has answered.
    pub fn looked_up(self) -> Option<LookedUp> {
        match self {
            Outcome::Hit { .. } => Some(LookedUp::Hit),
            Outcome::Collapsed { .. } => Some(LookedUp::Miss),
            Outcome::Refused(_) | Outcome::Broken => None,
            Outcome::Forwarded { why, .. } => match why {
                Forward::UriMiss
                | Forward::VaryMiss
                | Forward::Partial
                | Forward::Expired
                | Forward::Invalidated
                | Forward::Request => Some(LookedUp::Miss),
                Forward::Method | Forward::Bypass(_) => None,
            },
        }
    }

    /// The reason behind the word, where there is one: the `detail` of `Cache-Status`.
    pub fn detail(self) -> Option<&'static str> {
        match self {
            Outcome::Hit { stale, .. } => stale.map(Stale::word),
            Outcome::Collapsed { .. } => None,
            Outcome::Refused(reason) => Some(reason.word()),
            Outcome::Broken => Some(Kind::Broken.word()),
            Outcome::Forwarded {
                commit: Commit::Deferred,
                ..
            } => Some("increment-deferred"),
            Outcome::Forwarded {
                end: End::Revalidated,
                ..
            } => Some("revalidated"),
            Outcome::Forwarded {
                end: End::NotStored(reason),
                ..
            } => Some(reason.word()),
            Outcome::Forwarded { why, .. } => match why {
                Forward::Expired => Some("expired"),
                Forward::Invalidated => Some("invalidated"),
                Forward::Bypass(reason) => Some(reason.word()),
                Forward::UriMiss
                | Forward::VaryMiss
                | Forward::Partial
                | Forward::Request
                | Forward::Method => None,
            },
        }
    }
}

impl Refusal {
    /// The `detail` of `Cache-Status`, the word of the log line, and the metric label.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::OnlyIfCached => Kind::OnlyIfCached.word(),
            Refusal::Overloaded => Kind::Overloaded.word(),
            Refusal::Waited => Kind::Waited.word(),
        }
    }
}

impl Kind {
    /// Whether it was the app that had to answer.
    pub fn is_the_apps(self) -> bool {
        match self {
            Kind::Collapsed
            | Kind::Miss
            | Kind::Expired
            | Kind::Invalidated
            | Kind::Request
            | Kind::Method
            | Kind::Bypass => true,
            Kind::Hit
            | Kind::Stale
            | Kind::OnlyIfCached
            | Kind::Overloaded
            | Kind::Waited
            | Kind::Broken => false,
        }
    }
}

words!(Kind {
    Hit => "hit",
    Stale => "stale",
    Collapsed => "collapsed",
    Miss => "miss",
    Expired => "expired",
    Invalidated => "invalidated",
    Request => "request",
    Method => "method",
    Bypass => "bypass",
    OnlyIfCached => "only-if-cached",
    Overloaded => "overloaded",
    Waited => "coalesce-timeout",
    Broken => "internal-error",
});

impl Stale {
    /// The `detail` of `Cache-Status`, and the metric label.
    pub fn word(self) -> &'static str {
        match self {
            Stale::WhileRevalidate => "stale-while-revalidate",
            Stale::IfError => "stale-if-error",
            Stale::Disconnected => "disconnected",
            Stale::MaxStale => "max-stale",
            Stale::Soft => "soft-stale",
            Stale::Invalidated => "invalidated",
            Stale::Waited => "coalesce-timeout",
        }
    }
}

impl Bypass {
    /// The `detail` of `Cache-Status`, and the metric label.
    pub fn word(self) -> &'static str {
        match self {
            Bypass::Rule => "rule",
            Bypass::Authorization => "authorization",
            Bypass::Cookie => "cookie",
            Bypass::RequestBody => "request-body",
            Bypass::Skip => "skip",
            Bypass::Token => "token",
            Bypass::Upgrade => "upgrade",
            Bypass::Range => "range",
            Bypass::HitForMiss => "hit-for-miss",
            Bypass::ShadowHit => "shadow-hit",
            Bypass::ShadowMiss => "shadow-miss",
            Bypass::ShadowDiffers => "shadow-differs",
            Bypass::Fenced => "fenced",
        }
    }
}

impl NoStore {
    /// The field of the request that is the reason, if one is: requests without it may fare better.
    pub fn request_field(self) -> Option<HeaderName> {
        if self == NoStore::Cookie {
            Some(header::COOKIE)
        } else if self == NoStore::Authorization {
            Some(header::AUTHORIZATION)
        } else {
            None
        }
    }

    /// Whether the next response for the same key will hardly fare better: the reason is the response's own, and not an
    /// error, a race, or what this one request asked for.
    pub fn is_its_own(self) -> bool {
        match self {
            NoStore::NoStore
            | NoStore::Private
            | NoStore::Skip
            | NoStore::SetCookie
            | NoStore::Authorization
            | NoStore::Cookie
            | NoStore::NoFreshness
            | NoStore::AlreadyExpired
            | NoStore::Status
            | NoStore::VaryAny
            | NoStore::VaryUnknown
            | NoStore::TooManyTags
            | NoStore::TooManyVariants
            | NoStore::BadTag
            | NoStore::UnreadableBody
            | NoStore::TooLarge => true,
            // The value that is missing may be in the next request.
            NoStore::MissingTagValue
            | NoStore::TooSlow
            | NoStore::Method
            | NoStore::Partial
            | NoStore::Raced
            | NoStore::OldVersion
            | NoStore::UpstreamFailed
            | NoStore::RequestCut
            | NoStore::RequestLate
            | NoStore::Alone
            | NoStore::Fenced => false,
        }
    }
}

words!(NoStore {
    NoStore => "no-store",
    Private => "private",
    Skip => "skip",
    SetCookie => "set-cookie",
    Authorization => "authorization",
    Cookie => "cookie",
    NoFreshness => "no-freshness",
    AlreadyExpired => "already-expired",
    TooSlow => "too-slow",
    Status => "status",
    Method => "method",
    VaryAny => "vary-any",
    VaryUnknown => "vary-unknown",
    Partial => "partial",
    Raced => "raced",
    TooManyTags => "too-many-tags",
    TooManyVariants => "too-many-variants",
    BadTag => "bad-tag",
    OldVersion => "old-version",
    MissingTagValue => "missing-tag-value",
    UnreadableBody => "unreadable-body",
    TooLarge => "too-large",
    UpstreamFailed => "upstream-failed",
    RequestCut => "request-cut",
    RequestLate => "request-late",
    Alone => "alone",
    Fenced => "fenced",
});

/// Why the app gave no answer; `proxy::respond` turns it into a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection to the app: 502.
    Unreachable,
    /// The app ended the connection, or the exchange, before it had answered: 502.
    Closed,
    /// The app answered something that is not HTTP, or a head over the limits: 502.
    Malformed,
    /// The app did not answer in time: 504.
    TimedOut,
    /// The client's own body ended early, so there was nothing whole to forward: 400.
    RequestCut,
    /// The client took too long with its body: 408.
    RequestLate,
    /// The exchange was given up here: 502.
    Abandoned,
    /// The app has all the exchanges it may have, and the queue for more is full, or was too slow: 503.
    Overloaded,
    /// No answer came, and what is stored must not be served without one (RFC 9111 §5.2.2.2): 504.
    Unvalidated,
}

impl Failure {
    /// What is said of a request that this befell, and that the store could not answer for the reason `why`.
    pub fn outcome(self, why: Forward) -> Outcome {
        let reason = match self {
            Failure::Overloaded => return Outcome::Refused(Refusal::Overloaded),
            Failure::RequestCut => NoStore::RequestCut,
            Failure::RequestLate => NoStore::RequestLate,
            Failure::Unreachable
            | Failure::Closed
            | Failure::Malformed
            | Failure::TimedOut
            | Failure::Abandoned
            | Failure::Unvalidated => NoStore::UpstreamFailed,
        };
        Outcome::Forwarded {
            why,
            status: None,
            end: End::NotStored(reason),
            commit: Commit::Done,
        }
    }

    /// Whether the app could not be asked, as far as can be told (RFC 9111 §4.2.4).
    pub fn is_disconnection(self) -> bool {
        self.is_no_connection() || self == Failure::TimedOut
    }

    /// Whether there was no connection to the app, or one that ended too early.
    pub fn is_no_connection(self) -> bool {
        matches!(self, Failure::Unreachable | Failure::Closed)
    }

    /// Whether the app was asked and no answer of it came: neither a request that never set out nor one that nobody waits for.
    pub fn is_a_lost_answer(self) -> bool {
        match self {
            Failure::Unreachable | Failure::Closed | Failure::Malformed | Failure::TimedOut => true,
            Failure::RequestCut
            | Failure::RequestLate
            | Failure::Abandoned
            | Failure::Overloaded
            | Failure::Unvalidated => false,
        }
    }

    /// Whether it is the app that failed.
    pub fn is_the_apps(self) -> bool {
        self.is_disconnection() || matches!(self, Failure::Malformed | Failure::Overloaded)
    }

    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Failure::Unreachable => "unreachable",
            Failure::Closed => "closed",
            Failure::Malformed => "malformed",
            Failure::TimedOut => "timed-out",
            Failure::RequestCut => "request-cut",
            Failure::RequestLate => "request-late",
            Failure::Abandoned => "abandoned",
            Failure::Overloaded => "overloaded",
            Failure::Unvalidated => "unvalidated",
        }
    }

    /// One sentence for the client, which tells nothing of the network behind us.
    pub fn sentence(self) -> &'static str {
        match self {
            Failure::Unreachable => "The app could not be reached.",
            Failure::Closed => "The app closed the connection before it had answered.",
            Failure::Malformed => "The app's answer was not valid HTTP.",
            Failure::TimedOut => "The app did not answer in time.",
            Failure::RequestCut => "The request's body ended early.",
            Failure::RequestLate => "The request's body did not come in time.",
            Failure::Abandoned => "The exchange with the app was given up.",
            Failure::Overloaded => "The app is busy; please try again in a moment.",
            Failure::Unvalidated => {
                "The app gave no answer, and what is stored must not be served without asking it."
            }
        }
    }
}
