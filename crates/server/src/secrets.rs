//! Secrets at rest: sealed with a key that is a file of its own in the data directory, so that neither the database nor a
//! copy of it tells them.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use stepwell_store::{ScopedName, Secret, SecretChange, Store};

use crate::api_error::ApiError;
use crate::script::SecretChanges;

/// File of the data directory with the key; mode 0600.
pub const SECRETS_KEY_FILE: &str = "secrets-key";
/// Bytes of a secret's text (Cloudflare: 5 KiB).
pub const TEXT_BYTES_MAX: usize = 5 << 10;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Name of a secret and its text; `None` where it goes.
pub type TextChange = (String, Option<String>);

/// Keeps and reads the secrets of scripts. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    cipher: XChaCha20Poly1305,
    store: Store,
}

impl Secrets {
    /// Secrets of a store, with the key in `data_dir`, which is made at the first use.
    ///
    /// # Errors
    /// Where the key cannot be read or written.
    pub fn open(data_dir: &Path, store: Store) -> anyhow::Result<Self> {
        let path = data_dir.join(SECRETS_KEY_FILE);
        let key = match std::fs::read(&path) {
            Ok(key) => key,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make_key(data_dir, &path)?,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key)
            .map_err(|_| anyhow::anyhow!("{} has not {KEY_BYTES} bytes: restore it from a backup", path.display()))?;
        Ok(Self { cipher, store })
    }

    /// Sets secrets (name and text) and removes them (`None`), all or none. Durable when it returns.
    ///
    /// # Errors
    /// Where they cannot be made durable.
    pub async fn change(&self, script: &ScopedName, changes: Vec<TextChange>) -> Result<(), ApiError> {
        let mut sealed = SecretChanges::default();
        self.seal_into(&mut sealed, script, changes);
        Ok(self.store.change_secrets(script, sealed.to_store()).await?)
    }

    /// Adds changes, sealed, to others.
    pub fn seal_into(&self, sealed: &mut SecretChanges, script: &ScopedName, changes: Vec<TextChange>) {
        for (name, text) in changes {
            let value = text.map(|text| self.seal(script, &name, &text));
            sealed.add(name, value.as_deref());
        }
    }

    /// Name and value of a script's secrets, as they are once these changes are made.
    ///
    /// # Errors
    /// Where they cannot be read, or were sealed with another key.
    pub async fn after(&self, script: &ScopedName, changes: &SecretChanges) -> Result<Vec<(String, String)>, ApiError> {
        let mut secrets = self.store.secrets(script).await?;
        for SecretChange { name, value } in changes.to_store() {
            secrets.retain(|secret| secret.name != name);
            secrets.extend(value.map(|value| Secret { name, value }));
        }
        let mut all = Vec::with_capacity(secrets.len());
        for secret in secrets {
            let text = self.unseal(script, &secret).ok_or_else(|| {
                ApiError::internal(format!(
                    "secret {:?} of {:?} was sealed with another key: restore {SECRETS_KEY_FILE}, or set it again",
                    secret.name, script.name
                ))
            })?;
            all.push((secret.name, text));
        }
        Ok(all)
    }

    /// A random nonce, then the sealed text, which is bound to script and name.
    fn seal(&self, script: &ScopedName, name: &str, text: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random();
        let aad = format!("{script}/{name}");
        let payload = Payload { msg: text.as_bytes(), aad: aad.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).expect("memory takes a sealed text");
        [nonce.as_slice(), &sealed].concat()
    }

    fn unseal(&self, script: &ScopedName, secret: &Secret) -> Option<String> {
        let (nonce, sealed) = secret.value.split_first_chunk::<NONCE_BYTES>()?;
        let aad = format!("{script}/{}", secret.name);
        let text = self.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: aad.as_bytes() }).ok()?;
        String::from_utf8(text).ok()
    }
}

fn make_key(data_dir: &Path, path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || format!("cannot write {}", path.display());
    let key: [u8; KEY_BYTES] = random();
    // Temporary files are made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(data_dir).with_context(context)?;
    file.write_all(&key).with_context(context)?;
    file.as_file().sync_all().with_context(context)?;
    file.persist(path).with_context(context)?;
    Ok(key.to_vec())
}

/// Random bytes of the operating system.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> ScopedName {
        ScopedName::in_default("shop")
    }

    fn change(text: Option<&str>) -> Vec<TextChange> {
        vec![("KEY".to_owned(), text.map(str::to_owned))]
    }

    async fn all(secrets: &Secrets) -> Result<Vec<(String, String)>, ApiError> {
        secrets.after(&shop(), &SecretChanges::default()).await
    }

    #[tokio::test]
    async fn a_secret_is_read_as_it_was_set_and_the_store_does_not_tell_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::in_memory();
        let secrets = Secrets::open(directory.path(), store.clone()).expect("a key");
        secrets.change(&shop(), change(Some("hidden"))).await.expect("kept");
        let again = Secrets::open(directory.path(), store.clone()).expect("the same key");
        assert_eq!(all(&again).await, Ok(vec![("KEY".to_owned(), "hidden".to_owned())]));
        let kept = store.secrets(&shop()).await.expect("read");
        assert!(!kept[0].value.windows(6).any(|window| window == b"hidden"));
        secrets.change(&shop(), change(None)).await.expect("gone");
        assert_eq!(all(&again).await, Ok(vec![]));
    }

    #[tokio::test]
    async fn a_secret_of_another_key_is_an_error() {
        let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let store = Store::in_memory();
        let secrets = Secrets::open(one.path(), store.clone()).expect("a key");
        secrets.change(&shop(), change(Some("hidden"))).await.expect("kept");
        assert!(all(&Secrets::open(other.path(), store).expect("a key")).await.is_err());
    }

    #[tokio::test]
    async fn changes_of_a_version_can_be_seen_before_they_are_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let secrets = Secrets::open(directory.path(), Store::in_memory()).expect("a key");
        secrets.change(&shop(), change(Some("now"))).await.expect("kept");
        for (text, expected) in [(Some("then"), vec![("KEY".to_owned(), "then".to_owned())]), (None, vec![])] {
            let mut changes = SecretChanges::default();
            secrets.seal_into(&mut changes, &shop(), change(text));
            assert_eq!(secrets.after(&shop(), &changes).await, Ok(expected));
            assert_eq!(all(&secrets).await, Ok(vec![("KEY".to_owned(), "now".to_owned())]));
        }
    }
}
