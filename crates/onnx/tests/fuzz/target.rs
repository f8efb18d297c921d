//! What a fuzz target is.

use std::path::Path;

use likeness_testing::Failed;

/// The files that a reader is given.
pub(crate) type Input = Vec<Vec<u8>>;

/// Looks at what was made of an accepted input, and says what is wrong with it. What it takes of memory is not judged.
pub(crate) type Check = Box<dyn FnOnce() -> Result<(), String>>;

/// Makes seeds of the files in a folder.
pub(crate) type RealSeeds = fn(&Path) -> Result<Vec<Input>, Failed>;

/// A reader.
pub(crate) struct Target {
    /// For messages and for the numbers of the inputs.
    pub(crate) name: &'static str,
    /// Reads an input; `None` where it is refused.
    pub(crate) read: fn(&[Vec<u8>]) -> Option<Check>,
    /// How many bytes of memory an input of this many bytes may take, in all and with what was made of it.
    pub(crate) bound: fn(usize) -> usize,
    /// Seeds that are always there.
    pub(crate) small: fn() -> Vec<Input>,
    /// Seeds made of the real files in this folder, where there are any.
    pub(crate) real: Option<RealSeeds>,
    /// Files that ask for as much as can be asked for in few bytes, given as they are.
    pub(crate) floods: fn() -> Vec<Input>,
}
