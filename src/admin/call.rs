//! A call: where it is, who does it, and how it is described. Router and `/openapi.json` are made of the same list, so that
//! neither has a call that the other has not.

use std::time::Duration;

use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::admin::Admin;
use crate::admin::room;

/// Makes a schema, and enters those that it names.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// A call.
pub(super) struct Call {
    /// In lower case, as the description has it.
    pub(super) method: &'static str,
    /// With `{name}` for what differs.
    pub(super) path: &'static str,
    /// What it does, in a sentence.
    pub(super) does: &'static str,
    handler: MethodRouter<Admin>,
    time: Duration,
    pub(super) query: Option<Shape>,
    pub(super) fields: &'static [Field],
    pub(super) body: Option<Content>,
    pub(super) answers: Vec<Answer>,
    /// Statuses of problems besides those that every call of its kind may have, and when.
    pub(super) problems: Vec<(u16, &'static str)>,
    /// Whether it needs a token where there is one.
    pub(super) needs_token: bool,
}

/// A header field that a call reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    pub(super) says: &'static str,
}

/// What an answer or a body is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    /// Such as `application/json`.
    pub(super) kind: &'static str,
    /// `None`: any bytes.
    pub(super) shape: Option<Shape>,
}

/// An answer of a call that was done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) content: Option<Content>,
}

impl Content {
    fn json<T: JsonSchema>() -> Content {
        Content {
            kind: "application/json",
            shape: Some(|schemas| schemas.subschema_for::<T>()),
        }
    }

    /// Bytes of this kind.
    pub(super) fn of(kind: &'static str) -> Content {
        Content { kind, shape: None }
    }
}

impl Call {
    /// A call that needs a token, and is answered within the usual time.
    pub(super) fn new(
        method: &'static str,
        path: &'static str,
        handler: MethodRouter<Admin>,
        does: &'static str,
    ) -> Call {
        Call {
            method,
            path,
            does,
            handler,
            time: room::USUAL,
            query: None,
            fields: &[],
            body: None,
            answers: Vec::new(),
            problems: Vec::new(),
            needs_token: true,
        }
    }

    /// It holds no data, or is for who watches over us.
    pub(super) fn open(self) -> Call {
        Call {
            needs_token: false,
            ..self
        }
    }

    /// It reads this query.
    pub(super) fn asks<T: JsonSchema>(self) -> Call {
        Call {
            query: Some(|schemas| T::json_schema(schemas)),
            ..self
        }
    }

    /// It reads these header fields.
    pub(super) fn reads(self, fields: &'static [Field]) -> Call {
        Call { fields, ..self }
    }

    /// It reads a body of JSON.
    pub(super) fn takes<T: JsonSchema>(self) -> Call {
        self.takes_bytes(Content::json::<T>())
    }

    /// It reads a body.
    pub(super) fn takes_bytes(self, content: Content) -> Call {
        Call {
            body: Some(content),
            ..self
        }
    }

    /// It answers with this.
    pub(super) fn answers<T: JsonSchema>(self, says: &'static str) -> Call {
        self.answers_with(200, says, Some(Content::json::<T>()))
    }

    /// It answers with this, and with a status of its own.
    pub(super) fn answers_also<T: JsonSchema>(self, status: u16, says: &'static str) -> Call {
        self.answers_with(status, says, Some(Content::json::<T>()))
    }

    /// It answers so.
    pub(super) fn answers_with(
        mut self,
        status: u16,
        says: &'static str,
        content: Option<Content>,
    ) -> Call {
        self.answers.push(Answer {
            status,
            says,
            content,
        });
        self
    }

    /// It may not be done, for this reason.
    pub(super) fn refuses(mut self, status: u16, when: &'static str) -> Call {
        self.problems.push((status, when));
        self
    }

    /// It has so much time.
    pub(super) fn within(self, time: Duration) -> Call {
        Call { time, ..self }
    }

    /// Who answers it, and gives up when its time is over.
    pub(super) fn answered(self) -> MethodRouter<Admin> {
        self.handler
            .layer(from_fn_with_state(self.time, room::in_time))
    }
}
