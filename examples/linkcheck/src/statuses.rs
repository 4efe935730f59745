//! `--accept`: the statuses of a good answer.

use std::{ops::RangeInclusive, str::FromStr};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statuses(Vec<RangeInclusive<u16>>);

impl Statuses {
    pub(crate) fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Statuses(vec![200..=299])
    }
}

/// `200..=299,403,500..502`, with ranges as in Rust: an end without `=` is not a part of its range,
/// and without an end, or a start, there is no limit.
impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ranges = text.split(',').map(|part| {
            range(part.trim()).ok_or_else(|| "no list of statuses and ranges".to_owned())
        });
        Ok(Statuses(ranges.collect::<Result<_, _>>()?))
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let number = |text: &str, default| match text {
        "" => Some(default),
        _ => text.parse().ok(),
    };
    let range = if let Some((start, end)) = text.split_once("..=") {
        number(start, FIRST)?..=end.parse().ok()?
    } else if let Some((start, end)) = text.split_once("..") {
        number(start, FIRST)?..=number(end, LAST + 1)?.checked_sub(1)?
    } else {
        let status = text.parse().ok()?;
        status..=status
    };
    let is_status = |number| (FIRST..=LAST).contains(number);
    (is_status(range.start()) && is_status(range.end()) && !range.is_empty()).then_some(range)
}

const FIRST: u16 = 100;
const LAST: u16 = 999;

#[cfg(test)]
mod tests {
    use super::Statuses;

    #[test]
    fn statuses_and_ranges() {
        let statuses: Statuses = "200..=204, 403,500..502,600..".parse().unwrap();
        for (status, is_in) in [
            (199, false),
            (200, true),
            (204, true),
            (205, false),
            (403, true),
            (500, true),
            (501, true),
            (502, false),
            (600, true),
            (999, true),
        ] {
            assert_eq!(statuses.contain(status), is_in, "{status}");
        }
        assert!("..=200".parse::<Statuses>().unwrap().contain(100));
        assert!("..300".parse::<Statuses>().unwrap().contain(299));
        let last: Statuses = "500..1000".parse().unwrap();
        assert!(last.contain(999) && !last.contain(1000));
        for wrong in [
            "",
            "2xx",
            "200,",
            "99",
            "1000",
            "1000..",
            "500..1001",
            "500..=1000",
            "500..70000",
            "300..200",
            "200..200",
            "200..=",
            "-1",
        ] {
            assert!(wrong.parse::<Statuses>().is_err(), "{wrong}");
        }
    }
}
