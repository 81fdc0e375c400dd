//! Secrets at rest: sealed with a key that is a file of its own in the data directory, so that neither the database nor a
//! copy of it tells them.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use stepwell_store::{ScopedName, Secret, SecretChange, Store};

use crate::api_error::ApiError;
use crate::script::SecretChanges;

/// File of the data directory with the key; mode 0600.
pub const SECRETS_KEY_FILE: &str = "secrets-key";
/// The type of a secret among bindings.
pub const SECRET_TEXT: &str = "secret_text";
/// Bytes of a secret's text (Cloudflare: 5 KiB).
pub const TEXT_BYTES_MAX: usize = 5 << 10;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// A message names so many secrets; it is one line.
const SECRETS_NAMED_MAX: usize = 3;

/// Name of a secret and its text; `None` where it goes.
pub type TextChange = (String, Option<String>);

/// A secret as the store keeps it, and whose it is.
pub type SealedSecret = (ScopedName, Secret);

/// Keeps and reads the secrets of scripts. Cheap to clone.
#[derive(Clone)]
pub struct Secrets {
    key: SecretsKey,
    store: Store,
}

impl Secrets {
    /// Secrets of a store, with the key in `data_dir`, which is made at the first use.
    ///
    /// # Errors
    /// Where the key cannot be read or written, or does not open what is sealed.
    pub async fn open(data_dir: &Path, store: Store) -> anyhow::Result<Self> {
        let key = match SecretsKey::read(data_dir, &all(&store).await?)? {
            Some(key) => key,
            None => SecretsKey::make(data_dir)?,
        };
        Ok(Self { key, store })
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
            let value = text.map(|text| self.key.seal(script, &name, &text));
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
            let text = self.key.unseal(script, &secret).ok_or_else(|| {
                ApiError::internal(format!(
                    "secret {:?} of {:?} was sealed with another key: restore {SECRETS_KEY_FILE}, or set it again",
                    secret.name, script.name
                ))
            })?;
            all.push((secret.name, text));
        }
        Ok(all)
    }
}

/// The key of a data directory.
#[derive(Clone)]
pub struct SecretsKey(XChaCha20Poly1305);

impl SecretsKey {
    /// The key in `data_dir`, which is to open all of `sealed`; `None` where there is neither.
    ///
    /// # Errors
    /// Where it cannot be read, or does not open them; the message says what to do.
    pub fn read(data_dir: &Path, sealed: &[SealedSecret]) -> anyhow::Result<Option<Self>> {
        let path = data_dir.join(SECRETS_KEY_FILE);
        let (key, shown) = (Self::load(&path)?, path.display());
        let (shut, fault) = match &key {
            Some(key) => (key.does_not_open(sealed), "is not the key of"),
            None => (sealed.iter().collect(), "is missing and is the key of"),
        };
        ensure!(
            shut.is_empty(),
            "{shown} {fault} {}: restore it from a backup, or start with `stepwell serve --data {} --discard-secrets`, \
             which removes these secrets, and set them again",
            listed(&shut),
            data_dir.display()
        );
        Ok(key)
    }

    fn load(path: &Path) -> anyhow::Result<Option<Self>> {
        let key = match std::fs::read(path) {
            Ok(key) => key,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let advice = "give this user the right to read it";
                bail!("{} cannot be read ({error}): {advice}", path.display());
            }
        };
        let cipher = XChaCha20Poly1305::new_from_slice(&key).map_err(|_| {
            let advice = "restore it from a backup, or remove it where there is none";
            anyhow!("{} has {} bytes where a key has {KEY_BYTES}: {advice}", path.display(), key.len())
        })?;
        Ok(Some(Self(cipher)))
    }

    fn make(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(SECRETS_KEY_FILE);
        let context = || format!("cannot write {}", path.display());
        let key: [u8; KEY_BYTES] = random();
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(data_dir).with_context(context)?;
        file.write_all(&key).with_context(context)?;
        file.as_file().sync_all().with_context(context)?;
        file.persist(&path).with_context(context)?;
        Ok(Self(XChaCha20Poly1305::new(&key.into())))
    }

    fn does_not_open<'a>(&self, sealed: &'a [SealedSecret]) -> Vec<&'a SealedSecret> {
        sealed.iter().filter(|(script, secret)| self.unseal(script, secret).is_none()).collect()
    }

    /// A random nonce, then the sealed text, which is bound to script and name.
    fn seal(&self, script: &ScopedName, name: &str, text: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random();
        let aad = format!("{script}/{name}");
        let payload = Payload { msg: text.as_bytes(), aad: aad.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).expect("memory takes a sealed text");
        [nonce.as_slice(), &sealed].concat()
    }

    fn unseal(&self, script: &ScopedName, secret: &Secret) -> Option<String> {
        let (nonce, sealed) = secret.value.split_first_chunk::<NONCE_BYTES>()?;
        let aad = format!("{script}/{}", secret.name);
        let text = self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: aad.as_bytes() }).ok()?;
        String::from_utf8(text).ok()
    }
}

