//! The kernels that OpenBLAS uses. It chooses them from a table of processor models before `main`. For a processor that
//! is newer than the table, it may silently choose those of a much older one.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::sync::OnceLock;

use super::vectors::Vectors;

/// The variable that tells OpenBLAS which kernels to use.
pub(super) const CORE_TYPE: &str = "OPENBLAS_CORETYPE";

/// The value to which this program itself has set [`CORE_TYPE`].
pub(super) const ASKED: &str = "TERNFLOCK_OPENBLAS_CORETYPE";

unsafe extern "C" {
    fn openblas_get_config() -> *const c_char;
    fn openblas_get_corename() -> *const c_char;
}

/// The BLAS of this process. Its description, such as `OpenBLAS 0.3.21, SkylakeX kernels`, determines the last bits of
/// every product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blas {
    /// Name and version, as in `OpenBLAS 0.3.21`.
    pub library: String,
    /// The core type of its kernels, as OpenBLAS spells it.
    pub kernels: String,
    /// Who chose the kernels.
    pub chosen: Chosen,
    /// Their problem on this processor, if there is one.
    pub trouble: Option<Trouble>,
}

/// Who chose the BLAS kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// OpenBLAS itself.
    ByBlas,
    /// This program, because OpenBLAS by itself chose poor ones.
    ByProgram,
    /// The user, by the variable `OPENBLAS_CORETYPE`.
    ByUser,
}

/// A problem of the BLAS kernels on this processor, as a sentence with a remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// They work, but leave the processor's wider vectors unused.
    Slow(String),
    /// They are not those that `OPENBLAS_CORETYPE` requests, because OpenBLAS does not know that name.
    Ignored(String),
    /// They use instructions that the processor does not have: the first product would crash the process.
    Impossible(String),
}

/// The BLAS of this process.
pub fn blas() -> &'static Blas {
    static BLAS: OnceLock<Blas> = OnceLock::new();
    BLAS.get_or_init(|| {
        let variable = |name: &str| std::env::var(name).ok();
        Blas::of(&config(), &core_type(), Vectors::of_processor(), variable)
    })
}

/// The text by which OpenBLAS describes itself: `OpenBLAS`, version, options.
pub(super) fn config() -> String {
    // SAFETY: a plain getter of the linked OpenBLAS; the text is static.
    unsafe { CStr::from_ptr(openblas_get_config()) }.to_string_lossy().into_owned()
}

/// The core type of the kernels that OpenBLAS has chosen.
pub(super) fn core_type() -> String {
    // SAFETY: a plain getter of the linked OpenBLAS; the text is static.
    unsafe { CStr::from_ptr(openblas_get_corename()) }.to_string_lossy().into_owned()
}

/// Whether an OpenBLAS that describes itself as `config` has kernels of several core types to choose from.
pub(super) fn has_choice(config: &str) -> bool {
    config.split_whitespace().any(|word| word == "DYNAMIC_ARCH")
}

