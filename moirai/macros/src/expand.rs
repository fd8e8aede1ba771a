//! What the attributes write.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Result};

use crate::function::{Function, combined};
use crate::options::{Attribute, Options};

/// The number of workers of a test, unless it says otherwise: enough for a race.
const TEST_WORKERS: usize = 2;

/// Expands `#[moirai::main]`.
pub(crate) fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Attribute::Main, options, function, write_main)
}

/// Expands `#[moirai::test]`.
pub(crate) fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Attribute::Test, options, function, write_test)
}

fn expand(
    attribute: Attribute,
    options: TokenStream,
    tokens: TokenStream,
    write: fn(&Options, &Function) -> Result<TokenStream>,
) -> TokenStream {
    let function: Function = match syn::parse2(tokens.clone()) {
        Ok(function) => function,
        // The compiler has read the item already, so it is another one than a function.
        Err(_) => {
            let advice = format!("`#[{}]` stands on an `async fn`", attribute.name());
            return with_error(&Error::new_spanned(&tokens, advice), tokens);
        }
    };
    let (options, read) = Options::read(attribute, options);
    if let Err(mut error) = function.check(attribute.name()) {
        if let Err(other) = read {
            error.combine(other);
        }
        // A `main` that is missing as well would be one error too many.
        let (visibility, name) = (&function.visibility, &function.signature.ident);
        return with_error(&error, quote! { #visibility fn #name() {} });
    }
    let written = write(&options, &function);
    let wrong = combined(read.err().into_iter().chain(written.as_ref().err().cloned()));
    let written = written.unwrap_or_default();
    match wrong {
        // The function is there nevertheless, so that its own errors are shown too.
        Err(error) => with_error(&error, written),
        Ok(()) => written,
    }
}

fn with_error(error: &Error, mut rest: TokenStream) -> TokenStream {
    rest.extend(error.to_compile_error());
    rest
}

fn write_main(options: &Options, function: &Function) -> Result<TokenStream> {
    let Function { attributes, visibility, signature, .. } = function;
    let (name, output, inner) = (&signature.ident, &signature.output, function.inner());
    if name.unraw() != "main" {
        let advice = "`#[moirai::main]` stands on the entry point of a program, `main`; to run another future call \
                      `moirai::block_on`";
        return Err(Error::new_spanned(name, advice));
    }
    let moirai = &options.moirai;
    let builder = builder(options, None);
    Ok(quote! {
        #(#attributes)*
        #visibility fn #name() #output {
            #inner
            #moirai::__private::run_main(#builder, #name)
        }
    })
}

fn write_test(options: &Options, function: &Function) -> Result<TokenStream> {
    let Function { attributes, visibility, signature, .. } = function;
    if let Some(second) = attributes.iter().find(|attribute| attribute.path().is_ident("test")) {
        let advice = "`#[moirai::test]` makes the function a test already: leave `#[test]` out";
        return Err(Error::new_spanned(second, advice));
    }
    let (name, output, inner) = (&signature.ident, &signature.output, function.inner());
    let moirai = &options.moirai;
    let (output, call) = if options.is_simulated() {
        let workers = options.workers.iter();
        let seeds = options.simulate.as_ref().map_or_else(|| quote!(1), |seeds| quote!(#seeds));
        let plain = name.unraw().to_string();
        let call = quote! {
            let simulation = #moirai::sim::Simulation::new(0)#(.workers(#workers))*;
            let path = ::core::concat!(::core::module_path!(), "::", #plain);
            #moirai::__private::simulate_test(simulation, #seeds, path, #name)
        };
        (None, call)
    } else {
        let builder = builder(options, Some(TEST_WORKERS));
        (Some(output), quote! { #moirai::__private::run_test(#builder, #name) })
    };
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() #output {
            #inner
            #call
        }
    })
}

/// The builder of the executor. Without options it has `workers` workers, if that is given.
fn builder(options: &Options, workers: Option<usize>) -> TokenStream {
    let moirai = &options.moirai;
    let builder = match &options.builder {
        Some(builder) => quote! { #builder },
        None => {
            let workers = workers.iter();
            quote! { #moirai::Moirai::builder()#(.worker_threads(#workers))* }
        }
    };
    let workers = options.workers.iter();
    quote! { #builder #(.worker_threads(#workers))* }
}
