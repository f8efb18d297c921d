//! The part of Python's pickle machine that state dicts need.
//!
//! Python's own machine runs any function that the file names. This one knows [`Global`] and refuses the rest by name;
//! nothing is ever run. Opcodes are those of Python's `pickletools`. Values are small and copied, see [`Value`], so that a
//! memo entry costs only its place on the stack, nothing recurses, and the number of opcodes limits the memory.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::value::{Global, Objects, StorageName, TensorView, Value};
use crate::OnnxError;
use crate::quote::quotable;

/// MiniFASNetV1SE, of 370 tensors, takes 13,710.
const MAX_OPCODES: usize = 1 << 16;
/// MiniFASNetV1SE takes 3,692.
const MAX_MEMO: usize = 1 << 15;
/// Python's pickler writes the items of a container a thousand at a time.
const MAX_STACK: usize = 1 << 14;
/// A state dict's are about five deep.
const MAX_MARKS: usize = 64;
/// Lists and dictionaries; MiniFASNetV1SE has 605, one for the hooks of each tensor and one for each module's version.
const MAX_CONTAINERS: usize = 1 << 13;
/// Names of tensors and modules are some fifty bytes long.
const MAX_TEXT: usize = 1 << 12;
/// Names of Python's modules and classes, likewise.
const MAX_LINE: usize = 256;

/// Reads one pickle, and leaves the cursor after it.
///
/// # Errors
/// [`OnnxError`], with the place of the opcode.
pub(super) fn load<'a>(cursor: &mut Cursor<'a>) -> Result<(Value<'a>, Objects<'a>), OnnxError> {
    let mut machine = Machine {
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        objects: Objects::default(),
        at: cursor.at(),
    };
    for _ in 0..MAX_OPCODES {
        if let Some(root) = machine.step(cursor)? {
            return Ok((root, machine.objects));
        }
    }
    Err(too_much("opcodes in a pickle", MAX_OPCODES))
}

fn too_much(what: &'static str, limit: usize) -> OnnxError {
    OnnxError::TooLarge { what, limit }
}

struct Machine<'a> {
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    objects: Objects<'a>,
    /// Position of the current opcode.
    at: usize,
}

