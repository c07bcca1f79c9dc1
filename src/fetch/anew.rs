//! Fetching again now what operators ask for: all of them together not more at once than a round by schedule, behind those whose
//! clients wait, and to its end though the operator leaves; but nothing more once the sidecar stops.

use futures_util::StreamExt;
use futures_util::stream;

use crate::cache::AllAnew;
use crate::cache::Anew;
use crate::cache::ListError;
use crate::fetch::Caller;
use crate::fetch::Fetch;
use crate::fetch::schedule::AT_ONCE;
use crate::model::request::Head;
use crate::model::tag::Tag;
use crate::rules::RuleSet;

/// What is to be fetched again.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for a call of an operator"
)]
pub enum What {
    /// What a request with this head is answered with.
    Uri(Head),
    /// What memory has that carries one of these tags.
    Tags(Vec<Tag>),
}

/// What has become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// How many are in the store anew.
    pub refreshed: usize,
    /// How many are not: the app failed, what it answered cannot be stored, or the sidecar stops. What was stored is as it was.
    pub failed: usize,
    /// How many cannot be fetched without somebody's credentials or fields, or are not stored by the rules in force.
    pub skipped: usize,
    /// Where to go on, if there is more.
    pub cursor: Option<String>,
}

impl Fetch {
    /// Fetches again now, fresh or not; of what carries tags `limit` responses at most. What has begun goes on though nobody waits
    /// for it.
    ///
    /// # Errors
    ///
    /// [`ListError::Cursor`].
    pub async fn refresh_now(
        &self,
        rules: &RuleSet,
        what: What,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Refreshed, ListError> {
        let cache = &self.0.cache;
        let AllAnew {
            anew,
            skipped,
            cursor,
        } = match what {
            What::Uri(head) => cache.anew(rules, head),
            What::Tags(tags) => cache.anew_with(rules, tags, cursor, limit).await?,
        };
        let (fetch, all) = (self.clone(), anew.len());
        let each = async move {
            let each = stream::iter(anew).map(|anew| fetch.fetched_anew(anew));
            let ended = each.buffer_unordered(AT_ONCE);
            ended
                .filter(|is_new| std::future::ready(*is_new))
                .count()
                .await
        };
        // An error says that the process ends.
        let refreshed = self.0.tasks.spawn(each).await.unwrap_or_default();
        Ok(Refreshed {
            refreshed,
            failed: all - refreshed,
            skipped,
            cursor,
        })
    }

    /// Whether what the app answers is in the store; in a task of its own, so that a failure is that of this one alone.
    async fn fetched_anew(&self, anew: Anew) -> bool {
        let Ok(_place) = self.0.anew.acquire().await else {
            return false;
        };
        let (fill, admitted) = anew.begin();
        let run = self.clone().run(fill, Caller::default());
        let ran = self.0.tasks.spawn(Box::pin(run));
        ran.await.is_ok() && admitted.await.is_ok()
    }
}
