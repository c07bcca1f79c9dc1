//! Why a call has no answer, in one line that names the sidecar.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use crate::admin::client::Base;
use crate::admin::view::Problem;
use crate::model::printable::printable;
use crate::model::units::Written;

/// Why a call has no answer. Shown, it is fit for terminals, whatever the other side has said.
#[derive(Debug)]
pub enum CallError {
    /// Nothing answers there.
    Away(Base, String),
    /// It takes too long.
    Late(Base, Duration),
    /// It was asked for what it does not do, or cannot do now.
    Refused(Problem, Hint),
    /// What answers is something else, or another version.
    Strange(Base, String),
}

/// What may help with a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The problem says it all.
    None,
    /// No token was presented.
    Token,
}

impl CallError {
    /// What ureq says, about this sidecar that was given so much time.
    pub(super) fn of(base: &Base, patience: Duration, error: ureq::Error) -> CallError {
        if matches!(error, ureq::Error::Timeout(_)) {
            return CallError::Late(base.clone(), patience);
        }
        if is_not_ours(&error) {
            return CallError::strange(base, error);
        }
        let why = error.into_io().to_string();
        CallError::Away(base.clone(), why)
    }

    /// It answers what no sidecar of this version does.
    pub(super) fn strange(base: &Base, why: impl fmt::Display) -> CallError {
        CallError::Strange(base.clone(), why.to_string())
    }

    /// The head of the call is longer than a sidecar reads.
    pub(super) fn long(status: StatusCode) -> CallError {
        let title = status.canonical_reason().unwrap_or("Too Long");
        let problem = Problem {
            title: title.to_owned(),
            status: status.as_u16(),
            detail: "A call has a head of 16 KiB at most. A request that is to be explained stands in it whole: leave out fields \
                that neither a rule nor `Vary` names."
                .to_owned(),
            mistakes: Vec::new(),
        };
        CallError::Refused(problem, Hint::None)
    }

    /// The status with which the call was refused.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            CallError::Refused(problem, _) => StatusCode::from_u16(problem.status).ok(),
            CallError::Away(..) | CallError::Late(..) | CallError::Strange(..) => None,
        }
    }
}

/// Something is there, and speaks otherwise than a sidecar does.
fn is_not_ours(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Protocol(_)
            | ureq::Error::LargeResponseHeader(..)
            | ureq::Error::BodyExceedsLimit(_)
    )
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Away(base, why) => {
                write!(f, "no sidecar answers at {base}: {} ", printable(why))?;
                f.write_str("(does one run here, with `admin: {}` in its configuration, or with --admin-listen?)")
            }
            CallError::Late(base, patience) => write!(
                f,
                "{base} has not answered within {}; what was asked may be done all the same",
                Written(*patience)
            ),
            CallError::Strange(base, why) => write!(
                f,
                "what answers at {base} is no admin interface, or one of another version: {}",
                printable(why)
            ),
            CallError::Refused(problem, hint) => {
                // A status says to programs what its sentence says to people.
                f.write_str(&printable(problem.sentence()))?;
                if *hint == Hint::Token {
                    f.write_str(" Set it as TAGALONG_ADMIN_TOKEN.")?;
                }
                let mut mistakes = problem.mistakes.iter();
                mistakes.try_for_each(|mistake| write!(f, "\n  {}", printable(mistake)))
            }
        }
    }
}
