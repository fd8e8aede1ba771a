//! The function that an attribute stands on.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, Signature, Visibility};

/// A function. Its body is kept as it is written, so that an error in there is reported by the compiler, and editors go on to
/// complete what is being typed.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                Ok(Self { attributes, visibility, signature, body })
            }
            other => Err(Error::new_spanned(other, "the function has no body")),
        }
    }
}

impl Function {
    /// Checks that it is an `async fn` that is called without anything. `attribute` is what stands on it.
    pub(crate) fn check(&self, attribute: &str) -> Result<()> {
        let Signature { asyncness, fn_token, generics, inputs, .. } = &self.signature;
        let mut errors = Vec::new();
        if asyncness.is_none() {
            let advice =
                format!("`#[{attribute}]` stands on an `async fn`: write `async` before `fn`");
            errors.push(Error::new_spanned(fn_token, advice));
        }
        if !inputs.is_empty() {
            let advice = format!(
                "a function with `#[{attribute}]` is called without arguments, so it can have no parameters"
            );
            errors.push(Error::new_spanned(inputs, advice));
        }
        if !generics.params.is_empty() {
            let advice = format!(
                "a function with `#[{attribute}]` cannot be generic: nothing says what its parameters are"
            );
            errors.push(Error::new_spanned(generics, advice));
        }
        combined(errors)
    }

    /// The tokens of the function as an `async fn`, without the attributes and the visibility.
    pub(crate) fn inner(&self) -> TokenStream {
        let Self { signature, body, .. } = self;
        let mut tokens = signature.to_token_stream();
        tokens.extend([TokenTree::Group(body.clone())]);
        tokens
    }
}

/// Returns all the errors as one, if there are any.
pub(crate) fn combined(errors: impl IntoIterator<Item = Error>) -> Result<()> {
    let all = errors.into_iter().reduce(|mut all, error| {
        all.combine(error);
        all
    });
    all.map_or(Ok(()), Err)
}
