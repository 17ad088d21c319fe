//! A component version on the device.

use hedgerow_component::recipe::Invalid;
use hedgerow_component::{ComponentName, Recipe, Version};
use serde::{Deserialize, Serialize};

/// A recipe, and where its artifacts are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name of the content of its artifacts.
    pub id: String,
    #[serde(default)]
    pub place: Place,
    /// The recipe's file, for messages.
    pub file: String,
    pub recipe: String,
}

/// Who has the artifacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    #[default]
    Store,
    /// The operating system's image, where they stay.
    Image,
    /// Nobody: Hedgerow itself is the component.
    BuiltIn,
}

impl Package {
    /// Its directory in the store, relative to the state directory.
    pub fn directory(&self) -> String {
        format!("packages/{}", self.id)
    }

    pub fn parse(&self) -> Result<Recipe, Invalid> {
        Ok(Recipe::parse(&self.file, self.recipe.as_bytes())?.recipe)
    }

    pub fn key(name: &ComponentName, version: &Version) -> String {
        format!("{name}@{version}")
    }
}
