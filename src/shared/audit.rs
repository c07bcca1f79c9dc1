//! The stream of what operators have done, trimmed by its length and gone when nothing is added for a while (L10).

use std::time::Duration;

use crate::shared::Error;
use crate::shared::Link;

/// About how many records stay.
const MOST: usize = 10_000;

/// How long they stay after the last one.
const LIFE: Duration = Duration::from_secs(90 * 86_400);

/// How many are read at once: increments go the same way, and wait behind them.
const AT_ONCE: usize = 50;

/// What a record is under, in its entry of the stream.
const FIELD: &str = "r";

/// What `XREVRANGE` answers: of each record its place, fields and values.
type Answer = Vec<(String, Vec<Vec<u8>>)>;

impl Link {
    /// Adds a record.
    ///
    /// # Errors
    ///
    /// It may be there all the same.
    pub async fn audit(&self, record: &str) -> Result<(), Error> {
        let key = self.keys().audit();
        let mut commands = redis::pipe();
        commands
            .cmd("XADD")
            .arg(&key)
            .arg("MAXLEN")
            .arg("~")
            .arg(MOST)
            .arg("*")
            .arg(FIELD)
            .arg(record)
            .ignore();
        commands
            .cmd("PEXPIRE")
            .arg(&key)
            .arg(LIFE.as_millis() as u64)
            .ignore();
        let () = commands.query_async(&mut self.commands()).await?;
        Ok(())
    }

    /// Some records, the newest first, with their places: before that place, or the last ones; and whether there are more.
    ///
    /// # Errors
    ///
    /// The store cannot be asked.
    pub async fn audited(
        &self,
        before: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<(String, Vec<u8>)>, bool), Error> {
        let (mut records, most) = (Vec::new(), limit.saturating_add(1));
        let mut before = before.map(str::to_owned);
        while records.len() < most {
            let count = AT_ONCE.min(most - records.len());
            let some = self.some_audited(before.as_deref(), count).await?;
            let were_last = some.len() < count;
            before = some.last().map(|(place, _)| place.clone());
            records.extend(some);
            if were_last {
                break;
            }
        }
        let more = records.len() > limit;
        records.truncate(limit);
        Ok((records, more))
    }

    async fn some_audited(
        &self,
        before: Option<&str>,
        count: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let end = before.map_or_else(|| "+".to_owned(), |place| format!("({place}"));
        let mut question = redis::cmd("XREVRANGE");
        question
            .arg(self.keys().audit())
            .arg(end)
            .arg("-")
            .arg("COUNT")
            .arg(count);
        let answer: Answer = question.query_async(&mut self.commands()).await?;
        // What nobody of us has written is read by nobody.
        let value = |fields: Vec<Vec<u8>>| fields.into_iter().nth(1).unwrap_or_default();
        let records = answer.into_iter();
        Ok(records
            .map(|(place, fields)| (place, value(fields)))
            .collect())
    }
}
