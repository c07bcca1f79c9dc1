//! Statuses as rules name them: `2xx`, `404`.

use http::StatusCode;

/// Statuses, as classes (`2xx`) and single codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSet {
    /// First and last of each range.
    ranges: Vec<(u16, u16)>,
}

impl StatusSet {
    /// What a request that succeeded was answered with: 2xx and 3xx, as in RFC 9111 §4.4.
    pub(super) fn success() -> StatusSet {
        StatusSet {
            ranges: vec![(200, 399)],
        }
    }

    /// Adds `2xx` or `404`; false if the text is neither.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let class = text.strip_suffix("xx").and_then(|class| match class {
            "1" | "2" | "3" | "4" | "5" => class.parse::<u16>().ok(),
            _ => None,
        });
        let range = match class {
            Some(class) => Some((class * 100, class * 100 + 99)),
            None if text.len() == 3 => text
                .parse()
                .ok()
                .filter(|code| (100..600).contains(code))
                .map(|code| (code, code)),
            None => None,
        };
        self.ranges.extend(range);
        range.is_some()
    }

    /// Whether the status is one of them.
    pub fn contains(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        self.ranges
            .iter()
            .any(|&(first, last)| (first..=last).contains(&code))
    }
}

impl std::fmt::Display for StatusSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, (first, last)) in self.ranges.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_classes_and_codes() {
        for (written, yes, no) in [
            (&["2xx"][..], &[200, 204, 299][..], &[199, 300, 404][..]),
            (&["2xx", "3xx"], &[200, 302, 399], &[422, 500]),
            (&["404", "201"], &[404, 201], &[200, 403, 405]),
        ] {
            let mut set = StatusSet::default();
            assert!(written.iter().all(|text| set.add(text)));
            let has = |code: &u16| set.contains(StatusCode::from_u16(*code).unwrap());
            assert!(yes.iter().all(has), "{written:?}");
            assert!(!no.iter().any(has), "{written:?}");
        }
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in [
            "", "xx", "2x", "6xx", "0xx", "20", "2000", "99", "600", "+20", "ok", "2XX",
        ] {
            assert!(!StatusSet::default().add(text), "{text}");
        }
    }
}
