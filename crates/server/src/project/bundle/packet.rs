//! The packets of esbuild's service protocol: a length, a number, and a value of seven kinds.
//!
//! esbuild's own npm package speaks it to the native program (`encodePacket` and `decodePacket` in its `lib/main.js`). It is
//! no public interface; the program is pinned to one version, which is checked, and the tests run that program.

/// A request or an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Packet {
    /// Chosen by who asks; an answer repeats it.
    pub id: u32,
    pub is_request: bool,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(u32),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    pub fn map<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    pub fn get(&self, name: &str) -> &Value {
        let Self::Map(members) = self else { return &Self::Null };
        members.iter().find(|(other, _)| other == name).map_or(&Self::Null, |(_, value)| value)
    }

    /// The text of a member; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        if let Self::Text(text) = self.get(name) { text } else { "" }
    }

    pub fn list(&self, name: &str) -> &[Value] {
        if let Self::List(items) = self.get(name) { items } else { &[] }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Packet {
    /// With the length in front.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        write_number((self.id << 1) | u32::from(!self.is_request), &mut body);
        self.value.write(&mut body);
        let mut packet = Vec::with_capacity(body.len() + 4);
        write_bytes(&body, &mut packet);
        packet
    }

    /// Without the length; none where the bytes are no packet.
    pub fn decode(mut body: &[u8]) -> Option<Self> {
        let number = read_number(&mut body)?;
        let value = Value::read(&mut body)?;
        body.is_empty().then_some(Self { id: number >> 1, is_request: number & 1 == 0, value })
    }
}

impl Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(value) => out.extend([1, u8::from(*value)]),
            Self::Number(value) => {
                out.push(2);
                write_number(*value, out);
            }
            Self::Text(text) => {
                out.push(3);
                write_bytes(text.as_bytes(), out);
            }
            Self::Bytes(bytes) => {
                out.push(4);
                write_bytes(bytes, out);
            }
            Self::List(items) => {
                out.push(5);
                write_number(length(items.len()), out);
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(members) => {
                out.push(6);
                write_number(length(members.len()), out);
                for (name, value) in members {
                    write_bytes(name.as_bytes(), out);
                    value.write(out);
                }
            }
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(match take(bytes, 1)?[0] {
            0 => Self::Null,
            1 => Self::Bool(take(bytes, 1)?[0] != 0),
            2 => Self::Number(read_number(bytes)?),
            3 => Self::Text(read_text(bytes)?),
            4 => Self::Bytes(read_bytes(bytes)?.to_vec()),
            5 => {
                let count = read_number(bytes)?;
                Self::List((0..count).map(|_| Self::read(bytes)).collect::<Option<_>>()?)
            }
            6 => {
                let count = read_number(bytes)?;
                Self::Map((0..count).map(|_| Some((read_text(bytes)?, Self::read(bytes)?))).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a packet is smaller than 4 GiB")
}

fn write_number(number: u32, out: &mut Vec<u8>) {
    out.extend(number.to_le_bytes());
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_number(length(bytes.len()), out);
    out.extend(bytes);
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(head)
}

fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(bytes, 4)?.try_into().ok()?))
}

fn read_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let count = read_number(bytes)?;
    take(bytes, count as usize)
}

fn read_text(bytes: &mut &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(read_bytes(bytes)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Packet {
        let inner = Value::List(vec![Value::Null, Value::Bool(true), Value::Number(7), Value::Bytes(vec![0, 255])]);
        Packet { id: 3, is_request: true, value: Value::map([("key", "ü".into()), ("list", inner)]) }
    }

    #[test]
    fn what_is_written_is_read() {
        for is_request in [true, false] {
            let packet = Packet { is_request, ..sample() };
            let bytes = packet.encode();
            assert_eq!(Packet::decode(&bytes[4..]), Some(packet));
        }
    }

    #[test]
    fn bytes_that_are_no_packet_are_refused() {
        let bytes = sample().encode();
        for end in 4..bytes.len() {
            assert_eq!(Packet::decode(&bytes[4..end]), None, "{end}");
        }
        assert_eq!(Packet::decode(&[0, 0, 0, 0, 9]), None);
    }
}
