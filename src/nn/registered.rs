//! Layers of other programs that use this library. A registered layer is used like the built-in ones: in job files, by its
//! type; in checkpoints; by penalties and surgery, as far as it declares parts.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::LayerSpec;
use crate::layer::Describe;
use ternflock_base::error::{Error, Result};

/// Reads the options of a layer.
type Read = fn(Value) -> serde_json::Result<Box<dyn Own>>;

/// By type: how its options are read.
static LAYERS: RwLock<BTreeMap<&'static str, Read>> = RwLock::new(BTreeMap::new());

/// Makes the layer `L` available in this process as `type = "kind"`. Register layers before jobs and checkpoints that name
/// them are read, and on every rank. `L` reads its options by serde; `deny_unknown_fields` refuses misspelt ones.
///
/// # Errors
/// [`Error::Usage`] if there is a layer of this type.
pub fn register_layer<L>(kind: &'static str) -> Result<()>
where
    L: Describe + Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let read: Read = |options| Ok(Box::new(serde_json::from_value::<L>(options)?));
    let mut layers = LAYERS.write().unwrap_or_else(PoisonError::into_inner);
    if LayerSpec::KINDS.contains(&kind) || layers.contains_key(kind) {
        return Err(Error::Usage(format!("there is a layer of type `{kind}` already")));
    }
    layers.insert(kind, read);
    Ok(())
}

/// The types of registered layers.
pub(super) fn kinds() -> Vec<&'static str> {
    LAYERS.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
}

/// The registered layer in `table`, if its type is one.
pub(super) fn read(table: &Map<String, Value>) -> Option<serde_json::Result<Registered>> {
    let kind = table.get("type")?.as_str()?;
    let layers = LAYERS.read().unwrap_or_else(PoisonError::into_inner);
    let (&kind, read) = layers.get_key_value(kind)?;
    let mut options = table.clone();
    options.remove("type");
    Some(read(Value::Object(options)).map(|layer| Registered { kind, layer }))
}

/// A layer that a program has registered.
pub struct Registered {
    pub(super) kind: &'static str,
    layer: Box<dyn Own>,
}

impl Registered {
    pub(super) fn describe(&self) -> &dyn Describe {
        self.layer.describe()
    }

    pub(super) fn describe_mut(&mut self) -> &mut dyn Describe {
        self.layer.describe_mut()
    }
}

impl Clone for Registered {
    fn clone(&self) -> Registered {
        Registered { kind: self.kind, layer: self.layer.copied() }
    }
}

impl PartialEq for Registered {
    fn eq(&self, other: &Registered) -> bool {
        self.kind == other.kind && self.layer.equals(&*other.layer)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.layer.options().map_err(|_| fmt::Error)?;
        formatter.debug_tuple(self.kind).field(&options).finish()
    }
}

/// The options, with the type among them.
impl Serialize for Registered {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut table = Map::from_iter([("type".to_owned(), Value::from(self.kind))]);
        // A struct without fields has no options.
        if let Value::Object(options) = self.layer.options().map_err(serde::ser::Error::custom)? {
            table.extend(options);
        }
        table.serialize(serializer)
    }
}

/// What a registered layer can do, whatever its type is.
trait Own: Send + Sync {
    fn describe(&self) -> &dyn Describe;
    fn describe_mut(&mut self) -> &mut dyn Describe;
    fn as_any(&self) -> &dyn Any;
    fn copied(&self) -> Box<dyn Own>;
    fn equals(&self, other: &dyn Own) -> bool;
    fn options(&self) -> serde_json::Result<Value>;
}

impl<L: Describe + Clone + PartialEq + Serialize + Send + Sync + 'static> Own for L {
    fn describe(&self) -> &dyn Describe {
        self
    }

    fn describe_mut(&mut self) -> &mut dyn Describe {
        self
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn copied(&self) -> Box<dyn Own> {
        Box::new(self.clone())
    }

    fn equals(&self, other: &dyn Own) -> bool {
        other.as_any().downcast_ref::<L>().is_some_and(|other| self == other)
    }

    fn options(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}
