//! One bit for each slot, in as few words as hold them.

use crate::sync::atomics::SeqCstWord;

/// One bit for each slot.
#[derive(Debug)]
pub(super) struct Bits(Box<[SeqCstWord]>);

impl Bits {
    pub(super) fn new(slots: usize) -> Self {
        Self(
            (0..slots.div_ceil(64))
                .map(|_| SeqCstWord::default())
                .collect(),
        )
    }

    /// Sets the bit of `slot`. Does not write if the bit is already set.
    #[inline]
    pub fn set(&self, slot: usize) {
        let (word, bit) = self.bit(slot);
        if word.load() & bit == 0 {
            word.set_bits(bit);
        }
    }

    #[inline]
    pub fn clear(&self, slot: usize) {
        let (word, bit) = self.bit(slot);
        word.clear_bits(bit);
    }

    /// Returns the first slot after `start` whose bit is set and for which `confirm` returns
    /// `true`. The search wraps around, and `start` itself comes last.
    pub(super) fn find(
        &self,
        start: usize,
        mut confirm: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        let words = self.0.len();
        let first = start / 64;
        // The word of `start` comes twice, first with its upper bits and last with its lower.
        let below = (2_u64 << (start % 64)).wrapping_sub(1);
        (0..=words).find_map(|step| {
            let at = (first + step) % words;
            let mask = match step {
                0 => !below,
                _ if step == words => below,
                _ => u64::MAX,
            };
            let mut bits = self.0[at].load() & mask;
            while bits != 0 {
                let slot = at * 64 + bits.trailing_zeros() as usize;
                if confirm(slot) {
                    return Some(slot);
                }
                bits &= bits - 1;
            }
            None
        })
    }

    #[inline]
    fn bit(&self, slot: usize) -> (&SeqCstWord, u64) {
        (&self.0[slot / 64], 1 << (slot % 64))
    }
}

#[cfg(all(test, not(any(troupe_shuttle, troupe_loom))))]
mod tests {
    use super::Bits;

    #[test]
    fn finds_go_round_from_behind_the_start() {
        let bits = Bits::new(130);
        for slot in [0, 63, 64, 129] {
            bits.set(slot);
        }
        let next = |start| bits.find(start, |_| true);
        assert_eq!(next(0), Some(63));
        assert_eq!(next(63), Some(64));
        assert_eq!(next(64), Some(129));
        assert_eq!(next(129), Some(0));
        bits.clear(0);
        assert_eq!(next(129), Some(63));
        assert_eq!(bits.find(5, |slot| slot == 64), Some(64));
        assert_eq!(bits.find(5, |_| false), None);
    }

    #[test]
    fn an_only_bit_is_found_from_itself() {
        let bits = Bits::new(1);
        assert_eq!(bits.find(0, |_| true), None);
        bits.set(0);
        assert_eq!(bits.find(0, |_| true), Some(0));
    }
}