impl<'a> Machine<'a> {
    /// Executes one opcode; the last returns the root.
    fn step(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<Value<'a>>, OnnxError> {
        self.at = cursor.at();
        match cursor.byte("a pickle")? {
            0x80 => match cursor.byte("PROTO")? {
                2 => {}
                version => return Err(self.malformed(format!("protocol {version} of pickle, not 2"))),
            },
            b'.' => {
                // STOP
                let root = self.pop()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return Err(self.malformed("values are left over at the end"));
                }
                return Ok(Some(root));
            }
            b'(' => {
                // MARK
                if self.marks.len() == MAX_MARKS {
                    return Err(too_much("levels of a pickle", MAX_MARKS));
                }
                self.marks.push(self.stack.len());
            }
            b'0' => drop(self.pop()?), // POP
            b'1' => self.pop_mark().map(|height| self.stack.truncate(height))?, // POP_MARK
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'J' => self.push(Value::Int(i32::from_le_bytes(cursor.array("BININT")?).into()))?,
            b'K' => self.push(Value::Int(cursor.byte("BININT1")?.into()))?,
            b'M' => self.push(Value::Int(u16::from_le_bytes(cursor.array("BININT2")?).into()))?,
            0x8a => {
                let len = cursor.byte("LONG1")?;
                self.push(Value::of_long(cursor.take(len.into(), "LONG1")?))?;
            }
            b'G' => {
                cursor.take(8, "BINFLOAT")?;
                self.push(Value::Float)?;
            }
            b'X' => {
                let len = cursor.u32("BINUNICODE")?;
                self.text(cursor, len, "BINUNICODE")?;
            }
            b'U' => {
                // A text of Python 2.
                let len = cursor.byte("SHORT_BINSTRING")?;
                self.text(cursor, len.into(), "SHORT_BINSTRING")?;
            }
            b')' => self.tuple(self.stack.len())?, // EMPTY_TUPLE
            // TUPLE1, TUPLE2, TUPLE3. The height of a stack of fewer values is out of its range.
            opcode @ 0x85..=0x87 => self.tuple(self.stack.len().wrapping_sub((opcode - 0x84).into()))?,
            b't' => self.pop_mark().and_then(|height| self.tuple(height))?, // TUPLE
            b']' => {
                // EMPTY_LIST
                self.check_containers()?;
                self.objects.lists.push(Vec::new());
                self.push(Value::List(self.objects.lists.len() - 1))?;
            }
            b'a' => self.append(self.stack.len().saturating_sub(1))?, // APPEND
            b'e' => self.pop_mark().and_then(|height| self.append(height))?, // APPENDS
            b'}' => self.dict()?,                                     // EMPTY_DICT
            b's' => self.set_items(self.stack.len().saturating_sub(2))?, // SETITEM
            b'u' => self.pop_mark().and_then(|height| self.set_items(height))?, // SETITEMS
            b'q' => self.put(cursor.byte("BINPUT")?.into())?,
            b'r' => self.put(cursor.u32("LONG_BINPUT")?)?,
            b'h' => self.get(cursor.byte("BINGET")?.into())?,
            b'j' => self.get(cursor.u32("LONG_BINGET")?)?,
            b'c' => {
                let [module, name] = self.two_lines(cursor, "GLOBAL")?;
                let global = Global::find(module, name);
                let global = global.ok_or_else(|| self.refused(&format!("{module}.{name}"), "GLOBAL"))?;
                self.push(Value::Global(global))?;
            }
            b'i' => {
                let [module, name] = self.two_lines(cursor, "INST")?;
                return Err(self.refused(&format!("{module}.{name}"), "INST"));
            }
            0x93 => {
                let what = match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => format!("{module}.{name}"),
                    (other, _) => other.kind().to_owned(),
                };
                return Err(self.refused(&what, "STACK_GLOBAL"));
            }
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            b'Q' => self.storage()?, // BINPERSID
            other => {
                return Err(match name_of_refused(other) {
                    Some(name) => self.refused("an opcode that no state dict needs", name),
                    None => self.malformed(format!("{other:#04x} is no opcode of pickle's")),
                });
            }
        }
        Ok(None)
    }

    fn malformed(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Malformed {
            at: self.at,
            reason: reason.into(),
        }
    }

    fn refused(&self, what: &str, opcode: &'static str) -> OnnxError {
        OnnxError::Refused {
            what: quotable(what),
            opcode,
            at: self.at,
        }
    }

    fn push(&mut self, value: Value<'a>) -> Result<(), OnnxError> {
        if self.stack.len() == MAX_STACK {
            return Err(too_much("values on a pickle's stack", MAX_STACK));
        }
        self.stack.push(value);
        Ok(())
    }

    /// The value on top; those below a mark are out of reach until the mark is gone.
    fn top(&self) -> Result<Value<'a>, OnnxError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.get(floor..).and_then(<[_]>::last).copied();
        top.ok_or_else(|| self.malformed("it takes a value that is not there"))
    }

    fn pop(&mut self) -> Result<Value<'a>, OnnxError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<usize, OnnxError> {
        let mark = self.marks.pop();
        mark.ok_or_else(|| self.malformed("it takes a mark that is not there"))
    }

    /// Whether what lies above a height of the stack may be taken: the height must not be below a mark.
    fn check_above(&self, height: usize) -> Result<(), OnnxError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if !(floor..=self.stack.len()).contains(&height) {
            return Err(self.malformed("it takes values that are not there"));
        }
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'a>, len: u32, what: &'static str) -> Result<(), OnnxError> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > MAX_TEXT {
            return Err(too_much("bytes in a text", MAX_TEXT));
        }
        let text = std::str::from_utf8(cursor.take(len, what)?)
            .map_err(|error| self.malformed(format!("a text that is not UTF-8: {error}")))?;
        self.push(Value::Text(text))
    }

    fn two_lines(&self, cursor: &mut Cursor<'a>, what: &'static str) -> Result<[&'a str; 2], OnnxError> {
        let mut line = || {
            let line = str::from_utf8(cursor.line(MAX_LINE, what)?);
            line.map_err(|_| self.malformed("a name that is not UTF-8"))
        };
        Ok([line()?, line()?])
    }

    /// Of what lies above a height of the stack.
    fn tuple(&mut self, height: usize) -> Result<(), OnnxError> {
        self.check_above(height)?;
        let start = self.objects.items.len();
        self.objects.items.extend(self.stack.drain(height..));
        let len = self.objects.items.len() - start;
        // Both fit: the number of opcodes limits the items and the stack.
        self.push(Value::Tuple(start as u32, len as u32))
    }

    fn check_containers(&self) -> Result<(), OnnxError> {
        match self.objects.lists.len() + self.objects.dicts.len() {
            ..MAX_CONTAINERS => Ok(()),
            _ => Err(too_much("lists and dictionaries in a pickle", MAX_CONTAINERS)),
        }
    }

    fn dict(&mut self) -> Result<(), OnnxError> {
        self.check_containers()?;
        self.objects.dicts.push(Vec::new());
        self.push(Value::Dict(self.objects.dicts.len() - 1))
    }

    /// What lies above a height of the stack, to the list that lies there.
    fn append(&mut self, height: usize) -> Result<(), OnnxError> {
        self.check_above(height)?;
        let mut items = self.stack.split_off(height);
        let Value::List(place) = self.top()? else {
            return Err(self.malformed("it adds to what is no list"));
        };
        self.objects.lists[place].append(&mut items);
        Ok(())
    }

    /// What lies above a height of the stack, key by value, to the dictionary that lies there.
    fn set_items(&mut self, height: usize) -> Result<(), OnnxError> {
        self.check_above(height)?;
        let items = self.stack.split_off(height);
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.malformed("a key without a value"));
        };
        let Value::Dict(place) = self.top()? else {
            return Err(self.malformed("it sets an item of what is no dictionary"));
        };
        self.objects.dicts[place].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn put(&mut self, place: u32) -> Result<(), OnnxError> {
        let value = self.top()?;
        self.memo.insert(place, value);
        if self.memo.len() > MAX_MEMO {
            return Err(too_much("values in a pickle's memo", MAX_MEMO));
        }
        Ok(())
    }

    fn get(&mut self, place: u32) -> Result<(), OnnxError> {
        let value = self.memo.get(&place).copied();
        let value = value.ok_or_else(|| self.malformed(format!("there is no value {place} in the memo")))?;
        self.push(value)
    }

    /// Calls one of the two known functions.
    fn reduce(&mut self) -> Result<(), OnnxError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Some(arguments) = self.objects.tuple(arguments) else {
            return Err(self.malformed("arguments that are no tuple"));
        };
        match function {
            Value::Global(Global::OrderedDict) if arguments.is_empty() => self.dict(),
            Value::Global(Global::RebuildTensor) => {
                // The rest: whether it has gradients, and hooks for them; later versions add metadata.
                let [Value::Storage(storage), offset, shape, strides, _, _, ..] = *arguments else {
                    let reason = "a tensor that is not made of a storage, offset, shape and strides";
                    return Err(self.malformed(reason));
                };
                let view = TensorView {
                    storage,
                    offset,
                    shape,
                    strides,
                };
                self.objects.tensors.push(view);
                self.push(Value::Tensor(self.objects.tensors.len() - 1))
            }
            other => Err(self.refused(other.kind(), "REDUCE")),
        }
    }

    /// Sets the attributes of an object. A state dict has one, the versions of its modules, which is ignored.
    fn build(&mut self) -> Result<(), OnnxError> {
        let (attributes, object) = (self.pop()?, self.top()?);
        let pairs = self.objects.dict(attributes);
        let is_known = pairs.is_some_and(|pairs| pairs.iter().all(|pair| pair.0 == Value::Text("_metadata")));
        match object {
            Value::Dict(_) if is_known => Ok(()),
            _ => Err(self.refused(&format!("attributes of {}", object.kind()), "BUILD")),
        }
    }

    /// Reads a reference to a storage: its type, key, device, number of elements, and, in the legacy format, its part of
    /// another storage, of which it must be none.
    fn storage(&mut self) -> Result<(), OnnxError> {
        let name = self.pop()?;
        let parts = self.objects.tuple(name).map(|parts| match parts {
            [whole @ .., Value::None] => whole,
            whole => whole,
        });
        let Some(
            &[
                Value::Text("storage"),
                Value::Global(Global::Storage(element)),
                Value::Text(key),
                Value::Text(_),
                len,
            ],
        ) = parts
        else {
            let what = "something outside of the pickle that is no whole storage";
            return Err(self.refused(what, "BINPERSID"));
        };
        let Some(len) = len.size() else {
            return Err(self.malformed("a storage's number of elements that is none"));
        };
        self.objects.storages.push(StorageName { element, key, len });
        self.push(Value::Storage(self.objects.storages.len() - 1))
    }
}

/// Pickle's name of an opcode that is always refused; `None` if there is no such opcode.
fn name_of_refused(opcode: u8) -> Option<&'static str> {
    Some(match opcode {
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8c => "SHORT_BINUNICODE",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x94 => "MEMOIZE",
        0x95 => "FRAME",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
