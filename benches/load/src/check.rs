//! Checks that every receiver gets every sender's messages once and in order. Knows no socket.
//!
//! A message in its place costs one comparison and one increment for the pair, and one look
//! into the table of ids; only what is wrong touches a set.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::mark::Mark;

/// Ids that may come before the first one that was seen: a sender's own, and those in flight.
const IDS_BEFORE_FIRST_MAX: u64 = 1 << 16;
/// An id this far past the last known one is a wrong id, not a reason to grow the table.
const ID_JUMP_MAX: usize = 1 << 22;

/// What was wrong with the deliveries, counted. All zero is the only good result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// Never arrived.
    pub lost: u64,
    /// Arrived again.
    pub duplicated: u64,
    /// Arrived after a later one of the same sender.
    pub reordered: u64,
    /// Its id did not ascend, named another message elsewhere, or (for a client that sends nothing) left a gap.
    pub misnumbered: u64,
    /// A sender got its own message back, or a sender is named that does not exist.
    pub misdirected: u64,
}

impl Faults {
    pub fn is_clean(&self) -> bool {
        *self == Faults::default()
    }
}

/// What one delivery was to its (sender, receiver) pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Expected next, after `skipped` numbers that have not come (yet).
    New { skipped: u32 },
    /// Counted as lost before, and here after all.
    Late,
    /// Twice, or for nobody.
    Wrong,
}

/// Clients `0..senders` of all `receivers` clients send; each gets everything but its own.
pub struct Check {
    senders: usize,
    /// The number expected next, for each receiver and sender.
    next: Vec<u32>,
    missing: HashSet<(u32, u32, u32)>,
    faults: Faults,
    last_id: Vec<u64>,
    /// Which message has which id, from `first_id` on; `u64::MAX` where nobody has seen it.
    named: Vec<u64>,
    first_id: Option<u64>,
}

impl Check {
    pub fn new(receivers: usize, senders: usize) -> Self {
        Check {
            senders,
            next: vec![0; receivers * senders],
            missing: HashSet::new(),
            faults: Faults::default(),
            last_id: vec![0; receivers],
            named: Vec::new(),
            first_id: None,
        }
    }

    #[inline]
    pub fn see(&mut self, receiver: usize, mark: Mark, id: Option<u64>) -> Seen {
        let sender = mark.sender as usize;
        if sender >= self.senders || sender == receiver {
            self.faults.misdirected += 1;
            return Seen::Wrong;
        }
        if let Some(id) = id {
            self.check_id(receiver, mark, id);
        }
        let next = &mut self.next[receiver * self.senders + sender];
        if mark.number == *next {
            *next += 1;
            return Seen::New { skipped: 0 };
        }
        self.out_of_place(receiver, mark)
    }

    #[cold]
    fn out_of_place(&mut self, receiver: usize, mark: Mark) -> Seen {
        let next = &mut self.next[receiver * self.senders + mark.sender as usize];
        let pair = (receiver as u32, mark.sender);
        if mark.number > *next {
            let skipped = mark.number - *next;
            self.missing.extend((*next..mark.number).map(|number| (pair.0, pair.1, number)));
            *next = mark.number + 1;
            return Seen::New { skipped };
        }
        if self.missing.remove(&(pair.0, pair.1, mark.number)) {
            self.faults.reordered += 1;
            Seen::Late
        } else {
            self.faults.duplicated += 1;
            Seen::Wrong
        }
    }

    /// All receivers share one order if each sees ids ascend and each id names the same message for all.
    #[inline]
    fn check_id(&mut self, receiver: usize, mark: Mark, id: u64) {
        let first = *self.first_id.get_or_insert(id.saturating_sub(IDS_BEFORE_FIRST_MAX));
        let last = std::mem::replace(&mut self.last_id[receiver], id);
        let only_listens = receiver >= self.senders;
        let ascends = id > last && (id == last + 1 || last == 0 || !only_listens);
        let slot = id.wrapping_sub(first) as usize;
        if slot >= self.named.len() && slot < self.named.len() + ID_JUMP_MAX {
            self.named.resize(slot + 1 + self.named.len() / 2, u64::MAX);
        }
        let name = u64::from(mark.sender) << 32 | u64::from(mark.number);
        let is_same = match self.named.get_mut(slot) {
            Some(known) if *known == u64::MAX => {
                *known = name;
                true
            }
            Some(known) => *known == name,
            None => false,
        };
        if !ascends || !is_same {
            self.faults.misnumbered += 1;
        }
    }

