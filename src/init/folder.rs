//! Folders of images: their size, their colours, and those that are damaged.

use super::proposal::Proposal;
use super::request::Request;
use ternflock_base::error::Result;
use ternflock_base::text::plural;
use ternflock_data::{FolderFacts, look_at_folder};

/// Larger images are resized: a first run should not take hours.
const LARGEST_SIDE: usize = 64;
/// Images of one size up to this side keep it.
const LARGEST_OWN_SIDE: usize = 96;
/// The multiple to which sides are rounded down.
const SIDE_STEP: usize = 8;

/// Reads the headers of all images, decodes some, and proposes a size and the colours.
pub fn propose(request: &Request) -> Result<Proposal> {
    let name = request.name()?;
    let facts = look_at_folder(request.path)?;
    let mut proposal = Proposal::default();
    proposal.set("dataset", "folder", "PNG and JPEG images; the sub-folders are the classes.");
    proposal.set("dir", name, "The path starts from the directory in which you run the program.");
    set_size(&facts, &mut proposal);
    match facts.has_colour {
        true => proposal.set("colour", "rgb", "\"grey\" converts the images to one channel."),
        false => proposal.set("colour", "grey", "The images have no colours; \"rgb\" reads three channels."),
    }
    if let Some((path, reason)) = facts.damaged.first() {
        let count = plural(facts.damaged.len(), "image");
        proposal.choices.push(format!(
            "{count} cannot be decoded and will be left out, such as {}: {reason}.",
            path.display()
        ));
        let comment =
            format!("{count} cannot be decoded. \"skip\" leaves them out; \"refuse\" makes them an error.");
        proposal.set("on_error", "skip", comment);
    }
    proposal.set(
        "padding",
        side(&facts) / 16,
        "Training images are padded on each side and cropped at random, so that the network learns to ignore shifts. 0: off.",
    );
    proposal.set(
        "mirror",
        false,
        "true mirrors training images left to right at random: for photos, not for letters or digits.",
    );
    if !facts.own_sets.is_empty() {
        let sets = if facts.own_sets.len() == 1 { "set" } else { "sets" };
        proposal.choices.push(format!("The folder has its own {} {sets}.", facts.own_sets.join(" and ")));
    }
    proposal.set_splits(false);
    proposal.set_normalisation(false);
    Ok(proposal)
}

/// The shorter side of the images that the network reads.
fn side(facts: &FolderFacts) -> usize {
    let [height, width] = size(facts);
    height.min(width)
}

/// Height and width of the images that the network reads.
fn size(facts: &FolderFacts) -> [usize; 2] {
    if facts.least == facts.most && facts.most.iter().all(|&side| side <= LARGEST_OWN_SIDE) {
        return facts.most;
    }
    let side = facts.shorter_side.min(LARGEST_SIDE);
    let side = if side > SIDE_STEP { side / SIDE_STEP * SIDE_STEP } else { side.max(1) };
    [side, side]
}

fn set_size(facts: &FolderFacts, proposal: &mut Proposal) {
    let (size, [least, most]) = (size(facts), [facts.least, facts.most].map(|[h, w]| format!("{h}x{w}")));
    if facts.least == facts.most && size == facts.most {
        proposal.set(
            "size",
            size.to_vec(),
            "Height and width, those of all images. Smaller images train faster.",
        );
        return;
    }
    let found = if least == most {
        format!("All images are {most} pixels")
    } else {
        format!("Images are {least} to {most} pixels")
    };
    proposal.choices.push(format!("{found}; they are resized to {}x{}.", size[0], size[1]));
    proposal.set(
        "size",
        size.to_vec(),
        format!("Height and width that the network reads. {found}. Larger ones show more and train slower."),
    );
    proposal.set(
        "resize",
        "crop",
        "Images are scaled until they cover the size, and the centre is taken; \"stretch\" changes their proportions.",
    );
}
