//! Colours that people choose, and what must follow from them so that text stays readable.

use serde::{Deserialize, Serialize};

/// An sRGB colour, written `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Colour {
    rgb: [u8; 3],
}

/// A text that is no colour.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a colour like #2d6a4f")]
pub struct NoColour;

impl TryFrom<String> for Colour {
    type Error = NoColour;

    fn try_from(text: String) -> Result<Self, NoColour> {
        let hex = text.trim().strip_prefix('#').ok_or(NoColour)?;
        if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NoColour);
        }
        let part = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|_| NoColour);
        Ok(Colour {
            rgb: [part(0)?, part(2)?, part(4)?],
        })
    }
}

impl From<Colour> for String {
    fn from(colour: Colour) -> String {
        let [r, g, b] = colour.rgb;
        format!("#{r:02x}{g:02x}{b:02x}")
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl Colour {
    /// Black.
    pub const BLACK: Colour = Colour { rgb: [0; 3] };
    /// White.
    pub const WHITE: Colour = Colour { rgb: [255; 3] };

    /// A colour by its three parts.
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Colour { rgb: [r, g, b] }
    }

    /// Relative luminance, 0 to 1 (WCAG 2.2).
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let c = f64::from(part) / 255.0;
            match c <= 0.04045 {
                true => c / 12.92,
                false => ((c + 0.055) / 1.055).powf(2.4),
            }
        };
        let [r, g, b] = self.rgb.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// The contrast of two colours, 1 to 21 (WCAG 2.2).
    pub fn contrast(self, other: Colour) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// So much of another colour (0 to 1) in this one.
    pub fn mix(self, other: Colour, share: f64) -> Colour {
        let part = |i: usize| {
            let (a, b) = (f64::from(self.rgb[i]), f64::from(other.rgb[i]));
            (a + (b - a) * share).round().clamp(0.0, 255.0) as u8
        };
        Colour {
            rgb: [part(0), part(1), part(2)],
        }
    }

    /// The better readable of black and white on this colour; one of them always has a contrast of 4.5.
    pub fn ink(self) -> Colour {
        match self.contrast(Colour::BLACK) >= self.contrast(Colour::WHITE) {
            true => Colour::BLACK,
            false => Colour::WHITE,
        }
    }

    /// This colour, moved towards black or white only as far as a contrast on `ground` asks for.
    pub fn readable_on(self, ground: Colour, contrast: f64) -> Colour {
        let towards = ground.ink();
        (0..=20)
            .map(|step| self.mix(towards, f64::from(step) / 20.0))
            .find(|c| c.contrast(ground) >= contrast)
            .unwrap_or(towards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(
            Colour::try_from("#2D6a4f".to_owned()).map(String::from),
            Ok("#2d6a4f".to_owned())
        );
        for text in [
            "", "#", "2d6a4f", "#2d6a4", "#2d6a4f0", "#2d6a4g", "red", "#é12345", "#+12345",
        ] {
            assert_eq!(Colour::try_from(text.to_owned()), Err(NoColour), "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((Colour::BLACK.contrast(Colour::WHITE) - 21.0).abs() < 1e-9);
        // The standard's own edge: #767676 is the lightest grey that is readable on white.
        assert!(Colour::new(0x76, 0x76, 0x76).contrast(Colour::WHITE) >= 4.5);
        assert!(Colour::new(0x77, 0x77, 0x77).contrast(Colour::WHITE) < 4.5);
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_stays_readable(accent: [u8; 3], ground: [u8; 3]) {
            let (accent, ground) = (Colour { rgb: accent }, Colour { rgb: ground });
            prop_assert!(accent.contrast(accent.ink()) >= 4.5);
            prop_assert!(accent.readable_on(ground, 4.5).contrast(ground) >= 4.5);
            prop_assert!(accent.readable_on(accent, 3.0).contrast(accent) >= 3.0);
        }
    }
}