/// Removes the secrets that the key in `data_dir` does not open, and tells which.
///
/// # Errors
/// Where the key cannot be read, or the store cannot be read or changed.
pub async fn discard_shut(data_dir: &Path, store: &Store) -> anyhow::Result<()> {
    let key = SecretsKey::load(&data_dir.join(SECRETS_KEY_FILE))?;
    let sealed = all(store).await?;
    let shut = key.map_or_else(|| sealed.iter().collect(), |key| key.does_not_open(&sealed));
    for (script, secret) in &shut {
        store.change_secrets(script, vec![SecretChange { name: secret.name.clone(), value: None }]).await?;
    }
    if !shut.is_empty() {
        tracing::warn!("removed what its key is lost of: {}", listed(&shut));
    }
    Ok(())
}

/// All secrets of a store.
async fn all(store: &Store) -> anyhow::Result<Vec<SealedSecret>> {
    let mut sealed = Vec::new();
    for script in store.scripts().await? {
        let secrets = store.secrets(&script.name).await?;
        sealed.extend(secrets.into_iter().map(|secret| (script.name.clone(), secret)));
    }
    Ok(sealed)
}

/// The first few secrets by their names.
fn listed(secrets: &[&SealedSecret]) -> String {
    let named = secrets.iter().take(SECRETS_NAMED_MAX).map(|(script, secret)| format!("{} of {script}", secret.name));
    let named = named.collect::<Vec<_>>().join(", ");
    match secrets.len() {
        1 => format!("the secret {named}"),
        count if count > SECRETS_NAMED_MAX => format!("{count} secrets ({named}, …)"),
        count => format!("{count} secrets ({named})"),
    }
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
        let secrets = Secrets::open(directory.path(), store.clone()).await.expect("a key");
        secrets.change(&shop(), change(Some("hidden"))).await.expect("kept");
        let again = Secrets::open(directory.path(), store.clone()).await.expect("the same key");
        assert_eq!(all(&again).await, Ok(vec![("KEY".to_owned(), "hidden".to_owned())]));
        let kept = store.secrets(&shop()).await.expect("read");
        assert!(!kept[0].value.windows(6).any(|window| window == b"hidden"));
        secrets.change(&shop(), change(None)).await.expect("gone");
        assert_eq!(all(&again).await, Ok(vec![]));
    }

    fn sealed_by(data_dir: &Path) -> Vec<SealedSecret> {
        let key = SecretsKey::make(data_dir).expect("a key");
        let value = key.seal(&shop(), "KEY", "hidden");
        vec![(shop(), Secret { name: "KEY".to_owned(), value })]
    }

    #[test]
    fn a_key_is_the_one_of_what_is_sealed_or_refused_with_its_file() {
        let (one, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let (sealed, file) = (sealed_by(one.path()), one.path().join(SECRETS_KEY_FILE));
        let refusal = || SecretsKey::read(one.path(), &sealed).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(refusal(), "");
        std::fs::remove_file(&file).expect("a file");
        assert!(
            refusal().contains("secrets-key is missing and is the key of the secret KEY of shop: "),
            "{}",
            refusal()
        );
        SecretsKey::make(other.path()).expect("a key");
        std::fs::copy(other.path().join(SECRETS_KEY_FILE), &file).expect("a file");
        assert!(refusal().contains("secrets-key is not the key of the secret KEY of shop: "), "{}", refusal());
        std::fs::write(&file, "short").expect("a file");
        assert!(refusal().contains("secrets-key has 5 bytes where a key has 32: "), "{}", refusal());
    }

    #[tokio::test]
    async fn changes_of_a_version_can_be_seen_before_they_are_made() {
        let directory = tempfile::tempdir().expect("a directory");
        let secrets = Secrets::open(directory.path(), Store::in_memory()).await.expect("a key");
        secrets.change(&shop(), change(Some("now"))).await.expect("kept");
        for (text, expected) in [(Some("then"), vec![("KEY".to_owned(), "then".to_owned())]), (None, vec![])] {
            let mut changes = SecretChanges::default();
            secrets.seal_into(&mut changes, &shop(), change(text));
            assert_eq!(secrets.after(&shop(), &changes).await, Ok(expected));
            assert_eq!(all(&secrets).await, Ok(vec![("KEY".to_owned(), "now".to_owned())]));
        }
    }
}
