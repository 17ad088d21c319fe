//! The files a manifest needs.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::fields::{Place, Reader};
use super::image::Image;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// As written.
    pub uri: String,
    /// The last segment of the URI: one file name, not `.` or `..`, no slash. Of a file that no
    /// recipe names, its path below the version's directory.
    pub file_name: String,
    pub unarchive: Unarchive,
    pub permission: Permission,
    /// SHA-256 of the file, where the recipe gives it.
    pub digest: Option<[u8; 32]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unarchive {
    #[default]
    None,
    Zip,
}

/// Who of the device's users may read and execute the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    pub read: Access,
    pub execute: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    None,
    Owner,
    All,
}

impl Default for Permission {
    fn default() -> Self {
        Self { read: Access::Owner, execute: Access::None }
    }
}

impl Artifact {
    /// The directory that its ZIP is unpacked into: the file's name without its extension.
    pub fn stem(&self) -> &str {
        match self.file_name.rsplit_once('.') {
            Some((stem, _)) if !matches!(stem, "" | "." | "..") => stem,
            _ => &self.file_name,
        }
    }
}

/// The files and the container images of a manifest.
pub(super) fn read(reader: &mut Reader<'_>, place: &Place<'_>) -> (Vec<Artifact>, Vec<Image>) {
    let mut artifacts: Vec<Artifact> = Vec::new();
    let mut images = Vec::new();
    // To the URI that takes it.
    let (mut names, mut directories) = (HashMap::new(), HashMap::new());
    for item in reader.items(place) {
        let artifact = match artifact(reader, item.clone()) {
            Some(Content::File(artifact)) => artifact,
            Some(Content::Image(image)) => {
                images.push(image);
                continue;
            }
            None => continue,
        };
        let same_name = names.insert(artifact.file_name.clone(), artifact.uri.clone());
        let same_directory = match artifact.unarchive {
            Unarchive::Zip => directories.insert(artifact.stem().to_owned(), artifact.uri.clone()),
            Unarchive::None => None,
        };
        if let Some(twin) = same_name.or(same_directory) {
            let message = format!("{} would overwrite {twin}", artifact.uri);
            reader.error(&item, message, "give each artifact of a manifest its own file name");
        }
        artifacts.push(artifact);
    }
    (artifacts, images)
}

/// What the scheme of an artifact's URI makes of it.
enum Content {
    File(Artifact),
    Image(Image),
}

fn artifact(reader: &mut Reader<'_>, place: Place<'_>) -> Option<Content> {
    let mut fields = reader.fields(place)?;
    let unarchive = fields
        .take(reader, "Unarchive")
        .and_then(|p| reader.word(&p, &[("NONE", Unarchive::None), ("ZIP", Unarchive::Zip)]))
        .unwrap_or_default();
    let permission =
        fields.take(reader, "Permission").map(|p| permission(reader, p)).unwrap_or_default();
    let algorithm = fields.take(reader, "Algorithm");
    let digest = fields.take(reader, "Digest");
    let uri = fields.require(reader, "Uri");
    fields.finish(reader);
    if let Some(place) = algorithm {
        reader.word(&place, &[("SHA-256", ()), ("SHA256", ())]);
    }
    let digest = match digest {
        Some(place) => Some(sha256(reader, &place)?),
        None => None,
    };
    let place = uri?;
    let uri = reader.text(&place)?;
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("s3" | "greengrass") => {}
        Some("docker") => return reader.parsed(&place).map(Content::Image),
        // The authors' own tools put the bucket there.
        Some("file" | "classpath") | None => {
            let message = format!("{uri:?} is no address that Greengrass can fetch");
            let advice = "its last part is looked up in the artifact directory";
            reader.warn(&place, message, advice);
        }
        Some(_) => {
            let message = format!("{uri:?} has none of the schemes s3:, greengrass: and docker:");
            let advice = "with s3://ANY/NAME the file NAME is taken from the artifact directory";
            reader.error(&place, message, advice);
            return None;
        }
    }
    let Some(file_name) = file_name(&uri) else {
        let message = format!("the last part of {uri:?} is not a file name");
        reader.error(&place, message, "");
        return None;
    };
    Some(Content::File(Artifact { uri, file_name, unarchive, permission, digest }))
}

fn file_name(uri: &str) -> Option<String> {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let last = rest.rsplit('/').next()?;
    let name = percent_decode_str(last).decode_utf8().ok()?.into_owned();
    let usable = !matches!(name.as_str(), "" | "." | "..")
        && !name.contains(['/', '\0'])
        && name.len() <= 255;
    usable.then_some(name)
}

fn permission(reader: &mut Reader<'_>, place: Place<'_>) -> Permission {
    let words = [("NONE", Access::None), ("OWNER", Access::Owner), ("ALL", Access::All)];
    let mut permission = Permission::default();
    let Some(mut fields) = reader.fields(place) else { return permission };
    if let Some(access) = fields.take(reader, "Read").and_then(|p| reader.word(&p, &words)) {
        permission.read = access;
    }
    if let Some(access) = fields.take(reader, "Execute").and_then(|p| reader.word(&p, &words)) {
        permission.execute = access;
    }
    fields.finish(reader);
    // What may be executed may be read.
    permission.read = permission.read.max(permission.execute);
    permission
}

fn sha256(reader: &mut Reader<'_>, place: &Place<'_>) -> Option<[u8; 32]> {
    let text = reader.text(place)?;
    let digest = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    if digest.is_none() {
        reader.error(place, format_args!("{text:?} is not a SHA-256 in base64"), "");
    }
    digest
}
