//! From the bytes of a PNG or JPEG file to pixels of 8 bits. The content decides, not the file name.
//!
//! Images of 16 bits keep the upper 8 bits of each value. Transparency is dropped and colour profiles are ignored, as by
//! Pillow's `convert("RGB")`. The orientation in a JPEG file's EXIF data is not applied, as in torchvision's `ImageFolder`.

use std::fmt::Display;
use std::io::{BufRead, Cursor, Seek};

use png::{ColorType, Decoder, Limits, Transformations};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZByteReaderTrait;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The maximum number of pixels of an image, checked before anything is decoded: a small file can claim any size.
const MOST_PIXELS: usize = 100_000_000;

/// The maximum width and height of a JPEG image, which its format sets.
const LONGEST_SIDE: usize = 65_535;

/// The maximum number of bytes that a PNG decoder allocates for itself: two rows, a palette and its window.
const PNG_BYTES: usize = 64 << 20;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

/// An image of 8 bits, `[H, W, C]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
    /// C: 1 for grey, 3 for colour.
    pub channels: usize,
    /// The pixels, row by row.
    pub pixels: Vec<u8>,
}

/// The height and width of the image that `input` starts with, from its header.
///
/// # Errors
/// With the reason, if it is no such image, or too large.
pub fn dimensions(mut input: impl BufRead + Seek) -> Result<[usize; 2], String> {
    let start = input.fill_buf().map_err(text)?;
    let [width, height] = if start.starts_with(PNG) {
        let mut decoder = png_decoder(input);
        let info = decoder.read_header_info().map_err(text)?;
        [info.width as usize, info.height as usize]
    } else if start.starts_with(JPEG) {
        let mut decoder = jpeg_decoder(input);
        decoder.decode_headers().map_err(text)?;
        decoder.dimensions().ok_or("has no dimensions")?.into()
    } else {
        return Err(unknown(start));
    };
    limited(height, width)
}

/// Decodes `bytes`.
///
/// # Errors
/// With the reason, if they are no such image, if the image is damaged or truncated, or if it is too large.
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    match bytes {
        _ if bytes.starts_with(PNG) => decode_png(bytes),
        _ if bytes.starts_with(JPEG) => decode_jpeg(bytes),
        _ => Err(unknown(bytes)),
    }
}

fn png_decoder<R: BufRead + Seek>(input: R) -> Decoder<R> {
    let mut decoder = Decoder::new_with_limits(input, Limits { bytes: PNG_BYTES });
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = png_decoder(Cursor::new(bytes));
    let header = decoder.read_header_info().map_err(text)?;
    let [height, width] = limited(header.height as usize, header.width as usize)?;
    let mut reader = decoder.read_info().map_err(text)?;
    let (stored, kept) = match reader.output_color_type().0 {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgb => (3, 3),
        ColorType::Rgba => (4, 3),
        ColorType::Indexed => return Err("has a palette that cannot be expanded".into()),
    };
    let mut pixels = vec![0; reader.output_buffer_size().ok_or("is too large")?];
    reader.next_frame(&mut pixels).map_err(text)?;
    if stored != kept {
        pixels = pixels.chunks_exact(stored).flat_map(|pixel| &pixel[..kept]).copied().collect();
    }
    Ok(Picture { height, width, channels: kept, pixels })
}

fn jpeg_decoder<T: ZByteReaderTrait>(input: T) -> JpegDecoder<T> {
    let options = DecoderOptions::default().set_max_width(LONGEST_SIDE).set_max_height(LONGEST_SIDE);
    // Otherwise, a truncated file is an image whose rest is grey.
    JpegDecoder::new_with_options(input, options.set_strict_mode(true))
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let mut decoder = jpeg_decoder(Cursor::new(bytes));
    decoder.decode_headers().map_err(text)?;
    let (width, height) = decoder.dimensions().ok_or("has no dimensions")?;
    let [height, width] = limited(height, width)?;
    let (space, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    let options = decoder.options().jpeg_set_out_colorspace(space);
    decoder.set_options(options);
    let pixels = decoder.decode().map_err(text)?;
    match pixels.len() == height * width * channels {
        true => Ok(Picture { height, width, channels, pixels }),
        false => Err(format!("has {} bytes instead of {height}x{width}x{channels}", pixels.len())),
    }
}

fn limited(height: usize, width: usize) -> Result<[usize; 2], String> {
    match height.checked_mul(width) {
        Some(0) => Err("has no pixels".into()),
        Some(pixels) if pixels <= MOST_PIXELS => Ok([height, width]),
        _ => Err(format!("has {height}x{width} pixels; at most {MOST_PIXELS} are decoded: make it smaller")),
    }
}

fn unknown(start: &[u8]) -> String {
    match start {
        [] => "is empty",
        _ => "is neither a PNG nor a JPEG image",
    }
    .into()
}

fn text(error: impl Display) -> String {
    error.to_string()
}
