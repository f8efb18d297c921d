//! The `.xml` of an IR: layers with their attributes and ports, and edges between the ports.

use std::fmt;

use super::xml::{Attributes, Element, XmlReader};
use crate::OnnxError;
use crate::quote::{quotable, quoted};

/// Hundreds of times the largest that is imported.
const MAX_XML_BYTES: usize = 32 << 20;
/// The embedder has 686.
const MAX_LAYERS: usize = 20_000;
/// An operator reads two values at most.
const MAX_EDGES: usize = 2 * MAX_LAYERS;
/// Likewise.
const MAX_PORTS: usize = 4;
/// The kernel of a GroupConvolution has five dimensions.
const MAX_RANK: usize = 5;
/// Limit of a dimension, a stride, a padding: a product of two and a sum of some stay far below 64 bits.
const MAX_NUMBER: u64 = 1 << 24;

/// A model.
pub(super) struct Net {
    /// In the order of the file.
    pub(super) layers: Vec<Layer>,
    /// Likewise.
    pub(super) edges: Vec<Edge>,
}

/// An operation, a constant, an input or an output.
pub(super) struct Layer {
    pub(super) label: Label,
    data: Attributes,
    /// In the order of its operands.
    pub(super) inputs: Vec<Port>,
    /// At most one.
    pub(super) outputs: Vec<Port>,
}

/// What identifies a layer in messages; its name is that of its output.
pub(super) struct Label {
    pub(super) id: u32,
    pub(super) name: String,
    /// The operator.
    kind: String,
}

/// Where a layer reads or writes a tensor.
pub(super) struct Port {
    /// Unique in its layer.
    pub(super) id: u32,
    pub(super) element: ElementType,
    pub(super) dims: Vec<u64>,
}

/// An edge from an output port to an input port; both as id of the layer and of the port.
pub(super) struct Edge {
    pub(super) from: (u32, u32),
    pub(super) to: (u32, u32),
}

/// Type of the elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    F16,
    F32,
}

/// The known attributes of a supported operator, by its name in OpenVINO's operation sets.
fn known_attributes(kind: &str) -> Option<Vec<&'static str>> {
    const WINDOW: &[&str] = &["auto_pad", "strides", "pads_begin", "pads_end"];
    let (window, own): (&[&str], &[&str]) = match kind {
        "Parameter" => (&[], &["element_type", "shape"]),
        "Const" => (&[], &["element_type", "shape", "offset", "size"]),
        "Convert" => (&[], &["destination_type"]),
        "Add" | "Multiply" => (&[], &["auto_broadcast"]),
        "Convolution" | "GroupConvolution" => (WINDOW, &["dilations"]),
        "AvgPool" => (WINDOW, &["kernel", "rounding_type", "exclude-pad"]),
        "MaxPool" => (WINDOW, &["kernel", "rounding_type"]),
        "PReLU" | "Sigmoid" | "Result" => (&[], &[]),
        _ => return None,
    };
    Some([window, own].concat())
}

impl ElementType {
    /// By its name in attributes.
    pub(super) fn of_attribute(name: &str) -> Option<Self> {
        let mut elements = [Self::F16, Self::F32].into_iter();
        elements.find(|element| element.name() == name)
    }

    /// By its name in ports.
    fn of_precision(name: &str) -> Option<Self> {
        Self::of_attribute(&format!("f{}", name.strip_prefix("FP")?))
    }

    /// The name in attributes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of an element.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, kind) = (quoted(&self.name), quotable(&self.kind));
        write!(f, "layer {} {} ({})", self.id, name, kind)
    }
}

impl Port {
    /// Its type and shape.
    pub(super) fn described(&self) -> String {
        format!("{} {:?}", self.element.name(), self.dims)
    }
}

impl Label {
    pub(super) fn unsupported(&self, what: impl fmt::Display) -> OnnxError {
        OnnxError::Unsupported(format!("{self}: {what}"))
    }

    pub(super) fn invalid(&self, reason: impl fmt::Display) -> OnnxError {
        OnnxError::Invalid(format!("{self}: {reason}"))
    }
}

impl Layer {
    pub(super) fn operator(&self) -> &str {
        &self.label.kind
    }

    /// The value of an attribute in its `data`.
    fn required(&self, name: &str) -> Result<&str, OnnxError> {
        let value = self.data.get(name).map(String::as_str);
        value.ok_or_else(|| self.label.invalid(format!("its data has no '{name}'")))
    }

    fn unsupported_value(&self, name: &str, value: &str) -> OnnxError {
        self.label.unsupported(format!("{name} {}", quoted(value)))
    }

