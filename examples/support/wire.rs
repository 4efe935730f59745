//! JSON-RPC 1.0, as Go's `net/rpc/jsonrpc` speaks it.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// The one method.
pub(crate) const METHOD: &str = "Worker.Do";

/// The request in a call: it is the only one of its parameters.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Argument {
    pub(crate) id: u64,
    /// How long the work takes. If it is absent, the server chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) work_us: Option<u64>,
}

/// The result of a call that succeeded.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Done {
    pub(crate) id: u64,
    pub(crate) attempts: u32,
}

/// The answer of the server to a call: one of `result` and `error` is null.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer<I, D, E> {
    pub(crate) id: I,
    pub(crate) result: Option<D>,
    pub(crate) error: Option<E>,
}

/// A struct that is read from an object only. The `Deserialize` that serde derives also takes an
/// array of the fields' values, in their order.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer
            .deserialize_map(Fields(PhantomData))
            .map(Object)
    }
}
