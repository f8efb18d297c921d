//! Sets of values that must have the same number of channels.

use std::collections::HashMap;

use super::whole_blocks;

/// A union-find structure over values.
#[derive(Default)]
pub(super) struct Families {
    members: HashMap<String, usize>,
    families: Vec<Family>,
}

#[derive(Clone, Copy)]
struct Family {
    /// Itself at the root.
    parent: usize,
    /// Number of channels and of dimensions, once a convolution has determined them.
    size: Option<(usize, usize)>,
    /// Whether a node that cannot be padded reads or makes one of them.
    spoilt: bool,
}

impl Families {
    /// Records that the value must stay as it is.
    pub(super) fn spoil(&mut self, value: &str) {
        let family = self.family(value);
        self.families[family].spoilt = true;
    }

    /// Records how many channels and dimensions the value has.
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

    /// Records that both have the same number of channels.
    pub(super) fn join(&mut self, a: &str, b: &str) {
        let (a, b) = (self.family(a), self.family(b));
        if a == b {
            return;
        }
        let (first, second) = (self.families[a], self.families[b]);
        let agree = first.size.is_none() || second.size.is_none() || first.size == second.size;
        self.families[a].parent = b;
        self.families[b].size = second.size.or(first.size);
        self.families[b].spoilt = first.spoilt || second.spoilt || !agree;
    }

    /// Returns the number of channels that the value is to be padded to.
    pub(super) fn padded(&mut self, value: &str) -> Option<usize> {
        let family = self.family(value);
        let family = self.families[family];
        let (channels, _) = family.size.filter(|_| !family.spoilt)?;
        whole_blocks(channels)
    }

    fn family(&mut self, value: &str) -> usize {
        let next = self.families.len();
        let mut family = *self.members.entry(value.to_owned()).or_insert(next);
        if family == next {
            self.families.push(Family {
                parent: next,
                size: None,
                spoilt: false,
            });
        }
        while self.families[family].parent != family {
            // Path halving.
            let parent = self.families[family].parent;
            self.families[family].parent = self.families[parent].parent;
            family = parent;
        }
        family
    }
}