    /// Checks a required attribute of which one value is supported.
    pub(super) fn only(&self, name: &str, only: &str) -> Result<(), OnnxError> {
        match self.required(name)? {
            value if value == only => Ok(()),
            value => Err(self.unsupported_value(name, value)),
        }
    }

    /// Checks an attribute of which only the default is supported.
    pub(super) fn default_only(&self, name: &str, default: &str) -> Result<(), OnnxError> {
        match self.data.get(name) {
            Some(value) if value != default => Err(self.unsupported_value(name, value)),
            _ => Ok(()),
        }
    }

    /// A number of bytes.
    pub(super) fn bytes(&self, name: &str) -> Result<usize, OnnxError> {
        let text = self.required(name)?;
        let fault = format!("its {name} {} is not a number", quoted(text));
        text.parse().map_err(|_| self.label.invalid(fault))
    }

    /// An element type.
    pub(super) fn element(&self, name: &str) -> Result<ElementType, OnnxError> {
        let text = self.required(name)?;
        ElementType::of_attribute(text).ok_or_else(|| self.unsupported_value(name, text))
    }

    /// A list of numbers from `least` on, such as a shape, separated by commas.
    pub(super) fn numbers(&self, name: &str, least: u64) -> Result<Vec<u64>, OnnxError> {
        let text = self.required(name)?;
        // An empty text is an empty list.
        let parts = text.split(',').filter(|_| !text.trim().is_empty());
        let numbers = parts.take(MAX_RANK + 1).map(|part| number(part.trim(), least));
        match numbers.collect::<Option<Vec<_>>>() {
            Some(numbers) if numbers.len() <= MAX_RANK => Ok(numbers),
            _ => Err(self.unsupported_value(name, text)),
        }
    }

    /// Two numbers: for rows, for columns.
    pub(super) fn pair(&self, name: &str, least: u64) -> Result<[u64; 2], OnnxError> {
        let numbers = self.numbers(name, least)?;
        let pair = numbers.try_into();
        pair.map_err(|numbers| self.label.unsupported(format!("{name} {numbers:?}")))
    }
}

fn number(text: &str, least: u64) -> Option<u64> {
    let number = text.parse().ok();
    number.filter(|number| (least..=MAX_NUMBER).contains(number))
}

/// Reads the `.xml`.
pub(super) fn read(xml: &[u8]) -> Result<Net, OnnxError> {
    if xml.len() > MAX_XML_BYTES {
        return Err(OnnxError::TooLarge {
            what: "bytes of .xml",
            limit: MAX_XML_BYTES,
        });
    }
    let reader = &mut XmlReader::new(xml)?;
    let root = match reader.child()? {
        Some(root) if root.name == "net" => root,
        Some(other) => return Err(reader.malformed(format!("{} instead of 'net'", quoted(&other.name)))),
        None => return Err(reader.malformed("no element")),
    };
    let version = root.attributes.get("version");
    if version.is_none_or(|version| version != "11") {
        let found = version.map_or_else(|| "none".to_owned(), |version| quoted(version));
        let reason = format!("OpenVINO IR of version {found}: only version 11 is supported");
        return Err(OnnxError::Format(reason));
    }
    let (mut layers, mut edges) = (None, None);
    while let Some(part) = reader.child()? {
        match part.name.as_str() {
            "layers" if layers.is_none() => {
                layers = Some(read_all(reader, ("layers", "layer"), MAX_LAYERS, read_layer)?);
            }
            "edges" if edges.is_none() => {
                edges = Some(read_all(reader, ("edges", "edge"), MAX_EDGES, read_edge)?);
            }
            // The history of the conversion.
            "rt_info" => reader.skip()?,
            other => return Err(reader.malformed(format!("{} inside of 'net'", quoted(other)))),
        }
    }
    if reader.child()?.is_some() {
        return Err(reader.malformed("an element after 'net'"));
    }
    Ok(Net {
        layers: layers.ok_or_else(|| reader.malformed("no 'layers'"))?,
        edges: edges.ok_or_else(|| reader.malformed("no 'edges'"))?,
    })
}

