//! What stands in the parentheses of an attribute.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, Path, Result, Token, parse_quote};

use crate::function::combined;

/// Which attribute it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    /// Its name, as it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "moirai::main",
            Self::Test => "moirai::test",
        }
    }

    fn options(self) -> &'static str {
        match self {
            Self::Main => "`workers`, `builder` and `crate`",
            Self::Test => "`workers`, `builder`, `simulate`, `start_paused` and `crate`",
        }
    }
}

/// The options of an attribute.
pub(crate) struct Options {
    pub(crate) workers: Option<Expr>,
    pub(crate) builder: Option<Expr>,
    /// The number of seeds.
    pub(crate) simulate: Option<Expr>,
    pub(crate) start_paused: bool,
    /// The path of the crate `moirai`.
    pub(crate) moirai: Path,
}

impl Default for Options {
    fn default() -> Self {
        let (workers, builder, simulate) = (None, None, None);
        let moirai = parse_quote!(::moirai);
        Self { workers, builder, simulate, start_paused: false, moirai }
    }
}

/// `name = value`.
struct Assignment {
    name: Ident,
    value: Expr,
}

impl Parse for Assignment {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `crate` is a keyword.
        let name = input.call(Ident::parse_any)?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(name.span(), format!("`{name}` needs a value: `{name} = …`")));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: input.parse()? })
    }
}

impl Options {
    /// Reads the options, and returns them with everything that is wrong. What is wrong is left at its default.
    pub(crate) fn read(
        attribute: Attribute,
        tokens: proc_macro2::TokenStream,
    ) -> (Self, Result<()>) {
        let mut options = Self::default();
        let list = Punctuated::<Assignment, Token![,]>::parse_terminated.parse2(tokens);
        let list = match list {
            Ok(list) => list,
            Err(error) => return (options, Err(error)),
        };
        let mut errors = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        let mut builder_at = Span::call_site();
        for Assignment { name, value } in list {
            let text = match name.to_string() {
                // The name that tokio has for it.
                text if text == "worker_threads" => "workers".to_owned(),
                text => text,
            };
            if seen.contains(&text) {
                errors.push(Error::new(name.span(), format!("`{text}` is set twice")));
                continue;
            }
            if text == "builder" {
                builder_at = name.span();
            }
            errors.extend(options.set(attribute, &name, &text, value).err());
            seen.push(text);
        }
        if options.builder.is_some() && options.is_simulated() {
            let advice = "a simulation has an executor of its own, and takes no `builder`: call `moirai::sim::explore` in a `#[test]` \
                          to give it a configuration";
            errors.push(Error::new(builder_at, advice));
            options.builder = None;
        }
        (options, combined(errors))
    }

    /// Returns whether the test runs in the simulator.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulate.is_some() || self.start_paused
    }

    fn set(&mut self, attribute: Attribute, name: &Ident, text: &str, value: Expr) -> Result<()> {
        match text {
            "workers" => {
                self.workers = Some(count(value, text, "an executor needs at least one worker")?)
            }
            "builder" => self.builder = Some(value),
            "crate" => self.moirai = path(&value)?,
            "simulate" | "start_paused" if attribute == Attribute::Main => {
                let advice = format!(
                    "`{text}` is an option of `#[moirai::test]`; a program runs on threads, in real time"
                );
                return Err(Error::new(name.span(), advice));
            }
            "simulate" => {
                self.simulate =
                    Some(count(value, text, "a test that runs with no seed tests nothing")?)
            }
            "start_paused" => self.start_paused = switch(&value, text)?,
            "flavor" => {
                let advice = "there is no `flavor`: an executor always has workers; for a single one write `workers = 1`";
                return Err(Error::new(name.span(), advice));
            }
            _ => {
                let (attribute, options) = (attribute.name(), attribute.options());
                let advice = format!("`#[{attribute}]` has no option `{text}`: it has {options}");
                return Err(Error::new(name.span(), advice));
            }
        }
        Ok(())
    }
}

/// A number of at least one. What is not written out is left to the compiler to check.
fn count(value: Expr, name: &str, why_not_zero: &str) -> Result<Expr> {
    if let Expr::Lit(ExprLit { lit, .. }) = &value {
        let Lit::Int(number) = lit else {
            return Err(Error::new_spanned(
                lit,
                format!("`{name}` is a number, such as `{name} = 4`"),
            ));
        };
        if number.base10_parse::<u64>()? == 0 {
            return Err(Error::new_spanned(
                lit,
                format!("`{name}` must be at least 1: {why_not_zero}"),
            ));
        }
    }
    Ok(value)
}

fn switch(value: &Expr, name: &str) -> Result<bool> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(switch), .. }) => Ok(switch.value),
        other => Err(Error::new_spanned(other, format!("`{name}` is `true` or `false`"))),
    }
}

/// A path, bare or in quotes.
fn path(value: &Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse_with(Path::parse_mod_style),
        other => {
            let advice =
                "`crate` is the path of the crate `moirai`, such as `crate = my_crate::moirai`";
            Err(Error::new_spanned(other, advice))
        }
    }
}