impl Blas {
    fn of(
        config: &str,
        kernels: &str,
        processor: Option<Vectors>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Blas {
        let set = variable(CORE_TYPE).filter(|value| !value.is_empty());
        // OpenBLAS chooses itself if it has no kernels with the given name.
        let ignored = set.as_ref().filter(|set| !set.eq_ignore_ascii_case(kernels));
        let chosen = match &set {
            Some(_) if ignored.is_some() => Chosen::ByBlas,
            Some(_) if set == variable(ASKED) => Chosen::ByProgram,
            Some(_) => Chosen::ByUser,
            None => Chosen::ByBlas,
        };
        let library = config.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let used = Vectors::of_kernels(kernels);
        let trouble = used.zip(processor).and_then(|(used, processor)| match chosen {
            _ if used == processor => None,
            Chosen::ByUser if used < processor => Some(Trouble::Slow(format!(
                "{kernels} kernels of BLAS use at most {used}, but this processor has {processor}; unset \
                 OPENBLAS_CORETYPE to let ternflock choose"
            ))),
            Chosen::ByUser => Some(Trouble::Impossible(format!(
                "{kernels} kernels of BLAS need {used}, which this processor does not have; unset OPENBLAS_CORETYPE"
            ))),
            _ if used > processor => Some(Trouble::Impossible(format!(
                "{library} computes with {kernels} kernels, which need {used}; this processor does not have it: set \
                 OPENBLAS_CORETYPE={}, or use an OpenBLAS that was built for this processor",
                processor.core_type()
            ))),
            _ if !has_choice(config) => Some(Trouble::Slow(format!(
                "{library} was built only for {kernels} and uses at most {used}, but this processor has \
                 {processor}; use an OpenBLAS that was built with DYNAMIC_ARCH, or for this processor"
            ))),
            _ => Some(Trouble::Slow(format!(
                "{library} does not know this processor: its {kernels} kernels use at most {used}, but the \
                 processor has {processor}, and kernels that use it failed a check or could not be checked; \
                 use a newer OpenBLAS"
            ))),
        });
        let trouble = trouble.or_else(|| {
            Some(Trouble::Ignored(format!(
                "{library} has no kernels called `{}`: OPENBLAS_CORETYPE has no effect, and {kernels} kernels are used; unset \
                 it",
                ignored?
            )))
        });
        Blas { library, kernels: kernels.into(), chosen, trouble }
    }
}

impl fmt::Display for Blas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} kernels", self.library, self.kernels)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Trouble::Slow(text) | Trouble::Ignored(text) | Trouble::Impossible(text)) = self;
        f.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DYNAMIC: &str = "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Prescott MAX_THREADS=64";

    /// OpenBLAS with these kernels on a processor with these vectors, with [`CORE_TYPE`] and [`ASKED`] set to these.
    fn of(kernels: &str, processor: Vectors, set: &str, asked: &str) -> Blas {
        let variable = |name: &str| Some(if name == CORE_TYPE { set } else { asked }.to_owned());
        Blas::of(DYNAMIC, kernels, Some(processor), variable)
    }

    fn slow(blas: &Blas) -> &str {
        match &blas.trouble {
            Some(Trouble::Slow(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn kernels_as_wide_as_the_processor_are_no_trouble() {
        let blas = of("Cooperlake", Vectors::Avx512, "", "");
        assert_eq!((blas.chosen, &blas.trouble), (Chosen::ByBlas, &None));
        assert_eq!(blas.to_string(), "OpenBLAS 0.3.21, Cooperlake kernels");
        let blas = of("SkylakeX", Vectors::Avx512, "SkylakeX", "SkylakeX");
        assert_eq!((blas.chosen, blas.trouble), (Chosen::ByProgram, None));
        let blas = of("Zen", Vectors::Fma, "Zen", "");
        assert_eq!((blas.chosen, blas.trouble), (Chosen::ByUser, None));
    }

    #[test]
    fn what_a_user_has_set_is_named() {
        let blas = of("Prescott", Vectors::Avx512, "Prescott", "");
        assert_eq!(blas.chosen, Chosen::ByUser);
        for part in ["OPENBLAS_CORETYPE", "Prescott", "SSE3", "AVX-512"] {
            assert!(slow(&blas).contains(part), "{blas:?}");
        }
        // Set for another machine and forwarded by a batch system, or set by this program to another value.
        let blas = of("Haswell", Vectors::Avx512, "Haswell", "SkylakeX");
        assert_eq!(blas.chosen, Chosen::ByUser);
        let blas = of("SkylakeX", Vectors::Fma, "SkylakeX", "");
        assert!(
            matches!(&blas.trouble, Some(Trouble::Impossible(text)) if text.contains("AVX-512")),
            "{blas:?}"
        );
    }

    #[test]
    fn an_unknown_processor_or_a_library_for_one_kind_is_named() {
        assert!(slow(&of("Prescott", Vectors::Avx512, "", "")).contains("does not know this processor"));
        let built = Blas::of("OpenBLAS 0.3.30 Haswell", "Haswell", Some(Vectors::Avx512), |_| None);
        assert!(slow(&built).contains("DYNAMIC_ARCH"));
    }

    #[test]
    fn a_name_that_openblas_does_not_know_is_no_choice() {
        for asked in ["", "nonsense"] {
            let blas = of("Cooperlake", Vectors::Avx512, "nonsense", asked);
            assert_eq!(blas.chosen, Chosen::ByBlas);
            assert!(
                matches!(&blas.trouble, Some(Trouble::Ignored(text)) if text.contains("no kernels called `nonsense`")),
                "{blas:?}"
            );
        }
        // In any spelling.
        assert_eq!(of("SkylakeX", Vectors::Avx512, "SKYLAKEX", "").trouble, None);
    }

    #[test]
    fn what_is_not_known_is_not_judged() {
        assert_eq!(of("Of2031", Vectors::Avx512, "", "").trouble, None);
        assert_eq!(Blas::of(DYNAMIC, "ARMV8", None, |_| None).trouble, None);
    }

    #[test]
    fn the_linked_library_names_itself() {
        let blas = blas();
        assert!(blas.library.starts_with("OpenBLAS "), "{blas:?}");
        assert!(!blas.kernels.is_empty());
    }
}