/// Reads the elements of one name inside of the open one.
fn read_all<'x, T>(
    reader: &mut XmlReader<'x>,
    (what, name): (&'static str, &str),
    limit: usize,
    read: fn(&mut XmlReader<'x>, &Element) -> Result<T, OnnxError>,
) -> Result<Vec<T>, OnnxError> {
    let mut all = Vec::new();
    while let Some(element) = reader.child()? {
        if element.name != name {
            return Err(reader.malformed(format!("{} inside of '{what}'", quoted(&element.name))));
        }
        if all.len() == limit {
            return Err(OnnxError::TooLarge { what, limit });
        }
        all.push(read(reader, &element)?);
    }
    Ok(all)
}

fn read_layer(reader: &mut XmlReader<'_>, element: &Element) -> Result<Layer, OnnxError> {
    let label = Label {
        id: id(reader, element, "id")?,
        name: required(reader, element, "name")?.to_owned(),
        kind: required(reader, element, "type")?.to_owned(),
    };
    if label.name.is_empty() {
        return Err(label.invalid("it has no name"));
    }
    let opset = required(reader, element, "version")?;
    let only_known = |attributes: &Attributes, known: &[&str]| match attributes
        .keys()
        .find(|name| !known.contains(&name.as_str()))
    {
        Some(unknown) => Err(label.unsupported(format!("attribute {}", quoted(unknown)))),
        None => Ok(()),
    };
    only_known(&element.attributes, &["id", "name", "type", "version"])?;
    let Some(known) = known_attributes(&label.kind) else {
        return Err(label.unsupported(format!("operator {}", quoted(&label.kind))));
    };
    if opset != "opset1" {
        return Err(label.unsupported(format!("operation set {}", quoted(opset))));
    }
    let (mut data, mut inputs, mut outputs) = (None, None, None);
    while let Some(part) = reader.child()? {
        match part.name.as_str() {
            "data" if data.is_none() => {
                only_known(&part.attributes, &known)?;
                data = Some(part.attributes);
                reader.empty("data")?;
            }
            "input" if inputs.is_none() => inputs = Some(read_ports(reader, &label)?),
            "output" if outputs.is_none() => outputs = Some(read_ports(reader, &label)?),
            // The origin, and hints for OpenVINO's own passes; nothing that changes what is computed.
            "rt_info" => reader.skip()?,
            other => return Err(label.unsupported(format!("element {}", quoted(other)))),
        }
    }
    Ok(Layer {
        label,
        data: data.unwrap_or_default(),
        inputs: inputs.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
    })
}

fn read_ports(reader: &mut XmlReader<'_>, label: &Label) -> Result<Vec<Port>, OnnxError> {
    let mut ports: Vec<Port> = Vec::new();
    while let Some(element) = reader.child()? {
        if element.name != "port" {
            return Err(label.unsupported(format!("element {}", quoted(&element.name))));
        }
        if ports.len() == MAX_PORTS {
            return Err(label.unsupported(format!("having more than {MAX_PORTS} ports")));
        }
        let id = id(reader, &element, "id")?;
        if ports.iter().any(|port| port.id == id) {
            return Err(label.invalid(format!("two ports of id {id}")));
        }
        let precision = required(reader, &element, "precision")?;
        let element = ElementType::of_precision(precision)
            .ok_or_else(|| label.unsupported(format!("precision {} of port {id}", quoted(precision))))?;
        let mut dims = Vec::new();
        while let Some(part) = reader.child()? {
            match part.name.as_str() {
                "dim" if dims.len() == MAX_RANK => {
                    return Err(label.unsupported(format!("a tensor of more than {MAX_RANK} dimensions")));
                }
                "dim" => {
                    let text = reader.text()?;
                    let dim = number(&text, 1);
                    dims.push(dim.ok_or_else(|| label.unsupported(format!("dimension {}", quoted(&text))))?);
                }
                "rt_info" => reader.skip()?,
                other => return Err(label.unsupported(format!("element {}", quoted(other)))),
            }
        }
        ports.push(Port { id, element, dims });
    }
    Ok(ports)
}

fn read_edge(reader: &mut XmlReader<'_>, element: &Element) -> Result<Edge, OnnxError> {
    let number = |name| id(reader, element, name);
    let edge = Edge {
        from: (number("from-layer")?, number("from-port")?),
        to: (number("to-layer")?, number("to-port")?),
    };
    reader.empty("edge")?;
    Ok(edge)
}

fn required<'e>(reader: &XmlReader<'_>, element: &'e Element, name: &str) -> Result<&'e str, OnnxError> {
    let value = element.attributes.get(name).map(String::as_str);
    value.ok_or_else(|| reader.malformed(format!("{} without '{name}'", quoted(&element.name))))
}

fn id(reader: &XmlReader<'_>, element: &Element, name: &str) -> Result<u32, OnnxError> {
    let text = required(reader, element, name)?;
    let id = text.parse().ok();
    id.ok_or_else(|| reader.malformed(format!("'{name}' {} is not a number", quoted(text))))
}
