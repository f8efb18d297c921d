//! What an IR's `.xml` says: layers with their ports, and edges between the ports.

use super::OpenVinoError;
use super::error::{LayerLabel, quoted};
use super::operators::Operator;
use super::settings::{Settings, positive};
use super::xml::{Element, XmlReader};

/// Hundreds of times the largest that is imported.
const MAX_XML_BYTES: usize = 32 << 20;
/// The embedder has 686.
const MAX_LAYERS: usize = 20_000;
/// An operator reads two values at most.
const MAX_EDGES: usize = 2 * MAX_LAYERS;
/// Likewise.
const MAX_PORTS: usize = 4;
/// The kernel of a GroupConvolution has five dimensions.
pub(super) const MAX_RANK: usize = 5;

/// A model.
pub(super) struct Net {
    /// In the order of the file.
    pub(super) layers: Vec<Layer>,
    /// Likewise.
    pub(super) edges: Vec<Edge>,
}

/// An operation, a constant, an input or an output.
pub(super) struct Layer {
    /// Which one it is, for messages; its name names what it makes.
    pub(super) label: LayerLabel,
    /// What it does.
    pub(super) operator: Operator,
    /// In the order of its operands.
    pub(super) inputs: Vec<Port>,
    /// At most one.
    pub(super) outputs: Vec<Port>,
}

/// Where a layer reads or writes a tensor.
pub(super) struct Port {
    /// Unique in its layer.
    pub(super) id: u32,
    /// Of its elements.
    pub(super) element: ElementType,
    /// Its shape.
    pub(super) dims: Vec<u64>,
}

/// From an output port to an input port; both as id of the layer and of the port.
pub(super) struct Edge {
    /// Where the tensor is made.
    pub(super) from: (u32, u32),
    /// Where it is read.
    pub(super) to: (u32, u32),
}

/// Type of the elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementType {
    /// IEEE 754, 16 bits.
    F16,
    /// IEEE 754, 32 bits.
    F32,
}

impl ElementType {
    /// As attributes call it.
    pub(super) fn of_attribute(name: &str) -> Option<Self> {
        match name {
            "f16" => Some(Self::F16),
            "f32" => Some(Self::F32),
            _ => None,
        }
    }

    /// As ports call it.
    fn of_precision(name: &str) -> Option<Self> {
        match name {
            "FP16" => Some(Self::F16),
            "FP32" => Some(Self::F32),
            _ => None,
        }
    }

