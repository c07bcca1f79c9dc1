//! What a sidecar tells as it happens: `GET /v1/events` (the grammar is that of server-sent events, HTML §9.2).

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use http::StatusCode;
use ureq::BodyReader;

use crate::admin::client::Base;
use crate::admin::client::Call;
use crate::admin::client::CallError;
use crate::admin::client::Client;

/// How long a sidecar may say nothing: it says every 15 seconds at least that it is there.
const SILENCE: Duration = Duration::from_secs(60);

/// The longest line.
const LONGEST: u64 = 16 << 20;

/// One thing that has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `stats`, `increment`, `audit` or `lagged`.
    pub name: String,
    /// JSON, whose shape is by the name.
    pub data: String,
}

/// Events as they come, until the sidecar stops.
pub struct Events {
    base: Base,
    lines: Lines<BodyReader<'static>>,
}

impl Client {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// The sidecar is away, or refuses.
    pub fn events(&self) -> Result<Events, CallError> {
        let request = self.request(Call::get("/v1/events"))?;
        let request = self.agent.configure_request(request);
        let request = request.timeout_per_read(Some(SILENCE)).build();
        let response = self.agent.run(request);
        let response = response.map_err(|error| CallError::of(self.base(), SILENCE, error))?;
        if response.status() != StatusCode::OK {
            return Err(self.problem(response));
        }
        Ok(Events {
            base: self.base().clone(),
            lines: Lines(BufReader::new(response.into_body().into_reader())),
        })
    }
}

impl Iterator for Events {
    type Item = Result<Event, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        let event = self.lines.event().transpose()?;
        Some(event.map_err(|error| CallError::of(&self.base, SILENCE, error.into())))
    }
}

struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    /// The next event; `None`: there is none any more. What is cut off is none.
    fn event(&mut self) -> std::io::Result<Option<Event>> {
        let mut event = Event::default();
        let mut line = String::new();
        loop {
            line.clear();
            (&mut self.0).take(LONGEST).read_line(&mut line)?;
            let Some(line) = line.strip_suffix('\n') else {
                return Ok(None);
            };
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() {
                match std::mem::take(&mut event) {
                    told if told.data.is_empty() => continue,
                    told => return Ok(Some(told)),
                }
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event.name = value.to_owned(),
                "data" if event.data.is_empty() => event.data = value.to_owned(),
                "data" => event.data = format!("{}\n{value}", event.data),
                _ => {} // a comment, or what this version does not know
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_apart() {
        let text = "event: stats\ndata: {\"a\":1}\n\n: still here\n\nevent:increment\r\nid: 7\r\ndata:{\r\ndata: }\r\n\r\n\
                    data: alone\n\nevent: empty\n\ndata: next\n\nevent: cut\ndata: off";
        let mut lines = Lines(BufReader::new(text.as_bytes()));
        let told = std::iter::from_fn(|| lines.event().unwrap());
        let told: Vec<_> = told.map(|event| (event.name, event.data)).collect();
        let expected = [
            ("stats", "{\"a\":1}"),
            ("increment", "{\n}"),
            ("", "alone"),
            ("", "next"),
        ];
        assert_eq!(
            told,
            expected.map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
    }
}
