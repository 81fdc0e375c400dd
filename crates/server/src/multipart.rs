//! A body of several named parts (RFC 7578), as an upload of a script is one.

/// Parts, one after the other.
#[derive(Debug)]
pub struct Multipart {
    boundary: String,
    bytes: Vec<u8>,
}

impl Multipart {
    /// No parts yet, and a boundary that occurs in none.
    #[must_use]
    pub fn new() -> Self {
        Self { boundary: format!("stepwell-{}", uuid::Uuid::new_v4().simple()), bytes: Vec::new() }
    }

    /// Adds a part that is no file.
    pub fn field(&mut self, name: &str, content: &[u8]) {
        self.part(&format!("form-data; name=\"{}\"", escaped(name)), "application/json", content);
    }

    /// Adds a file, whose name is also that of the part.
    pub fn file(&mut self, name: &str, content_type: &str, content: &[u8]) {
        let name = escaped(name);
        self.part(&format!("form-data; name=\"{name}\"; filename=\"{name}\""), content_type, content);
    }

    fn part(&mut self, disposition: &str, content_type: &str, content: &[u8]) {
        let head = format!(
            "--{}\r\nContent-Disposition: {disposition}\r\nContent-Type: {content_type}\r\n\r\n",
            self.boundary
        );
        self.bytes.extend_from_slice(head.as_bytes());
        self.bytes.extend_from_slice(content);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// Content type and bytes of the body.
    #[must_use]
    pub fn finish(mut self) -> (String, Vec<u8>) {
        self.bytes.extend_from_slice(format!("--{}--\r\n", self.boundary).as_bytes());
        (format!("multipart/form-data; boundary={}", self.boundary), self.bytes)
    }
}

/// As browsers do.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