    /// As attributes call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Size of one, in bytes.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Reads the `.xml`: the model, and the settings of each of its layers.
pub(super) fn read(xml: &[u8]) -> Result<(Net, Vec<Settings>), OpenVinoError> {
    if xml.len() > MAX_XML_BYTES {
        return Err(OpenVinoError::TooLarge {
            what: "bytes of .xml",
            limit: MAX_XML_BYTES,
        });
    }
    let mut reader = XmlReader::new(xml)?;
    let reader = &mut reader;
    let mut root = match reader.child()? {
        Some(root) if root.name == "net" => root,
        Some(other) => return Err(reader.malformed(format!("{} instead of 'net'", quoted(&other.name)))),
        None => return Err(reader.malformed("no element")),
    };
    match root.attributes.take("version") {
        Some(version) if version == "11" => {}
        found => {
            return Err(OpenVinoError::Version {
                found: found.map_or_else(|| "none".to_owned(), |version| quoted(&version)),
            });
        }
    }
    let mut layers = None;
    let mut edges = None;
    while let Some(part) = reader.child()? {
        match part.name.as_str() {
            "layers" if layers.is_none() => layers = Some(read_layers(reader)?),
            "edges" if edges.is_none() => edges = Some(read_edges(reader)?),
            // How it was converted, for people.
            "rt_info" => reader.skip()?,
            other => return Err(reader.malformed(format!("{} inside of 'net'", quoted(other)))),
        }
    }
    if reader.child()?.is_some() {
        return Err(reader.malformed("an element after 'net'"));
    }
    match (layers, edges) {
        (Some((layers, settings)), Some(edges)) => Ok((Net { layers, edges }, settings)),
        (None, _) => Err(reader.malformed("no 'layers'")),
        (_, None) => Err(reader.malformed("no 'edges'")),
    }
}

fn read_layers(reader: &mut XmlReader<'_>) -> Result<(Vec<Layer>, Vec<Settings>), OpenVinoError> {
    let mut layers = Vec::new();
    let mut all_settings = Vec::new();
    while let Some(element) = reader.child()? {
        if element.name != "layer" {
            return Err(reader.malformed(format!("{} inside of 'layers'", quoted(&element.name))));
        }
        if layers.len() == MAX_LAYERS {
            return Err(OpenVinoError::TooLarge {
                what: "layers",
                limit: MAX_LAYERS,
            });
        }
        let (layer, settings) = read_layer(reader, element)?;
        layers.push(layer);
        all_settings.push(settings);
    }
    Ok((layers, all_settings))
}

fn read_layer(reader: &mut XmlReader<'_>, mut element: Element) -> Result<(Layer, Settings), OpenVinoError> {
    let label = LayerLabel {
        id: number(reader, &mut element, "id")?,
        name: required(reader, &mut element, "name")?,
        kind: required(reader, &mut element, "type")?,
    };
    if label.name.is_empty() {
        return Err(label.wrong("it has no name"));
    }
    let opset = required(reader, &mut element, "version")?;
    if let Some(left) = element.attributes.left() {
        return Err(label.unsupported(format!("attribute {}", quoted(left))));
    }
    let operator = Operator::of(&label, &opset)?;
    let mut data = None;
    let mut inputs = None;
    let mut outputs = None;
    while let Some(mut part) = reader.child()? {
        match part.name.as_str() {
            "data" if data.is_none() => {
                data = Some(std::mem::take(&mut part.attributes));
                reader.empty("data")?;
            }
            "input" if inputs.is_none() => inputs = Some(read_ports(reader, &label)?),
            "output" if outputs.is_none() => outputs = Some(read_ports(reader, &label)?),
            // Where it came from and hints for OpenVINO's own passes; nothing that changes what is computed.
            "rt_info" => reader.skip()?,
            other => return Err(label.unsupported(format!("element {}", quoted(other)))),
        }
    }
    let layer = Layer {
        label,
        operator,
        inputs: inputs.unwrap_or_default(),
        outputs: outputs.unwrap_or_default(),
    };
    Ok((layer, Settings(data.unwrap_or_default())))
}

fn read_ports(reader: &mut XmlReader<'_>, label: &LayerLabel) -> Result<Vec<Port>, OpenVinoError> {
    let mut ports: Vec<Port> = Vec::new();
    while let Some(mut element) = reader.child()? {
        if element.name != "port" {
            return Err(label.unsupported(format!("element {}", quoted(&element.name))));
        }
        if ports.len() == MAX_PORTS {
            return Err(label.unsupported(format!("having more than {MAX_PORTS} ports")));
        }
        let id = number(reader, &mut element, "id")?;
        if ports.iter().any(|port| port.id == id) {
            return Err(label.wrong(format!("two ports of id {id}")));
        }
        let precision = required(reader, &mut element, "precision")?;
        let element = ElementType::of_precision(&precision)
            .ok_or_else(|| label.unsupported(format!("precision {} of port {id}", quoted(&precision))))?;
        let mut dims = Vec::new();
        while let Some(part) = reader.child()? {
            match part.name.as_str() {
                "dim" if dims.len() == MAX_RANK => {
                    return Err(label.unsupported(format!("a tensor of more than {MAX_RANK} dimensions")));
                }
                "dim" => {
                    let text = reader.text()?;
                    let dim = positive(&text);
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

fn read_edges(reader: &mut XmlReader<'_>) -> Result<Vec<Edge>, OpenVinoError> {
    let mut edges = Vec::new();
    while let Some(mut element) = reader.child()? {
        if element.name != "edge" {
            return Err(reader.malformed(format!("{} inside of 'edges'", quoted(&element.name))));
        }
        if edges.len() == MAX_EDGES {
            return Err(OpenVinoError::TooLarge {
                what: "edges",
                limit: MAX_EDGES,
            });
        }
        let mut number = |name| number(reader, &mut element, name);
        edges.push(Edge {
            from: (number("from-layer")?, number("from-port")?),
            to: (number("to-layer")?, number("to-port")?),
        });
        reader.empty("edge")?;
    }
    Ok(edges)
}

fn required(reader: &XmlReader<'_>, element: &mut Element, name: &str) -> Result<String, OpenVinoError> {
    element
        .attributes
        .take(name)
        .ok_or_else(|| reader.malformed(format!("{} without '{name}'", quoted(&element.name))))
}

fn number(reader: &XmlReader<'_>, element: &mut Element, name: &str) -> Result<u32, OpenVinoError> {
    let text = required(reader, element, name)?;
    text.parse()
        .map_err(|_| reader.malformed(format!("'{name}' is {} and no number", quoted(&text))))
}
