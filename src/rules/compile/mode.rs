//! Whether a rule caches, what its clients may ask for, and where what it stores is kept: as written to as obeyed.

use crate::model::units;
use crate::rules::Rule;
use crate::rules::SharedStore;
use crate::rules::compile::Compiler;
use crate::rules::mode::{ClientControl, Mode, Shadow};
use crate::rules::source::{self, KeptIn, Ttl};
use crate::yaml::Spanned;

impl Compiler<'_> {
    pub(super) fn mode(&mut self, written: &Option<Spanned<source::Mode>>, base: &Mode) -> Mode {
        let Some(written) = written else {
            return base.clone();
        };
        match &written.value {
            source::Mode::Live => Mode::Live,
            source::Mode::Bypass => Mode::Bypass,
            source::Mode::Shadow(shadow) => Mode::Shadow(self.shadow(shadow, base)),
        }
    }

    fn shadow(&mut self, written: &source::Shadow, base: &Mode) -> Shadow {
        match (&written.headers, base) {
            (Some(names), _) => Shadow {
                headers: names.iter().filter_map(|name| self.header(name)).collect(),
            },
            (None, Mode::Shadow(shadow)) => shadow.clone(),
            (None, Mode::Live | Mode::Bypass) => Shadow::default(),
        }
    }

    /// In shadow mode what is stored is compared with, so something must be stored. Only where both stand side by side: with
    /// `defaults: { mode: shadow }` a rule that never caches has nothing to try.
    pub(super) fn shadow_of_nothing(&mut self, written: &source::Rule, rule: &Rule) {
        if let (Some(mode), Some(_)) = (&written.mode, &written.cache)
            && matches!(rule.mode, Mode::Shadow(_))
            && !rule.cache
        {
            let message =
                "`mode: shadow` compares with what is stored, and `cache: false` stores nothing";
            self.wrong(mode.place, message);
        }
    }

    /// A life that is forced, if the rule forces one.
    pub(super) fn forced(&mut self, written: &Option<Ttl>) {
        if let Some(Ttl::Forced(written)) = written
            && written.force.value.0.is_zero()
        {
            let message = "expected a duration above zero, found `0`: `cache: false` stores nothing, whatever is said";
            self.wrong(written.force.place, message);
        }
    }

    pub(super) fn client_control(
        &mut self,
        written: &source::ClientControl,
        base: ClientControl,
    ) -> ClientControl {
        let min_age = written.min_age.as_ref();
        let control = ClientControl {
            honor: written.honor.unwrap_or(base.honor),
            min_age: min_age.map_or(base.min_age, |it| it.value.0),
        };
        if let Some(min_age) = min_age
            && !control.honor
            && !control.min_age.is_zero()
        {
            let found = units::Written(control.min_age);
            let message = format!(
                "`min_age: {found}` means nothing with `honor: false`: nothing is honoured at any age"
            );
            self.wrong(min_age.place, message);
        }
        control
    }

    /// Where it is kept: what is asked for must be there.
    pub(super) fn kept_in(&mut self, written: &Option<Spanned<KeptIn>>, base: &Rule) -> KeptIn {
        let Some(written) = written else {
            return base.kept_in;
        };
        let missing = match base.shared_store {
            SharedStore::None => Some("`redis` needs `store.redis` in the configuration"),
            SharedStore::Tags => Some(
                "`redis` needs bodies in the shared store, but `store.redis` of the configuration says `bodies: false`",
            ),
            SharedStore::Bodies => None,
        };
        if let (KeptIn::Redis, Some(missing)) = (written.value, missing) {
            self.wrong(written.place, missing);
        }
        written.value
    }
}
