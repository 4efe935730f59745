//! The order in a message: the fields of a stream entry, written by `produce` and read by works.

use std::time::Duration;

/// Bytes, as the broker has them.
pub(crate) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Simulated work, so that everything that can go wrong can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Written to the worker's `--effects` when the work is done.
    pub(crate) number: u64,
    /// Orders of one key belong together; 0 is none.
    pub(crate) key: u64,
    pub(crate) wait: Duration,
    /// In how many deliveries the work fails, panics, or ends its process, before it succeeds.
    pub(crate) fails: u32,
    pub(crate) panics: u32,
    pub(crate) aborts: u32,
}

/// The fault of a message that is no order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoOrder {
    #[error("no order: no field {0:?}")]
    Missing(&'static str),
    #[error("no order: an unknown field {0:?}")]
    Unknown(String),
    #[error("no order: {field} is no number: {value:?}")]
    Value { field: String, value: String },
}

/// A value that says "in every delivery".
pub(crate) const ALWAYS: u32 = u32::MAX;

impl Order {
    pub(crate) fn new(number: u64) -> Self {
        Order {
            number,
            key: 0,
            wait: Duration::ZERO,
            fails: 0,
            panics: 0,
            aborts: 0,
        }
    }

    /// Fields that are not there are 0, apart from the number.
    pub(crate) fn read(fields: &Fields) -> Result<Self, NoOrder> {
        let mut order = Order::new(0);
        let mut has_number = false;
        for (field, value) in fields {
            match field.as_slice() {
                b"number" => {
                    order.number = number(field, value)?;
                    has_number = true;
                }
                b"key" => order.key = number(field, value)?,
                b"wait_us" => order.wait = Duration::from_micros(number(field, value)?),
                b"fails" => order.fails = number(field, value)?,
                b"panics" => order.panics = number(field, value)?,
                b"aborts" => order.aborts = number(field, value)?,
                _ => return Err(NoOrder::Unknown(text(field))),
            }
        }
        if has_number {
            Ok(order)
        } else {
            Err(NoOrder::Missing("number"))
        }
    }

    pub(crate) fn write(&self) -> Vec<(&'static str, u64)> {
        let wait = u64::try_from(self.wait.as_micros()).unwrap_or(u64::MAX);
        let fields = [
            ("key", self.key),
            ("wait_us", wait),
            ("fails", self.fails.into()),
            ("panics", self.panics.into()),
            ("aborts", self.aborts.into()),
        ];
        let asked = fields.into_iter().filter(|(_, value)| *value > 0);
        [("number", self.number)].into_iter().chain(asked).collect()
    }
}

fn number<T: std::str::FromStr>(field: &[u8], value: &[u8]) -> Result<T, NoOrder> {
    let parsed = str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| NoOrder::Value {
        field: text(field),
        value: text(value),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(fields: &[(&str, &str)]) -> Fields {
        let bytes = |text: &str| text.as_bytes().to_vec();
        fields
            .iter()
            .map(|(field, value)| (bytes(field), bytes(value)))
            .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let order = Order {
            number: 17,
            key: 3,
            wait: Duration::from_micros(1_500),
            fails: 2,
            panics: ALWAYS,
            aborts: 1,
        };
        for order in [order, Order::new(u64::MAX)] {
            let written: Vec<_> = order
                .write()
                .into_iter()
                .map(|(field, value)| (field.as_bytes().to_vec(), value.to_string().into_bytes()))
                .collect();
            assert_eq!(Order::read(&written), Ok(order));
        }
    }

    #[test]
    fn what_is_no_order_says_why() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "no order: no field \"number\""),
            (&[("number", "x")], "no order: number is no number: \"x\""),
            (&[("number", "-1")], "no order: number is no number: \"-1\""),
            (
                &[("number", "1"), ("fails", "4294967296")],
                "no order: fails is no number: \"4294967296\"",
            ),
            (
                &[("number", "1"), ("colour", "red")],
                "no order: an unknown field \"colour\"",
            ),
        ];
        for (given, message) in cases {
            let error = Order::read(&fields(given)).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
