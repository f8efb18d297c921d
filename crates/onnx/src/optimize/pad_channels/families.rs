//! Values that have to have the same number of channels.

use std::collections::HashMap;

use super::whole_blocks;

/// Sets of values that are joined step by step.
#[derive(Default)]
pub(super) struct Families {
    members: HashMap<String, usize>,
    families: Vec<Family>,
}

#[derive(Clone, Copy)]
struct Family {
    /// Itself where it has not been joined to another.
    parent: usize,
    /// Number of channels and of dimensions, where a convolution has told.
    size: Option<(usize, usize)>,
    /// Whether something reads or makes it that cannot be padded.
    spoilt: bool,
}

impl Families {
    /// Says that the value must stay as it is.
    pub(super) fn spoil(&mut self, value: &str) {
        let family = self.family(value);
        self.families[family].spoilt = true;
    }

    /// Says how many channels and dimensions the value has.
    pub(super) fn size(&mut self, value: &str, channels: Option<&i64>, rank: usize) {
        let family = self.family(value);
        let family = &mut self.families[family];
        match channels.and_then(|&channels| usize::try_from(channels).ok()) {
            Some(channels) if family.size.is_none_or(|size| size == (channels, rank)) => {
                family.size = Some((channels, rank));
            }
            _ => family.spoilt = true,
        }
    }

    /// Says that both have the same number of channels.
    pub(super) fn join(&mut self, a: &str, b: &str) {
        let (a, b) = (self.family(a), self.family(b));
        if a == b {
            return;
        }
        let (first, second) = (self.families[a], self.families[b]);
        let agree = match (first.size, second.size) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        self.families[a].parent = b;
        self.families[b].size = second.size.or(first.size);
        self.families[b].spoilt = first.spoilt || second.spoilt || !agree;
    }

    /// To how many channels the value is to be padded.
    pub(super) fn padded(&mut self, value: &str) -> Option<usize> {
        let family = self.family(value);
        let family = self.families[family];
        let (channels, _) = family.size.filter(|_| !family.spoilt)?;
        whole_blocks(channels)
    }

    fn family(&mut self, value: &str) -> usize {
        let mut family = match self.members.get(value) {
            Some(&family) => family,
            None => {
                let family = self.families.len();
                self.families.push(Family {
                    parent: family,
                    size: None,
                    spoilt: false,
                });
                self.members.insert(value.to_owned(), family);
                return family;
            }
        };
        while self.families[family].parent != family {
            // Halves the way for the next time.
            let parent = self.families[family].parent;
            self.families[family].parent = self.families[parent].parent;
            family = parent;
        }
        family
    }
}