    /// Deliveries still to come, when sender `s` has sent `sent[s]` messages.
    pub fn outstanding(&self, sent: &[u32]) -> u64 {
        let mut open = 0;
        for (receiver, next) in self.next.chunks_exact(self.senders).enumerate() {
            for (sender, (next, sent)) in next.iter().zip(sent).enumerate() {
                if sender != receiver {
                    open += u64::from(sent.saturating_sub(*next));
                }
            }
        }
        open
    }

    /// The verdict once nothing more will come: what is outstanding or missing now is lost.
    pub fn verdict(&self, sent: &[u32]) -> Faults {
        Faults { lost: self.outstanding(sent) + self.missing.len() as u64, ..self.faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two senders (0, 1) and a listener (2); `seen` lists (receiver, sender, number, id).
    fn check(seen: &[(usize, u32, u32, u64)], sent: [u32; 2]) -> Faults {
        let mut check = Check::new(3, 2);
        for &(receiver, sender, number, id) in seen {
            check.see(receiver, Mark { sender, number, sent_ns: 0 }, (id > 0).then_some(id));
        }
        check.verdict(&sent)
    }

    #[test]
    fn a_clean_run_has_no_fault_with_and_without_ids() {
        let seen = [(1, 0, 0, 5), (2, 0, 0, 5), (0, 1, 0, 6), (2, 1, 0, 6), (2, 0, 1, 7), (1, 0, 1, 7)];
        assert!(check(&seen, [2, 1]).is_clean());
        let bare = seen.map(|(receiver, sender, number, _)| (receiver, sender, number, 0));
        assert!(check(&bare, [2, 1]).is_clean());
    }

    #[test]
    fn a_loss_in_the_middle_and_one_at_the_end_are_both_found() {
        let middle = [(1, 0, 0, 0), (1, 0, 1, 0), (2, 0, 1, 0)];
        assert_eq!(check(&middle, [2, 0]), Faults { lost: 1, ..Faults::default() });
        let end = [(1, 0, 0, 0), (1, 0, 1, 0), (2, 0, 0, 0)];
        assert_eq!(check(&end, [2, 0]), Faults { lost: 1, ..Faults::default() });
    }

    #[test]
    fn a_duplicate_is_found() {
        let seen = [(1, 0, 0, 0), (2, 0, 0, 0), (2, 0, 0, 0)];
        assert_eq!(check(&seen, [1, 0]), Faults { duplicated: 1, ..Faults::default() });
    }

    #[test]
    fn two_messages_of_one_sender_in_the_wrong_order_are_found() {
        let seen = [(1, 0, 0, 0), (1, 0, 1, 0), (2, 0, 1, 0), (2, 0, 0, 0)];
        assert_eq!(check(&seen, [2, 0]), Faults { reordered: 1, ..Faults::default() });
    }

    #[test]
    fn two_senders_in_another_order_for_one_receiver_are_found_by_their_ids() {
        let swapped = [(1, 0, 0, 1), (0, 1, 0, 2), (2, 1, 0, 2), (2, 0, 0, 1)];
        assert_eq!(check(&swapped, [1, 1]).misnumbered, 1);
        let renamed = [(1, 0, 0, 1), (0, 1, 0, 2), (2, 1, 0, 1), (2, 0, 0, 2)];
        assert_eq!(check(&renamed, [1, 1]).misnumbered, 2);
    }

    #[test]
    fn a_listener_sees_a_gap_in_the_ids() {
        let seen = [(1, 0, 0, 1), (2, 0, 0, 1), (1, 0, 1, 3), (2, 0, 1, 3)];
        assert_eq!(check(&seen, [2, 0]).misnumbered, 1);
    }

    #[test]
    fn a_sender_that_gets_its_own_message_back_is_found() {
        let seen = [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)];
        assert_eq!(check(&seen, [1, 0]), Faults { misdirected: 1, ..Faults::default() });
    }
}
