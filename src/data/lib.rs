//! Training data: data sets, the places where they are found, and the order in which samples are drawn.
//!
//! Shapes: N samples, C channels, H rows, W columns.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod arrays;
mod augment;
mod batch;
mod cifar;
mod cifar_png;
mod digits;
mod feed;
mod fetch;
mod files;
mod fill;
mod folder;
mod idx;
mod image_feed;
mod open;
mod places;
mod registry;
mod remarks;
mod samples;
mod split;
mod survey;
mod synthetic;
mod table;
mod text;

pub use arrays::{
    ArrayInputs, ArrayListing, FoundArray, MOST_DISTINCT, ValueFacts, array_name, is_archive, list_arrays,
    value_facts,
};
pub use augment::{Augment, View};
pub use batch::{Order, shard};
pub use feed::{Chunk, EvaluationFeed, Facts, Feeds, TrainingFeed};
pub use fetch::{Progress, fetch};
pub use fill::{Fill, Normalise, labels};
pub use folder::{
    Checked, Fit, FolderFacts, FolderSets, ImageFolder, Packed, Picture, convert as convert_colour,
    look as look_at_folder, open as open_folder, pack, read_image, read_picture,
};
pub use idx::read_idx_images;
pub use image_feed::{ImageFeed, ImageSet};
pub use open::{locate, open, open_dataset, refuse_directory};
pub use places::default_directory;
pub use registry::{Convert, DATASETS, Entry, Format, Origin, find};
pub use remarks::unknown_remark;
pub use samples::{
    Parts, Preparation, SampleFeed, SampleRequest, SampleSet, SampleSource, Samples, Scale, Selection,
    Sources, open_samples, register_dataset, split, split_ordered, to_input,
};
pub use survey::{Spread, Survey, survey};
pub use table::{
    ColumnFacts, Encoding, InputColumn, LARGEST_EXACT, TableFacts, TableInputs, TableReading,
    guess_delimiter, look as look_at_table,
};
pub use text::{
    Corpus, END_OF_LINE, Subset, TextFeed, TextSet, Texts, UNKNOWN, Vocabulary, read_text, synthetic_feed,
    synthetic_set, tokenize,
};

use xxhash_rust::xxh3::xxh3_64;

/// Labelled images of one size, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// C: 1 for grey, 3 for colour.
    pub channels: usize,
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// `[N, C, H, W]`, sample by sample.
    pub pixels: Vec<u8>,
    /// `[N]`, each below `classes`.
    pub labels: Vec<u8>,
    /// The number of classes, including those without a sample here.
    pub classes: usize,
    /// The pixel value that stands for 1.0: 255 for ordinary images, 16 for the digits.
    pub full_scale: u8,
}

impl Images {
    /// N, the number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of values of one sample: C * H * W.
    pub fn sample_size(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The pixels of sample `index`, `[C, H, W]`.
    pub fn sample(&self, index: usize) -> &[u8] {
        let size = self.sample_size();
        &self.pixels[index * size..][..size]
    }

    /// A hash of all contents: ranks with equal hashes read the same data.
    pub fn hash(&self) -> u64 {
        let sizes = [self.channels, self.height, self.width, self.classes, usize::from(self.full_scale)];
        let [channels, height, width, classes, full_scale] = sizes.map(|size| size as u64);
        let (pixels, labels) = (xxh3_64(&self.pixels), xxh3_64(&self.labels));
        let all = [channels, height, width, classes, full_scale, pixels, labels];
        xxh3_64(bytemuck::cast_slice(&all))
    }

    /// Facts that identify these images. xxh3 hashes several GB/s, so hashing all pixels costs less than
    /// reading them.
    pub fn facts(&self) -> Facts {
        let hash = |bytes: &[u8]| format!("{:016x}", xxh3_64(bytes));
        vec![
            ("samples", self.len().to_string()),
            ("shape", format!("{}x{}x{}", self.channels, self.height, self.width)),
            ("classes", self.classes.to_string()),
            ("full_scale", self.full_scale.to_string()),
            ("labels", hash(&self.labels)),
            ("contents", hash(&self.pixels)),
        ]
    }
}

/// A data set: training samples, and test samples that only measure the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its name in [`DATASETS`].
    pub name: &'static str,
    /// The training set.
    pub train: Images,
    /// The test set.
    pub test: Images,
}
